/**
 * How fast the queue on Redis is on this machine, to hold against docs/reference/queue.md §2 (design A).
 *
 * Run: `node bench/queue-redis.ts`; it starts a Redis of its own, append-only file `everysec`. Producer and workers
 * share one process, so figures with two worker processes are not quite reached.
 */
import { randomUUID } from "node:crypto";
import { Queue, Worker } from "bullmq";
import type { Log, NewTurn, TurnQueue } from "../src/core/ports.ts";
import { openBullmqQueue } from "../src/queue/bullmq-queue.ts";
import { connectRedis } from "../src/redis/redis-client.ts";
import { type ProcessLine, startBridgeProcess } from "../test/queue/bridge-process.ts";
import { startRedis } from "../test/redis-server.ts";

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
const BOUNDS = { perConversation: 100_000, total: 1_000_000 };

await using redis = await startRedis();
await measureBare();
await withQueues(measureLatency);
await withQueues(measureParallelEnqueue);
await withQueues((producer, worker) => measureThroughput(producer, worker, { turns: 10_000, lanes: 1_000 }));
await withQueues((producer, worker) => measureThroughput(producer, worker, { turns: 10_000, lanes: 10_000 }));
await withQueues((producer, worker) => measureThroughput(producer, worker, { turns: 100, lanes: 1 }));
await withQueues(measureCancel);
await withQueues(measureManyRunning);
await measureTakeover();

/** BullMQ alone, a job per turn: neither order nor checkpoint nor dedupe. On a busy machine the ratio to it counts. */
async function measureBare(): Promise<void> {
  const prefix = randomUUID();
  const connections = ["bare-producer", "bare-worker"].map((name) =>
    connectRedis(redis.url, { log: SILENT, name, prefix }),
  );
  const [producer, consumer] = connections;
  if (producer === undefined || consumer === undefined) return;
  const queue = new Queue("bare", { connection: producer, prefix: `{${prefix}}` });
  let onStart = (): void => undefined;
  const options = {
    connection: consumer,
    prefix: `{${prefix}}`,
    concurrency: 100,
    removeOnComplete: { count: 0 },
  };
  const worker = new Worker("bare", async () => onStart(), options);
  await worker.waitUntilReady();
  const { payload } = aTurn(0, 0);
  const starts: number[] = [];
  for (let index = 0; index < 1_000; index += 1) {
    const started = Promise.withResolvers<void>();
    onStart = started.resolve;
    const begin = performance.now();
    await Promise.all([
      queue.add("turn", payload),
      started.promise.then(() => starts.push(performance.now() - begin)),
    ]);
    await rest(3);
  }
  console.log(`bare: enqueue -> start ${percentiles(starts)}`);
  await queue.pause();
  const turns = 10_000;
  await queue.addBulk(Array.from({ length: turns }, () => ({ name: "turn", data: payload })));
  let count = 0;
  const done = Promise.withResolvers<void>();
  onStart = () => {
    count += 1;
    if (count === turns) done.resolve();
  };
  const begin = performance.now();
  await queue.resume();
  await done.promise;
  console.log(`bare: ${turns} turns     ${perSecond(turns, begin)}`);
  await worker.close();
  await queue.close();
  for (const connection of connections) connection.disconnect();
}

/** Two queues on the same keys with connections of their own, as an intake and a worker have them. */
async function withQueues(measure: (producer: TurnQueue, worker: TurnQueue) => Promise<void>): Promise<void> {
  const options = { url: redis.url, log: SILENT, bounds: BOUNDS, prefix: randomUUID() };
  await using producer = await openBullmqQueue(options);
  await using worker = await openBullmqQueue(options);
  await measure(producer, worker);
}

/** One turn at a time on an idle queue: enqueue → accepted, enqueue → handler. */
async function measureLatency(producer: TurnQueue, worker: TurnQueue): Promise<void> {
  let started = Promise.withResolvers<number>();
  await worker.work(async () => started.resolve(performance.now()), { concurrency: 10 });
  const accepts: number[] = [];
  const starts: number[] = [];
  for (let index = 0; index < 1_000; index += 1) {
    started = Promise.withResolvers();
    const begin = performance.now();
    const accepted = producer.enqueue(aTurn(index, index % 50)).then(() => performance.now());
    starts.push((await started.promise) - begin);
    accepts.push((await accepted) - begin);
    await rest(3);
  }
  console.log(`enqueue -> accepted   ${percentiles(accepts)}   (reference 0.25 / 1.3)`);
  console.log(`enqueue -> start      ${percentiles(starts)}   (reference 0.52 / 2.0)`);
}

