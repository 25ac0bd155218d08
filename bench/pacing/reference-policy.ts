import { type Bucket, type BucketLimits, type Permit, type ReplyPace, refill } from "../../src/core/pacer.ts";

/** As docs/reference/pacing.md §4 has them. */
const MARGIN_TOKENS = 0.06;
const KEPT_TOKENS = 0.75;
const SPEND_SECONDS = 1;
const PAUSE_GAPS = 5.5;
const SHORTEST_PAUSE_MS = 40;
const COLLECTED_MS = 260;

/**
 * The policy of docs/reference/pacing.md §4 by its words, points 3 to 8, so that its figures and ours can be had on the same
 * answers: those it was measured on nobody has.
 */
export function planAsInReference(
  bucket: Bucket,
  limits: BucketLimits,
  permit: Permit,
  now: number,
  { lastEditAt = now, arrivals }: ReplyPace,
): { readonly waitMs: number } {
  const { burst, tokensPerSecond } = limits;
  const { tokens } = refill(bucket, limits, now);
  const waitFor = (wanted: number): number => {
    const missing = Math.min(burst, wanted + MARGIN_TOKENS) - tokens;
    return Math.max(0, (missing / tokensPerSecond) * 1_000);
  };
  if (permit !== "edit" || arrivals === undefined) return { waitMs: waitFor(1) };
  const gained = tokens < burst ? ((now - lastEditAt) / 1_000) * tokensPerSecond : 0;
  const spare = Math.max(0, tokens - gained - KEPT_TOKENS);
  const collectedAt = tokens >= burst ? lastEditAt : lastEditAt + COLLECTED_MS;
  const dueAt = Math.max(collectedAt, lastEditAt + 1_000 / (tokensPerSecond + spare / SPEND_SECONDS));
  const pausedAt = arrivals.lastAt + Math.max(SHORTEST_PAUSE_MS, PAUSE_GAPS * arrivals.meanGapMs);
  const inPause = Math.max(waitFor(1), pausedAt - now, collectedAt - now);
  const isDue = arrivals.lastAt >= dueAt - arrivals.meanGapMs / 2;
  return { waitMs: Math.max(0, isDue ? Math.min(waitFor(1 + KEPT_TOKENS), inPause) : inPause) };
}
