/**
 * The long proof: `npm run torture`. Every kill point of every kind of turn, then random kills, each with both
 * answers to whether Coze lists a running question; questions asked while nobody listens; every delivery repeated.
 * Prints tables; ends with 1 when anything was lost, doubled, left half, out of order or run two at once.
 * `npm run torture -- points` (`random`, `offline`, `repeated`) runs one part.
 */
import { Arena } from "../test/crash/arena.ts";
import { describeVerdict, isClean } from "../test/crash/judge.ts";
import { allScenes, isSceneClean, playScene } from "../test/crash/kill-points.ts";
import { askWhileOffline } from "../test/crash/offline.ts";
import { repeatDeliveries } from "../test/crash/repeated.ts";
import { type TortureOptions, torture } from "../test/crash/torture.ts";

const LANES = {
  // No commands: one that is given while nobody listens fails in front of its asker, and comes no more.
  "discord mention": 35,
  "discord dm": 20,
  "slack mention": 25,
  "slack dm": 20,
} as const;
const FULL: Omit<TortureOptions, "runningQuestionListed" | "seed"> = {
  turns: 1_000,
  lanes: LANES,
  kills: 40,
  lifeMs: [200, 6_000],
  askingMs: 150_000,
};

async function points(runningQuestionListed: boolean): Promise<boolean> {
  await using arena = await Arena.open({
    runningQuestionListed,
    // Slack's limits count per workspace, and all scenes share one.
    standIns: { slack: { limits: false, retryMs: [100, 2_000, 5_000] } },
  });
  let [clean, met, askedTwice, scenes] = [0, 0, 0, 0];
  for (const scene of allScenes()) {
    const result = await playScene(arena, scene);
    const { verdict, missed } = result;
    const good = isSceneClean(result, runningQuestionListed);
    scenes += 1;
    if (good) clean += 1;
    if (!missed) met += 1;
    askedTwice += verdict.askedTwice.length;
    const mark = missed ? "MISSED" : good ? "ok" : "BAD";
    const detail = good ? "" : describeVerdict(verdict);
    console.log(`${mark.padEnd(6)} ${scene.lane.padEnd(16)} ${scene.name.padEnd(32)} ${detail}`);
  }
  console.log(
    `points, running question ${listed(runningQuestionListed)}: ${scenes} scenes, ${met} killed there, ${clean} clean, ${askedTwice} asked twice\n`,
  );
  return clean === scenes;
}

async function offline(): Promise<boolean> {
  const { verdict, noticesPerPlace } = await askWhileOffline({
    places: { "discord mention": 25, "discord dm": 10, "slack mention": 10, "slack dm": 5 },
    perPlace: 4,
  });
  console.log(
    `offline: ${describeVerdict(verdict)}, notices ${noticesPerPlace.reduce((sum, count) => sum + count, 0)}\n`,
  );
  return isClean(verdict);
}

async function repeated(): Promise<boolean> {
  const { deliveries, ...verdict } = await repeatDeliveries({ times: 5, rounds: 3 });
  console.log(`repeated: ${deliveries} deliveries, each five times: ${describeVerdict(verdict)}\n`);
  return isClean(verdict) && verdict.askedTwice.length === 0;
}

async function random(runningQuestionListed: boolean): Promise<boolean> {
  const seed = Date.now() % 1_000_000;
  const { verdict, kills, conversations, seconds } = await torture({ ...FULL, runningQuestionListed, seed });
  console.log(
    `random (seed ${seed}), running question ${listed(runningQuestionListed)}: ${kills} kills, ${conversations} conversations, ${seconds.toFixed(0)} s`,
  );
  const { turns, ...lists } = verdict;
  console.table({
    turns,
    ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.length])),
  });
  const strays = [...new Set(verdict.strays)].slice(0, 5);
  if (strays.length > 0) console.log("strays, e.g.", strays);
  return isClean(verdict) && !(runningQuestionListed && verdict.askedTwice.length > 0);
}

function listed(yes: boolean): string {
  return yes ? "listed" : "not listed";
}

const PARTS: Readonly<Record<string, () => Promise<boolean>>> = {
  repeated,
  offline,
  points: async () => [await points(true), await points(false)].every(Boolean),
  random: async () => [await random(true), await random(false)].every(Boolean),
};
const [only] = process.argv.slice(2);
let good = true;
for (const [name, play] of Object.entries(PARTS)) {
  if (only === undefined || only === name) good = (await play()) && good;
}
process.exitCode = good ? 0 : 1;
