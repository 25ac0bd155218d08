/**
 * The long proof: `npm run torture`. Every kill point of every kind of turn, then random kills, each with both
 * answers to whether Coze lists a running question; questions asked while nobody listens; every delivery repeated. Once
 * with one process and the embedded queue, once with an intake and two workers on Redis, which is killed, frozen and
 * gone as well. Prints tables; ends with 1 when anything was lost, doubled, left half, out of order or run two at once.
 *
 * `npm run torture -- points` (`scopes`, `random`, `offline`, `repeated`, `outages`) runs one part, `-- points "slack dm,
 * after"` some scenes of it, `--redis` or `--embedded` behind that only with this queue.
 */
import { parseArgs } from "node:util";
import { Arena } from "../test/crash/arena.ts";
import { describeVerdict, isClean, type Verdict } from "../test/crash/judge.ts";
import {
  allScenes,
  isSceneClean,
  playScene,
  redisScenes,
  type SceneResult,
} from "../test/crash/kill-points.ts";
import { askWhileOffline, type OfflineOptions } from "../test/crash/offline.ts";
import { type OutageOptions, sufferOutage } from "../test/crash/outages.ts";
import { repeatDeliveries } from "../test/crash/repeated.ts";
import { type ScopesRow, slackScopes } from "../test/crash/slack-scopes.ts";
import { type TortureOptions, torture } from "../test/crash/torture.ts";

/** `redis`: an intake and two workers, with the lease of production. */
type Queue = "embedded" | "redis";

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
  kills: 32,
  lifeMs: [200, 5_000],
  askingMs: 150_000,
  // Discord forgets a nonce after minutes of its own time: a start, which gets no faster, must be well within.
  clockSpeed: 5,
};

/** Worlds of their own that play scenes side by side: mostly they wait. */
const ARENAS = { embedded: 4, redis: 6 };

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { redis: { type: "boolean" }, embedded: { type: "boolean" } },
});
const [only, picked = ""] = positionals;
const PICKED = new RegExp(picked);
const QUEUES = (["embedded", "redis"] as const).filter(
  (queue) => values[queue] === true || values.redis === values.embedded,
);

async function points(queue: Queue, runningQuestionListed: boolean): Promise<boolean> {
  const begun = performance.now();
  const all = [...(queue === "redis" ? redisScenes() : []), ...allScenes()];
  const scenes = all.filter(({ lane, name }) => PICKED.test(`${lane}, ${name}`));
  const total = scenes.length;
  const results: SceneResult[] = [];
  const refusals = { discord: 0, slack: 0 };
  const play = async (opened: Arena): Promise<number> => {
    await using arena = opened;
    for (let scene = scenes.shift(); scene !== undefined; scene = scenes.shift()) {
      const result = await playScene(arena, scene);
      results.push(result);
      console.log(describeScene(result, runningQuestionListed));
    }
    refusals.discord += arena.refusals.discord;
    refusals.slack += arena.refusals.slack;
    return arena.clockSpeed;
  };
  const playing: Promise<number>[] = [];
  for (let count = 0; count < Math.min(total, ARENAS[queue]); count += 1) {
    // One after the other, since each starts some processes.
    const arena = await Arena.open({ runningQuestionListed, ...(queue === "redis" && { redis: {} }) });
    playing.push(play(arena));
  }
  const [speed] = await Promise.all(playing);
  const clean = results.filter((result) => isSceneClean(result, runningQuestionListed)).length;
  console.log(`points, ${queue}, running question ${listed(runningQuestionListed)}:`);
  console.table({
    scenes: total,
    "killed there": results.filter(({ missed }) => !missed).length,
    clean,
    "beyond rescue": results.filter(({ scene }) => scene.beyondRescue).length,
    "asked twice": results.reduce((sum, { verdict }) => sum + verdict.askedTwice.length, 0),
    "doubled on screen": results.reduce((sum, { verdict }) => sum + verdict.doubled.length, 0),
    "platforms' clock": `${speed} times as fast`,
    ...refusalRows(refusals),
    seconds: Math.round((performance.now() - begun) / 1000),
  });
  return clean === total;
}

