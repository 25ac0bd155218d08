/**
 * When the next call of a growing answer may go out: a token bucket with real-valued tokens, and a policy that spends
 * early, keeps something for the end, and sends when text arrives. Pure; time is an argument, in ms.
 *
 * @see docs/reference/pacing.md §4
 */

/** What a platform allows in one bucket. */
export interface BucketLimits {
  /** Tokens a full bucket holds. */
  readonly burst: number;
  readonly tokensPerSecond: number;
  /** Shortest time between two edits of one reply, in ms. */
  readonly minGapMs: number;
  /** How long the burst is stretched over, in s; default {@link SPEND_SECONDS}. */
  readonly spendSeconds?: number;
  /** Part of a token that is waited for beyond what a call needs; default {@link MARGIN_TOKENS}. */
  readonly marginTokens?: number;
  /** Where `burst` is an assumption: what a bucket holds for certain, and all we believe after a refusal. */
  readonly sureBurst?: number;
}

/** `first` and `final` are what people wait for: they go before `edit` and may use the kept token. */
export type Permit = "first" | "edit" | "final";

/** Tokens that an edit leaves for the end of an answer (pacing.md §4.5). */
const KEPT_TOKENS = 0.75;
/** Margin for jitter between our clock and theirs: 0.06 token (pacing.md §4.3). */
const MARGIN_TOKENS = 0.06;
/** What an edit in a pause needs: it may use the kept part, but a busy machine's pauses are not all Coze's. */
const PAUSE_TOKENS = 1.2;
/** An edit at the moment its text arrives may use as much of the kept part: what it would wait for half a gap. */
const EARLY_TOKENS = 0.2;
/** Text is as good as just arrived for so long, in ms. */
const FRESH_MS = 5;
/** Tuned, as all numbers here that pacing.md has otherwise or not at all, on 70 random traces against the optimum of `bench/pacing`. */
const SPEND_SECONDS = 1.25;
/** After a pause, text is collected for this part of a gap before it is shown, and no longer than so many ms. */
const COLLECTED_GAP = 0.6;
const LONGEST_COLLECTED_MS = 300;

/** A bucket at a moment. Plain data. */
export interface Bucket {
  readonly tokens: number;
  readonly at: number;
  /** Set where the platform counts in fixed windows: until then no token comes back, then all do. */
  readonly windowEndsAt?: number;
}

export function fullBucket(limits: BucketLimits, now: number): Bucket {
  return { tokens: limits.burst, at: now };
}

export function refill(bucket: Bucket, limits: BucketLimits, now: number): Bucket {
  const { tokens, at, windowEndsAt } = bucket;
  const later = Math.max(now, at);
  if (windowEndsAt !== undefined) {
    return now < windowEndsAt ? { ...bucket, at: later } : { ...bucket, tokens: limits.burst, at: later };
  }
  const gained = (Math.max(0, now - at) / 1000) * limits.tokensPerSecond;
  return { tokens: Math.min(limits.burst, tokens + gained), at: later };
}

/** The bucket after a call. A fixed window begins with its first call. */
export function spend(bucket: Bucket, limits: BucketLimits, now: number): Bucket {
  const filled = refill(bucket, limits, now);
  const begins = filled.windowEndsAt !== undefined && now >= filled.windowEndsAt;
  return { ...filled, tokens: filled.tokens - 1, ...(begins && { windowEndsAt: now + windowMs(limits) }) };
}

function windowMs({ burst, tokensPerSecond }: BucketLimits): number {
  return (burst / tokensPerSecond) * 1000;
}

/** How the text of one answer comes in. */
export interface Arrivals {
  readonly lastAt: number;
  readonly meanGapMs: number;
  /** When the first text came that was not sent yet; `undefined` when all was. */
  readonly unsentSince: number | undefined;
}

/** Weight of the newest gap in the mean, and how many means it counts for at most: a pause is no pace. */
const GAP_WEIGHT = 0.2;
const GAP_CAP = 8;
/** Believed of an answer of which one piece is known; Coze sends some tens a second. */
const FIRST_GAP_MS = 40;

/** The arrivals after one more piece. */
export function arrive(before: Arrivals | undefined, now: number): Arrivals {
  if (before === undefined) return { lastAt: now, meanGapMs: FIRST_GAP_MS, unsentSince: now };
  const gap = Math.min(now - before.lastAt, GAP_CAP * before.meanGapMs);
  const meanGapMs = Math.max(1, before.meanGapMs + GAP_WEIGHT * (gap - before.meanGapMs));
  return { lastAt: now, meanGapMs, unsentSince: before.unsentSince ?? now };
}

