import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RetryLater, type Run, type TurnQueue } from "../../src/core/ports.ts";
import { type BullmqQueueOptions, openBullmqQueue } from "../../src/queue/bullmq-queue.ts";
import { memoryShare, parseInfo } from "../../src/queue/redis-health.ts";
import { type ConnectRedis, connectRedis } from "../../src/redis/redis-client.ts";
import { aNewTurn } from "../contract/queue-contract.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";
import { makeTestLog } from "./embedded.ts";
import { openCuttable, TEST_LEASE_MS } from "./on-redis.ts";
import { SlowLink } from "./slow-link.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

let redis: TestRedis;
/** A plain client, to look behind the queue's back. */
let raw: Redis;
beforeAll(async () => {
  redis = await startRedis();
  raw = new Redis(redis.url);
});
afterAll(async () => {
  raw.disconnect();
  await redis[Symbol.asyncDispose]();
});

it("knows a finished turn for a day after it was accepted, and an unfinished one for as long as it takes", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  await queue.enqueue(aNewTurn("a:1"));
  expect(await raw.pttl(`{${prefix}}:dup:a:1`)).toBe(-1);
  await queue.work(async () => {}, { concurrency: 1 });
  await expect.poll(async () => (await queue.stats()).depth).toBe(0);
  const leftMs = await raw.pttl(`{${prefix}}:dup:a:1`);
  expect(leftMs).toBeGreaterThan(DAY_MS - 60_000);
  expect(leftMs).toBeLessThanOrEqual(DAY_MS);
});

it("forgets a key at the end of a turn whose window is over by then", async () => {
  const { queue, prefix, ...scene } = await startScene({ dedupeMs: 1 });
  await using _scene = scene;
  await queue.enqueue(aNewTurn("a:1"));
  expect((await queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
  await queue.work(async () => {}, { concurrency: 1 });
  await expect.poll(async () => (await queue.stats()).depth).toBe(0);
  expect(await raw.exists(`{${prefix}}:dup:a:1`)).toBe(0);
});

it("leaves nothing behind but the keys it must remember", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  const consumer = await queue.work(async (run) => run.save({ step: 1 }), { concurrency: 5 });
  await Promise.all(["a:1", "a:2", "b:1"].map((key) => queue.enqueue(aNewTurn(key))));
  await expect.poll(async () => (await queue.stats()).depth).toBe(0);
  await consumer.stop("drain");
  const keys = (await raw.keys(`{${prefix}}:*`)).map((key) => key.slice(prefix.length + 3)).toSorted();
  const ours = keys.filter((key) => !key.startsWith("turns:"));
  expect(ours).toEqual(["dup:a:1", "dup:a:2", "dup:b:1", "seq"]);
  expect(keys.filter((key) => /^turns:(\d+|de:)/.test(key))).toEqual([]);
});

it("keeps all keys in one slot, so that a Cluster takes them", async () => {
  await using cluster = await startRedis({ args: ["--cluster-enabled", "yes"] });
  const admin = new Redis(cluster.url);
  await admin.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  const info = (): Promise<unknown> => admin.call("CLUSTER", "INFO");
  await expect.poll(info).toContain("cluster_state:ok");
  admin.disconnect();
  const { queue, ...scene } = await startScene({ url: cluster.url });
  await using _scene = scene;
  let tries = 0;
  await queue.work(
    async (run) => {
      tries += 1;
      await run.save(tries);
      if (tries === 1) throw new RetryLater({ afterMs: 0 });
      if (tries === 2) throw new Error("no");
    },
    { concurrency: 1 },
  );
  const { id } = await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(async () => (await queue.dead()).length).toBe(1);
  expect(await queue.requeue(id)).toBe(true);
  await expect.poll(async () => (await queue.stats()).depth).toBe(0);
  expect(await queue.cancel(id)).toBe(false);
});

it("finds the turns again when all of BullMQ's keys are gone", async () => {
  const { queue, prefix, ...scene } = await startScene();
  {
    await using _scene = scene;
    for (let lane = 0; lane < 450; lane += 1) await queue.enqueue(aNewTurn(`lane${lane}:1`));
  }
  const bells = await raw.keys(`{${prefix}}:turns:*`);
  expect(bells.length).toBeGreaterThan(450);
  await raw.del(bells);
  const { queue: next, ...again } = await startScene({ prefix });
  await using _again = again;
  await next.work(async () => {}, { concurrency: 50 });
  await expect.poll(async () => (await next.stats()).depth).toBe(0);
});

it("starts what was accepted without a bell together with the conversation's next turn", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  await queue.enqueue(aNewTurn("a:1"));
  await raw.del(await raw.keys(`{${prefix}}:turns:*`));
  const seen = await record(queue);
  await queue.enqueue(aNewTurn("a:2"));
  await expect.poll(() => seen).toEqual(["a:1", "a:2"]);
});

