import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TurnQueue } from "../../src/core/ports.ts";
import { openBullmqQueue } from "../../src/queue/bullmq-queue.ts";
import { aNewTurn } from "../contract/queue-contract.ts";
import { type BridgeProcess, type ProcessLine, startBridgeProcess } from "./bridge-process.ts";
import { makeTestLog } from "./embedded.ts";

export interface TortureOptions {
  readonly url: string;
  readonly leaseMs: number;
  readonly turns: number;
  readonly lanes: number;
  readonly workers: number;
  readonly stepMs: number;
  /** SIGKILLs of workers, spread over the run at random. */
  readonly kills: number;
  readonly killEveryMs: number;
  /** What else is done to it meanwhile. */
  readonly meanwhile?: () => Promise<void>;
  /** Longest run, in ms. */
  readonly limitMs: number;
}

/** What went wrong, counted; all but the last three must be 0. */
export interface TortureReport {
  /** Accepted turns whose handler never came to its end. */
  readonly lost: number;
  /** Starts before an earlier turn of the conversation had ended. */
  readonly outOfOrder: number;
  /** Starts while the same conversation was running somewhere else. */
  readonly atOnce: number;
  /** Starts with an older checkpoint than the last that was confirmed. */
  readonly lostCheckpoints: number;
  /** Ends beyond the first: the process died, or lost its lease, before that was recorded. */
  readonly endedAgain: number;
  /** Starts beyond the first. */
  readonly startedAgain: number;
  readonly kills: number;
}

/** Runs turns over real worker processes that are killed, and judges what the outside saw. */
export async function torture(options: TortureOptions): Promise<TortureReport> {
  const scene = { url: options.url, prefix: `torture-${randomUUID()}`, leaseMs: options.leaseMs };
  const lines: ProcessLine[] = [];
  const killedAt = new Map<number, number>();
  const keys = Array.from(
    { length: options.turns },
    (_, index) => `lane${index % options.lanes}:${Math.floor(index / options.lanes)}`,
  );
  const start = (): BridgeProcess =>
    startBridgeProcess({ ...scene, concurrency: 10, stepMs: options.stepMs }, lines);
  const workers = Array.from({ length: options.workers }, start);
  try {
    await Promise.all(workers.map(({ ready }) => ready));
    await using queue = await openBullmqQueue({ ...scene, log: makeTestLog() });
    await Promise.all([
      deliver(queue, keys, options),
      killSome(workers, start, options, killedAt),
      options.meanwhile?.(),
    ]);
    await waitUntilEmpty(queue, options.limitMs);
  } finally {
    await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()));
  }
  return judgeTorture(keys, lines, killedAt);
}

/** Spread over the time of the kills, so that there is always something to break. */
async function deliver(queue: TurnQueue, keys: readonly string[], options: TortureOptions): Promise<void> {
  const gapMs = (options.kills * options.killEveryMs) / Math.max(1, keys.length);
  const startedAt = performance.now();
  for (const [index, key] of keys.entries()) {
    const waitMs = index * gapMs - (performance.now() - startedAt);
    if (waitMs > 5) await sleep(waitMs);
    await queue.enqueue(aNewTurn(key));
  }
}

async function killSome(
  workers: BridgeProcess[],
  start: () => BridgeProcess,
  { kills, killEveryMs }: TortureOptions,
  killedAt: Map<number, number>,
): Promise<void> {
  for (let count = 0; count < kills; count += 1) {
    await sleep(killEveryMs * (0.5 + Math.random()));
    const index = Math.floor(Math.random() * workers.length);
    const victim = workers[index];
    if (victim === undefined) throw new Error("no worker to kill");
    await victim.kill();
    killedAt.set(victim.pid, Number(process.hrtime.bigint() / 1_000n));
    workers[index] = start();
  }
}

async function waitUntilEmpty(queue: TurnQueue, limitMs: number): Promise<void> {
  const until = performance.now() + limitMs;
  for (;;) {
    // While Redis is away there is no answer; the limit is what counts.
    const depth = await queue.stats().then(
      (stats) => stats.depth,
      () => -1,
    );
    if (depth === 0) return;
    if (performance.now() > until) throw new Error(`${depth} turns are left after ${limitMs} ms`);
    await sleep(50);
  }
}

/**
 * Judges what processes told.
 *
 * @param killedAt - By process id, on the clock of the lines: what still ran there ended then.
 */
export function judgeTorture(
  keys: readonly string[],
  lines: readonly ProcessLine[],
  killedAt: ReadonlyMap<number, number>,
): TortureReport {
  const inOrder = lines.toSorted((one, other) => one.at - other.at);
  const done = new Map<string, number>();
  const saved = new Map<string, number>();
  /** Who runs a conversation now. */
  const running = new Map<string, number>();
  const report = { lost: 0, outOfOrder: 0, atOnce: 0, lostCheckpoints: 0, endedAgain: 0, startedAgain: 0 };
  for (const { what, key, step, start, process, at } of inOrder) {
    const [lane = "", number = ""] = key.split(":");
    if (what === "start") {
      const holder = running.get(lane);
      if (holder !== undefined && (killedAt.get(holder) ?? Number.POSITIVE_INFINITY) > at) report.atOnce += 1;
      running.set(lane, process);
      const before = keys.filter((one) => one.startsWith(`${lane}:`) && Number(one.split(":")[1]) < +number);
      if (before.some((one) => !done.has(one))) report.outOfOrder += 1;
      if (step < (saved.get(key) ?? 0)) report.lostCheckpoints += 1;
      if (start > 1) report.startedAgain += 1;
    } else if (what === "saved") {
      saved.set(key, Math.max(step, saved.get(key) ?? 0));
    } else if (what === "done") {
      if (done.has(key)) report.endedAgain += 1;
      done.set(key, at);
    } else if (what === "left" && running.get(lane) === process) {
      running.delete(lane);
    }
  }
  return { ...report, lost: keys.filter((key) => !done.has(key)).length, kills: killedAt.size };
}