/** The arrivals after all that came was sent. */
export function sendAll(arrivals: Arrivals | undefined): Arrivals | undefined {
  return arrivals && { ...arrivals, unsentSince: undefined };
}

/** From when on nothing coming means that nothing comes: 2.5 mean gaps, at least 40 ms (pacing.md §4.7 has 5.5). */
function pauseMs({ meanGapMs }: Arrivals): number {
  return Math.max(40, 2.5 * meanGapMs);
}

/** One reply among those that share a bucket. */
export interface ReplyPace {
  /** When it was written last; `undefined` before the first time. */
  readonly lastEditAt: number | undefined;
  /** How its text comes; `undefined` where that does not matter. */
  readonly arrivals: Arrivals | undefined;
  /** Replies that grow out of this bucket right now, at least 1. */
  readonly sharers: number;
}

/** When a permit may go, and what the bucket must hold for it. */
export interface PermitPlan {
  /** In ms, if no more text arrives; 0 means now. */
  readonly waitMs: number;
  /** Tokens that must be there at that moment; the call takes one of them. */
  readonly needs: number;
}

/**
 * Plans one call.
 *
 * An edit goes out at the first arrival when it is due (half a mean gap early is early enough), or in a pause, where it may
 * use the token kept for the end: the end has nothing new to say then. It is due one gap after the last one; after a pause
 * some text is collected first, since the first piece alone is not worth a token.
 */
export function planPermit(
  bucket: Bucket,
  limits: BucketLimits,
  permit: Permit,
  now: number,
  { lastEditAt, arrivals, sharers }: ReplyPace,
): PermitPlan {
  const filled = refill(bucket, limits, now);
  const plan: Plan = (wanted, earliestAt = now) => {
    const needs = tokensNeeded(filled, limits, wanted);
    return { waitMs: Math.max(0, earliestAt - now, waitForTokens(filled, limits, needs, now)), needs };
  };
  if (permit !== "edit") return plan(1);
  if (lastEditAt === undefined) return plan(1 + KEPT_TOKENS);
  const gap = gapMs(filled, limits, { elapsedMs: now - lastEditAt, sharers });
  if (arrivals === undefined) return plan(1 + KEPT_TOKENS, lastEditAt + gap);
  const { lastAt, meanGapMs, unsentSince = lastAt } = arrivals;
  const collectedAt = filled.tokens >= limits.burst ? lastEditAt : lastEditAt + limits.minGapMs;
  const inPause = plan(PAUSE_TOKENS, Math.max(lastAt + pauseMs(arrivals), collectedAt));
  const collectMs = Math.min(LONGEST_COLLECTED_MS, COLLECTED_GAP * gap);
  const dueAt = Math.max(lastEditAt + gap, unsentSince + collectMs - meanGapMs);
  if (lastAt < dueAt - meanGapMs / 2) return inPause;
  const withText = planWithText(plan, arrivals, now, limits.tokensPerSecond);
  return withText.waitMs <= inPause.waitMs ? withText : inPause;
}

/** Plans a call for which so many tokens must be there, no sooner than a moment. */
type Plan = (wanted: number, earliestAt?: number) => PermitPlan;

/** An edit that is due: at an arrival, where its token allows, else with the next one, if that is near. */
function planWithText(
  plan: Plan,
  { lastAt, meanGapMs }: Arrivals,
  now: number,
  tokensPerSecond: number,
): PermitPlan {
  const early = Math.min(EARLY_TOKENS, (meanGapMs / 2_000) * tokensPerSecond);
  const atArrival = plan(1 + KEPT_TOKENS - early);
  if (atArrival.waitMs === 0 && now - lastAt < FRESH_MS) return atArrival;
  const keeping = plan(1 + KEPT_TOKENS);
  const nextAt = lastAt + meanGapMs;
  const isNear = nextAt - (now + keeping.waitMs) < meanGapMs / 2;
  // Whoever waits looks again when text arrives; beyond that, it comes later than we thought.
  return isNear ? plan(1 + KEPT_TOKENS, nextAt + meanGapMs / 2) : keeping;
}