it("cancels, pauses and hands over between processes, within moments", async () => {
  const { queue: intake, prefix, ...first } = await startScene();
  await using _first = first;
  const { queue: worker, ...second } = await startScene({ prefix });
  await using _second = second;
  const reasons: unknown[] = [];
  const consumer = await worker.work((run) => untilAborted(run, reasons), { concurrency: 5 });
  const { id } = await intake.enqueue(aNewTurn("a:1"));
  await expect.poll(async () => (await intake.stats()).running).toBe(1);
  expect(await intake.cancel(id)).toBe(true);
  await expect.poll(() => reasons).toMatchObject([{ why: "cancelled" }]);
  await intake.pause();
  await intake.enqueue(aNewTurn("b:1"));
  expect(await worker.stats()).toMatchObject({ depth: 1, running: 0, paused: true });
  await intake.resume();
  await expect.poll(async () => (await intake.stats()).running).toBe(1);
  const seen = await record(intake);
  await consumer.stop("handover");
  await expect.poll(() => seen).toEqual(["b:1"]);
});

it("does not hear cancels of another database of the same server, where ids are the same", async () => {
  const { queue, prefix, ...first } = await startScene();
  await using _first = first;
  const { queue: other, ...second } = await startScene({ prefix, url: `${redis.url}/1` });
  await using _second = second;
  const reasons: unknown[] = [];
  await queue.work((run) => untilAborted(run, reasons), { concurrency: 1 });
  const [{ id }, twin] = await Promise.all([queue.enqueue(aNewTurn("a:1")), other.enqueue(aNewTurn("a:1"))]);
  await expect.poll(async () => (await queue.stats()).running).toBe(1);
  expect(twin.id).toBe(id);
  expect(await other.cancel(twin.id)).toBe(true);
  // A word of our own comes after it on the same connection.
  await queue.cancel((await queue.enqueue(aNewTurn("b:1"))).id);
  expect(reasons).toEqual([]);
});

it("hears of a cancel although the word was lost, at the next checkpoint", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  const run = Promise.withResolvers<Run>();
  const go = Promise.withResolvers<void>();
  await queue.work(
    async (one) => {
      run.resolve(one);
      await go.promise;
    },
    { concurrency: 1 },
  );
  const { id } = await queue.enqueue(aNewTurn("a:1"));
  const { signal, save } = await run.promise.then((one) => ({
    signal: one.signal,
    save: () => one.save(1),
  }));
  await raw.hset(`{${prefix}}:turn:${id}`, "cancel", "1");
  expect(signal.aborted).toBe(false);
  await save();
  expect(signal.reason).toMatchObject({ why: "cancelled" });
  go.resolve();
});

it("looks for cancels it did not hear when its connection is back", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  const { id, reasons } = await runUntilAborted(queue);
  await raw.hset(`{${prefix}}:turn:${id}`, "cancel", "1");
  await raw.call("CLIENT", "KILL", "TYPE", "pubsub");
  await expect.poll(() => reasons).toMatchObject([{ why: "cancelled" }]);
});

it("hears the cancels of others again once its connection is back", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  const { id, reasons } = await runUntilAborted(queue);
  await raw.call("CLIENT", "KILL", "TYPE", "pubsub");
  await expect.poll(async () => raw.pubsub("CHANNELS", `*${prefix}*`)).toHaveLength(1);
  const { queue: other, ...second } = await startScene({ prefix });
  await using _second = second;
  await other.cancel(id);
  await expect.poll(() => reasons).toMatchObject([{ why: "cancelled" }]);
});

it("may be closed in the very moment its connection is back", async () => {
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on("unhandledRejection", hear);
  using _hearing = { [Symbol.dispose]: () => void process.off("unhandledRejection", hear) };
  let words: Redis | undefined;
  const connect: ConnectRedis = (url, options) => {
    const opened = connectRedis(url, options);
    if (options.name === "cancel") words = opened;
    return opened;
  };
  const { queue: _queue, prefix: _prefix, ...scene } = await startScene({ connect });
  await using _scene = scene;
  const closed = new Promise((resolve) => words?.once("end", resolve));
  words?.prependOnceListener("ready", () => {
    words?.disconnect();
    // Whatever is on its way back is not read any more.
    words?.stream.destroy();
  });
  await raw.call("CLIENT", "KILL", "TYPE", "pubsub");
  await closed;
  await setImmediate();
  expect(unheard).toEqual([]);
});

