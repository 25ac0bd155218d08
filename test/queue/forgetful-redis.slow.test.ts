import { once } from "node:events";
import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { RetryLater, type Run, type TurnQueue } from "../../src/core/ports.ts";
import { type BullmqQueueOptions, openBullmqQueue } from "../../src/queue/bullmq-queue.ts";
import { aNewTurn } from "../contract/queue-contract.ts";
import { startRedis } from "../redis-server.ts";
import { type LogLine, makeTestLog } from "./embedded.ts";
import { TEST_LEASE_MS } from "./on-redis.ts";

const LOST = "Redis had lost a turn that it had confirmed, it is queued again";
/** So long that no lease tells anything within a test. */
const LONG_MS = 60_000;
const AWAY = "Redis can't be reached, trying again";

it("brings again what Redis confirmed and lost, in order", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  await queue.enqueue(aNewTurn("a:1"));
  await scene.keep();
  await queue.enqueue(aNewTurn("a:2"));
  await queue.enqueue(aNewTurn("b:1"));
  await scene.restart();
  expect((await queue.enqueue(aNewTurn("a:2"))).duplicate).toBe(true);
  const runs = await record(queue);
  await expect.poll(() => runs.toSorted()).toEqual(["a:1 start 2", "a:2 start 2", "b:1 start 2"]);
  expect(runs.filter((run) => run.startsWith("a"))).toEqual(["a:1 start 2", "a:2 start 2"]);
  expect(scene.lines.filter(({ message }) => message === LOST).map(({ fields }) => fields)).toEqual([
    { turnKey: "a:2", conversationKey: "a" },
    { turnKey: "b:1", conversationKey: "b" },
  ]);
});

it("does not repeat what was answered where Redis still knows the end", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  const runs = await record(queue);
  await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(() => depthOf(queue)).toBe(0);
  await scene.keep();
  await scene.restart();
  await queue.enqueue(aNewTurn("a:2"));
  await expect.poll(() => runs).toEqual(["a:1 start 1", "a:2 start 1"]);
});

it("counts what Redis still knows as perhaps started, since that may be what it lost", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  await queue.enqueue(aNewTurn("a:1"));
  await scene.keep();
  await scene.restart();
  const runs = await record(queue);
  await expect.poll(() => runs).toEqual(["a:1 start 2"]);
});

it("counts as perhaps started, too, what was brought by a process that is gone", async () => {
  await using scene = await startScene();
  {
    await using other = await openBullmqQueue(scene.options);
    await other.enqueue(aNewTurn("a:1"));
  }
  await scene.keep();
  await scene.restart();
  await scene.queue.enqueue(aNewTurn("b:1"));
  const runs = await record(scene.queue);
  await expect.poll(() => runs.toSorted()).toEqual(["a:1 start 2", "b:1 start 1"]);
});

it("counts a start that may be lost behind one that is not", async () => {
  await using scene = await startScene();
  await scene.queue.enqueue(aNewTurn("a:1"));
  const runs: string[] = [];
  const work = async ({ start, attempt }: Run): Promise<void> => {
    runs.push(`start ${start}, attempt ${attempt}`);
    if (attempt === 1) throw new RetryLater({ afterMs: 1_500 });
  };
  await scene.queue.work(work, { concurrency: 1 });
  await expect.poll(async () => scene.read("turn:1", "tries")).toBe("1");
  await scene.keep();
  await scene.restart();
  await expect.poll(() => runs, { timeout: 8_000 }).toEqual(["start 1, attempt 1", "start 3, attempt 2"]);
});

it("counts as perhaps started what another process brought before, as new", async () => {
  await using scene = await startScene();
  await scene.queue.enqueue(aNewTurn("a:1"));
  expect((await scene.queue.enqueue(aNewTurn("a:1", { perhapsStarted: true }))).duplicate).toBe(true);
  const runs = await record(scene.queue);
  await expect.poll(() => runs).toEqual(["a:1 start 2"]);
});

it("merges nothing with what is perhaps started", async () => {
  await using scene = await startScene();
  const merge = { group: "ada", at: 0 };
  for (const key of ["a:1", "a:2"]) await scene.queue.enqueue(aNewTurn(key, { merge }));
  await scene.keep();
  await scene.restart();
  for (const key of ["a:3", "a:4"]) await scene.queue.enqueue(aNewTurn(key, { merge }));
  const batches: string[][] = [];
  const note = async ({ turns }: Run): Promise<void> => void batches.push(turns.map(({ key }) => key));
  await scene.queue.work(note, { concurrency: 1, maxMerge: 9, mergeWithinMs: 1_000 });
  await expect.poll(() => batches).toEqual([["a:1"], ["a:2"], ["a:3", "a:4"]]);
});