async function measureParallelEnqueue(producer: TurnQueue): Promise<void> {
  const turns = 20_000;
  const begin = performance.now();
  for (let index = 0; index < turns; index += 100) {
    const steps = Array.from({ length: 100 }, (_, step) => index + step);
    await Promise.all(steps.map((number) => producer.enqueue(aTurn(number, number % 1_000))));
  }
  console.log(`enqueue, 100 at once  ${perSecond(turns, begin)}   (reference 22,000 /s)`);
}

async function measureThroughput(
  producer: TurnQueue,
  worker: TurnQueue,
  size: { turns: number; lanes: number },
): Promise<void> {
  await enqueueAll(producer, size);
  const done = Promise.withResolvers<void>();
  let count = 0;
  const begin = performance.now();
  await worker.work(
    async () => {
      count += 1;
      if (count === size.turns) done.resolve();
    },
    { concurrency: 100 },
  );
  await done.promise;
  const label = `${size.turns} turns, ${size.lanes} conv.`.padEnd(21);
  const took = (performance.now() - begin).toFixed(0);
  console.log(`${label} ${perSecond(size.turns, begin)}, ${took} ms   (reference ${reference(size.lanes)})`);
}

/** Cancel in one process → signal in another. */
async function measureCancel(producer: TurnQueue, worker: TurnQueue): Promise<void> {
  const waits: number[] = [];
  let running = Promise.withResolvers<AbortSignal>();
  const handler = async ({ signal }: { signal: AbortSignal }): Promise<void> => {
    running.resolve(signal);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  };
  await worker.work(handler, { concurrency: 10 });
  for (let index = 0; index < 300; index += 1) {
    running = Promise.withResolvers();
    const { id } = await producer.enqueue(aTurn(index, index));
    const signal = await running.promise;
    const aborted = new Promise<number>((resolve) => {
      signal.addEventListener("abort", () => resolve(performance.now()), { once: true });
    });
    const begin = performance.now();
    await producer.cancel(id);
    waits.push((await aborted) - begin);
  }
  console.log(`cancel -> signal      ${percentiles(waits)}   (reference 1 / 8.5 at most)`);
}

async function measureManyRunning(producer: TurnQueue, worker: TurnQueue): Promise<void> {
  await enqueueAll(producer, { turns: 4_000, lanes: 4_000 });
  const all = Promise.withResolvers<void>();
  let running = 0;
  const begin = performance.now();
  const consumer = await worker.work(
    async ({ signal }) => {
      running += 1;
      if (running === 4_000) all.resolve();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    },
    { concurrency: 4_000 },
  );
  await all.promise;
  const startMs = (performance.now() - begin).toFixed(0);
  const before = process.cpuUsage();
  await rest(5_000);
  const { user, system } = process.cpuUsage(before);
  const share = (((user + system) / 5_000_000) * 100).toFixed(1);
  console.log(`4,000 running         started in ${startMs} ms, then ${share} % of a core (reference 1.5 %)`);
  await consumer.stop("handover");
}

/** SIGKILL of a worker process → its turn starts in another one; lease and check as in production. */
async function measureTakeover(): Promise<void> {
  const waits = await Promise.all(Array.from({ length: 6 }, (_, index) => takeOver(index * 700)));
  console.log(`kill -9 -> takeover   ${percentiles(waits)}   (reference 10,300 / 14,200 at most)`);
}

async function takeOver(delayMs: number): Promise<number> {
  const scene = { url: redis.url, prefix: randomUUID() };
  const lines: ProcessLine[] = [];
  await using queue = await openBullmqQueue({ ...scene, log: SILENT });
  await using doomed = startBridgeProcess({ ...scene, leaseMs: 10_000, stepMs: 600_000 }, lines);
  await doomed.ready;
  await queue.enqueue(aTurn(1, 1));
  while (!lines.some(({ what }) => what === "start")) await rest(5);
  const taken = Promise.withResolvers<number>();
  await queue.work(async () => taken.resolve(performance.now()), { concurrency: 1 });
  await rest(delayMs);
  const begin = performance.now();
  await doomed.kill();
  return (await taken.promise) - begin;
}

async function enqueueAll(queue: TurnQueue, size: { turns: number; lanes: number }): Promise<void> {
  const numbers = Array.from({ length: size.turns }, (_, index) => index);
  await Promise.all(numbers.map((number) => queue.enqueue(aTurn(number, number % size.lanes))));
}

function aTurn(number: number, lane: number): NewTurn {
  return { key: `turn:${number}`, conversation: `conversation:${lane}`, payload: { text: "x".repeat(200) } };
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function reference(lanes: number): string {
  if (lanes === 1) return "108 ms";
  return lanes === 1_000 ? "6,600 /s with two processes" : "9,100 /s";
}

function perSecond(count: number, begin: number): string {
  return `${Math.round((count / (performance.now() - begin)) * 1_000).toLocaleString("en")} /s`;
}

function percentiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}
