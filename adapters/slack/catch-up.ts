import { BridgeError } from "../../src/core/errors.ts";
import { catchUpNotice } from "../../src/core/notices.ts";
import type { OnTurn } from "../../src/core/ports.ts";
import { type RepeatedOptions, repeated } from "../../src/core/tries.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { type HistoryMessage, readHistory } from "./history.ts";
import type { Normalized, SlackSelf } from "./normalize.ts";
import type { Posts } from "./posts.ts";
import type { SlackContext } from "./slack-context.ts";
import type { FollowedPlace, Threads } from "./threads.ts";

/** Places looked at, the latest first; at 45 looks a minute that takes less than six minutes. */
const MOST = { channels: 150, threads: 100 };
const MAX_PAGES = 5;
/** Between two tries where a queue is full for a moment, or Slack in trouble, in ms: nobody else asks for these questions. */
const PAUSES_MS = [3_000, 6_000, 9_000, 12_000];
/** After so long a place is looked at again that could not be, in ms. */
const AGAIN_MS = 30_000;
/** The store that holds the places is away for a moment, e.g. while Redis is started again. */
const LIST_AGAIN_MS = 1_000;
/** Where it is kept that a place was told about its questions, and which ones they were. */
const NOTICE_SPACE = "slack-notice";
const LEFT_SPACE = "slack-left-out";
const NOTICE_TTL_MS = 24 * 3_600_000;

export interface CatchUpParts {
  readonly context: SlackContext;
  readonly threads: Threads;
  readonly posts: Posts;
  readonly self: SlackSelf;
  readonly onTurn: OnTurn;
  /** Slack delivers it just now, and it waits for the look. */
  readonly isLive: (channel: string, ts: string) => boolean;
  /** As a live event of the same place would be. */
  readonly normalize: (event: Readonly<Record<string, unknown>>) => Promise<Normalized>;
  /** Ms since the epoch. */
  readonly now: () => number;
}

interface Unseen {
  readonly place: FollowedPlace;
  readonly looked: PromiseWithResolvers<boolean>;
}

/**
 * Finds the questions of a time in which nobody listened, in the places we follow, and hands them in, oldest first,
 * marked as late. What Slack delivers again by itself is known by its key.
 *
 * @see docs/reference/slack.md §3.4, §8.4
 */