it("refuses the checkpoint of a run that somebody else has, and leaves the turn alone", async () => {
  const log = makeTestLog();
  const { queue, prefix, ...scene } = await startScene({ log });
  await using _scene = scene;
  const go = Promise.withResolvers<void>();
  const seen: unknown[] = [];
  await queue.work(
    async (run) => {
      await go.promise;
      await run.save("mine").catch((error: unknown) => seen.push(error));
      seen.push(run.signal.reason);
      await queue.pause();
    },
    { concurrency: 1 },
  );
  const { id } = await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(async () => (await queue.stats()).running).toBe(1);
  await raw.hset(`{${prefix}}:turn:${id}`, "run", "other:1");
  go.resolve();
  await expect.poll(() => seen).toMatchObject([{ why: "lease-lost" }, { why: "lease-lost" }]);
  await expect
    .poll(() => log.lines.map(({ message }) => message))
    .toContain("a run ended that was no longer ours");
  expect(await raw.hget(`{${prefix}}:turn:${id}`, "state")).toBeNull();
  expect((await queue.stats()).depth).toBe(1);
});

it("buries a turn whose stored form was damaged, and goes on with its conversation", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  const { id } = await queue.enqueue(aNewTurn("a:1"));
  await queue.enqueue(aNewTurn("a:2"));
  await raw.hset(`{${prefix}}:turn:${id}`, "payload", '{"text');
  const seen = await record(queue);
  await expect.poll(() => seen).toEqual(["a:2"]);
  expect((await queue.dead()).map(({ key }) => key)).toEqual(["a:1"]);
});

it("goes on with a conversation one of whose turns has vanished", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  const { id } = await queue.enqueue(aNewTurn("a:1"));
  await queue.enqueue(aNewTurn("a:2"));
  await raw.del(`{${prefix}}:turn:${id}`);
  const seen = await record(queue);
  await expect.poll(() => seen).toEqual(["a:2"]);
});

it("refuses a turn that is too big", async () => {
  const { queue, ...scene } = await startScene();
  await using _scene = scene;
  const tooBig = queue.enqueue(aNewTurn("a:1", { payload: "x".repeat(1_000_001) }));
  await expect(tooBig).rejects.toMatchObject({ code: "INTERNAL" });
});

it("fails fast while Redis is away, and what missed its deadline is not accepted later", async () => {
  await using server = await startRedis();
  const { queue, ...scene } = await startScene({ url: server.url });
  await using _scene = scene;
  await queue.enqueue(aNewTurn("a:1"));
  await server.kill();
  const late = queue.enqueue(aNewTurn("b:1"), { deadlineMs: 100 });
  await expect(late).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE", retryable: true });
  const patient = queue.enqueue(aNewTurn("c:1"));
  expect((await queue.health()).ok).toBe(false);
  await server.restart();
  expect((await patient).duplicate).toBe(false);
  expect((await queue.stats()).depth).toBe(2);
  expect((await queue.enqueue(aNewTurn("b:1"), { deadlineMs: 10_000 })).duplicate).toBe(false);
  expect((await queue.health()).ok).toBe(true);
});

it("refuses new turns near the memory limit while workers go on", async () => {
  await using server = await startRedis({ maxmemory: "20mb" });
  const { queue, ...scene } = await startScene({ url: server.url });
  await using _scene = scene;
  await queue.enqueue(aNewTurn("a:1"));
  const filler = new Redis(server.url);
  await fillTo(filler, 0.87);
  const { ok, notes } = await queue.health();
  expect([ok, notes.join()]).toEqual([false, expect.stringContaining("new messages are refused")]);
  await expect(queue.enqueue(aNewTurn("a:2"))).rejects.toMatchObject({ code: "QUEUE_FULL", retryable: true });
  const seen = await record(queue);
  await expect.poll(() => seen).toEqual(["a:1"]);
  await filler.del(await filler.keys("filler:*"));
  expect((await queue.health()).ok).toBe(true);
  expect((await queue.enqueue(aNewTurn("a:2"))).duplicate).toBe(false);
  filler.disconnect();
});

it("refuses a prefix that would scatter its keys", async () => {
  const opening = openBullmqQueue({ url: redis.url, prefix: "a}:{b", log: makeTestLog() });
  await expect(opening).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});

