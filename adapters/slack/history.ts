import { z } from "zod";
import { isRateLimit, PlatformError } from "../../src/core/errors.ts";
import { pacedCall } from "../../src/core/paced-call.ts";
import type { Permit } from "../../src/core/pacer.ts";
import { closedForMs } from "../../src/core/tries.ts";
import { ifReadable, optional, readableOf } from "../../src/wire.ts";
import type { SlackContext } from "./slack-context.ts";

/** A message of a channel or thread, as far as we read it; the rest is kept for who normalizes it. */
export interface HistoryMessage {
  readonly ts: string;
  readonly user?: string | undefined;
  readonly bot_id?: string | undefined;
  readonly text?: string | undefined;
  readonly streaming_state?: string | undefined;
  readonly metadata?:
    | {
        readonly event_type: string;
        readonly event_payload?: Readonly<Record<string, unknown>> | undefined;
      }
    | undefined;
  readonly [key: string]: unknown;
}

const page: z.ZodType<{
  messages: readonly HistoryMessage[];
  response_metadata?: { next_cursor?: string | undefined } | undefined;
}> = z.object({
  // One that is odd must not hide all that was said before and after it.
  messages: readableOf(
    z.looseObject({
      ts: z.string(),
      user: optional(z.string()),
      bot_id: optional(z.string()),
      text: optional(z.string()),
      streaming_state: ifReadable(z.string()),
      metadata: ifReadable(
        z.object({ event_type: z.string(), event_payload: optional(z.record(z.string(), z.unknown())) }),
      ),
    }),
  ),
  response_metadata: optional(z.object({ next_cursor: optional(z.string()) })),
});

/** Objects per request that are allowed to every app (slack.md §8.4). */
export const SMALL_PAGE = 15;
const PAGE = 100;
/** A refusal that asks for so long is the limit of apps that are sold outside of the marketplace, in ms. */
const LIMITED_FROM_MS = 20_000;
const FAST = "more than one look at history a minute";

/** What to read of a channel, or of one of its threads. */
export interface HistoryQuery {
  readonly team: string;
  readonly channel: string;
  /** Root of a thread: its messages instead of the channel's. */
  readonly thread?: string;
  /** Only later ones. */
  readonly after?: string;
  readonly maxPages: number;
  /** Objects per page at most. */
  readonly pageSize?: number;
  readonly permit: Permit;
}

/** Whether the app has one look a minute. */
export function isSlow({ latches }: Pick<SlackContext, "latches">, team: string): boolean {
  return latches.isOff(FAST, team);
}

type HistoryParts = Pick<SlackContext, "api" | "latches" | "pacer">;

/**
 * Messages of a channel or thread, oldest first; `undefined` when the app may not read there, which is said once in
 * the log.
 *
 * @throws {PlatformError} retryable ones only.
 */
export async function readHistory(
  parts: HistoryParts,
  query: HistoryQuery,
  { signal }: { signal: AbortSignal },
): Promise<readonly HistoryMessage[] | undefined> {
  const { team, channel, maxPages } = query;
  const feature = `history:${channel.slice(0, 1)}`;
  if (parts.latches.isOff(feature, team)) return undefined;
  const messages: HistoryMessage[] = [];
  try {
    let cursor: string | undefined;
    for (let read = 0; read < maxPages; read += 1) {
      const next = await readPage(parts, query, cursor, signal);
      messages.push(...next.messages);
      cursor = next.response_metadata?.next_cursor;
      if (cursor === undefined || cursor === "") break;
    }
  } catch (error) {
    if (!(error instanceof PlatformError) || error.retryable) throw error;
    if (error.platformCode === "missing_scope") parts.latches.turnOff(feature, team, error);
    return undefined;
  }
  return messages.sort((one, other) => Number(one.ts) - Number(other.ts));
}

async function readPage(
  { api, latches, pacer }: HistoryParts,
  { team, channel, thread, after, permit, pageSize = PAGE }: HistoryQuery,
  cursor: string | undefined,
  signal: AbortSignal,
): Promise<z.infer<typeof page>> {
  const slow = isSlow({ latches }, team);
  const gate = pacer.method(team, slow ? "slowHistory" : "history");
  const args = {
    channel,
    limit: slow ? Math.min(SMALL_PAGE, pageSize) : pageSize,
    include_all_metadata: true,
    ...(thread !== undefined && { ts: thread }),
    ...(after !== undefined && { oldest: after, inclusive: false }),
    ...(cursor !== undefined && { cursor }),
  };
  const method = `conversations.${thread === undefined ? "history" : "replies"}`;
  try {
    return await pacedCall({ gate, permit }, () => api.call(method, page, args, { signal }), { signal });
  } catch (error) {
    const waitMs = isRateLimit(error) ? closedForMs(error) : 0;
    if (!slow && waitMs >= LIMITED_FROM_MS) {
      latches.turnOff(FAST, team, error);
      pacer.method(team, "slowHistory").refused(waitMs);
    }
    throw error;
  }
}
