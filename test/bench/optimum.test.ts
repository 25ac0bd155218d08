import fc from "fast-check";
import { expect, it } from "vitest";
import { type Arrival, type Budget, leastWait, optimum } from "../../bench/pacing/optimum.ts";

/** Tries every set of moments until the last letter, also such that no sane person would choose. */
function bruteForce(arrivals: readonly Arrival[], { burst, everySteps }: Budget): number {
  const first = arrivals[0]?.step ?? 0;
  const last = arrivals.at(-1)?.step ?? 0;
  const moments = last - first;
  let best = Number.POSITIVE_INFINITY;
  for (let set = 0; set < 2 ** moments; set += 1) {
    const edits = Array.from({ length: moments }, (_, index) => first + 1 + index).filter(
      (_, index) => (set >> index) & 1,
    );
    if (areAllowed(edits, { burst, everySteps })) best = Math.min(best, waitFor([first, ...edits], arrivals));
  }
  return best;
}

/** A bucket of real-valued tokens, as a platform counts. */
function areAllowed(edits: readonly number[], { burst, everySteps }: Budget): boolean {
  let tokens = burst;
  let before = edits[0] ?? 0;
  for (const at of edits) {
    tokens = Math.min(burst, tokens + (at - before) / everySteps) - 1;
    before = at;
    // Thirds of a token do not add up to one.
    if (tokens < -1e-9) return false;
  }
  return true;
}

function waitFor(edits: readonly number[], arrivals: readonly Arrival[]): number {
  return arrivals.reduce((sum, { step, letters }) => {
    const shown = edits.find((at) => at >= step) ?? Number.POSITIVE_INFINITY;
    return sum + letters * (shown - step);
  }, 0);
}

const someArrivals = fc
  .uniqueArray(fc.record({ step: fc.nat(8), letters: fc.integer({ min: 1, max: 9 }) }), {
    minLength: 1,
    maxLength: 9,
    selector: ({ step }) => step,
  })
  .map((arrivals) => arrivals.toSorted((a, b) => a.step - b.step));
const someBudget = fc
  .record({ burst: fc.integer({ min: 1, max: 3 }), everySteps: fc.integer({ min: 1, max: 4 }) })
  .filter(({ burst, everySteps }) => burst * everySteps <= 6);

it("finds what trying every set of edits finds", () => {
  fc.assert(
    fc.property(someArrivals, someBudget, (arrivals, budget) => {
      expect(leastWait(arrivals, budget)).toBe(bruteForce(arrivals, budget));
    }),
    { numRuns: 150 },
  );
});

it("comes to the closed form for a long even stream", () => {
  const seconds = 30;
  const everyMs = 50;
  const count = (seconds * 1_000) / everyMs;
  const arrivals = Array.from({ length: count }, (_, index) => ({ atMs: index * everyMs, letters: 1 }));
  const found = optimum(arrivals, { burst: 5, perSecond: 1, oneWayMs: 40 });
  // Of one that flows; here the last letter before an edit does not wait at all (docs/reference/pacing.md §3).
  const closedForm = 0.04 + seconds / (2 * (5 + seconds)) - everyMs / 2 / 1_000;
  expect(found / closedForm).toBeGreaterThan(0.97);
  expect(found / closedForm).toBeLessThan(1.03);
});
