import { describe, expect, it } from "vitest";
import { lettersPerDelta } from "../../bench/pacing/bed.ts";
import { CROWD_TRACE, TRACES, textOf } from "../../bench/pacing/traces.ts";
import { longText, STORY } from "../../sandbox/coze/stories.ts";
import { lettersOf } from "../../sandbox/same-text.ts";

describe.each([...TRACES, CROWD_TRACE].map((trace) => [trace.name, trace] as const))(
  "trace %s",
  (_, trace) => {
    it("goes forward in time", () => {
      const times = trace.deltas.map(({ atMs }) => atMs);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    });

    it("has letters for its deltas, as many as the whole", () => {
      const sum = lettersPerDelta(trace).reduce((total, letters) => total + letters, 0);
      expect(sum).toBe(lettersOf(textOf(trace)).length);
    });
  },
);

it("cuts texts, and changes nothing in them", () => {
  const texts = new Map(TRACES.map((trace) => [trace.name, textOf(trace)]));
  expect(texts.get("story")).toBe(STORY);
  expect(texts.get("long")).toBe(longText(8_000));
});

it("is silent for 20 s where a plugin works", () => {
  const times = TRACES.find(({ name }) => name === "plugin")?.deltas.map(({ atMs }) => atMs) ?? [];
  const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
  expect(Math.max(...gaps)).toBeGreaterThan(19_900);
  expect(Math.max(...gaps)).toBeLessThan(20_100);
});
