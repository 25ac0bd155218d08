import { isRateLimit, PlatformError } from "../../src/core/errors.ts";
import type { Json } from "../../src/core/json.ts";
import { messageKey } from "./address.ts";
import type { ReplyTarget } from "./edit-writer.ts";
import { type HistoryMessage, type HistoryQuery, readHistory } from "./history.ts";
import type { SlackContext } from "./slack-context.ts";

/** Names of our message metadata: a part of an answer, a question that came as a command, anything else of ours. */
const TURN_METADATA = "coze_bridge_turn";
const QUESTION_METADATA = "coze_bridge_question";
const NOTICE_METADATA = "coze_bridge_notice";

/** Says which part of which turn a message is (slack.md §1.7). */
export function turnMetadata(reference: string, part: number): Json {
  return { event_type: TURN_METADATA, event_payload: { turn: reference, part } };
}

/** Says of which turn a posted question is. */
export function questionMetadata(reference: string): Json {
  return { event_type: QUESTION_METADATA, event_payload: { turn: reference } };
}

/** Marks a message of ours that belongs to no turn, so that none takes it for its own. */
export const NOTICE_MARK: Json = { event_type: NOTICE_METADATA, event_payload: {} };

/** Where it is written which turn a stream belongs to: a stream itself cannot say it while it runs (slack.md §1.7). */
const STREAM_SPACE = "slack-stream";
const STREAM_TTL_MS = 24 * 3_600_000;

/** Remembers whose stream it is. */
export async function ownStream(
  { tools }: Pick<SlackContext, "tools">,
  { place, reference, dedupeKey }: ReplyTarget,
  ts: string,
): Promise<void> {
  const owner = { turn: reference, key: dedupeKey };
  await tools.store.set(STREAM_SPACE, messageKey(place.channel, ts), owner, { ttlMs: STREAM_TTL_MS });
}

/** The turn that a stream belongs to. */
export async function ownerOfStream(
  { tools }: Pick<SlackContext, "tools">,
  channel: string,
  ts: string,
): Promise<{ readonly turn: string; readonly key: string } | undefined> {
  const owner = await tools.store.get(STREAM_SPACE, messageKey(channel, ts));
  if (typeof owner !== "object" || owner === null || !("turn" in owner) || !("key" in owner))
    return undefined;
  const { turn, key } = owner as { readonly turn: Json; readonly key: Json };
  return typeof turn === "string" && typeof key === "string" ? { turn, key } : undefined;
}

/** Looks until it is known; a Slack that does not let us look for so long is given up, in ms. */
const PATIENCE_MS = 75_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** A thread or channel is read back to a question through at most so many pages. */
const MAX_PAGES = 10;

/**
 * Messages of ours that a lost answer of Slack, or the end of a process, may have left behind: those that say so, and
 * streams that belong to no other turn. `undefined` when nobody can tell: then one may stand there for good.
 */
export async function findTurnMessages(
  context: SlackContext,
  target: ReplyTarget,
  options: { signal: AbortSignal },
): Promise<readonly OwnMessage[] | undefined> {
  const { team, place, after, reference } = target;
  const query = { team, channel: place.channel, thread: place.thread, after: after ?? place.thread };
  const messages = await look(context, query, reference, options);
  if (messages === undefined) return undefined;
  const found: OwnMessage[] = [];
  for (const message of messages) {
    if (Number(message.ts) <= Number(query.after)) continue;
    const { metadata, streaming_state: state, ts } = message;
    const streaming = state === "in_progress";
    if (metadata?.event_type === TURN_METADATA && metadata.event_payload?.["turn"] === reference) {
      const part = metadata.event_payload["part"];
      found.push({ ts, streaming, part: typeof part === "number" ? part : undefined });
    } else if (metadata === undefined && state !== undefined) {
      const owner = await ownerOfStream(context, place.channel, ts);
      if (owner === undefined || owner.turn === reference) found.push({ ts, streaming, part: undefined });
    }
  }
  return found;
}

/** A message of ours in the thread of a turn. */
export interface OwnMessage {
  readonly ts: string;
  /** Slack still shows it as growing. */
  readonly streaming: boolean;
  /** Where it says so; a stream does not. */
  readonly part: number | undefined;
}

/** The question of a command that an earlier attempt posted. */
export async function findQuestion(
  context: SlackContext,
  where: { team: string; channel: string; sentAt: number; reference: string },
  options: { signal: AbortSignal },
): Promise<string | undefined> {
  const { team, channel, sentAt, reference } = where;
  // The command's time is ours, the message's time is Slack's.
  const after = ((sentAt - CLOCK_MARGIN_MS) / 1000).toFixed(6);
  const messages = await look(context, { team, channel, after }, reference, options);
  return messages?.find(
    ({ metadata }) =>
      metadata?.event_type === QUESTION_METADATA && metadata.event_payload?.["turn"] === reference,
  )?.ts;
}

const CLOCK_MARGIN_MS = 300_000;

/** Our own messages there; says in the log when one may be left behind because we may not look. */
async function look(
  context: SlackContext,
  query: Omit<HistoryQuery, "maxPages" | "permit">,
  reference: string,
  { signal }: { signal: AbortSignal },
): Promise<readonly HistoryMessage[] | undefined> {
  const self = await context.self({ signal });
  const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
  const messages = await untilRead(
    context,
    { ...query, maxPages: MAX_PAGES, permit: "final" },
    patience,
  ).catch((error: unknown) => {
    signal.throwIfAborted();
    context.log.warn({ err: error, reference }, "slack history could not be read");
    return undefined;
  });
  if (messages === undefined) context.log.warn({ reference, channel: query.channel }, "orphan possible");
  return messages?.filter(({ bot_id: bot, user }) => bot === self.botId || user === self.userId);
}

async function untilRead(
  context: SlackContext,
  query: HistoryQuery,
  signal: AbortSignal,
): Promise<readonly HistoryMessage[] | undefined> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await readHistory(context, query, { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PlatformError)) throw error;
      // What Slack says about the pace, the gate knows.
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1));
      if (!isRateLimit(error)) await context.sleep(pauseMs, signal);
    }
  }
}
