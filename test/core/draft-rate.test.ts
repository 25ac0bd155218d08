import { expect, it } from "vitest";
import { FIRST_RATE, nextDraftRate } from "../../src/core/draft-rate.ts";

/** The rates of so many moments, each as busy as the last. */
function rates(busy: number, moments: number): number[] {
  const all = [FIRST_RATE];
  for (let moment = 0; moment < moments; moment += 1) all.push(nextDraftRate(all.at(-1) ?? 0, busy));
  return all;
}

it("shows fewer drafts while there is no time, down to a few a second", () => {
  const all = rates(0.95, 10);
  expect(all.slice(0, 3)).toEqual([300, 180, 108]);
  expect(all.at(-1)).toBe(20);
});

it("shows more while there is time, up to what nobody would notice", () => {
  const all = rates(0.3, 20);
  expect(all[1]).toBeCloseTo(345);
  expect(all.at(-1)).toBe(1_000);
});

it("stays where it is in between", () => {
  expect(rates(0.75, 3)).toEqual([300, 300, 300, 300]);
});
