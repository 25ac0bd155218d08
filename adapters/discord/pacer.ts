import type { BucketLimits } from "../../src/core/gate.ts";

/** After an edit, what comes is collected this long before the next one (pacing.md §4.8). */
const COLLECT_MS = 260;

/** 5 per 5 s, leaky: create, edit and webhook each count apart (discord.md §1.1). */
export const DISCORD_BUCKET: BucketLimits = { burst: 5, tokensPerSecond: 1, minGapMs: COLLECT_MS };

/** What Discord said about a bucket in the headers of one answer; times in ms. */
export interface RateHeaders {
  readonly limit: number;
  readonly remaining: number;
  readonly resetAfterMs: number;
}

/**
 * Tokens left on Discord's side. A leaky bucket tells them exactly by its reset time, a fixed window only whole
 * (pacing.md §4.3); an outer limit that hides the real one says nothing.
 */
export function tokensLeft(
  { limit, remaining, resetAfterMs }: RateHeaders,
  bucket: BucketLimits = DISCORD_BUCKET,
): number | undefined {
  if (limit > bucket.burst) return undefined;
  return Math.min(limit, Math.max(remaining, limit - (resetAfterMs / 1000) * bucket.tokensPerSecond));
}
