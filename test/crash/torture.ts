import { setTimeout as sleep } from "node:timers/promises";
import type { Member, RedisSetup } from "../e2e/bridge-under-test.ts";
import { Arena, type Lane, type LaneKind } from "./arena.ts";
import { judge, type Verdict } from "./judge.ts";

export interface TortureOptions {
  readonly turns: number;
  /** By kind, how many conversations. */
  readonly lanes: Readonly<Partial<Record<LaneKind, number>>>;
  /** SIGKILLs of the bridge; on Redis of its workers, one at a time. */
  readonly kills: number;
  /** On Redis the intake and Redis itself are killed, too. */
  readonly redis?: RedisSetup & { readonly intakeKills: number; readonly redisKills: number };
  /** Time between a start and the next kill, in ms, evenly spread. */
  readonly lifeMs: readonly [min: number, max: number];
  /** All questions are asked within this time, in ms. */
  readonly askingMs: number;
  readonly runningQuestionListed: boolean;
  readonly clockSpeed: number;
  /** The same seed asks and kills alike. */
  readonly seed: number;
}

export interface TortureResult {
  readonly discord: Verdict;
  readonly slack: Verdict;
  /** By what was killed. */
  readonly kills: Readonly<Record<string, number>>;
  /** Starts of turns that had been started before. */
  readonly takeovers: number;
  readonly conversations: number;
  readonly refusals: Arena["refusals"];
  readonly clockSpeed: number;
  readonly seconds: number;
}

/** Lengths of answers: mostly short, some over several Discord messages, the longest ends there as a file. */
const WORDS = [5, 20, 60, 120, 400, 900];

/**
 * Many people ask in many conversations while the bridge is killed again and again; then everything is judged. All of
 * Slack's conversations share one workspace, so its limits: on the platforms' clock the whole takes over an hour.
 */
export async function torture(options: TortureOptions): Promise<TortureResult> {
  const random = randomFrom(options.seed);
  const begun = performance.now();
  await using arena = await Arena.open({
    runningQuestionListed: options.runningQuestionListed,
    clockSpeed: options.clockSpeed,
    // A quarter of an hour of the machine: it starts no faster.
    env: { CATCHUP_WINDOW: `${15 * options.clockSpeed}m` },
    ...(options.redis && { redis: options.redis }),
  });
  const lanes = (Object.entries(options.lanes) as [LaneKind, number][]).flatMap(([kind, count]) =>
    Array.from({ length: count }, () => arena.lane(kind)),
  );
  // Only where somebody has asked before is looked through for what was missed.
  await arena.settle(lanes.map((lane) => arena.ask(lane, 5)));
  const [kills] = await Promise.all([killAll(arena, options, random), askAll(arena, lanes, options, random)]);
  await arena.settle();
  // What a start after the last turn may still do belongs to it: nobody may see anything of it.
  await arena.bridge.killAndRestart();
  const last = lanes.map((lane) => arena.ask(lane, 5));
  await arena.settle(last);
  const on = (platform: string): Verdict =>
    judge(arena.history(arena.turns.filter(({ lane }) => lane.startsWith(platform))));
  return {
    discord: on("discord"),
    slack: on("slack"),
    kills,
    takeovers: arena.bridge.logged(TAKEN_OVER),
    conversations: lanes.length,
    refusals: arena.refusals,
    clockSpeed: arena.clockSpeed,
    seconds: (performance.now() - begun) / 1000,
  };
}

/** What the log says of each turn that a worker, another one mostly, goes on with. */
export const TAKEN_OVER: RegExp = /"start":(?!1\b)\d+[^\n]*"msg":"turn started"/;

async function killAll(
  { bridge }: Arena,
  { kills, redis, lifeMs }: TortureOptions,
  random: () => number,
): Promise<TortureResult["kills"]> {
  const again = async (times: number, kill: () => Promise<void>): Promise<void> => {
    // Spread over the same time as the most frequent.
    const [min, max] = lifeMs.map((ms) => (ms * kills) / times) as [number, number];
    for (let time = 0; time < times; time += 1) {
      await sleep(min + random() * (max - min));
      await kill();
    }
  };
  if (redis === undefined) {
    await again(kills, () => bridge.killAndRestart());
    return { bridge: kills };
  }
  const { intakeKills, redisKills } = redis;
  const [intake, ...workers] = bridge.members;
  const restart = async (member: Member | undefined): Promise<void> => {
    await member?.kill();
    await member?.start();
  };
  await Promise.all([
    again(kills, () => restart(workers[Math.floor(random() * workers.length)])),
    again(intakeKills, () => restart(intake)),
    again(redisKills, async () => bridge.redis?.restart()),
  ]);
  return { workers: kills, intake: intakeKills, Redis: redisKills };
}

async function askAll(
  arena: Arena,
  lanes: readonly Lane[],
  { turns, askingMs }: TortureOptions,
  random: () => number,
): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    const lane = lanes[Math.floor(random() * lanes.length)];
    const words = WORDS[Math.floor(random() ** 2 * WORDS.length)];
    if (lane !== undefined) arena.ask(lane, words ?? 5);
    await sleep((askingMs / turns) * 2 * random());
  }
}

/** A small generator of numbers in [0, 1) (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
