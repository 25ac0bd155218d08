import { LeakyBucket, type StandInClock } from "../stand-in.ts";

interface Rate {
  readonly capacity: number;
  readonly perMinute: number;
}

/**
 * What the stand-in allows per method and workspace. Slack guarantees the rates only; the bursts are those that
 * pacing.md §3 assumes, or less.
 */
const METHOD_RATES: Readonly<Record<string, Rate>> = {
  "chat.startStream": { capacity: 20, perMinute: 20 },
  "chat.stopStream": { capacity: 20, perMinute: 20 },
  "chat.update": { capacity: 3, perMinute: 50 },
  "chat.appendStream": { capacity: 100, perMinute: 100 },
  "chat.delete": { capacity: 50, perMinute: 50 },
  "conversations.replies": { capacity: 50, perMinute: 50 },
  "conversations.history": { capacity: 50, perMinute: 50 },
  "reactions.add": { capacity: 50, perMinute: 50 },
  "reactions.remove": { capacity: 20, perMinute: 20 },
  "conversations.open": { capacity: 50, perMinute: 50 },
  "apps.connections.open": { capacity: 50, perMinute: 50 },
  "users.info": { capacity: 100, perMinute: 100 },
  "files.info": { capacity: 100, perMinute: 100 },
  "files.getUploadURLExternal": { capacity: 100, perMinute: 100 },
  "files.completeUploadExternal": { capacity: 100, perMinute: 100 },
  "files.delete": { capacity: 50, perMinute: 50 },
};

/** One message a second in a channel, short bursts (slack.md §1.8). */
const POST_RATE: Rate = { capacity: 4, perMinute: 60 };

/** Appends in a burst where Slack allows fewer than assumed (pacing.md §3). */
const SMALL_APPEND_BURST: Rate = { capacity: 20, perMinute: 100 };

/** What an app gets that is sold outside of Slack's marketplace (slack.md §8.4). */
const LIMITED_HISTORY: Rate = { capacity: 1, perMinute: 1 };
/** Objects per request of such an app. */
export const LIMITED_PAGE = 15;

export class Limits {
  readonly #clock: StandInClock;
  readonly #limitedHistory: boolean;
  readonly #smallAppendBurst: boolean;
  readonly #buckets = new Map<string, LeakyBucket>();

  constructor(
    clock: StandInClock,
    {
      limitedHistory = false,
      smallAppendBurst = false,
    }: { limitedHistory?: boolean; smallAppendBurst?: boolean } = {},
  ) {
    this.#smallAppendBurst = smallAppendBurst;
    this.#clock = clock;
    this.#limitedHistory = limitedHistory;
  }

  /** @returns Seconds to wait, as `Retry-After` says it: a whole number; 0 when the call may pass. */
  take(method: string, channel: string): number {
    const rate = this.#rateOf(method);
    if (rate === undefined) return 0;
    const key = method === "chat.postMessage" ? `${method}:${channel}` : method;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = new LeakyBucket({
        capacity: rate.capacity,
        perSecond: rate.perMinute / 60,
        clock: this.#clock,
      });
      this.#buckets.set(key, bucket);
    }
    const { ok, retryAfterMs } = bucket.take();
    return ok ? 0 : Math.max(1, Math.ceil(retryAfterMs / 1000));
  }

  #rateOf(method: string): Rate | undefined {
    if (this.#limitedHistory && /^conversations\.(history|replies)$/.test(method)) return LIMITED_HISTORY;
    if (this.#smallAppendBurst && method === "chat.appendStream") return SMALL_APPEND_BURST;
    return method === "chat.postMessage" ? POST_RATE : METHOD_RATES[method];
  }
}
