/**
 * How many drafts a second a process shows: as many as it has time for. Drawing more would use up the CPU that commands
 * need to be acknowledged in time, and first texts and ends to come at once (docs/performance.md, many answers at once).
 */

/** Where a process begins that has not been busy yet. */
export const FIRST_RATE = 300;
const MOST = 1_000;
/** So many are always shown: that something goes on is to be seen however busy it is. */
const LEAST = 20;

/** Part of the time that the event loop works; above the one there are too many drafts, below the other there may be more. */
const TOO_BUSY = 0.8;
const AT_EASE = 0.7;
/** A crowd comes within a second, so less is tried sooner than more. */
const LESS = 0.6;
const MORE = 1.15;

/**
 * The rate for the next moment.
 *
 * @param busy - Part of the last moment that the event loop did not wait, 0 to 1.
 */
export function nextDraftRate(perSecond: number, busy: number): number {
  if (busy > TOO_BUSY) return Math.max(LEAST, perSecond * LESS);
  return busy < AT_EASE ? Math.min(MOST, perSecond * MORE) : perSecond;
}
