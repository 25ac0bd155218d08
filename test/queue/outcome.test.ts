import fc from "fast-check";
import { expect, it } from "vitest";
import { BridgeError } from "../../src/core/errors.ts";
import { RetryLater, RunAborted } from "../../src/core/ports.ts";
import { batchSize, defaultBackoffMs, outcomeOf, type RunFacts } from "../../src/queue/outcome.ts";

function facts(changes: Partial<RunFacts> = {}): RunFacts {
  return { aborted: undefined, start: 1, attempt: 1, maxAttempts: 5, backoffMs: () => 777, ...changes };
}

it("buries what failed for a reason of its own", () => {
  expect(outcomeOf(new TypeError("x"), facts())).toEqual({ end: "dead", error: "TypeError: x" });
  expect(outcomeOf("just text", facts())).toEqual({ end: "dead", error: "just text" });
});

it("tries again what asked for it: with its own wait, or the back-off", () => {
  const own = outcomeOf(new RetryLater({ afterMs: 5 }), facts());
  expect(own).toEqual({ end: "retry", afterMs: 5, counts: true });
  expect(outcomeOf(new RetryLater(), facts())).toEqual({ end: "retry", afterMs: 777, counts: true });
  const past = outcomeOf(new RetryLater({ afterMs: -5, counts: false }), facts());
  expect(past).toEqual({ end: "retry", afterMs: 0, counts: false });
});

it("parks no conversation for longer than an hour", () => {
  const endless = outcomeOf(new RetryLater({ afterMs: Number.POSITIVE_INFINITY }), facts());
  expect(endless).toEqual({ end: "retry", afterMs: 3_600_000, counts: true });
});

it("gives up after the last attempt, unless the try did not count", () => {
  const last = facts({ attempt: 5 });
  expect(outcomeOf(new RetryLater(), last)).toEqual({ end: "dead", error: "gave up after attempt 5" });
  expect(outcomeOf(new RetryLater({ counts: false }), last).end).toBe("retry");
});

it("does not blame a turn for a queue that can't be written", () => {
  const error = new BridgeError("QUEUE_UNAVAILABLE", "disk full");
  expect(outcomeOf(error, facts({ attempt: 5 }))).toEqual({ end: "retry", afterMs: 777, counts: false });
});

it.each(["handover", "lease-lost"] as const)("lets %s win over whatever the handler throws", (why) => {
  const aborted = new RunAborted(why);
  for (const thrown of [aborted, new RetryLater({ afterMs: 60_000 }), new Error("socket closed")]) {
    expect(outcomeOf(thrown, facts({ aborted, attempt: 5 }))).toEqual({ end: "release" });
  }
});

it("takes a cancelled turn for done, unless it asks for another try", () => {
  const aborted = new RunAborted("cancelled");
  expect(outcomeOf(new Error("aborted"), facts({ aborted }))).toEqual({ end: "done" });
  expect(outcomeOf(new RetryLater(), facts({ aborted })).end).toBe("retry");
});

it("doubles the wait from one second to a minute", () => {
  expect([1, 2, 3, 6, 7, 50].map(defaultBackoffMs)).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000]);
});

it("never lets a batch be empty, too long, or hold somebody else's turn or one written too late", () => {
  const mark = fc.record({ group: fc.constantFrom("a", "b"), at: fc.integer({ min: 0, max: 3_000 }) });
  const waiting = fc.array(
    fc.record({
      merge: fc.option(mark, { nil: undefined }),
      cancelled: fc.boolean(),
      starts: fc.constantFrom(0, 0, 0, 1),
    }),
    { minLength: 1 },
  );
  fc.assert(
    fc.property(waiting, fc.integer({ min: 1, max: 6 }), (turns, maxMerge) => {
      const size = batchSize(turns, { maxMerge, mergeWithinMs: 1_500 });
      expect(size).toBeGreaterThanOrEqual(1);
      expect(size).toBeLessThanOrEqual(Math.min(maxMerge, turns.length));
      if (size === 1) return;
      const batch = turns.slice(0, size);
      expect(batch.some(({ merge, cancelled }) => merge === undefined || cancelled)).toBe(false);
      expect(batch.every(({ starts }) => starts === 0)).toBe(true);
      expect(new Set(batch.map(({ merge }) => merge?.group)).size).toBe(1);
      batch.reduce((before, turn) => {
        expect(Math.abs((turn.merge?.at ?? 0) - (before.merge?.at ?? 0))).toBeLessThanOrEqual(1_500);
        return turn;
      });
    }),
  );
});

it("takes as many neighbours as belong together", () => {
  const turn = (group: string, at: number) => ({ merge: { group, at }, cancelled: false, starts: 0 });
  const together = [turn("a", 0), turn("a", 1_500), turn("a", 2_900), turn("a", 9_000), turn("b", 9_001)];
  expect(batchSize(together, { maxMerge: 9, mergeWithinMs: 1_500 })).toBe(3);
  expect(batchSize(together.slice(3), { maxMerge: 9, mergeWithinMs: 1_500 })).toBe(1);
});

it("waits ever longer with what does not count, though its attempts stay the same", () => {
  const waits = [1, 4, 5, 9, 100].map((start) => {
    const outcome = outcomeOf(
      new RetryLater({ counts: false }),
      facts({ start, attempt: 1, backoffMs: defaultBackoffMs }),
    );
    return outcome.end === "retry" ? outcome.afterMs : undefined;
  });
  expect(waits).toEqual([1_000, 1_000, 2_000, 4_000, 60_000]);
});