export class CatchUp {
  readonly #parts: CatchUpParts;
  /** False: nobody lists them any more. */
  readonly #listed = Promise.withResolvers<boolean>();
  /** Not looked at yet, by {@link placeKey}. */
  readonly #unseen = new Map<string, Unseen>();
  /** Of those, where somebody asks just now. */
  readonly #urgent = new Set<string>();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    const startedAt = this.#parts.now();
    const failed: FollowedPlace[] = [];
    try {
      for (const place of await this.#followed(startedAt, { signal })) {
        this.#unseen.set(placeKey(place), { place, looked: Promise.withResolvers() });
      }
      this.#listed.resolve(true);
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        // Where Slack allows one look a minute, the window closes before all places were looked at.
        if (this.#isOver(startedAt)) break;
        if (!(await catchUpPlace(this.#parts, next.place, { signal }))) failed.push(next.place);
        this.#seen(next, true);
      }
    } finally {
      this.#listed.resolve(!signal.aborted);
      for (const unseen of [...this.#unseen.values()]) this.#seen(unseen, !signal.aborted);
    }
    await this.#again(failed, startedAt, { signal });
  }

  /** @throws what the store throws that is not away for a moment, or once what was missed is too old. */
  async #followed(startedAt: number, { signal }: { signal: AbortSignal }): Promise<readonly FollowedPlace[]> {
    const { context, threads } = this.#parts;
    for (;;) {
      try {
        return await threads.followed(MOST);
      } catch (error) {
        const isAway = error instanceof BridgeError && error.retryable;
        if (!isAway || signal.aborted || this.#isOver(startedAt)) throw error;
        context.log.warn({ err: error }, "followed places could not be read");
        await context.sleep(LIST_AGAIN_MS, signal);
      }
    }
  }

  /** Nobody else looks there, so it is tried until what was missed is too old. What is asked there now does not wait. */
  async #again(
    places: readonly FollowedPlace[],
    startedAt: number,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    let left = places;
    while (left.length > 0 && !this.#isOver(startedAt)) {
      await this.#parts.context.sleep(AGAIN_MS, signal);
      const failed: FollowedPlace[] = [];
      for (const place of left) {
        if (!(await catchUpPlace(this.#parts, place, { signal }))) failed.push(place);
      }
      left = failed;
    }
  }

  #isOver(startedAt: number): boolean {
    const { context, now } = this.#parts;
    return now() - startedAt > context.tools.catchUp.windowMs;
  }

  /**
   * Resolves when what is said in a place now overtakes nothing that was missed there.
   *
   * @returns False when nobody looks any more.
   */
  async before(place: Pick<FollowedPlace, "channel" | "thread">): Promise<boolean> {
    if (!(await this.#listed.promise)) return false;
    const key = placeKey(place);
    const unseen = this.#unseen.get(key);
    if (unseen === undefined) return true;
    this.#urgent.add(key);
    return unseen.looked.promise;
  }

  #next(): Unseen | undefined {
    const [key] = [...this.#urgent, ...this.#unseen.keys()];
    return key === undefined ? undefined : this.#unseen.get(key);
  }

  #seen({ place, looked }: Unseen, result: boolean): void {
    const key = placeKey(place);
    this.#unseen.delete(key);
    this.#urgent.delete(key);
    looked.resolve(result);
  }
}

function placeKey({ channel, thread = "" }: Pick<FollowedPlace, "channel" | "thread">): string {
  return `${channel}:${thread}`;
}

/** @returns False when it is worth another look later. */
async function catchUpPlace(
  parts: CatchUpParts,
  place: FollowedPlace,
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  const { context } = parts;
  try {
    const messages = await read(parts, place, { signal });
    const turns = await toTurns(parts, place, messages);
    const missed = turns.filter(({ late }) => late === true);
    const left = missed.slice(0, Math.max(0, missed.length - context.tools.catchUp.perPlace));
    if (left.length > 0) await tell(parts, place, left, { signal });
    for (const turn of turns) if (!left.includes(turn)) await take(parts, place, turn, { signal });
    if (missed.length > 0) {
      context.log.info(
        { channel: place.channel, found: missed.length },
        "slack questions of the time away found",
      );
    }
    return true;
  } catch (error) {
    signal.throwIfAborted();
    context.log.warn({ err: error, channel: place.channel }, "slack place not caught up");
    return !(error instanceof BridgeError && error.retryable);
  }
}

async function read(
  { context, self, now }: CatchUpParts,
  { channel, thread, seen }: FollowedPlace,
  { signal }: { signal: AbortSignal },
): Promise<readonly HistoryMessage[]> {
  const from = (now() - context.tools.catchUp.windowMs) / 1000;
  const after = Number(seen) > from ? seen : from.toFixed(6);
  const where = { channel, ...(thread !== undefined && { thread }) };
  const query = { ...where, team: self.teamId, after, maxPages: MAX_PAGES, permit: "edit" } as const;
  const messages = await repeated(() => readHistory(context, query, { signal }), tries(context, signal));
  // Slack gives a thread's root along with its replies.
  return (messages ?? []).filter(({ ts }) => Number(ts) > Number(after));
}

async function toTurns(
  { normalize, isLive, self }: CatchUpParts,
  place: FollowedPlace,
  messages: readonly HistoryMessage[],
): Promise<readonly IncomingTurn[]> {
  const { channel, thread } = place;
  const turns: IncomingTurn[] = [];
  for (const message of messages) {
    const { thread_ts: root, ...rest } = message;
    // A root that has replies names itself; when it was asked it did not.
    const said = root === message.ts || root === undefined ? rest : { ...rest, thread_ts: root };
    const kind = channel.startsWith("D") ? "im" : "channel";
    const normalized = await normalize({ type: "message", ...said, channel, channel_type: kind });
    // What was also sent to the channel is found in its thread.
    const elsewhere =
      thread === undefined && "thread_ts" in said && message["subtype"] !== "thread_broadcast";
    if (normalized.dropped !== undefined || elsewhere) continue;
    const late = !isLive(channel, message.ts);
    const perhapsStarted = isAnswered(message, place, messages, self);
    turns.push({ ...normalized.turn, ...(late && { late }), ...(perhapsStarted && { perhapsStarted }) });
  }
  return turns;
}

/** Whether something stands in its thread that may be our answer. Of a root we only see here that it has replies. */
function isAnswered(
  { ts, thread_ts: root }: HistoryMessage,
  { thread }: FollowedPlace,
  messages: readonly HistoryMessage[],
  self: SlackSelf,
): boolean {
  if (thread === undefined) return root === ts;
  const later = messages.filter((other) => Number(other.ts) > Number(ts));
  return later.some(({ user, bot_id: bot }) => user === self.userId || bot === self.botId);
}

async function take(
  { context, threads, onTurn }: CatchUpParts,
  place: FollowedPlace,
  turn: IncomingTurn,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  await repeated(() => onTurn(turn), tries(context, signal));
  await markSeen(threads, place, tsOf(turn));
  if (place.thread === undefined && !place.channel.startsWith("D")) {
    await threads.join(place.channel, tsOf(turn));
  }
}

function markSeen(threads: Threads, { channel, thread }: FollowedPlace, seen: string): Promise<void> {
  return thread === undefined ? threads.follow(channel, seen) : threads.join(channel, thread, seen);
}

/** Says once how many stay without an answer; not said again after a restart. */
async function tell(
  { context, threads, posts }: CatchUpParts,
  place: FollowedPlace,
  left: readonly IncomingTurn[],
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const last = left.at(-1);
  if (last === undefined) return;
  const { channel, thread } = place;
  const key = `${placeKey(place)}:${tsOf(last)}`;
  const { store } = context.tools;
  for (const { dedupeKey } of left) await store.set(LEFT_SPACE, dedupeKey, true, { ttlMs: NOTICE_TTL_MS });
  const isFirst = await store.set(NOTICE_SPACE, key, true, { ttlMs: NOTICE_TTL_MS, ifAbsent: true });
  await markSeen(threads, place, tsOf(last));
  context.log.warn({ channel, thread, left: left.length }, "slack questions beyond the cap not answered");
  if (isFirst)
    await posts.post({ channel, thread, text: catchUpNotice(left.length, last.locale) }, { signal });
}

/** Whether its place was told that this question stays without an answer: Slack may still deliver it again. */
export async function isLeftOut({ tools }: SlackContext, { dedupeKey }: IncomingTurn): Promise<boolean> {
  return (await tools.store.get(LEFT_SPACE, dedupeKey)) !== undefined;
}

function tries({ sleep }: SlackContext, signal: AbortSignal): RepeatedOptions {
  return { pausesMs: PAUSES_MS, sleep, signal };
}

function tsOf({ dedupeKey }: IncomingTurn): string {
  return dedupeKey.split(":").at(-1) ?? "";
}
