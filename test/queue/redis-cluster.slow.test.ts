import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBullmqQueue } from "../../src/queue/bullmq-queue.ts";
import { connectRedis } from "../../src/redis/redis-client.ts";
import { createRedisStore } from "../../src/store/redis-store.ts";
import { aNewTurn, describeQueueContract } from "../contract/queue-contract.ts";
import { describeStoreContract } from "../contract/store-contract.ts";
import { startCluster, type TestCluster } from "../redis-cluster.ts";
import type { TestRedis } from "../redis-server.ts";
import { makeTestLog } from "./embedded.ts";
import { startBullmqBackend } from "./on-redis.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

const urlOf = (index: number): string => nodeAt(index).url;

function nodeAt(index: number): TestRedis {
  const node = cluster.nodes[index];
  if (node === undefined) throw new Error("no such node");
  return node;
}

function openStore(url: string, prefix: string) {
  const redis = connectRedis(url, { log: makeTestLog(), name: "store", prefix, commandTimeoutMs: 10_000 });
  return createRedisStore({ redis, prefix });
}

// Each backend has a prefix of its own, so most of them find their keys on another node than the one they are told.
describeQueueContract("bullmq on a Cluster", () => startBullmqBackend(urlOf(0)));

describeStoreContract("redis on a Cluster", async () => {
  const prefix = `test-${randomUUID()}`;
  let store = openStore(urlOf(1), prefix);
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      store = openStore(urlOf(2), prefix);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});

/** A prefix whose keys are not on a node. */
async function prefixAwayFrom(node: TestRedis): Promise<string> {
  for (;;) {
    const prefix = `test-${randomUUID()}`;
    if ((await cluster.ownerOf(`{${prefix}}:`)) !== node) return prefix;
  }
}

it("follows its keys to another node, with what waits, what comes, and what is listed", async () => {
  const prefix = `test-${randomUUID()}`;
  await using store = openStore(urlOf(0), prefix);
  await using queue = await openBullmqQueue({ url: urlOf(0), prefix, log: makeTestLog() });
  await store.set("s", "a", 1);
  await queue.enqueue(aNewTurn("a:1"));
  const owner = await cluster.ownerOf(`{${prefix}}:`);
  const next = cluster.nodes.find((node) => node !== owner);
  if (next === undefined) throw new Error("there are three");
  await cluster.move(`{${prefix}}:`, next);
  await store.set("s", "b", 2);
  expect(await Array.fromAsync(store.list("s"))).toEqual(
    expect.arrayContaining([
      ["a", 1],
      ["b", 2],
    ]),
  );
  await queue.enqueue(aNewTurn("a:2"));
  const answered: string[] = [];
  await queue.work(async (run) => void answered.push(...run.turns.map(({ key }) => key)), { concurrency: 1 });
  await expect.poll(() => answered, { timeout: 30_000 }).toEqual(["a:1", "a:2"]);
});

it("lists what is there at once, though it is told another node", async () => {
  const prefix = await prefixAwayFrom(nodeAt(0));
  await using first = openStore(urlOf(0), prefix);
  await first.set("s", "a", 1);
  await using second = openStore(urlOf(0), prefix);
  expect(await Array.fromAsync(second.list("s"))).toEqual([["a", 1]]);
});

it("comes back by another node when the one it was told is gone", async () => {
  await using own = await startCluster();
  const [seed] = own.nodes;
  if (seed === undefined) throw new Error("there are three");
  let prefix = "";
  do {
    prefix = `test-${randomUUID()}`;
  } while ((await own.ownerOf(`{${prefix}}:`)) === seed);
  const owner = await own.ownerOf(`{${prefix}}:`);
  await using store = openStore(seed.url, prefix);
  await store.set("s", "a", 1);
  await seed.kill();
  await own.hangUp(owner);
  await expect.poll(() => store.get("s", "a").catch(() => "away"), { timeout: 30_000 }).toBe(1);
});