it.each([
  ["evicts", { maxmemory: "50mb", policy: "allkeys-lru" }, "CONFIG_INVALID"],
  ["is a replica", { args: ["--replicaof", "127.0.0.1", "1"] }, "QUEUE_UNAVAILABLE"],
])("does not open on a Redis that %s", async (_what, options, code) => {
  await using server = await startRedis(options);
  const opening = openBullmqQueue({ url: server.url, prefix: "test", log: makeTestLog() });
  await expect(opening).rejects.toMatchObject({ code });
});

it("does not open where the password is wrong, and does not tell it", async () => {
  const password = "not-" + "the-one";
  await using server = await startRedis({ args: ["--requirepass", "the-real-one"] });
  const url = `redis://:${password}@127.0.0.1:${server.port}`;
  const failure: unknown = await openBullmqQueue({ url, prefix: "test", log: makeTestLog() }).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ code: "QUEUE_UNAVAILABLE" });
  expect(String(failure)).toContain("user or password are refused");
  expect(String(failure)).not.toContain(password);
});

it("warns at start of a Redis that forgets at its restart", async () => {
  await using server = await startRedis({ aof: false });
  const log = makeTestLog();
  await using queue = await openBullmqQueue({ url: server.url, prefix: "test", log });
  expect(JSON.stringify(log.lines)).toContain("switch its append-only file on");
  expect((await queue.health()).ok).toBe(true);
});

it("waits for its own run of a turn that it takes over from itself, and keeps the lease of the new one", async () => {
  const { queue, prefix, ...scene } = await startScene({ leaseMs: 3_000 });
  await using _scene = scene;
  const [left, done] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const starts: number[] = [];
  let [running, atOnce] = [0, 0];
  await queue.work(
    async (run) => {
      starts.push(run.start);
      running += 1;
      atOnce = Math.max(atOnce, running);
      // The first one is slow to leave.
      await (run.start === 1 ? left : done).promise;
      running -= 1;
      run.signal.throwIfAborted();
    },
    { concurrency: 2 },
  );
  await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(() => starts).toEqual([1]);
  const lock = async (): Promise<string | undefined> => (await raw.keys(`{${prefix}}:turns:*:lock`))[0];
  const name = (await lock()) ?? "";
  await raw.del(name);
  // Found stalled, and taken again: here, since there is nobody else.
  await expect.poll(lock, { timeout: 10_000 }).toBe(name);
  left.resolve();
  await expect.poll(() => starts, { timeout: 10_000 }).toEqual([1, 2]);
  let leastMs = await raw.pttl(name);
  const isRenewed = async (): Promise<boolean> => {
    const leftMs = await raw.pttl(name);
    leastMs = Math.min(leastMs, leftMs);
    return leftMs > leastMs;
  };
  await expect.poll(isRenewed, { timeout: 10_000 }).toBe(true);
  done.resolve();
  await expect.poll(async () => (await queue.stats()).depth, { timeout: 10_000 }).toBe(0);
  expect([starts, atOnce]).toEqual([[1, 2], 1]);
});

it("aborts its runs before anyone may take them over when Redis is away for longer than the lease", async () => {
  await using server = await startRedis();
  const { queue, ...scene } = await startScene({ url: server.url });
  await using _scene = scene;
  const starts: [number, unknown][] = [];
  const reasons: unknown[] = [];
  const saved = Promise.withResolvers<void>();
  let abortedAt = 0;
  await queue.work(
    async (run) => {
      starts.push([run.start, run.state]);
      if (run.start > 1) return;
      await run.save("half");
      saved.resolve();
      await untilAborted(run, reasons).catch(() => {});
      abortedAt = performance.now();
      // Hangs while Redis is away, were it not for the lost lease.
      await expect(run.save("stale")).rejects.toMatchObject({ why: "lease-lost" });
      throw run.signal.reason;
    },
    { concurrency: 1 },
  );
  await queue.enqueue(aNewTurn("a:1"));
  await saved.promise;
  const frozenAt = performance.now();
  server.freeze();
  await expect.poll(() => reasons).toMatchObject([{ why: "lease-lost" }]);
  expect(abortedAt - frozenAt).toBeLessThan(TEST_LEASE_MS);
  server.thaw();
  await expect
    .poll(() => starts)
    .toEqual([
      [1, undefined],
      [2, "half"],
    ]);
  await expect.poll(async () => (await queue.stats()).depth).toBe(0);
});

