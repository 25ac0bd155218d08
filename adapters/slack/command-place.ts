import { z } from "zod";
import { PlatformError } from "../../src/core/errors.ts";
import { pacedCall } from "../../src/core/paced-call.ts";
import type { Locale, Turn } from "../../src/core/turn.ts";
import type { SlackAddress } from "./address.ts";
import { toInertText } from "./neutralize.ts";
import { findQuestion, questionMetadata } from "./own-messages.ts";
import type { Place } from "./place.ts";
import { postToResponseUrl } from "./response-url.ts";
import type { SlackContext } from "./slack-context.ts";

const posted = z.object({ ts: z.string(), channel: z.string() });
const opened = z.object({ channel: z.object({ id: z.string() }) });
const permalink = z.object({ permalink: z.string() });

/** `text` of one message (slack.md §1.8), less the words around the question. */
const MAX_QUESTION = 3_000;

/** Where somebody's command cannot be answered in its own channel (slack.md §4.3). */
const NOT_HERE =
  /^(not_in_channel|channel_not_found|is_archived|restricted_action.*|missing_scope|cannot_reply_to_message)$/;
/** The app has no DM with them either. */
const NO_DM =
  /^(missing_scope|user_not_found|user_not_visible|user_disabled|users_not_found|messages_tab_disabled|channel_not_found|cannot_dm_bot|method_not_supported_for_channel_type|restricted_action.*)$/;

/**
 * Posts a command's question where its answer shall stand: in the channel, else in the app's DM with the asker.
 *
 * @param again - An earlier attempt may have posted it: it is looked for first.
 * @returns `undefined` when we may write to neither: then only the response URL is left.
 * @throws {PlatformError}
 */
export async function openCommandPlace(
  context: SlackContext,
  turn: Turn,
  address: SlackAddress,
  options: { again: boolean; signal: AbortSignal },
): Promise<Place | undefined> {
  const dm = address.channel.startsWith("D");
  const here = await ask(context, turn, { address, channel: address.channel, refusals: NOT_HERE }, options);
  if (here !== undefined) return { channel: address.channel, thread: here, dm };
  const channel = await openDm(context, address.user, options);
  if (channel === undefined) return undefined;
  const there = await ask(context, turn, { address, channel, refusals: NO_DM }, options);
  return there === undefined ? undefined : { channel, thread: there, dm: true };
}

interface Asking {
  readonly address: SlackAddress;
  readonly channel: string;
  readonly refusals: RegExp;
}

async function ask(
  context: SlackContext,
  turn: Turn,
  asking: Asking,
  { again, signal }: { again: boolean; signal: AbortSignal },
): Promise<string | undefined> {
  const { channel, address } = asking;
  const where = { team: address.team, channel, sentAt: turn.sentAt, reference: turn.reference };
  const posted = again ? await findQuestion(context, where, { signal }) : undefined;
  return posted ?? (await postQuestion(context, turn, asking, { signal }));
}

async function postQuestion(
  context: SlackContext,
  turn: Turn,
  { address, channel, refusals }: Asking,
  { signal }: { signal: AbortSignal },
): Promise<string | undefined> {
  const gate = context.pacer.post(address.team, channel);
  const args = {
    channel,
    text: questionText(address, turn.locale),
    unfurl_links: false,
    unfurl_media: false,
    parse: "none",
    metadata: questionMetadata(turn.reference),
  };
  try {
    const call = (): Promise<{ ts: string }> =>
      context.api.call("chat.postMessage", posted, args, { signal });
    const { ts } = await pacedCall({ gate, permit: "first" }, call, { signal });
    return ts;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    if (refusals.test(error.platformCode ?? "")) return undefined;
    throw error;
  }
}

/** Built from the stored id, never from text: only the asker is named (slack.md §9.4 rule 8). */
function questionText({ user, command }: SlackAddress, locale: Locale): string {
  const question = [...(command?.question ?? "")].slice(0, MAX_QUESTION).join("");
  const quoted = toInertText(question).replaceAll("\n", "\n> ");
  return locale === "zh" ? `<@${user}> 提问：\n> ${quoted}` : `<@${user}> asked:\n> ${quoted}`;
}

/** @returns `undefined` where the app has no DM with them. */
export async function openDm(
  { api, log }: SlackContext,
  user: string,
  options: { signal: AbortSignal },
): Promise<string | undefined> {
  try {
    return (await api.call("conversations.open", opened, { users: user }, options)).channel.id;
  } catch (error) {
    if (!(error instanceof PlatformError) || !NO_DM.test(error.platformCode ?? "")) throw error;
    log.info({ err: error }, "no slack dm for a command");
    return undefined;
  }
}

/** Tells the asker where to look; the answer does not depend on it. */
export async function pointToDm(
  { api, log, settings, tools }: SlackContext,
  { address, place, locale }: { address: SlackAddress; place: Place; locale: Locale },
  options: { signal: AbortSignal },
): Promise<void> {
  try {
    const args = { channel: place.channel, message_ts: place.thread };
    const link = await api.call("chat.getPermalink", permalink, args, options);
    const text = locale === "zh" ? "我在私信里回答你：" : "I am answering in our direct messages: ";
    const url = tools.sealer.open(address.command?.responseUrl ?? "");
    await postToResponseUrl(`${text}${link.permalink}`, { url, apiUrl: settings.apiUrl }, options);
  } catch (error) {
    options.signal.throwIfAborted();
    log.info({ err: error }, "slack command's asker not pointed to the dm");
  }
}
