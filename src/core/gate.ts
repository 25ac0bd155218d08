import {
  type Arrivals,
  type Bucket,
  type BucketLimits,
  fullBucket,
  learn,
  type Permit,
  type RateHeaders,
  refill,
  refusedUntil,
  spend,
  type Told,
  waitForPermit,
} from "./pacer.ts";

/** Longest a refusal closes a gate, in ms, whatever it says: also the longest anything here waits for a timer. */
const LONGEST_CLOSED_MS = 3_600_000;

interface AcquireOptions {
  /** When the same reply was written last, on the gate's clock. */
  readonly lastEditAt?: number | undefined;
  /** How the reply's text comes; asked again at every {@link Gate.look}. */
  readonly arrivals?: (() => Arrivals | undefined) | undefined;
  readonly signal: AbortSignal;
}

interface Waiting extends AcquireOptions {
  readonly permit: Permit;
  readonly grant: () => void;
}

/** What gates need of time; tests pass their own. */
export interface Clock {
  /** Ms on a monotonic clock. */
  now(): number;
  /** Calls back once after `ms`; the result cancels. */
  after(ms: number, call: () => void): () => void;
}

/** Shares one bucket among replies: hands out its permits, finals and first texts first, then in the order of asking. */
export class Gate {
  #limits: BucketLimits;
  readonly #clock: Clock;
  readonly #outer: Gate | undefined;
  readonly #waiting: Waiting[] = [];
  #bucket: Bucket;
  #told: Told | undefined;
  #closedUntil = 0;
  #sharers = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(limits: BucketLimits, clock: Clock, outer?: Gate) {
    this.#limits = limits;
    this.#clock = clock;
    this.#outer = outer;
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
  async acquire(permit: Permit, options: AcquireOptions): Promise<void> {
    await this.#acquire(permit, options);
    await this.#outer?.acquire(permit, { signal: options.signal });
  }

  #acquire(permit: Permit, options: AcquireOptions): Promise<void> {
    const { signal } = options;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise<void>((resolve, reject) => {
      const grant = (): void => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const waiting: Waiting = { ...options, permit, grant };
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

  /** Text has arrived: somebody who waits may go now. */
  look(): void {
    if (this.#waiting.length > 0) this.#pump();
  }

  /** The platform refused: nothing goes out before `retryAfterMs` (an hour at most) have passed, then one token is there. */
  refused(retryAfterMs: number): void {
    const now = this.#clock.now();
    const { burst, sureBurst = burst } = this.#limits;
    this.#limits = { ...this.#limits, burst: sureBurst };
    this.#closedUntil = Math.max(this.#closedUntil, now + Math.min(LONGEST_CLOSED_MS, retryAfterMs));
    this.#bucket = refusedUntil(this.#closedUntil);
    this.#pump();
  }

  /** By now nothing is left, whatever we thought. */
  drained(): void {
    this.#bucket = { ...this.#bucket, tokens: 0, at: this.#clock.now() };
  }

  /** The platform told what is left. */
  learn(headers: RateHeaders): void {
    const now = this.#clock.now();
    this.#bucket = learn(this.#bucket, this.#limits, { headers, before: this.#told, now });
    this.#told = { remaining: headers.remaining, resetAt: now + headers.resetAfterMs };
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
      this.#bucket = spend(this.#bucket, this.#limits, now);
      next.waiting.grant();
    }
  }

  /** The one to serve next: urgent ones before edits; among equals the shortest wait, then the order of asking. */
  #soonest(now: number): { waiting: Waiting; waitMs: number } | undefined {
    const urgent = this.#waiting.filter(({ permit }) => permit !== "edit");
    let best: { waiting: Waiting; waitMs: number } | undefined;
    for (const waiting of urgent.length > 0 ? urgent : this.#waiting) {
      const { permit, lastEditAt } = waiting;
      const pace = { lastEditAt, arrivals: waiting.arrivals?.(), sharers: Math.max(1, this.#sharers) };
      const forToken = waitForPermit(this.#bucket, this.#limits, permit, now, pace);
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

  /** @param outer - A limit of several buckets together: a permit of this one includes one of that. */
  of(bucket: string, limits: BucketLimits, outer?: Gate): Gate {
    const known = this.#gates.get(bucket);
    if (known !== undefined) return known;
    if (this.#gates.size >= MAX_GATES) this.#forgetIdle();
    const fresh = new Gate(limits, this.#clock, outer);
    this.#gates.set(bucket, fresh);
    return fresh;
  }

  #forgetIdle(): void {
    for (const [bucket, gate] of this.#gates) if (gate.idle) this.#gates.delete(bucket);
  }
}
