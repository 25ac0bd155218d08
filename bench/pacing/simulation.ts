import {
  type Arrivals,
  arrive,
  type BucketLimits,
  fullBucket,
  planPermit,
  sendAll,
  spend,
} from "../../src/core/pacer.ts";
import { ONE_WAY_MS } from "./bed.ts";
import type { TimedLetters } from "./optimum.ts";

/** An answer as the pace alone would show it. */
export interface Shown {
  /** Mean delay of a letter, in s. */
  readonly staleness: number;
  /** From the last letter until it is visible, in ms. */
  readonly lagMs: number;
  /** When edits went out, in ms. */
  readonly edits: readonly number[];
}

/** Who decides when a call may go out, as the product's pacer does. */
export type Policy = (...about: Parameters<typeof planPermit>) => { readonly waitMs: number };

/** From the last letter until the answer is known to be over, in ms. */
const END_MS = 2;

/**
 * One answer in one message, under a policy and nothing else: no machine that is slow, no drawing, no other answers. Its
 * create is free, as in `optimum.ts`; one call is in flight at a time.
 *
 * @param pieces - In order of time.
 * @param plan - Default the product's pacer.
 */
export function simulate(
  pieces: readonly TimedLetters[],
  limits: BucketLimits,
  plan: Policy = planPermit,
): Shown {
  const arrived = sums(pieces);
  const endAt = (pieces.at(-1)?.atMs ?? 0) + END_MS;
  const shows: { readonly at: number; readonly letters: number }[] = [];
  let bucket = fullBucket(limits, 0);
  let arrivals: Arrivals | undefined;
  let [now, seen, shown, freeAt] = [0, 0, 0, 0];
  let lastEditAt: number | undefined;
  for (;;) {
    for (; (pieces[seen]?.atMs ?? Number.POSITIVE_INFINITY) <= now; seen += 1)
      arrivals = arrive(arrivals, now);
    let wakeAt = Number.POSITIVE_INFINITY;
    if (now >= freeAt && (arrived[seen] ?? 0) > shown) {
      const permit = now >= endAt ? "final" : "edit";
      const pace = { lastEditAt, arrivals, sharers: 1 };
      const isCreate = lastEditAt === undefined;
      const waitMs = isCreate ? 0 : plan(bucket, limits, permit, now, pace).waitMs;
      if (waitMs > 0) wakeAt = now + Math.ceil(waitMs);
      else {
        if (!isCreate) bucket = spend(bucket, limits, now);
        shown = arrived[seen] ?? 0;
        shows.push({ at: now, letters: shown });
        [lastEditAt, arrivals, freeAt] = [now, sendAll(arrivals), now + 2 * ONE_WAY_MS];
      }
    }
    const next = [pieces[seen]?.atMs ?? endAt, endAt, freeAt, wakeAt].filter((at) => at > now);
    const soonest = Math.min(...next);
    if (soonest === Number.POSITIVE_INFINITY) break;
    now = soonest;
  }
  return summary(pieces, arrived, shows);
}

/** Letters that have arrived before the piece of each index, and all at the end. */
function sums(pieces: readonly TimedLetters[]): readonly number[] {
  const all = [0];
  for (const { letters } of pieces) all.push((all.at(-1) ?? 0) + letters);
  return all;
}

function summary(
  pieces: readonly TimedLetters[],
  arrived: readonly number[],
  shows: readonly { readonly at: number; readonly letters: number }[],
): Shown {
  let waited = 0;
  let index = 0;
  for (const [piece, { atMs, letters }] of pieces.entries()) {
    while ((shows[index]?.letters ?? Number.POSITIVE_INFINITY) < (arrived[piece + 1] ?? 0)) index += 1;
    waited += letters * ((shows[index]?.at ?? Number.NaN) + ONE_WAY_MS - atMs);
  }
  return {
    staleness: waited / (arrived.at(-1) ?? 1) / 1_000,
    lagMs: (shows.at(-1)?.at ?? Number.NaN) + ONE_WAY_MS - (pieces.at(-1)?.atMs ?? 0),
    edits: shows.slice(1).map(({ at }) => at),
  };
}