function describeScene(result: SceneResult, runningQuestionListed: boolean): string {
  const { scene, missed, verdict, signs } = result;
  const good = isSceneClean(result, runningQuestionListed);
  const mark = missed ? "MISSED" : good ? "ok" : "BAD";
  const twice = verdict.askedTwice.length > 0 ? "asked twice" : "";
  const detail = good ? twice : `${describeVerdict(verdict)}, ${signs} signs of waiting left`;
  return `${mark.padEnd(6)} ${scene.lane.padEnd(16)} ${scene.name.padEnd(40)} ${detail}`;
}

function refusalRows({ discord, slack }: { discord: number; slack: number }): Record<string, number> {
  return { "429s met at Discord": discord, "429s met at Slack": slack };
}

/** Five minutes away. 20 questions per place are answered afterwards; the rest is named. */
const AWAY = { awayMs: 5 * 60_000, clockSpeed: 10 };
const WITHIN = {
  ...AWAY,
  places: { "discord mention": 15, "discord dm": 10, "slack mention": 15, "slack dm": 10 },
  perPlace: { before: 4, during: 12, after: 4 },
};
const ABOVE = {
  ...AWAY,
  places: { "discord mention": 3, "discord dm": 2, "slack mention": 3, "slack dm": 2 },
  perPlace: { before: 1, during: 30, after: 0 },
};

async function offline(): Promise<boolean> {
  const within = await offlineOf("within the cap", WITHIN);
  const above = await offlineOf("above the cap", ABOVE);
  return within.isGood && within.left === 0 && above.isGood && above.left > 0;
}

async function offlineOf(name: string, options: OfflineOptions): Promise<{ isGood: boolean; left: number }> {
  const result = await askWhileOffline(options);
  const { verdict, missed, late, unmarked, wronglyLate, told, toldWrongly, refusals, seconds } = result;
  const { lost, strays, ...rest } = countsOf(verdict);
  console.log(`offline, ${name}:`);
  console.table({
    ...rest,
    "asked while away": missed,
    "answered as late": late,
    "late, but not marked": unmarked.length,
    "marked, but not late": wronglyLate.length,
    "without an answer": lost,
    "sentences about that": strays,
    "places told once, with the number": told,
    "places told wrongly": toldWrongly.length,
    "platforms' clock": `${options.clockSpeed} times as fast`,
    ...refusalRows(refusals),
    seconds: Math.round(seconds),
  });
  if (toldWrongly.length > 0) console.log("told wrongly, e.g.", toldWrongly[0]);
  const isWell = isClean({ ...verdict, lost: [], strays: [] });
  const isSaid = [unmarked, wronglyLate, toldWrongly].every((list) => list.length === 0);
  return { isGood: isWell && isSaid, left: verdict.lost.length };
}

async function repeated(queue: Queue): Promise<boolean> {
  // Two processes that take in and answer: each delivery of Discord's reaches both by itself.
  const setups = queue === "redis" ? [{ redis: {} }, { redis: { roles: ["all", "all"] } } as const] : [{}];
  const clean: boolean[] = [];
  for (const setup of setups) {
    const { deliveries, ...verdict } = await repeatDeliveries({ times: 5, rounds: 3, ...setup });
    const roles = "redis" in setup && "roles" in setup.redis ? `, ${setup.redis.roles.join(" and ")}` : "";
    console.log(
      `repeated, ${queue}${roles}: ${deliveries} deliveries, each five times: ${describeVerdict(verdict)}\n`,
    );
    clean.push(isClean(verdict) && verdict.askedTwice.length === 0);
  }
  return clean.every(Boolean);
}

const ON_REDIS = { kills: 33, redis: { intakeKills: 8, redisKills: 6 } };

