import { DraftRate, FIRST_PER_SECOND, type LoopUse } from "./draft-rate.ts";
import {
  type Arrivals,
  type Bucket,
  type BucketLimits,
  fullBucket,
  learn,
  type Permit,
  type PermitPlan,
  planPermit,
  type RateHeaders,
  refill,
  refusedUntil,
  shareOf,
  spend,
  type Told,
} from "./pacer.ts";
import type { BucketView, SharedBucket, SharedBuckets } from "./shared-bucket.ts";

/** Longest a refusal closes a gate, in ms, whatever it says: also the longest anything here waits for a timer. */
const LONGEST_CLOSED_MS = 3_600_000;

/** So many tokens more or fewer than we thought are told to the other processes: less than any margin. */
const WORTH_TELLING = 0.01;

export interface AcquireOptions {
  /** When the same reply was written last, on the gate's clock. */
  readonly lastEditAt?: number | undefined;
  /** How the reply's text comes; asked again at every {@link Gate.look}. An edit that has it is a draft. */
  readonly arrivals?: (() => Arrivals | undefined) | undefined;
  /** Who asks again for something urgent keeps its place: when it asked first, on the gate's clock. Default now. */
  readonly since?: number | undefined;
  readonly signal: AbortSignal;
}

interface Waiting extends AcquireOptions {
  readonly permit: Permit;
  readonly since: number;
  /** @param room - Tokens that were missing for a full bucket. */
  readonly grant: (room: number) => void;
}

/** A permit that was granted. Who calls at once need not say so; else one of `sent` and `giveBack`, once. */
export interface Grant {
  /** False once the platform has refused a call of the same bucket since: nothing may go out on it then. */
  readonly stands: boolean;
  /** The call goes out only now. */
  sent(): void;
  /** There is nothing to call for. */
  giveBack(): void;
}

/** One token that was taken of one bucket. */
interface Token {
  readonly gate: Gate;
  /** How often the platform had refused by then: a refusal says anew what there is. */
  readonly refusals: number;
  /** From when on it is counted, and what was missing then for a full bucket. */
  at: number;
  room: number;
  /** Where the platform counts in fixed windows: the end of its own. */
  windowEndsAt: number | undefined;
}

/** What gates need of time; tests pass their own. */
export interface Clock {
  /** Ms on a monotonic clock. */
  now(): number;
  /** Calls back once after `ms`; the result cancels. */
  after(ms: number, call: () => void): () => void;
  /** Ms of it that pass in one of the world, default 1. */
  readonly speed?: number;
}

/** What a gate counts with besides its own limits. */
export interface GateOptions {
  /** A limit of several buckets together: a permit of this one includes one of that. */
  readonly outer?: Gate | undefined;
  /** The bucket as all processes see it. */
  readonly shared?: SharedBucket | undefined;
  /** What this process may do of drafts in all buckets together: a draft's permit includes one of that. */
  readonly drafts?: (() => Gate) | undefined;
}

/**
 * Shares one bucket among replies: hands out its permits, finals and first texts first, then in the order of asking.
 *
 * Where other processes spend out of the same bucket, who goes next is decided here, and whether the token is there by
 * all together. While there is nobody to ask, this process keeps to its own share.
 *
 * @see docs/reference/pacing.md §4, §6
 */
export class Gate {
  #limits: BucketLimits;
  readonly #clock: Clock;
  readonly #outer: Gate | undefined;
  readonly #shared: SharedBucket | undefined;
  readonly #drafts: (() => Gate) | undefined;
  /** In the order of asking, for the first time. */
  readonly #urgent: Waiting[] = [];
  readonly #edits: Waiting[] = [];
  #bucket: Bucket;
  #told: Told | undefined;
  #closedUntil = 0;
  #refusals = 0;
  #sharers = 0;
  /** Sharers in other processes, as of the last time that all were asked. */
  #others = 0;
  /** Nobody answers for all: only our own share is ours. */
  #alone = false;
  /** Tokens that we took without telling. */
  #owed = 0;
  #isAsking = false;
  #cancelTimer: (() => void) | undefined;

  constructor(limits: BucketLimits, clock: Clock, { outer, shared, drafts }: GateOptions = {}) {
    this.#limits = limits;
    this.#clock = clock;
    this.#outer = outer;
    this.#shared = shared;
    this.#drafts = drafts;
    this.#bucket = fullBucket(limits, clock.now());
  }