it("takes what comes while Redis is away behind what it may have lost", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  await queue.enqueue(aNewTurn("a:1"));
  await scene.kill();
  await scene.noticed();
  const next = queue.enqueue(aNewTurn("a:2"));
  await scene.restart();
  expect(await next).toMatchObject({ duplicate: false, ahead: 1 });
  const runs = await record(queue);
  await expect.poll(() => runs).toEqual(["a:1 start 2", "a:2 start 1"]);
});

it("brings it all again when Redis dies a second time", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  await queue.enqueue(aNewTurn("a:1"));
  await queue.enqueue(aNewTurn("b:1"));
  await scene.restart();
  expect((await queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
  await scene.restart();
  expect((await queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
  expect(await depthOf(queue)).toBe(2);
});

it("brings again what another process had brought, which died with it, if it came here as well", async () => {
  await using scene = await startScene();
  {
    await using other = await openBullmqQueue(scene.options);
    await other.enqueue(aNewTurn("a:1"));
  }
  expect((await scene.queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
  await scene.restart();
  const runs = await record(scene.queue);
  await expect.poll(() => runs).toEqual(["a:1 start 2"]);
});

it("lets go at once of a run whose start Redis has lost, since another worker starts its turn", async () => {
  await using scene = await startScene({ leaseMs: LONG_MS });
  await scene.queue.enqueue(aNewTurn("a:1"));
  await scene.keep();
  await using worker = await openBullmqQueue(scene.options);
  const log: string[] = [];
  const hold = async ({ start, signal }: Run): Promise<void> => {
    log.push(`start ${start}`);
    await once(signal, "abort");
    log.push("let go");
    signal.throwIfAborted();
  };
  const busy = await worker.work(hold, { concurrency: 1 });
  await expect.poll(() => log).toEqual(["start 1"]);
  const stopping = busy.stop("drain");
  await scene.queue.work(async ({ start }) => void log.push(`start ${start}`), { concurrency: 1 });
  await scene.restart();
  await expect.poll(() => log.toSorted(), { timeout: 5_000 }).toEqual(["let go", "start 1", "start 2"]);
  await stopping;
});

it("goes on with a run that Redis still knows, which has saved nothing", async () => {
  await using scene = await startScene({ leaseMs: LONG_MS });
  await scene.queue.enqueue(aNewTurn("a:1"));
  const goOn = Promise.withResolvers<void>();
  const runs: string[] = [];
  const hold = async ({ start, signal }: Run): Promise<void> => {
    runs.push(`start ${start}`);
    await goOn.promise;
    signal.throwIfAborted();
    runs.push(`end ${start}`);
  };
  await scene.queue.work(hold, { concurrency: 1 });
  await expect.poll(() => runs).toEqual(["start 1"]);
  await scene.keep();
  await scene.restart();
  // Behind what was said again on the same connection.
  await scene.queue.idOf("a:1");
  expect(await scene.read("turn:1", "state")).toBeNull();
  goOn.resolve();
  await expect.poll(() => runs).toEqual(["start 1", "end 1"]);
});

it("writes again the checkpoint of a run that Redis still knows, and goes on with it", async () => {
  await using scene = await startScene({ leaseMs: LONG_MS });
  await scene.queue.enqueue(aNewTurn("a:1"));
  const goOn = Promise.withResolvers<void>();
  const runs: string[] = [];
  const work = async (run: Run): Promise<void> => {
    await run.save("older");
    await scene.keep();
    await run.save("newest");
    runs.push(`start ${run.start}`);
    await goOn.promise;
    run.signal.throwIfAborted();
    runs.push(`end ${run.start}`);
  };
  await scene.queue.work(work, { concurrency: 5 });
  await expect.poll(() => runs).toEqual(["start 1"]);
  await scene.restart();
  await expect
    .poll(() => scene.read("turn:1", "state").catch(() => "away"), { timeout: 5_000 })
    .toBe('"newest"');
  goOn.resolve();
  await expect.poll(() => runs).toEqual(["start 1", "end 1"]);
  expect(await depthOf(scene.queue)).toBe(0);
});

it("takes again what it had taken, however full it is by now", async () => {
  await using scene = await startScene({ bounds: { perConversation: 1, total: 1 } });
  const { queue } = scene;
  await queue.enqueue(aNewTurn("a:1"));
  await scene.keep();
  const consumer = await queue.work(async () => {}, { concurrency: 1 });
  await expect.poll(() => depthOf(queue)).toBe(0);
  await consumer.stop("drain");
  await queue.enqueue(aNewTurn("a:2"));
  await scene.restart();
  await expect.poll(() => depthOf(queue)).toBe(2);
});

it("hears what is cancelled while Redis is away of what it has lost", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  await queue.enqueue(aNewTurn("a:1"));
  await scene.kill();
  await scene.noticed();
  const id = queue.idOf("a:1");
  await scene.restart();
  expect(await queue.cancel((await id) ?? "")).toBe(true);
});

it("does not take a question for the cancelled one whose id it gets", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  const withdrawn = await queue.enqueue(aNewTurn("a:1"));
  await queue.cancel(withdrawn.id);
  await scene.restart();
  expect(await queue.enqueue(aNewTurn("b:1"))).toEqual({ id: withdrawn.id, duplicate: false, ahead: 0 });
  const cancelled: boolean[] = [];
  await queue.work(async ({ signal }) => void cancelled.push(signal.aborted), { concurrency: 1 });
  await expect.poll(() => cancelled).toEqual([false]);
});

it("brings nothing again when only its connection broke", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  await queue.enqueue(aNewTurn("a:1"));
  const admin = new Redis(scene.options.url);
  await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  admin.disconnect();
  await queue.enqueue(aNewTurn("b:1"));
  const runs = await record(queue);
  await expect.poll(() => runs.toSorted()).toEqual(["a:1 start 1", "b:1 start 1"]);
});

it("brings a question again as it was last changed, and none that was withdrawn", async () => {
  await using scene = await startScene();
  const { queue } = scene;
  const changed = await queue.enqueue(aNewTurn("a:1"));
  const withdrawn = await queue.enqueue(aNewTurn("b:1"));
  await queue.amend(changed.id, () => ({ text: "changed" }));
  await queue.cancel(withdrawn.id);
  await scene.restart();
  expect((await queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
  const payloads: unknown[] = [];
  await queue.work(async ({ turns }) => void payloads.push(...turns.map(({ payload }) => payload)), {
    concurrency: 1,
  });
  await expect.poll(() => depthOf(queue)).toBe(0);
  expect(payloads).toEqual([{ text: "changed" }]);
});

it("does not keep anybody waiting when it closes while Redis is away", async () => {
  await using scene = await startScene();
  await scene.queue.enqueue(aNewTurn("a:1"));
  await scene.kill();
  await scene.noticed();
  const waiting = scene.queue.enqueue(aNewTurn("a:2"));
  const refused = expect(waiting).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
  await scene.queue[Symbol.asyncDispose]();
  await refused;
});

interface Scene extends AsyncDisposable {
  readonly queue: TurnQueue;
  readonly options: BullmqQueueOptions;
  readonly lines: readonly LogLine[];
  /** What is confirmed until now is not lost. */
  keep(): Promise<void>;
  /** A field of one of the queue's hashes. */
  read(hash: string, field: string): Promise<string | null>;
  kill(): Promise<void>;
  /**
   * Resolves when the queue knows that Redis is away. What it asked before that its client sends again, in front of
   * all else.
   */
  noticed(): Promise<void>;
  /** Kills it, if it runs, and starts it again. */
  restart(): Promise<void>;
}

/** A Redis without a file of its own remembers what it was told to save. */
async function startScene(changes: Partial<BullmqQueueOptions> = {}): Promise<Scene> {
  const server = await startRedis({ aof: false });
  const log = makeTestLog();
  const options = { url: server.url, log, prefix: "test", leaseMs: TEST_LEASE_MS, ...changes };
  const queue = await openBullmqQueue(options);
  const isAway = ({ message, fields }: LogLine): boolean =>
    message === AWAY && "connection" in fields && fields.connection === "queue";
  return {
    queue,
    options,
    lines: log.lines,
    keep: async () => {
      const redis = new Redis(server.url);
      await redis.save();
      redis.disconnect();
    },
    read: async (hash, field) => {
      const redis = new Redis(server.url, { maxRetriesPerRequest: 0, lazyConnect: true });
      redis.on("error", () => undefined);
      return redis.hget(`{test}:${hash}`, field).finally(() => redis.disconnect());
    },
    kill: () => server.kill(),
    noticed: () => expect.poll(() => log.lines.some(isAway)).toBe(true),
    restart: () => server.restart(),
    [Symbol.asyncDispose]: async () => {
      await queue[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function depthOf(queue: TurnQueue): Promise<number> {
  return (await queue.stats()).depth;
}

/** Starts a worker and lists what it answers. */
async function record(queue: TurnQueue): Promise<string[]> {
  const runs: string[] = [];
  const note = async ({ turns, start }: Run): Promise<void> => {
    runs.push(...turns.map(({ key }) => `${key} start ${start}`));
  };
  await queue.work(note, { concurrency: 5 });
  return runs;
}