it("does not take a turn back from its new worker when an old start arrives late", async () => {
  const slow = new SlowLink();
  const { queue: late, prefix, ...first } = await startScene({ connect: slow.connect });
  await using _first = first;
  const { queue: prompt, ...second } = await startScene({ prefix });
  await using _second = second;
  const lateStarts: string[] = await record(late);
  slow.holdFrom("tqBegin");
  const run = Promise.withResolvers<Run>();
  await late.enqueue(aNewTurn("a:1")).catch(() => {});
  await slow.holding;
  const end = Promise.withResolvers<void>();
  await prompt.work(
    async (one) => {
      run.resolve(one);
      await end.promise;
    },
    { concurrency: 1 },
  );
  const taken = await run.promise;
  await slow.letGo();
  await taken.save("mine");
  end.resolve();
  await expect.poll(async () => (await prompt.stats()).depth).toBe(0);
  expect([lateStarts, taken.start]).toEqual([[], 1]);
});

it("does not start a turn after a pause that came while a worker was about to", async () => {
  const slow = new SlowLink();
  const { queue, prefix, ...scene } = await startScene({ connect: slow.connect });
  await using _scene = scene;
  const { queue: other, ...second } = await startScene({ prefix });
  await using _second = second;
  const starts: string[] = await record(queue);
  slow.holdFrom("tqBegin");
  await other.enqueue(aNewTurn("a:1"));
  await slow.holding;
  await other.pause();
  await slow.letGo();
  await expect.poll(async () => (await other.stats()).running).toBe(0);
  expect([starts, (await other.stats()).depth]).toEqual([[], 1]);
  await other.resume();
  await expect.poll(() => starts).toHaveLength(1);
});

it("never gives a conversation up, however often its process dies", async () => {
  const prefix = `test-${randomUUID()}`;
  const options = { url: redis.url, log: makeTestLog(), prefix, leaseMs: TEST_LEASE_MS };
  await using queue = await openBullmqQueue(options);
  await queue.enqueue(aNewTurn("a:1"));
  for (let deaths = 0; deaths < 4; deaths += 1) {
    const doomed = await openCuttable(options);
    const started = Promise.withResolvers<void>();
    const handler = async (): Promise<void> => {
      started.resolve();
      await new Promise(() => {});
    };
    await doomed.queue.work(handler, { concurrency: 1 });
    await started.promise;
    await doomed.crash();
  }
  const seen = await record(queue);
  await expect.poll(() => seen).toEqual(["a:1"]);
  expect(await raw.zcard(`{${prefix}}:turns:failed`)).toBe(0);
});

it("leaves a handler behind that does not react to the hand-over, and gives its turn away", async () => {
  const { queue, prefix, ...scene } = await startScene();
  await using _scene = scene;
  const run = Promise.withResolvers<Run>();
  const consumer = await queue.work(
    async (one) => {
      run.resolve(one);
      await new Promise(() => {});
    },
    { concurrency: 1 },
  );
  await queue.enqueue(aNewTurn("a:1"));
  const stubborn = await run.promise;
  await consumer.stop("handover");
  expect(await queue.stats()).toMatchObject({ depth: 1, running: 0 });
  await expect(stubborn.save("too late")).rejects.toMatchObject({ why: "lease-lost" });
  const seen = await record(queue);
  await expect.poll(() => seen).toEqual(["a:1"]);
});

async function startScene(
  options: Partial<BullmqQueueOptions> = {},
): Promise<{ queue: TurnQueue; prefix: string } & AsyncDisposable> {
  const prefix = `test-${randomUUID()}`;
  const settings = { url: redis.url, log: makeTestLog(), prefix, leaseMs: TEST_LEASE_MS, ...options };
  const queue = await openBullmqQueue(settings);
  return {
    queue,
    prefix: settings.prefix,
    [Symbol.asyncDispose]: () => queue[Symbol.asyncDispose](),
  };
}

async function fillTo(filler: Redis, share: number): Promise<void> {
  for (let index = 0; memoryShare(parseInfo(await filler.info("memory"))) < share; index += 1) {
    await filler.set(`filler:${index}`, "x".repeat(100_000));
  }
}

/** A turn that runs until something ends it, and what did. */
async function runUntilAborted(queue: TurnQueue): Promise<{ id: string; reasons: readonly unknown[] }> {
  const reasons: unknown[] = [];
  await queue.work((run) => untilAborted(run, reasons), { concurrency: 1 });
  const { id } = await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(async () => (await queue.stats()).running).toBe(1);
  return { id, reasons };
}

/** Starts a worker and lists the keys it answers. */
async function record(queue: TurnQueue): Promise<string[]> {
  const seen: string[] = [];
  await queue.work(
    async ({ turns }) => {
      seen.push(...turns.map(({ key }) => key));
    },
    { concurrency: 5 },
  );
  return seen;
}

async function untilAborted({ signal }: Run, reasons: unknown[]): Promise<never> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  reasons.push(signal.reason);
  throw signal.reason;
}
