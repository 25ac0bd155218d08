/** Share of the time since the last call that the event loop was at work, 0 to 1. */
export type LoopUse = () => number;

/** Drafts a second. A process begins with what the two slow cores of docs/performance.md can draw beside other work. */
export const FIRST_PER_SECOND = 300;
/** More would be noticed by nobody: a thousand answers then grow once a second. */
const MOST_PER_SECOND = 1_000;
/** However busy it is: that something goes on is to be seen. */
const LEAST_PER_SECOND = 20;

/** Above the one share there are too many drafts, below the other there may be more; beyond 0.8 timers come late. */
const TOO_BUSY = 0.8;
const AT_EASE = 0.7;
/** Down in big steps, up in small ones: a crowd comes within a second. */
const SLOW_DOWN_BY = 0.6;
const SPEED_UP_BY = 1.15;

/** Shortest time between two looks, in ms: enough for some hundred turns of the loop. */
const LOOK_EVERY_MS = 200;
/** After so long without a look, in ms, the process is as new: what was seen before says nothing. */
const FORGET_MS = 5_000;

/** What is seen at a look. */
interface Look {
  /** As {@link LoopUse} tells it. */
  readonly use: number;
  /** A draft waits for the rate: else a higher one would be a guess. */
  readonly isWaitedFor: boolean;
}

/**
 * The rate after a look at the loop.
 *
 * @param perSecond - Drafts a second until now.
 * @returns Drafts a second, 20 to 1,000.
 */
export function nextDraftRate(perSecond: number, { use, isWaitedFor }: Look): number {
  if (use > TOO_BUSY) return Math.max(LEAST_PER_SECOND, perSecond * SLOW_DOWN_BY);
  const mayGrow = use < AT_EASE && isWaitedFor;
  return mayGrow ? Math.min(MOST_PER_SECOND, perSecond * SPEED_UP_BY) : perSecond;
}

/**
 * How many drafts a second a process shows: as many as it has time for. Drawing more would use up the CPU that commands
 * need to be acknowledged in time, and first texts and ends to come at once (docs/performance.md, many answers at once).
 */
export class DraftRate {
  readonly #loopUse: LoopUse;
  #perSecond = FIRST_PER_SECOND;
  #lookedAt: number;

  /** @param now - In ms, as {@link look} gets it. */
  constructor(loopUse: LoopUse, now: number) {
    this.#loopUse = loopUse;
    this.#lookedAt = now;
  }

  /** @returns Drafts a second from now on; `undefined` when it is too soon to look again. */
  look(now: number, { isWaitedFor }: Pick<Look, "isWaitedFor">): number | undefined {
    const sinceMs = now - this.#lookedAt;
    if (sinceMs < LOOK_EVERY_MS) return undefined;
    this.#lookedAt = now;
    const use = this.#loopUse();
    const isForgotten = sinceMs > FORGET_MS;
    this.#perSecond = isForgotten ? FIRST_PER_SECOND : nextDraftRate(this.#perSecond, { use, isWaitedFor });
    return this.#perSecond;
  }
}
