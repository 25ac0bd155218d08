import { type BridgeError, PlatformError } from "../../src/core/errors.ts";
import { noticeFor, withReference } from "../../src/core/notices.ts";
import { openDm } from "./command-place.ts";
import type { ReplyTarget } from "./edit-writer.ts";
import type { SlackContext } from "./slack-context.ts";
import { anything } from "./web-api.ts";

/** Slack does not take the answer there, but may take a sentence there, or somewhere else (slack.md §1.2). */
export function isToldOf(error: unknown): error is PlatformError {
  if (!(error instanceof PlatformError)) return false;
  const { code, platformCode } = error;
  return code === "PLATFORM_REJECTED" || code === "PLATFORM_PERMISSION" || platformCode === "is_archived";
}

/**
 * Tells the asker that the answer cannot be shown: below the question, else in their DM with the app. Never rejects: where
 * neither is possible, the log knows.
 */
export async function tellRefusal(
  context: SlackContext,
  { target, user }: { target: ReplyTarget; user: string },
  error: BridgeError,
  options: { signal: AbortSignal },
): Promise<void> {
  const { place, locale, reference } = target;
  const notice = withReference(noticeFor(error.code, locale), reference);
  try {
    if (
      await post(context, target, { channel: place.channel, thread_ts: place.thread, text: notice }, options)
    )
      return;
    const channel = place.dm ? undefined : await openDm(context, user, options);
    if (channel === undefined) return;
    // Built from the stored id: people see the channel's name.
    const text = locale === "zh" ? `<#${place.channel}>：${notice}` : `In <#${place.channel}>: ${notice}`;
    await post(context, target, { channel, text }, options);
  } catch (cause) {
    context.log.warn({ err: cause }, "slack did not take the notice either");
  }
}

/** @returns False when Slack does not take it there. */
async function post(
  { api, pacer, log }: SlackContext,
  { team }: ReplyTarget,
  args: { readonly channel: string; readonly thread_ts?: string; readonly text: string },
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  await pacer.post(team, args.channel).acquire("final", { signal });
  try {
    await api.call("chat.postMessage", anything, { ...args, unfurl_links: false, parse: "none" }, { signal });
    return true;
  } catch (error) {
    if (!(error instanceof PlatformError) || error.retryable) throw error;
    log.debug({ err: error, channel: args.channel }, "slack does not take a notice here");
    return false;
  }
}
