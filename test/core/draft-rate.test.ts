import { expect, it } from "vitest";
import { DraftRate, nextDraftRate } from "../../src/core/draft-rate.ts";

/** The rates after so many looks, each of which sees the same. */
function rates(look: { use: number; isWaitedFor: boolean }, looks: number): number[] {
  const all = [300];
  for (let number = 0; number < looks; number += 1) all.push(nextDraftRate(all.at(-1) ?? 0, look));
  return all;
}

it("shows fewer drafts while there is no time, down to a few a second", () => {
  const all = rates({ use: 0.95, isWaitedFor: false }, 10);
  expect(all.slice(0, 3)).toEqual([300, 180, 108]);
  expect(all.at(-1)).toBe(20);
});

it("shows more while there is time and some wait, up to what nobody would notice", () => {
  const all = rates({ use: 0.3, isWaitedFor: true }, 20);
  expect(all[1]).toBeCloseTo(345);
  expect(all.at(-1)).toBe(1_000);
});

it.each([
  ["in between", { use: 0.75, isWaitedFor: true }],
  ["while nothing waits for more", { use: 0.1, isWaitedFor: false }],
])("stays where it is %s", (_, look) => {
  expect(rates(look, 3)).toEqual([300, 300, 300, 300]);
});

it("looks now and then, and begins anew after a pause", () => {
  let looks = 0;
  const rate = new DraftRate(() => {
    looks += 1;
    return 1;
  }, 1_000);
  const look = (now: number): number | undefined => rate.look(now, { isWaitedFor: true });
  expect([look(1_199), look(1_200), look(1_399), look(1_400)]).toEqual([undefined, 180, undefined, 108]);
  expect(look(6_500)).toBe(300);
  expect(looks).toBe(3);
});
