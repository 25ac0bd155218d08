import { PlatformError } from "../../src/core/errors.ts";
import { pacedCall } from "../../src/core/paced-call.ts";
import { repeated } from "../../src/core/tries.ts";
import type { Locale, Turn } from "../../src/core/turn.ts";
import { parseAddress, type SlackAddress } from "./address.ts";
import type { SlackContext } from "./slack-context.ts";
import { anything } from "./web-api.ts";

const SIGN = "hourglass_flowing_sand";
const WAITING: Readonly<Record<Locale, string>> = { en: "will answer soon…", zh: "排队中，稍后回答…" };
const FEATURE = "reactions";
/** A sign that comes late is no use, in ms; one that stays too long is wrong. */
const ADD_PATIENCE_MS = 3_000;
const REMOVE_PATIENCE_MS = 120_000;
/** Between the tries, in ms. */
const PAUSES_MS = [1_000, 2_000, 3_000];

/** Slack's words for "it is so already" (slack.md §1.8), or for a question that is gone. */
const DONE =
  /^(already_reacted|no_reaction|message_not_found|channel_not_found|thread_not_found|is_archived)$/;

/**
 * Shows at a question that it waits, or takes the sign away: a reaction, else the status line of its thread, which
 * Slack takes away by itself. A command has no message yet, and no sign. Never throws.
 */
export async function showWaiting(
  context: SlackContext,
  turn: Turn,
  { waiting, signal }: { waiting: boolean; signal: AbortSignal },
): Promise<void> {
  try {
    const address = parseAddress(turn.address);
    if (address.message === undefined) return;
    const patience = AbortSignal.timeout(waiting ? ADD_PATIENCE_MS : REMOVE_PATIENCE_MS);
    const options = { waiting, signal: AbortSignal.any([signal, patience]) };
    if (await react(context, address, options)) return;
    if (waiting) await setStatus(context, address, turn.locale, options);
  } catch (error) {
    context.log.debug({ err: error, waiting }, "slack sign of waiting not changed");
  }
}

/** @returns False where the app may not react. */
async function react(
  { api, latches, pacer, sleep }: SlackContext,
  { team, channel, message }: SlackAddress,
  { waiting, signal }: { waiting: boolean; signal: AbortSignal },
): Promise<boolean> {
  if (latches.isOff(FEATURE, team)) return false;
  const gate = pacer.method(team, waiting ? "react" : "unreact");
  const method = waiting ? "reactions.add" : "reactions.remove";
  const args = { channel, timestamp: message, name: SIGN };
  const call = (): Promise<unknown> =>
    pacedCall({ gate, permit: "first" }, () => api.call(method, anything, args, { signal }), { signal });
  try {
    await repeated(call, { pausesMs: PAUSES_MS, sleep, signal });
    return true;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    if (DONE.test(error.platformCode ?? "")) return true;
    if (error.code !== "PLATFORM_PERMISSION") throw error;
    latches.turnOff(FEATURE, team, error);
    return false;
  }
}

async function setStatus(
  { api, latches }: SlackContext,
  { team, channel, thread, message }: SlackAddress,
  locale: Locale,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  if (latches.isOff("status", team)) return;
  const args = { channel_id: channel, thread_ts: thread ?? message, status: WAITING[locale] };
  await api.call("assistant.threads.setStatus", anything, args, { signal });
}
