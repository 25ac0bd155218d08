/**
 * Sharing one rate limit: a token bucket with real-valued tokens, and the queue in front of it.
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
}

/** `first` and `final` are what people wait for: they go before `edit` and may use the kept token. */
export type Permit = "first" | "edit" | "final";

/** Tokens that an edit leaves for the end of an answer (pacing.md §4.5). */
const KEPT_TOKENS = 0.75;
/** Margin for jitter between our clock and theirs: 0.06 token (pacing.md §4.3). */
const MARGIN_TOKENS = 0.06;
/** How long the burst is stretched over, in s (pacing.md §4.4). */
const SPEND_SECONDS = 1;

/** Longest a refusal closes a gate, in ms, whatever it says: also the longest anything here waits for a timer. */
const LONGEST_CLOSED_MS = 3_600_000;

/** A bucket at a moment. Plain data; time is an argument. */
export interface Bucket {
  readonly tokens: number;
  readonly at: number;
}

export function fullBucket(limits: BucketLimits, now: number): Bucket {
  return { tokens: limits.burst, at: now };
}

export function refill(bucket: Bucket, limits: BucketLimits, now: number): Bucket {
  const gained = (Math.max(0, now - bucket.at) / 1000) * limits.tokensPerSecond;
  return { tokens: Math.min(limits.burst, bucket.tokens + gained), at: Math.max(now, bucket.at) };
}

/**
 * How long a permit has to wait, in ms; 0 means now.
 *
 * @param lastEditAt - When the same reply was written last, on the clock of `now`; `undefined` before the first.
 * @param sharers - Replies that grow out of this bucket right now, at least 1.
 */
export function waitForPermit(
  bucket: Bucket,
  limits: BucketLimits,
  permit: Permit,
  now: number,
  { lastEditAt, sharers }: { lastEditAt: number | undefined; sharers: number },
): number {
  const tokens = refill(bucket, limits, now).tokens;
  const needed = permit === "edit" ? Math.min(limits.burst, 1 + KEPT_TOKENS) : 1;
  const missing = needed + MARGIN_TOKENS - tokens;
  // A full bucket is enough even where the margin asks for more than it can hold.
  const tokenWait = missing > 0 && tokens < limits.burst ? (missing / limits.tokensPerSecond) * 1000 : 0;
  if (permit !== "edit" || lastEditAt === undefined) return tokenWait;
  const spare = Math.max(0, tokens - KEPT_TOKENS);
  const rate = (limits.tokensPerSecond + spare / SPEND_SECONDS) / sharers;
  const gapMs = Math.max(limits.minGapMs, 1000 / rate);
  return Math.max(tokenWait, lastEditAt + gapMs - now);
}

interface Waiting {
  readonly permit: Permit;
  readonly lastEditAt: number | undefined;
  readonly grant: () => void;
}

/** What gates need of time; tests pass their own. */
export interface Clock {
  /** Ms on a monotonic clock. */
  now(): number;
  /** Calls back once after `ms`; the result cancels. */
  after(ms: number, call: () => void): () => void;
}

/** Hands out permits of one bucket: finals and first texts first, then in the order of asking. */
export class Gate {
  readonly #limits: BucketLimits;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  #bucket: Bucket;
  #closedUntil = 0;
  #sharers = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(limits: BucketLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#bucket = fullBucket(limits, clock.now());
  }

  /** True when nobody uses it and the bucket is full again: forgetting it loses nothing. */
  get idle(): boolean {
    const now = this.#clock.now();
    const full = refill(this.#bucket, this.#limits, now).tokens >= this.#limits.burst;
    return this.#sharers === 0 && this.#waiting.length === 0 && full && now >= this.#closedUntil;
  }

  /** Counts a growing reply in, until the result is called. */
  join(): () => void {
    this.#sharers += 1;
    let joined = true;
    return () => {
      if (!joined) return;
      joined = false;
      this.#sharers -= 1;
      // The shares of the others have grown: what waits may go sooner.
      this.#pump();
    };
  }

  /** Resolves when the call may go out, and takes the token. Rejects with the signal's reason. */
  acquire(permit: Permit, options: { lastEditAt?: number | undefined; signal: AbortSignal }): Promise<void> {
    const { signal } = options;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        permit,
        lastEditAt: options.lastEditAt,
        grant: () => {
          signal.removeEventListener("abort", abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason);
        this.#pump();
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#waiting.push(waiting);
      this.#pump();
    });
  }

  /** The platform refused: nothing goes out before `retryAfterMs` (an hour at most) have passed, then one token is there. */
  refused(retryAfterMs: number): void {
    const now = this.#clock.now();
    this.#closedUntil = Math.max(this.#closedUntil, now + Math.min(LONGEST_CLOSED_MS, retryAfterMs));
    this.#bucket = { tokens: 1 + MARGIN_TOKENS, at: this.#closedUntil };
    this.#pump();
  }

  /** The platform told how many tokens are left; only ever lowers ours. */
  learn(tokensLeft: number): void {
    const now = this.#clock.now();
    const known = refill(this.#bucket, this.#limits, now);
    this.#bucket = { tokens: Math.min(known.tokens, tokensLeft), at: known.at };
  }

  #pump(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (;;) {
      const now = this.#clock.now();
      const next = this.#soonest(now);
      if (next === undefined) return;
      if (next.waitMs > 0) {
        // Whole ms: a timer for a billionth of one would find the same moment again.
        this.#cancelTimer = this.#clock.after(Math.ceil(next.waitMs), () => this.#pump());
        return;
      }
      this.#waiting.splice(this.#waiting.indexOf(next.waiting), 1);
      const filled = refill(this.#bucket, this.#limits, now);
      this.#bucket = { tokens: filled.tokens - 1, at: filled.at };
      next.waiting.grant();
    }
  }

  /** The one to serve next: urgent ones before edits; among equals the shortest wait, then the order of asking. */
  #soonest(now: number): { waiting: Waiting; waitMs: number } | undefined {
    const urgent = this.#waiting.filter(({ permit }) => permit !== "edit");
    let best: { waiting: Waiting; waitMs: number } | undefined;
    for (const waiting of urgent.length > 0 ? urgent : this.#waiting) {
      const sharers = Math.max(1, this.#sharers);
      const { permit, lastEditAt } = waiting;
      const forToken = waitForPermit(this.#bucket, this.#limits, permit, now, { lastEditAt, sharers });
      const waitMs = Math.max(forToken, this.#closedUntil - now);
      if (best === undefined || waitMs < best.waitMs) best = { waiting, waitMs };
    }
    return best;
  }
}

/** Idle gates beyond this many are forgotten. */
const MAX_GATES = 10_000;

/** One gate per bucket, by name; forgets idle ones. */
export class Gates {
  readonly #gates = new Map<string, Gate>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(bucket: string, limits: BucketLimits): Gate {
    const known = this.#gates.get(bucket);
    if (known !== undefined) return known;
    if (this.#gates.size >= MAX_GATES) this.#forgetIdle();
    const fresh = new Gate(limits, this.#clock);
    this.#gates.set(bucket, fresh);
    return fresh;
  }

  #forgetIdle(): void {
    for (const [bucket, gate] of this.#gates) if (gate.idle) this.#gates.delete(bucket);
  }
}
