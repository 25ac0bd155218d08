import { describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { isClean } from "./judge.ts";
import { allScenes, isSceneClean, playScene, redisScenes } from "./kill-points.ts";
import { sufferOutage } from "./outages.ts";
import { repeatDeliveries } from "./repeated.ts";
import { torture } from "./torture.ts";

/** Shorter than the product's, so that a takeover takes two to four seconds; `npm run torture` has the whole. */
const LEASE_MS = 3_000;
const REDIS = { leaseMs: LEASE_MS };
/** Three processes each, side by side: slow on a busy machine, never wrong. */
const TIMEOUT_MS = 300_000;

// Of each kind of process one, where it matters most; `npm run torture` tries every one, on every kind of reply.
const POINTS = [
  "slack mention, after turn stored",
  "slack dm, after checkpoint reply",
  "discord mention, before turn ended",
  "slack dm, in the middle of the answer",
];

describe.concurrent("an intake and two workers on Redis", { timeout: TIMEOUT_MS }, () => {
  it("finish the same messages when the process at work is killed, and ask Coze once", async ({ expect }) => {
    await using arena = await Arena.open({ redis: REDIS });
    const scenes = [...redisScenes(), ...allScenes()].filter(({ lane, name }) =>
      POINTS.includes(`${lane}, ${name}`),
    );
    expect(scenes).toHaveLength(POINTS.length);
    for (const scene of scenes) {
      const result = await playScene(arena, scene);
      expect(isSceneClean(result, true) ? [] : result).toEqual([]);
    }
  });

  it("lose, double and mix up nothing while they and Redis are killed at random", async ({ expect }) => {
    const { discord, slack } = await torture({
      turns: 60,
      lanes: { "discord mention": 5, "discord dm": 3, "slack mention": 4, "slack dm": 3 },
      kills: 4,
      redis: { ...REDIS, intakeKills: 1, redisKills: 2 },
      lifeMs: [200, 2_500],
      askingMs: 8_000,
      runningQuestionListed: true,
      clockSpeed: 20,
      seed: 20_261_125,
    });
    // Away for longer than an asker can wait, Redis may cost a question: its asker is told.
    for (const verdict of [discord, slack]) {
      expect(isClean({ ...verdict, refused: [] }) ? [] : verdict).toEqual([]);
      expect(verdict.askedTwice).toEqual([]);
    }
  });

  it("answer all that runs when Redis stands still for longer than a lease", async ({ expect }) => {
    const { verdict, letGo } = await sufferOutage({
      redisIs: "frozen",
      forMs: 1.2 * LEASE_MS,
      perKind: 1,
      redis: REDIS,
    });
    expect(isClean({ ...verdict, refused: [] }) ? [] : verdict).toEqual([]);
    expect(verdict.askedTwice).toEqual([]);
    expect(letGo).toBeGreaterThan(0);
  });
});

it(
  "answers every delivery once that two whole bridges on Redis get, five times each",
  async ({ expect }) => {
    const redis = { ...REDIS, roles: ["all", "all"] } as const;
    const verdict = await repeatDeliveries({ times: 5, rounds: 2, redis });
    expect(isClean(verdict) ? [] : verdict).toEqual([]);
    expect(verdict.askedTwice).toEqual([]);
    expect(verdict.deliveries).toBeGreaterThanOrEqual(12);
  },
  TIMEOUT_MS,
);