  /** True when nobody uses it and the bucket is full again: forgetting it loses nothing. */
  get idle(): boolean {
    const now = this.#clock.now();
    const full = refill(this.#bucket, this.#own, now).tokens >= this.#own.burst;
    const unused = this.#sharers === 0 && !this.isWaitedFor;
    return unused && full && now >= this.#closedUntil;
  }

  /** Whether somebody waits for a permit. */
  get isWaitedFor(): boolean {
    return this.#urgent.length > 0 || this.#edits.length > 0;
  }

  /** Counts a growing reply in, until the result is called. */
  join(): () => void {
    this.#sharers += 1;
    let joined = true;
    return () => {
      if (!joined) return;
      joined = false;
      this.#sharers -= 1;
      this.#shared?.tell({ sharers: this.#sharers });
      // The shares of the others have grown: what waits may go sooner.
      this.#pump();
    };
  }

  /** Resolves when the call may go out, and takes the token. Rejects with the signal's reason. */
  async acquire(permit: Permit, options: AcquireOptions): Promise<Grant> {
    const { signal, since } = options;
    let own = await this.#take(permit, options);
    const behind: Token[] = [];
    try {
      // Not by their own `acquire`: a draft is counted once.
      for (const gate of this.#behind(permit, options))
        behind.push(await gate.#take(permit, { signal, since }));
      if (!this.#stands(own)) own = await this.#take(permit, options);
    } catch (error) {
      for (const token of [own, ...behind]) token.gate.#putBack(token);
      throw error;
    }
    const tokens = [own, ...behind];
    const sent = (): void => {
      for (const token of tokens) token.gate.#countFromNow(token);
    };
    sent();
    return {
      get stands() {
        return tokens.every((token) => token.gate.#stands(token));
      },
      sent,
      giveBack: () => {
        for (const token of tokens) token.gate.#putBack(token);
      },
    };
  }

  /** The gates of which a permit of this one includes one. */
  #behind(permit: Permit, { arrivals }: AcquireOptions): readonly Gate[] {
    const isDraft = permit === "edit" && arrivals !== undefined;
    const gates = [isDraft ? this.#drafts?.() : undefined, this.#outer];
    return gates.filter((gate) => gate !== undefined);
  }

  #take(permit: Permit, options: AcquireOptions): Promise<Token> {
    const { signal } = options;
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise<Token>((resolve, reject) => {
      const grant = (room: number): void => {
        signal.removeEventListener("abort", abort);
        const { windowEndsAt } = this.#bucket;
        resolve({ gate: this, refusals: this.#refusals, at: this.#clock.now(), room, windowEndsAt });
      };
      const { since = this.#clock.now() } = options;
      const waiting: Waiting = { ...options, permit, since, grant };
      const queue = this.#queueOf(permit);
      const abort = (): void => {
        queue.splice(queue.indexOf(waiting), 1);
        reject(signal.reason);
        this.#pump();
      };
      signal.addEventListener("abort", abort, { once: true });
      queue.splice(queue.findLastIndex((other) => other.since <= since) + 1, 0, waiting);
      this.#pump();
    });
  }

  /** Text has arrived: somebody who waits may go now. */
  look(): void {
    if (this.#edits.length > 0) this.#pump();
  }

  /** Changes how many tokens a second come back. Only for a bucket of this process: others are not told. */
  paceTo(tokensPerSecond: number): void {
    this.#bucket = refill(this.#bucket, this.#own, this.#clock.now());
    this.#limits = { ...this.#limits, tokensPerSecond };
    this.#pump();
  }

  /** The platform refused: nothing goes out before `retryAfterMs` (an hour at most) have passed, then one token at most is there. */
  refused(retryAfterMs: number): void {
    const now = this.#clock.now();
    this.#refusals += 1;
    this.#doubt();
    this.#closedUntil = Math.max(this.#closedUntil, now + Math.min(LONGEST_CLOSED_MS, retryAfterMs));
    this.#bucket = refusedUntil(this.#bucket, this.#limits, this.#closedUntil);
    this.#shared?.tell({ closedForMs: this.#closedUntil - now, tokens: this.#bucket.tokens });
    this.#pump();
  }

  /** By now nothing is left, whatever we thought. */
  drained(): void {
    this.#lower({ ...this.#bucket, tokens: 0, at: this.#clock.now() });
  }

  /** The platform told what is left. */
  learn(headers: RateHeaders): void {
    const now = this.#clock.now();
    this.#lower(learn(this.#bucket, this.#limits, { headers, before: this.#told, now }));
    this.#told = { remaining: headers.remaining, resetAt: now + headers.resetAfterMs };
  }

  /** Whether a token that was taken is still ours: no refusal that we know of came since. */
  #stands({ refusals }: Token): boolean {
    return refusals === this.#refusals;
  }

  /**
   * The platform counts a call from when it goes out, so a bucket that was full gained nothing before: what it could not
   * hold of that comes off, and a window that is over is not the one that the call falls into.
   */
  #countFromNow(token: Token): void {
    if (!this.#stands(token)) return;
    const now = this.#clock.now();
    if (token.windowEndsAt === undefined) {
      const gained = ((now - token.at) / 1000) * this.#own.tokensPerSecond;
      this.#correct(-Math.min(1, Math.max(0, gained - token.room)));
      token.room = Math.max(0, token.room - gained);
    } else if (now >= token.windowEndsAt) {
      this.#lower(spend(this.#bucket, this.#own, now));
      token.windowEndsAt = this.#bucket.windowEndsAt;
    }
    token.at = now;
  }

  #putBack(token: Token): void {
    const isOver = token.windowEndsAt !== undefined && this.#clock.now() >= token.windowEndsAt;
    if (isOver || !this.#stands(token)) return;
    this.#countFromNow(token);
    this.#correct(1);
    this.#pump();
  }

  #correct(tokens: number): void {
    if (tokens === 0) return;
    const known = refill(this.#bucket, this.#own, this.#clock.now());
    this.#bucket = { ...known, tokens: Math.min(this.#limits.burst, known.tokens + tokens) };
    if (Math.abs(tokens) >= WORTH_TELLING) this.#shared?.tell({ more: tokens });
  }

  /** What the limits leave to this process. */
  get #own(): BucketLimits {
    if (!this.#alone) return this.#limits;
    const own = Math.max(1, this.#sharers);
    return shareOf(this.#limits, own / (own + this.#others));
  }

  #lower(bucket: Bucket): void {
    const before = refill(this.#bucket, this.#limits, bucket.at);
    this.#bucket = bucket;
    const { tokens, windowEndsAt } = bucket;
    if (before.tokens - tokens < WORTH_TELLING && windowEndsAt === before.windowEndsAt) return;
    const window = windowEndsAt === undefined ? {} : { windowEndsInMs: windowEndsAt - this.#clock.now() };
    this.#shared?.tell({ atMost: tokens, ...window });
  }

  #doubt(): void {
    const { burst, sureBurst = burst } = this.#limits;
    this.#limits = { ...this.#limits, burst: sureBurst };
  }

  #pump(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    // Whatever comes of it looks again.
    while (!this.#isAsking) {
      const next = this.#soonest(this.#clock.now());
      if (next === undefined) return;
      const { waiting, plan } = next;
      if (plan.waitMs > 0) {
        // Whole ms: a timer for a billionth of one would find the same moment again.
        this.#cancelTimer = this.#clock.after(Math.ceil(plan.waitMs), () => this.#pump());
        return;
      }
      if (this.#shared === undefined) this.#serve(waiting);
      else void this.#ask(this.#shared, waiting, plan.needs);
    }
  }

  #serve(waiting: Waiting): void {
    const now = this.#clock.now();
    const room = this.#own.burst - refill(this.#bucket, this.#own, now).tokens;
    this.#bucket = spend(this.#bucket, this.#own, now);
    this.#leaveWith(waiting, room);
  }

  /** @returns False when it has left by itself. */
  #leaveWith(waiting: Waiting, room: number): boolean {
    const queue = this.#queueOf(waiting.permit);
    const index = queue.indexOf(waiting);
    if (index < 0) return false;
    queue.splice(index, 1);
    waiting.grant(room);
    return true;
  }

  async #ask(shared: SharedBucket, waiting: Waiting, needs: number): Promise<void> {
    this.#isAsking = true;
    const [owed, sharers, refusals] = [this.#owed, Math.max(1, this.#sharers), this.#refusals];
    const view = await shared.take({ needs, sharers, owed });
    this.#isAsking = false;
    if (view !== undefined) this.#owed -= owed;
    // Refused meanwhile: the answer is of before, and so is a token that it brings.
    if (refusals !== this.#refusals) return this.#pump();
    if (view === undefined) this.#decideAlone(waiting);
    else {
      this.#adopt(view, view.sharers - sharers);
      const room = this.#limits.burst - (view.tokens + 1);
      if (view.taken && !this.#leaveWith(waiting, room)) this.#correct(1);
    }
    this.#pump();
  }

  /** The first time the tokens are divided, and it has to be planned anew. */
  #decideAlone(waiting: Waiting): void {
    if (this.#alone) {
      this.#owed += 1;
      // It may have left meanwhile: then the token is lost, which harms nobody.
      this.#serve(waiting);
      return;
    }
    this.#alone = true;
    const { tokens } = refill(this.#bucket, this.#limits, this.#clock.now());
    this.#bucket = { ...this.#bucket, tokens: tokens * (this.#own.burst / this.#limits.burst) };
  }

  #adopt({ tokens, closedForMs, windowEndsInMs, doubted }: BucketView, others: number): void {
    const now = this.#clock.now();
    this.#alone = false;
    this.#others = others;
    if (doubted) this.#doubt();
    // While it is closed nobody is given anything: what is held is of before.
    if (closedForMs > 0) this.#refusals += 1;
    this.#closedUntil = Math.max(this.#closedUntil, now + closedForMs);
    const window = windowEndsInMs === undefined ? {} : { windowEndsAt: now + windowEndsInMs };
    this.#bucket = { tokens, at: Math.max(now, this.#closedUntil), ...window };
  }

  #queueOf(permit: Permit): Waiting[] {
    return permit === "edit" ? this.#edits : this.#urgent;
  }

  /** The one to serve next: urgent ones before edits; among equals the shortest wait, then the order of asking. */
  #soonest(now: number): { waiting: Waiting; plan: PermitPlan } | undefined {
    const sharers = Math.max(1, this.#sharers + (this.#alone ? 0 : this.#others));
    let best: { waiting: Waiting; plan: PermitPlan } | undefined;
    for (const waiting of this.#candidates()) {
      const { permit, lastEditAt } = waiting;
      const pace = { lastEditAt, arrivals: waiting.arrivals?.(), sharers };
      const { waitMs, needs } = planPermit(this.#bucket, this.#own, permit, now, pace);
      const plan = { waitMs: Math.max(waitMs, this.#closedUntil - now), needs };
      if (plan.waitMs <= 0) return { waiting, plan };
      if (best === undefined || plan.waitMs < best.plan.waitMs) best = { waiting, plan };
    }
    return best;
  }

  /** Those who might be next. Where nobody has a pace of its own, that is who asked first. */
  #candidates(): readonly Waiting[] {
    const [first] = this.#urgent;
    if (first !== undefined) return [first];
    const [edit] = this.#edits;
    if (this.#edits.some(hasOwnPace)) return this.#edits;
    return edit === undefined ? [] : [edit];
  }
}

function hasOwnPace({ lastEditAt, arrivals }: Waiting): boolean {
  return lastEditAt !== undefined || arrivals !== undefined;
}

/** What one process may show of drafts; how many a second, is looked at again and again. */
const DRAFTS: BucketLimits = { burst: 30, tokensPerSecond: FIRST_PER_SECOND, minGapMs: 0 };

export interface GatesOptions {
  /** Where other processes spend out of the same buckets. */
  readonly shared?: SharedBuckets | undefined;
  /** Without it drafts keep their first rate. */
  readonly loopUse?: LoopUse | undefined;
}

/** Idle gates beyond this many are forgotten. */
const MAX_GATES = 10_000;

/** One gate per bucket, by name; forgets idle ones. */
export class Gates {
  readonly #gates = new Map<string, Gate>();
  readonly #clock: Clock;
  readonly #shared: SharedBuckets | undefined;
  readonly #drafts: Gate;
  readonly #draftRate: DraftRate | undefined;

  constructor(clock: Clock, { shared, loopUse }: GatesOptions = {}) {
    this.#clock = clock;
    this.#shared = shared;
    this.#drafts = new Gate(DRAFTS, clock);
    this.#draftRate = loopUse && new DraftRate(loopUse, clock.now());
  }

  /** @param outer - A limit of several buckets together: a permit of this one includes one of that. */
  of(bucket: string, limits: BucketLimits, outer?: Gate): Gate {
    const known = this.#gates.get(bucket);
    if (known !== undefined) return known;
    if (this.#gates.size >= MAX_GATES) this.#forgetIdle();
    const shared = this.#shared?.of(bucket, limits, this.#clock.speed ?? 1);
    const fresh = new Gate(limits, this.#clock, { outer, shared, drafts: () => this.#draftGate() });
    this.#gates.set(bucket, fresh);
    return fresh;
  }

  /** At the rate that there is time for now. */
  #draftGate(): Gate {
    const perSecond = this.#draftRate?.look(this.#clock.now(), { isWaitedFor: this.#drafts.isWaitedFor });
    if (perSecond !== undefined) this.#drafts.paceTo(perSecond);
    return this.#drafts;
  }

  #forgetIdle(): void {
    for (const [bucket, gate] of this.#gates) if (gate.idle) this.#gates.delete(bucket);
  }
}
