import type { Gate, Gates } from "../../src/core/gate.ts";
import type { BucketLimits } from "../../src/core/pacer.ts";

/** What Slack counts. */
export type SlackBucket =
  | "post"
  | "update"
  | "append"
  | "startStream"
  | "stopStream"
  | "history"
  | "slowHistory"
  | "react"
  | "unreact"
  | "files";

/** After an edit, what comes is collected this long before the next one (pacing.md §4.8 has 260). */
const COLLECT_MS = 150;

/**
 * Slack's limits: per method and workspace, `chat.postMessage` per channel.
 *
 * The bursts are assumptions: Slack guarantees only the rates (slack.md §1.9, §8.1; pacing.md §3). Bursts that are
 * too small cost a little time, bursts that are too large cost refusals.
 */
export const SLACK_LIMITS: Readonly<Record<SlackBucket, BucketLimits>> = {
  // About one a second in a channel, "short bursts" (slack.md §1.8).
  post: { burst: 3, tokensPerSecond: 1, minGapMs: 0 },
  // Tier 3, 50 a minute.
  // No header tells what is left, so that nothing puts right what a slow moment on the way has shifted.
  update: { burst: 3, tokensPerSecond: 50 / 60, minGapMs: COLLECT_MS, marginTokens: 0.15 },
  // Tier 4, 100 a minute. Under 200 ms the client only flickers; a burst this large is stretched (pacing.md §4.4).
  append: { burst: 100, sureBurst: 10, tokensPerSecond: 100 / 60, minGapMs: 200, spendSeconds: 20 },
  // Tier 2, 20 a minute each.
  startStream: { burst: 10, tokensPerSecond: 20 / 60, minGapMs: 0 },
  stopStream: { burst: 10, tokensPerSecond: 20 / 60, minGapMs: 0 },
  // Tier 3 for each of its two methods; one of a minute for apps sold outside of the marketplace (slack.md §8.4).
  history: { burst: 10, tokensPerSecond: 45 / 60, minGapMs: 0 },
  slowHistory: { burst: 1, tokensPerSecond: 1 / 61, minGapMs: 0 },
  // Tier 3 and tier 2 (slack.md §8.1).
  react: { burst: 10, tokensPerSecond: 45 / 60, minGapMs: 0 },
  unreact: { burst: 8, tokensPerSecond: 18 / 60, minGapMs: 0 },
  // Tier 3 for deleting, tier 4 for the others of `files.*` (slack.md §8.1).
  files: { burst: 10, tokensPerSecond: 45 / 60, minGapMs: 0 },
};

/** The gates of one bot, by Slack's own buckets. */
export class SlackPacer {
  readonly #gates: Gates;

  constructor(gates: Gates) {
    this.#gates = gates;
  }

  /** Posting to a channel. */
  post(team: string, channel: string): Gate {
    return this.#gates.of(`slack:post:${team}:${channel}`, SLACK_LIMITS.post);
  }

  /** A method that the whole workspace shares. */
  method(team: string, method: Exclude<SlackBucket, "post">): Gate {
    return this.#gates.of(`slack:${method}:${team}`, SLACK_LIMITS[method]);
  }
}
