import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Leases } from "../../src/core/ports.ts";
import { connectRedis } from "../../src/redis/redis-client.ts";
import { createRedisLeases } from "../../src/store/redis-leases.ts";
import { describeLeaseContract } from "../contract/lease-contract.ts";
import { makeTestLog } from "../queue/embedded.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";

/** So long that nothing here waits for it to run out. */
const LONG_MS = 300_000;
const SHORT_MS = 600;

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const signal = AbortSignal.timeout(120_000);

interface Member extends AsyncDisposable {
  readonly leases: Leases;
  readonly client: Redis;
}

/** One process' leases; its connection is its own. */
function join(prefix: string, leaseMs: number, url = redis.url): Member {
  const log = makeTestLog();
  const client = connectRedis(url, { log, name: "store", prefix, commandTimeoutMs: 1_000 });
  return {
    client,
    leases: createRedisLeases({ redis: client, prefix, log, leaseMs }),
    [Symbol.asyncDispose]: () => Promise.resolve(client.disconnect()),
  };
}

const newPrefix = (): string => `test-${randomUUID()}`;

describeLeaseContract("redis", () => Promise.resolve(join(newPrefix(), LONG_MS)));

it("gives it to one of many at once, to the others one after the other, and says once that they wait", async () => {
  const prefix = newPrefix();
  await using stack = new AsyncDisposableStack();
  const members = [1, 2, 3].map(() => stack.use(join(prefix, LONG_MS)));
  let [holders, most, told] = [0, 0, 0];
  const onTaken = (): void => {
    told += 1;
  };
  const take = async ({ leases }: Member): Promise<void> => {
    await using _lease = await leases.acquire("a", { signal, onTaken });
    holders += 1;
    most = Math.max(most, holders);
    // The first keeps it until the others have asked.
    await expect.poll(() => told).toBe(2);
    holders -= 1;
  };
  await Promise.all(members.map(take));
  expect({ holders, most, told }).toEqual({ holders: 0, most: 1, told: 2 });
});

it("is renewed while it is held", async () => {
  const prefix = newPrefix();
  await using holder = join(prefix, 4_000);
  await using lease = await holder.leases.acquire("a", { signal });
  let least = Number.POSITIVE_INFINITY;
  const gained = async (): Promise<number> => {
    const leftMs = await holder.client.pttl(`{${prefix}}:lease:a`);
    least = Math.min(least, leftMs);
    return leftMs - least;
  };
  await expect.poll(gained, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(lease.lost.aborted).toBe(false);
});

it("goes to the next when its holder is cut off, who is told before", async () => {
  const prefix = newPrefix();
  await using holder = join(prefix, SHORT_MS);
  await using next = join(prefix, SHORT_MS);
  const events: string[] = [];
  const lease = await holder.leases.acquire("a", { signal });
  lease.lost.addEventListener("abort", () => void events.push("lost"));
  const acquiring = next.leases.acquire("a", { signal, onTaken: () => holder.client.disconnect() });
  await using taken = await acquiring;
  events.push("taken over");
  expect(events).toEqual(["lost", "taken over"]);
  await lease[Symbol.asyncDispose]();
  expect(taken.lost.aborted).toBe(false);
});

it("is lost once somebody else has it, who keeps it when it is given back late", async () => {
  const prefix = newPrefix();
  await using holder = join(prefix, 2_000);
  const lease = await holder.leases.acquire("a", { signal });
  await holder.client.set(`{${prefix}}:lease:a`, "another");
  await once(lease.lost, "abort");
  await lease[Symbol.asyncDispose]();
  expect(await holder.client.get(`{${prefix}}:lease:a`)).toBe("another");
});

it("takes nothing from the next when it is given back before its loss was noticed", async () => {
  const prefix = newPrefix();
  await using holder = join(prefix, LONG_MS);
  const lease = await holder.leases.acquire("a", { signal });
  await holder.client.set(`{${prefix}}:lease:a`, "another");
  await lease[Symbol.asyncDispose]();
  expect(await holder.client.get(`{${prefix}}:lease:a`)).toBe("another");
});

it("is given again to the process that has it: its answer may be lost on the way", async () => {
  await using holder = join(newPrefix(), LONG_MS);
  await using _lease = await holder.leases.acquire("a", { signal });
  const onTaken = (): void => expect.unreachable("it is ours");
  await using _again = await holder.leases.acquire("a", { signal, onTaken });
});

it("is lost while Redis is away, and to be had again once it is back", async () => {
  await using server = await startRedis();
  await using holder = join(newPrefix(), SHORT_MS, server.url);
  const lease = await holder.leases.acquire("a", { signal });
  await server.kill();
  await once(lease.lost, "abort");
  const acquiring = holder.leases.acquire("a", { signal });
  await server.restart();
  await using _again = await acquiring;
});

it("is had by one process after Redis stood still for longer than it lasts", async () => {
  await using server = await startRedis();
  const prefix = newPrefix();
  await using one = join(prefix, SHORT_MS, server.url);
  await using other = join(prefix, SHORT_MS, server.url);
  const lease = await one.leases.acquire("a", { signal });
  server.freeze();
  await once(lease.lost, "abort");
  const leaving = new AbortController();
  const acquire = ({ leases }: Member) => leases.acquire("a", { signal: leaving.signal });
  const acquiring = [acquire(one), acquire(other)];
  server.thaw();
  await using _first = await Promise.any(acquiring);
  leaving.abort(new Error("left"));
  const results = await Promise.allSettled(acquiring);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

it("is left by who stops waiting, for the next one", async () => {
  const prefix = newPrefix();
  await using holder = join(prefix, LONG_MS);
  await using waiting = join(prefix, LONG_MS);
  const lease = await holder.leases.acquire("a", { signal });
  const leaving = new AbortController();
  const onTaken = (): void => leaving.abort(new Error("left"));
  const gone = waiting.leases.acquire("a", { signal: leaving.signal, onTaken });
  await expect(gone).rejects.toThrow("left");
  await lease[Symbol.asyncDispose]();
  await using _again = await waiting.leases.acquire("a", { signal });
});
