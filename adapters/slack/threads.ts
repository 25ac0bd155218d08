import { z } from "zod";
import type { Json } from "../../src/core/json.ts";
import { messageKey } from "./address.ts";
import { type HistoryMessage, readHistory, SMALL_PAGE } from "./history.ts";
import { mentions } from "./incoming-text.ts";
import type { SlackSelf } from "./normalize.ts";
import type { SlackContext } from "./slack-context.ts";

const MAX_THREADS = 10_000;
/** The acknowledgement waits for the answer, in ms. */
const LOOKUP_TIMEOUT_MS = 1_500;
/** After a look that failed, none is tried for so long: some apps have one a minute (slack.md §8.4). */
const PAUSE_MS = 60_000;

/** Whether we take part in a thread: we wrote in it, or were mentioned at its root. */
function takesPart(messages: readonly HistoryMessage[], self: SlackSelf): boolean {
  return messages.some(
    (message, index) =>
      message.user === self.userId ||
      message.bot_id === self.botId ||
      (index === 0 && mentions(message.text ?? "", self.userId)),
  );
}

/** Where it is kept which threads we take part in, and up to which message we know a channel or thread. */
const THREAD_SPACE = "slack-thread";
const CHANNEL_SPACE = "slack-channel";
const TTL_MS = 30 * 24 * 3_600_000;

/** A channel, or one of its threads, that we follow. */
export interface FollowedPlace {
  readonly channel: string;
  readonly thread?: string;
  /** The newest message we took. */
  readonly seen: string;
}

interface Known {
  readonly ours: boolean;
  readonly seen: string;
}

/** The threads we take part in: as this process knows, as the store knows, or as Slack tells. */
export class Threads {
  readonly #context: Pick<SlackContext, "api" | "latches" | "log" | "pacer" | "tools">;
  /** By thread key, or by channel; the newest last. */
  readonly #known = new Map<string, Known>();
  #pausedUntil = 0;

  constructor(context: Pick<SlackContext, "api" | "latches" | "log" | "pacer" | "tools">) {
    this.#context = context;
  }

  /**
   * We answer in it. Never throws: what is not kept is asked of Slack again.
   *
   * @param seen - The newest message we took in it; without it, what is known of the thread stays.
   */
  join(channel: string, thread: string, seen?: string): Promise<void> {
    const place = { channel, thread, seen: seen ?? thread };
    return this.#mark(THREAD_SPACE, messageKey(channel, thread), place, { ifAbsent: seen === undefined });
  }

  /** Somebody asked us something in the channel itself. @param ifAbsent - What is known of it stays. */
  follow(channel: string, seen: string, { ifAbsent = false }: { ifAbsent?: boolean } = {}): Promise<void> {
    return this.#mark(CHANNEL_SPACE, channel, { channel, seen }, { ifAbsent });
  }

  async #mark(
    space: string,
    key: string,
    place: FollowedPlace,
    { ifAbsent }: { ifAbsent: boolean },
  ): Promise<void> {
    const known = this.#known.get(key);
    if (known?.ours === true && (ifAbsent || Number(known.seen) >= Number(place.seen))) return;
    this.#remember(key, { ours: true, seen: place.seen });
    const { tools, log } = this.#context;
    const { store } = tools;
    try {
      // Followed at once, from before what made it a place of ours; the mark says that what stands before it is stored, so
      // where that may still be lost it comes later.
      if (known?.ours !== true) {
        const seen = place.thread ?? before(place.seen);
        await store.set(space, key, { ...place, seen }, { ttlMs: TTL_MS, ifAbsent: true });
      }
      if (!ifAbsent) await store.set(space, key, { ...place }, { ttlMs: TTL_MS, vouches: true });
    } catch (error) {
      log.warn({ err: error }, "followed slack place not kept");
    }
  }

  /**
   * Channels and threads, each the latest first, at most so many of each. Every direct message begins a thread: those
   * that nobody went on with come last, or they would push out all others.
   */
  async followed(most: { channels: number; threads: number }): Promise<readonly FollowedPlace[]> {
    const channels = await this.#list(CHANNEL_SPACE, most.channels);
    return [...channels, ...(await this.#list(THREAD_SPACE, most.threads))];
  }

  /** Asks Slack at most once per thread (slack.md §8.4); no answer counts as no, and is asked again next time. */
  async isOurs(
    where: { team: string; channel: string; thread: string },
    { self, signal }: { self: SlackSelf; signal: AbortSignal },
  ): Promise<boolean> {
    const key = messageKey(where.channel, where.thread);
    if (await this.isKept(where)) return true;
    if (this.#known.has(key)) return false;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]);
    const { clock } = this.#context.tools;
    if (clock.now() < this.#pausedUntil) return false;
    const query = { ...where, maxPages: 1, pageSize: SMALL_PAGE, permit: "first" } as const;
    const messages = await readHistory(this.#context, query, { signal: limit }).catch(() => undefined);
    if (messages === undefined) this.#pausedUntil = clock.now() + PAUSE_MS;
    // Meanwhile we may have answered there.
    const now = this.#known.get(key);
    if (now !== undefined || messages === undefined) return now?.ours ?? false;
    const ours = takesPart(messages, self);
    if (ours) await this.join(where.channel, where.thread);
    else this.#remember(key, { ours, seen: where.thread });
    return ours;
  }

  /** The same without asking Slack. What was not ours may have become so in another process. */
  async isKept({ channel, thread }: { channel: string; thread: string }): Promise<boolean> {
    const key = messageKey(channel, thread);
    if (this.#known.get(key)?.ours === true) return true;
    const kept = toPlace(await this.#context.tools.store.get(THREAD_SPACE, key));
    if (kept === undefined) return false;
    this.#remember(key, { ours: true, seen: kept.seen });
    return true;
  }

  /** Whether a message of a thread was taken already, in whichever process: its twin may come to another one. */
  async hasSeen({ channel, thread, ts }: { channel: string; thread: string; ts: string }): Promise<boolean> {
    const kept = toPlace(await this.#context.tools.store.get(THREAD_SPACE, messageKey(channel, thread)));
    return kept !== undefined && Number(kept.seen) >= Number(ts);
  }

  async #list(space: string, most: number): Promise<readonly FollowedPlace[]> {
    let places: FollowedPlace[] = [];
    for await (const [, value] of this.#context.tools.store.list(space)) {
      const place = toPlace(value);
      if (place !== undefined) places.push(place);
      if (places.length >= 2 * most + 100) places = newest(places, most);
    }
    return newest(places, most);
  }

  #remember(key: string, known: Known): void {
    this.#known.delete(key);
    this.#known.set(key, known);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size > MAX_THREADS && oldest !== undefined) this.#known.delete(oldest);
  }
}

/** The time stamp a microsecond earlier. */
function before(ts: string): string {
  return (Number(ts) - 0.000_001).toFixed(6);
}

function newest(places: readonly FollowedPlace[], most: number): FollowedPlace[] {
  const order = (one: FollowedPlace, other: FollowedPlace): number =>
    Number(isUnused(one)) - Number(isUnused(other)) || Number(other.seen) - Number(one.seen);
  return [...places].sort(order).slice(0, most);
}

function isUnused({ channel, thread, seen }: FollowedPlace): boolean {
  return channel.startsWith("D") && thread === seen;
}

const followedPlace: z.ZodType<FollowedPlace> = z.object({
  channel: z.string(),
  thread: z.string().exactOptional(),
  seen: z.string(),
});

function toPlace(value: Json | undefined): FollowedPlace | undefined {
  return followedPlace.safeParse(value).data;
}
