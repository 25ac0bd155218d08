import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { startRedis } from "../redis-server.ts";
import { type TortureOptions, type TortureReport, torture } from "./redis-torture.ts";

/** The shape of the full run (`bench/torture-redis.ts`) with a tenth of its lease. */
const LEASE_MS = 1_000;
const SMALL = { leaseMs: LEASE_MS, workers: 3, lanes: 40, turns: 400, stepMs: 60, limitMs: 60_000 };
const SOUND = { lost: 0, outOfOrder: 0, atOnce: 0, lostCheckpoints: 0 };

it("loses, swaps and doubles nothing while its workers are killed at random", async () => {
  await using redis = await startRedis();
  const report = await play({ ...SMALL, url: redis.url, kills: 12, killEveryMs: 400 });
  expect(report).toMatchObject({ ...SOUND, kills: 12 });
  expect(report.startedAgain).toBeGreaterThan(0);
});

it("loses nothing when Redis itself is killed, with its append-only file, and comes back", async () => {
  await using redis = await startRedis();
  const meanwhile = async (): Promise<void> => {
    for (let count = 0; count < 4; count += 1) {
      await sleep(600);
      await redis.restart();
    }
  };
  const report = await play({ ...SMALL, url: redis.url, kills: 4, killEveryMs: 700, meanwhile });
  expect(report).toMatchObject(SOUND);
});

it("loses nothing when Redis is frozen for longer than the lease", async () => {
  await using redis = await startRedis();
  const meanwhile = async (): Promise<void> => {
    await sleep(800);
    redis.freeze();
    await sleep(LEASE_MS * 1.2);
    redis.thaw();
  };
  expect(await play({ ...SMALL, url: redis.url, kills: 2, killEveryMs: 1_200, meanwhile })).toMatchObject(
    SOUND,
  );
});

it("loses nothing when Redis is gone for three leases", async () => {
  await using redis = await startRedis();
  const meanwhile = async (): Promise<void> => {
    await sleep(800);
    await redis.kill();
    await sleep(LEASE_MS * 3);
    await redis.restart();
  };
  expect(await play({ ...SMALL, url: redis.url, kills: 2, killEveryMs: 1_200, meanwhile })).toMatchObject(
    SOUND,
  );
});

/** Plays it, and prints its counts among the test's output. */
async function play(options: TortureOptions): Promise<TortureReport> {
  const report = await torture(options);
  process.stdout.write(`torture, ${options.turns} turns: ${JSON.stringify(report)}\n`);
  return report;
}
