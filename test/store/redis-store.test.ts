import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connectRedis } from "../../src/queue/redis-client.ts";
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

function openStoreOn(server: TestRedis, commandTimeoutMs: number): ReturnType<typeof createRedisStore> {
  const redis = connectRedis(server.url, {
    log: makeTestLog(),
    name: "store",
    prefix: "p",
    commandTimeoutMs,
  });
  return createRedisStore({ redis, prefix: "p" });
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
