import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, type ExpectStatic, it } from "vitest";
import { openBullmqQueue } from "../../src/queue/bullmq-queue.ts";
import { aNewTurn } from "../contract/queue-contract.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";
import { type ProcessLine, startBridgeProcess } from "./bridge-process.ts";
import { makeTestLog } from "./embedded.ts";
import { judgeLines } from "./judge-lines.ts";

const LEASE_MS = 1_000;
const KEYS = ["a:1", "a:2", "b:1"];

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

/** Where a worker dies (docs/reference/queue.md §3, crash table): script, before or after, which use of it. */
const WORKER_POINTS: readonly (readonly [string, string, "before" | "after", number])[] = [
  ["BullMQ gave it the conversation, before it takes the turn", "tqBegin", "before", 1],
  ["it took the turn, before its first effect", "tqBegin", "after", 1],
  ["an effect is done, before its checkpoint", "tqSave", "before", 2],
  ["the checkpoint is written", "tqSave", "after", 2],
  ["the handler has ended, before that is recorded", "tqFinish", "before", 1],
  ["the end is recorded, before its conversation goes behind the others", "tqFinish", "after", 2],
  ["its conversation is behind the others", "retryJob", "after", 1],
  ["before BullMQ ends the job", "moveToFinished", "before", 1],
  ["BullMQ ended the job", "moveToFinished", "after", 1],
  ["the turn wants another try, before that is recorded", "tqRelease", "before", 1],
  ["the turn is released, before its conversation is parked", "tqRelease", "after", 1],
  ["the conversation is parked", "moveToDelayed", "after", 1],
];

/** Where an intake dies. */
const INTAKE_POINTS: readonly (readonly [string, string, "before" | "after", number])[] = [
  ["nothing is written", "tqEnqueue", "before", 2],
  ["the turn is written, its bell perhaps not", "tqEnqueue", "after", 2],
  ["the turn is written, before its bell", "addStandardJob", "before", 2],
  ["turn and bell are written, before the platform hears of it", "addStandardJob", "after", 2],
];

describe.concurrent("a process that is killed", () => {
  it.for(WORKER_POINTS)(
    "answers everything once and in order when its worker dies: %s",
    async ([_what, script, when, nth], { expect }) => {
      const scene = { url: redis.url, prefix: `kill-${randomUUID()}`, leaseMs: LEASE_MS };
      await deliver(scene);
      const lines: ProcessLine[] = [];
      await using doomed = startBridgeProcess(
        { ...scene, retry: ["a:1"], crash: { script, when, nth } },
        lines,
      );
      expect(await doomed.ended).toBe("SIGKILL");
      await finishAndJudge(scene, lines, doomed.pid, expect);
    },
  );

  it.for(INTAKE_POINTS)(
    "takes what the platform repeats as the same turn when its intake dies: %s",
    async ([_what, script, when, nth], { expect }) => {
      const scene = { url: redis.url, prefix: `kill-${randomUUID()}`, leaseMs: LEASE_MS };
      const lines: ProcessLine[] = [];
      await using doomed = startBridgeProcess(
        { ...scene, deliver: KEYS, crash: { script, when, nth } },
        lines,
      );
      expect(await doomed.ended).toBe("SIGKILL");
      expect(lines.map(({ what, key }) => `${what} ${key}`)).toEqual(["accepted a:1"]);
      await deliver(scene);
      await finishAndJudge(scene, lines, doomed.pid, expect);
    },
  );
});

type Scene = { readonly url: string; readonly prefix: string; readonly leaseMs: number };

async function deliver(scene: Scene): Promise<void> {
  await using queue = await openBullmqQueue({ ...scene, log: makeTestLog() });
  for (const key of KEYS) await queue.enqueue(aNewTurn(key));
}

async function finishAndJudge(
  scene: Scene,
  lines: ProcessLine[],
  killed: number,
  expect: ExpectStatic,
): Promise<void> {
  const killedAt = new Map([[killed, Number(process.hrtime.bigint() / 1_000n)]]);
  await using queue = await openBullmqQueue({ ...scene, log: makeTestLog() });
  await using _next = startBridgeProcess({ ...scene, retry: ["a:1"] }, lines);
  const depth = async (): Promise<number> => (await queue.stats()).depth;
  await expect.poll(depth).toBe(0);
  const report = judgeLines(KEYS, lines, killedAt);
  expect(report).toMatchObject({ lost: 0, outOfOrder: 0, atOnce: 0, lostCheckpoints: 0 });
  // The one window that no queue closes: the handler has ended, and that is not recorded yet.
  expect(report.endedAgain).toBeLessThanOrEqual(1);
  expect(await queue.dead()).toEqual([]);
}