async function random(queue: Queue, runningQuestionListed: boolean): Promise<boolean> {
  const seed = Date.now() % 1_000_000;
  const more = queue === "redis" ? ON_REDIS : {};
  const result = await torture({ ...FULL, ...more, runningQuestionListed, seed });
  const { discord, slack, kills, takeovers, conversations, refusals, clockSpeed, seconds } = result;
  console.log(`random, ${queue} (seed ${seed}), running question ${listed(runningQuestionListed)}:`);
  console.table({
    discord: { ...countsOf(discord), "429s": refusals.discord },
    slack: { ...countsOf(slack), "429s": refusals.slack },
  });
  const killed = Object.entries(kills).map(([what, count]) => `${count} kills of ${what}`);
  const taken = queue === "redis" ? `, ${takeovers} takeovers` : "";
  console.log(
    `${killed.join(", ")}${taken}, ${conversations} conversations, the platforms' clock ${clockSpeed} times as fast, ${Math.round(seconds)} s`,
  );
  const verdicts = [discord, slack];
  const strays = [...new Set(verdicts.flatMap((verdict) => verdict.strays))].slice(0, 5);
  if (strays.length > 0) console.log("strays, e.g.", strays);
  const askedOnce = verdicts.every(({ askedTwice }) => askedTwice.length === 0);
  return verdicts.every((verdict) => isCleanOn(queue, verdict)) && (askedOnce || !runningQuestionListed);
}

/** Away for longer than an asker can wait, Redis may cost a question: its asker is told. */
function isCleanOn(queue: Queue, verdict: Verdict): boolean {
  return isClean(queue === "redis" ? { ...verdict, refused: [] } : verdict);
}

const OUTAGES: readonly Pick<OutageOptions, "redisIs" | "forMs">[] = [
  { redisIs: "restarted", forMs: 0 },
  { redisIs: "frozen", forMs: 12_000 },
  { redisIs: "gone", forMs: 30_000 },
];

async function outages(queue: Queue): Promise<boolean> {
  const rows: Record<string, Record<string, number>> = {};
  let clean = true;
  for (const outage of OUTAGES) {
    const result = await sufferOutage({ ...outage, perKind: 5, redis: {} });
    const { verdict, running, letGo, takeovers, seconds } = result;
    const name = outage.forMs === 0 ? outage.redisIs : `${outage.redisIs} ${outage.forMs / 1_000} s`;
    const facts = { running, "let go": letGo, "taken over": takeovers, seconds: Math.round(seconds) };
    rows[name] = { ...countsOf(verdict), ...facts };
    clean &&= isCleanOn(queue, verdict) && verdict.askedTwice.length === 0;
  }
  console.log("outages of Redis while turns run:");
  console.table(rows);
  return clean;
}

function countsOf({ turns, ...lists }: Verdict): Record<string, number> {
  const counts = Object.entries(lists).map(([name, list]): [string, number] => [name, list.length]);
  return { turns, ...Object.fromEntries(counts) };
}

async function scopes(): Promise<boolean> {
  const rows = await slackScopes();
  console.log("what a kill right after the call leaves behind in Slack, by what the app may read:");
  const scenes = Map.groupBy(rows, ({ scene }) => scene);
  const cell = ({ answered, orphans, marked }: ScopesRow): string =>
    `${answered ? "" : "NO ANSWER, "}${orphans}${marked > 0 ? ", in the log" : ""}`;
  console.table(
    Object.fromEntries(
      [...scenes].map(([scene, cells]) => [
        scene,
        Object.fromEntries(cells.map((row) => [row.rights, cell(row)])),
      ]),
    ),
  );
  return rows.every(({ rights, orphans, marked, answered }) => {
    const mayOrphan = rights === "no history scopes";
    return answered && orphans <= (mayOrphan ? 1 : 0) && (orphans === 0 || marked > 0);
  });
}

function listed(yes: boolean): string {
  return yes ? "listed" : "not listed";
}

type Part = (queue: Queue) => Promise<boolean>;

const PARTS: Readonly<Record<string, Partial<Record<Queue, Part>>>> = {
  repeated: { embedded: repeated, redis: repeated },
  offline: { embedded: offline },
  scopes: { embedded: scopes },
  points: { embedded: allPoints, redis: allPoints },
  random: { embedded: allRandom, redis: allRandom },
  outages: { redis: outages },
};

async function allPoints(queue: Queue): Promise<boolean> {
  return [await points(queue, true), await points(queue, false)].every(Boolean);
}

async function allRandom(queue: Queue): Promise<boolean> {
  return [await random(queue, true), await random(queue, false)].every(Boolean);
}

let good = true;
for (const queue of QUEUES) {
  for (const [name, part] of Object.entries(PARTS)) {
    if (only === undefined || only === name) good = ((await part[queue]?.(queue)) ?? true) && good;
  }
}
process.exitCode = good ? 0 : 1;
