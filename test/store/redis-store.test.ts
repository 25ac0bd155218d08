import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectRedis } from "../../src/redis/redis-client.ts";
import { createRedisStore } from "../../src/store/redis-store.ts";
import { describeStoreContract, type StoreBackend } from "../contract/store-contract.ts";
import { makeTestLog } from "../queue/embedded.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

describeStoreContract("redis", startRedisBackend);

it("keeps apart what two bridges on one Redis store, whatever their names hold", async () => {
  await using first = await startRedisBackend();
  await using second = await startRedisBackend();
  await first.store.set("sp*ce", "k", 1);
  await first.store.set("space", "k", 2);
  expect(await second.store.get("sp*ce", "k")).toBeUndefined();
  expect(await Array.fromAsync(first.store.list("sp*ce"))).toEqual([["k", 1]]);
  expect(await Array.fromAsync(second.store.list("space"))).toEqual([]);
});

it("says that Redis is away, instead of waiting for it", async () => {
  await using server = await startRedis();
  await using store = openStoreOn(server, 200);
  await store.set("s", "k", 1);
  await server.kill();
  await expect(store.get("s", "k")).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE", retryable: true });
  await server.restart();
  await expect.poll(() => store.get("s", "k").catch(() => "away")).toBe(1);
});

it("does not go on with a list in another Redis, which would leave keys out", async () => {
  await using server = await startRedis({ aof: true });
  await using store = openStoreOn(server, 5_000);
  await Promise.all(Array.from({ length: 2_000 }, (_, index) => store.set("s", `${index}`, index)));
  const list = store.list("s")[Symbol.asyncIterator]();
  await list.next();
  await server.restart();
  const rest = async (): Promise<void> => {
    while ((await list.next()).done !== true);
  };
  await expect(rest()).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE", retryable: true });
  expect(await Array.fromAsync(store.list("s"))).toHaveLength(2_000);
});

describe("a value that vouches for something else", () => {
  const settledMs = 400;
  const vouches = { vouches: true };

  it("is written when that can be lost no more, and is read by its writer at once", async () => {
    await using server = await startRedis();
    await using store = openStoreOn(server, 1_000, settledMs);
    await using other = openStoreOn(server, 1_000);
    await store.set("s", "k", 1);
    expect(await other.get("s", "k")).toBe(1);
    await store.set("s", "k", 2, vouches);
    expect([await store.get("s", "k"), await other.get("s", "k")]).toEqual([2, 1]);
    expect(await Array.fromAsync(store.list("s"))).toEqual([["k", 2]]);
    await expect.poll(() => other.get("s", "k")).toBe(2);
  });

  it("is not written soon after Redis was away, which may have lost something", async () => {
    await using server = await startRedis();
    await using store = openStoreOn(server, 1_000, settledMs);
    await using other = openStoreOn(server, 1_000);
    await store.set("s", "k", 1, vouches);
    await server.kill();
    await sleep(settledMs);
    await server.restart();
    const backAt = performance.now();
    await expect.poll(() => other.get("s", "k").catch(() => "away")).toBe(1);
    expect(performance.now() - backAt).toBeGreaterThan(settledMs / 2);
  });

  it("gives way to what is written or deleted after it", async () => {
    await using server = await startRedis();
    await using store = openStoreOn(server, 1_000, settledMs);
    await store.set("s", "written", 1, vouches);
    await store.set("s", "written", 2);
    await store.set("s", "deleted", 1, vouches);
    expect(await store.delete("s", "deleted")).toBe(true);
    await sleep(2 * settledMs);
    expect(await Array.fromAsync(store.list("s"))).toEqual([["written", 2]]);
  });

  it("is written at the end", async () => {
    await using server = await startRedis();
    {
      await using store = openStoreOn(server, 1_000, 50);
      // Redis has to be there for so long, from when its connection stands.
      await store.get("s", "k");
      await sleep(60);
      await store.set("s", "k", 1, vouches);
    }
    await using other = openStoreOn(server, 1_000);
    expect(await other.get("s", "k")).toBe(1);
  });
});

function openStoreOn(
  server: TestRedis,
  commandTimeoutMs: number,
  settledMs?: number,
): ReturnType<typeof createRedisStore> {
  const redis = connectRedis(server.url, {
    log: makeTestLog(),
    name: "store",
    prefix: "p",
    commandTimeoutMs,
  });
  return createRedisStore({ redis, prefix: "p", ...(settledMs !== undefined && { settledMs }) });
}

async function startRedisBackend(): Promise<StoreBackend> {
  const prefix = `test-${randomUUID()}`;
  const open = () =>
    createRedisStore({
      redis: connectRedis(redis.url, { log: makeTestLog(), name: "store", prefix, commandTimeoutMs: 5_000 }),
      prefix,
    });
  let store = open();
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      store = open();
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
