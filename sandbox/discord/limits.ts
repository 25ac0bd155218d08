import { LeakyBucket, type StandInClock } from "../stand-in.ts";

/** Where the references are uncertain, or things go wrong: see discord.md §7.4. */
export interface LimitSwitches {
  /** `fixed`: the whole bucket comes back at once. */
  algorithm: "leaky" | "fixed";
  /** `none`: no headers at all; `outer`: a large outer limit hides the inner one. */
  headers: "real" | "none" | "outer";
}

/** 5 per 5 s, one token back per second (discord.md §1.1). */
const CAPACITY = 5;
const PER_SECOND = 1;
/** One per 0.25 s and channel (discord.md §1.1). */
const REACTIONS = { capacity: 1, perSecond: 4 };
/** Requests per second of one bot token (discord.md §1.2). */
const GLOBAL_PER_SECOND = 50;
/** 401, 403 and 429 per ten minutes before the address is banned (discord.md §1.2). */
const INVALID_LIMIT = 10_000;
const INVALID_WINDOW_MS = 600_000;

export interface Verdict {
  readonly ok: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly retryAfterMs: number;
  readonly global: boolean;
}

interface Taken {
  readonly ok: boolean;
  readonly tokens: number;
  readonly retryAfterMs: number;
  readonly resetAfterMs: number;
}

/** Counts calls as Discord does: create and edit apart, under one common bucket name (discord.md §1.1). */
export class Limits {
  readonly switches: LimitSwitches = { algorithm: "leaky", headers: "real" };
  readonly #clock: StandInClock;
  readonly #on: boolean;
  readonly #leaky = new Map<string, LeakyBucket>();
  readonly #fixed = new Map<string, { start: number; used: number }>();
  #global: { second: number; used: number } = { second: 0, used: 0 };
  #invalid: number[] = [];

  constructor(clock: StandInClock, on: boolean) {
    this.#clock = clock;
    this.#on = on;
  }

  /** @param counter - What is counted apart, e.g. `create:<channel>`; `undefined` counts globally only. */
  take(counter: string | undefined, name: string, options: { global: boolean }): Verdict {
    if (!this.#on) return { ok: true, headers: {}, retryAfterMs: 0, global: false };
    const overall = options.global ? this.#takeGlobal() : 0;
    if (overall > 0) return { ok: false, headers: {}, retryAfterMs: overall, global: true };
    if (counter === undefined) return { ok: true, headers: {}, retryAfterMs: 0, global: false };
    const taken = this.switches.algorithm === "leaky" ? this.#takeLeaky(counter) : this.#takeFixed(counter);
    return {
      ok: taken.ok,
      headers: this.#headers(taken, name, rateOf(counter).capacity),
      retryAfterMs: taken.retryAfterMs,
      global: false,
    };
  }

  /** True once this address has sent too many invalid requests. */
  countInvalid(status: number): boolean {
    const now = this.#clock.now();
    if (status === 401 || status === 403 || status === 429) this.#invalid.push(now);
    if (this.#invalid.length > INVALID_LIMIT) this.#invalid.shift();
    return this.#invalid.length >= INVALID_LIMIT && now - (this.#invalid[0] ?? 0) < INVALID_WINDOW_MS;
  }

  #takeLeaky(counter: string): Taken {
    const known = this.#leaky.get(counter);
    const bucket = known ?? new LeakyBucket({ ...rateOf(counter), clock: this.#clock });
    this.#leaky.set(counter, bucket);
    return bucket.take();
  }

  #takeFixed(counter: string): Taken {
    const { capacity, perSecond } = rateOf(counter);
    const windowMs = (capacity / perSecond) * 1000;
    const now = this.#clock.now();
    const known = this.#fixed.get(counter);
    const window = known !== undefined && now < known.start + windowMs ? known : { start: now, used: 0 };
    this.#fixed.set(counter, window);
    const ok = window.used < capacity;
    if (ok) window.used += 1;
    const leftMs = window.start + windowMs - now;
    return { ok, tokens: capacity - window.used, retryAfterMs: ok ? 0 : leftMs, resetAfterMs: leftMs };
  }

  #takeGlobal(): number {
    const now = this.#clock.now();
    const second = Math.floor(now / 1000);
    if (this.#global.second !== second) this.#global = { second, used: 0 };
    this.#global.used += 1;
    return this.#global.used > GLOBAL_PER_SECOND ? (second + 1) * 1000 - now : 0;
  }

  #headers(taken: Taken, name: string, capacity: number): Record<string, string> {
    if (this.switches.headers === "none") return {};
    const outer = this.switches.headers === "outer";
    const limit = outer ? 50_000 : capacity;
    return {
      "x-ratelimit-limit": String(limit),
      "x-ratelimit-remaining": String(outer ? 49_999 : Math.floor(taken.tokens)),
      "x-ratelimit-reset": ((this.#clock.now() + taken.resetAfterMs) / 1000).toFixed(3),
      "x-ratelimit-reset-after": (taken.resetAfterMs / 1000).toFixed(3),
      "x-ratelimit-bucket": name,
    };
  }
}

function rateOf(counter: string): { capacity: number; perSecond: number } {
  return counter.startsWith("reaction:") ? REACTIONS : { capacity: CAPACITY, perSecond: PER_SECOND };
}