/** With the margin. A full bucket is enough, and in a window tokens are whole. */
function tokensNeeded({ windowEndsAt }: Bucket, limits: BucketLimits, wanted: number): number {
  const { burst, marginTokens = MARGIN_TOKENS } = limits;
  const needed = windowEndsAt === undefined ? Math.min(burst, wanted) + marginTokens : Math.ceil(wanted);
  return Math.min(burst, needed);
}

/** Until so many tokens are there. In a window nothing comes back before its end. */
function waitForTokens(
  { tokens, windowEndsAt }: Bucket,
  limits: BucketLimits,
  needs: number,
  now: number,
): number {
  if (tokens >= needs) return 0;
  if (windowEndsAt !== undefined) return windowEndsAt - now;
  return ((needs - tokens) / limits.tokensPerSecond) * 1000;
}

/** From one edit of a reply to the next: its share of the rate, faster while there is more than the kept tokens. */
function gapMs(
  filled: Bucket,
  limits: BucketLimits,
  { elapsedMs, sharers }: { elapsedMs: number; sharers: number },
): number {
  const { burst, tokensPerSecond, minGapMs, spendSeconds = SPEND_SECONDS } = limits;
  // Spending ahead makes no sense where nothing comes back before the window's end (pacing.md §4.11).
  if (filled.windowEndsAt !== undefined) return Math.max(minGapMs, (windowMs(limits) / burst) * sharers);
  // What there was right after the last edit decides, not what has come back since; a full bucket gained nothing.
  const gained = filled.tokens < burst ? (elapsedMs / 1000) * tokensPerSecond : 0;
  const atEdit = filled.tokens - gained;
  const spare = Math.max(0, atEdit - KEPT_TOKENS);
  return Math.max(minGapMs, (1000 * sharers) / (tokensPerSecond + spare / spendSeconds));
}

/** What a platform told about a bucket with one answer. */
export interface RateHeaders {
  readonly limit: number;
  readonly remaining: number;
  readonly resetAfterMs: number;
}

/** What was told last, and when the bucket would be as new by that. */
export interface Told {
  readonly remaining: number;
  readonly resetAt: number;
}

/**
 * The bucket after what the platform told; it only ever lowers our tokens. A leaky bucket tells them exactly by its
 * reset time, which moves with every call; a reset time that stands still while tokens go is a fixed window's (pacing.md
 * §4.3, §4.11). An outer limit that hides the real one says nothing.
 */
export function learn(
  bucket: Bucket,
  limits: BucketLimits,
  { headers, before, now }: { headers: RateHeaders; before: Told | undefined; now: number },
): Bucket {
  const { limit, remaining, resetAfterMs } = headers;
  if (limit > limits.burst) return bucket;
  const known = refill(bucket, limits, now);
  const resetAt = now + resetAfterMs;
  if (isFixed(known, limits, { remaining, resetAt, before })) {
    return { tokens: Math.min(known.tokens, remaining), at: known.at, windowEndsAt: resetAt };
  }
  const told = Math.max(remaining, limit - (resetAfterMs / 1000) * limits.tokensPerSecond);
  return { tokens: Math.min(known.tokens, told), at: known.at };
}

function isFixed(
  known: Bucket,
  { tokensPerSecond }: BucketLimits,
  { remaining, resetAt, before }: Told & { before: Told | undefined },
): boolean {
  const wasFixed = known.windowEndsAt !== undefined;
  // Another window, or tokens that have come back: nothing to compare.
  if (before === undefined || remaining >= before.remaining) return wasFixed;
  const tokenMs = 1000 / tokensPerSecond;
  return resetAt - before.resetAt < ((before.remaining - remaining) * tokenMs) / 2;
}

/** What is left of the limits to a process that may spend only this share of them, 0 to 1; always enough for one call. */
export function shareOf(limits: BucketLimits, share: number): BucketLimits {
  const { burst, tokensPerSecond } = limits;
  return { ...limits, burst: Math.max(1, burst * share), tokensPerSecond: tokensPerSecond * share };
}

/**
 * The bucket after a refusal: nothing goes out before `openAt`, then one token is there, if we believe in it ourselves:
 * it may have been another limit that spoke.
 */
export function refusedUntil(bucket: Bucket, limits: BucketLimits, openAt: number): Bucket {
  const { marginTokens = MARGIN_TOKENS } = limits;
  return { tokens: Math.min(1 + marginTokens, refill(bucket, limits, openAt).tokens), at: openAt };
}
