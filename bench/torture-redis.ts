/**
 * The long run of `test/queue/redis-torture.slow.test.ts`, with the lease of production: workers killed at random,
 * Redis killed, frozen and gone meanwhile. Ends with 1 when anything was lost, swapped or doubled.
 *
 * Run: `node bench/torture-redis.ts [turns]`, default 1,500; about four minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { torture } from "../test/queue/redis-torture.ts";
import { startRedis, type TestRedis } from "../test/redis-server.ts";

const LEASE_MS = 10_000;
const { positionals } = parseArgs({ allowPositionals: true });
const turns = Number(positionals[0] ?? 1_500);

const scenes: Record<string, (redis: TestRedis) => Promise<void>> = {
  "workers killed": async () => {},
  "Redis killed 9 times": async (redis) => {
    for (let count = 0; count < 9; count += 1) {
      await sleep(4_000);
      await redis.restart();
    }
  },
  "Redis frozen 12 s": async (redis) => {
    await sleep(5_000);
    redis.freeze();
    await sleep(12_000);
    redis.thaw();
  },
  "Redis gone 30 s": async (redis) => {
    await sleep(5_000);
    await redis.kill();
    await sleep(30_000);
    await redis.restart();
  },
};

const rows: Record<string, object> = {};
for (const [name, meanwhile] of Object.entries(scenes)) {
  await using redis = await startRedis();
  const begin = performance.now();
  const report = await torture({
    ...{ url: redis.url, leaseMs: LEASE_MS, turns, lanes: 100, workers: 3, stepMs: 100 },
    ...{ kills: 20, killEveryMs: 2_000, limitMs: 180_000, meanwhile: () => meanwhile(redis) },
  });
  rows[name] = { ...report, seconds: Math.round((performance.now() - begin) / 1_000) };
  if (report.lost + report.outOfOrder + report.atOnce + report.lostCheckpoints > 0) process.exitCode = 1;
}
console.table(rows);
