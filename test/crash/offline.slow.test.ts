import { expect, it } from "vitest";
import { isClean } from "./judge.ts";
import { askWhileOffline } from "./offline.ts";

const AWAY = { awayMs: 60_000, clockSpeed: 20 };

it("answers what was asked before, while and after it was gone, once, in order, and the late ones marked", async () => {
  const { verdict, missed, unmarked, wronglyLate, toldWrongly } = await askWhileOffline({
    ...AWAY,
    places: { "discord mention": 2, "discord dm": 1, "slack mention": 2, "slack dm": 1 },
    perPlace: { before: 2, during: 3, after: 2 },
  });
  expect(isClean(verdict) ? [] : verdict).toEqual([]);
  expect(missed).toBe(18);
  expect({ unmarked, wronglyLate, toldWrongly }).toEqual({ unmarked: [], wronglyLate: [], toldWrongly: [] });
});

it("answers as many as the cap allows, and names the rest once in each place", async () => {
  const { verdict, told, toldWrongly } = await askWhileOffline({
    ...AWAY,
    places: { "discord mention": 1, "slack dm": 1 },
    perPlace: { before: 1, during: 22, after: 0 },
    // Slack has given up before anybody is back: what its repeats bring is not counted.
    slackRetryMs: [100],
  });
  expect(isClean({ ...verdict, lost: [], strays: [] }) ? [] : verdict).toEqual([]);
  expect({ told, toldWrongly }).toEqual({ told: 2, toldWrongly: [] });
});
