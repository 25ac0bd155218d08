import { expect, it } from "vitest";
import { repeatDeliveries } from "./repeated.ts";

it("answers every delivery once, however often it comes and whatever restarts between", async () => {
  const verdict = await repeatDeliveries({ times: 5, rounds: 2 });
  expect(verdict).toMatchObject({
    lost: [],
    half: [],
    doubled: [],
    misplaced: [],
    overtaking: [],
    strays: [],
    askedTwice: [],
  });
  expect(verdict.deliveries).toBeGreaterThanOrEqual(12);
});
