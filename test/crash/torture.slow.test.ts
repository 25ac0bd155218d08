import { expect, it } from "vitest";
import { Arena } from "./arena.ts";
import { isClean } from "./judge.ts";
import { allScenes, isSceneClean, playScene } from "./kill-points.ts";
import { repeatDeliveries } from "./repeated.ts";
import { slackScopes } from "./slack-scopes.ts";

it("answers every delivery once, however often it comes and whatever restarts between", async () => {
  const verdict = await repeatDeliveries({ times: 5, rounds: 2 });
  expect(isClean(verdict) ? [] : verdict).toEqual([]);
  expect(verdict.askedTwice).toEqual([]);
  expect(verdict.deliveries).toBeGreaterThanOrEqual(12);
});

// One of each kind of point; `npm run torture` tries every one, on every kind of reply.
const POINTS = [
  "after conversation create",
  "after chat create",
  "after first post",
  "before first edit",
  "in the middle of the answer",
  "chat completed told",
  "after second message",
  "after final edit",
];

it("finishes the same messages wherever it is killed, and asks Coze once", async () => {
  await using arena = await Arena.open();
  const scenes = allScenes().filter(({ lane, name }) => lane === "discord mention" && POINTS.includes(name));
  expect(scenes).toHaveLength(POINTS.length);
  for (const scene of scenes) {
    const result = await playScene(arena, scene);
    expect(isSceneClean(result, true) ? [] : result).toEqual([]);
  }
});

it("leaves at most one message behind where Slack's history may not be read, and says so in the log", async () => {
  const rows = await slackScopes({ rights: ["no history scopes"], pick: /^second message$/ });
  expect(rows).toMatchObject([{ orphans: 1, marked: 1, answered: true }]);
});
