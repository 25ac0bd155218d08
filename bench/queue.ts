/**
 * How fast the embedded queue is on this machine, to hold against docs/reference/queue.md §2 and §4.
 *
 * The lines "bare" are SQLite alone in the same run, writing what the queue must write: on a busy machine the ratio counts.
 *
 * Run: `node bench/queue.ts [folder]`. The folder decides the disk; default is the system's temporary one.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Log, NewTurn, TurnQueue } from "../src/core/ports.ts";
import { openSqliteQueue } from "../src/queue/sqlite-queue.ts";
import { openSqliteFile, type SqliteFile } from "../src/store/sqlite-file.ts";

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
const BOUNDS = { perConversation: 100_000, total: 1_000_000 };

const { positionals } = parseArgs({ allowPositionals: true });
const folder = await mkdtemp(join(positionals[0] ?? tmpdir(), "coze-bridge-bench-"));
try {
  await measureBare();
  await withQueue("latency", measureLatency);
  await withQueue("parallel", measureParallelEnqueue);
  await withQueue("throughput", (queue) => measureThroughput(queue, { turns: 10_000, conversations: 1_000 }));
  await withQueue("backlog", (queue) => measureThroughput(queue, { turns: 10_000, conversations: 10_000 }));
  await withQueue("hot", (queue) => measureThroughput(queue, { turns: 100, conversations: 1 }));
  await withQueue("running", measureManyRunning);
  await measureTakeover();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function withQueue(name: string, measure: (queue: TurnQueue) => Promise<void>): Promise<void> {
  await using file = await openFile(name);
  await using queue = await openSqliteQueue({ file, log: SILENT, bounds: BOUNDS });
  await measure(queue);
}

function openFile(name: string): Promise<SqliteFile> {
  return openSqliteFile(join(folder, name), { log: SILENT, signal: AbortSignal.timeout(60_000) });
}

/** The least a turn costs: one commit of it and its key to the disk, one transaction to start it and one to end it. */
async function measureBare(): Promise<void> {
  await using file = await openFile("bare");
  file.transaction(() => {
    file.prepare("CREATE TABLE bare (id INTEGER PRIMARY KEY, payload TEXT, run TEXT)").run();
    file.prepare("CREATE TABLE bare_key (key TEXT PRIMARY KEY) WITHOUT ROWID").run();
  });
  const insertTurn = file.prepare("INSERT INTO bare (payload) VALUES (?)");
  const insertKey = file.prepare("INSERT INTO bare_key (key) VALUES (?)");
  const insert = (): number | bigint => {
    const { lastInsertRowid: id } = insertTurn.run(text);
    insertKey.run(`turn:${id}:${performance.now()}`);
    return id;
  };
  const claim = file.prepare("UPDATE bare SET run = 'x' WHERE id = ?");
  const remove = file.prepare("DELETE FROM bare WHERE id = ?");
  const { payload } = aTurn(0, 0);
  const text = JSON.stringify(payload);
  const starts: number[] = [];
  for (let index = 0; index < 1_000; index += 1) {
    const begin = performance.now();
    const id = await file.commit(insert);
    file.transaction(() => claim.run(id));
    starts.push(performance.now() - begin);
    file.transaction(() => remove.run(id));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  console.log(`bare: write -> start   ${percentiles(starts)}`);
  const turns = 10_000;
  const ids = file.transaction(() => Array.from({ length: turns }, insert));
  const begin = performance.now();
  for (const id of ids) {
    file.transaction(() => claim.run(id));
    file.transaction(() => remove.run(id));
  }
  console.log(`bare: start and end    ${perSecond(turns, begin)}`);
}

/** One turn at a time on an idle queue: enqueue → accepted, enqueue → handler. */
async function measureLatency(queue: TurnQueue): Promise<void> {
  let started = Promise.withResolvers<number>();
  await queue.work(async () => started.resolve(performance.now()), { concurrency: 10 });
  const accepts: number[] = [];
  const starts: number[] = [];
  for (let index = 0; index < 1_000; index += 1) {
    started = Promise.withResolvers();
    const begin = performance.now();
    const accepted = queue.enqueue(aTurn(index, index % 50)).then(() => performance.now());
    starts.push((await started.promise) - begin);
    accepts.push((await accepted) - begin);
    // A moment of rest, so that the end of the last turn is not part of the next one.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  console.log(`enqueue -> accepted   ${percentiles(accepts)}   (reference 0.24 / 0.7)`);
  console.log(`enqueue -> start      ${percentiles(starts)}   (reference 0.33 / 0.9)`);
}

async function measureParallelEnqueue(queue: TurnQueue): Promise<void> {
  const turns = 20_000;
  const begin = performance.now();
  for (let index = 0; index < turns; index += 100) {
    await Promise.all(
      Array.from({ length: 100 }, (_, step) => queue.enqueue(aTurn(index + step, (index + step) % 1_000))),
    );
  }
  console.log(`enqueue, 100 at once  ${perSecond(turns, begin)}   (reference 83,000 /s)`);
}

async function measureThroughput(
  queue: TurnQueue,
  size: { turns: number; conversations: number },
): Promise<void> {
  await enqueueAll(queue, size);
  const done = Promise.withResolvers<void>();
  let count = 0;
  const begin = performance.now();
  await queue.work(
    async () => {
      count += 1;
      if (count === size.turns) done.resolve();
    },
    { concurrency: 100 },
  );
  await done.promise;
  const label = `${size.turns} turns, ${size.conversations} conv.`.padEnd(21);
  const took = (performance.now() - begin).toFixed(0);
  console.log(`${label} ${perSecond(size.turns, begin)}, ${took} ms   (reference ${reference(size)})`);
}

async function measureManyRunning(queue: TurnQueue): Promise<void> {
  await enqueueAll(queue, { turns: 4_000, conversations: 4_000 });
  const all = Promise.withResolvers<void>();
  let running = 0;
  const begin = performance.now();
  const consumer = await queue.work(
    async ({ signal }) => {
      running += 1;
      if (running === 4_000) all.resolve();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    },
    { concurrency: 4_000 },
  );
  await all.promise;
  const startMs = performance.now() - begin;
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const { user, system } = process.cpuUsage(before);
  const share = ((user + system) / 2_000_000) * 100;
  console.log(
    `4,000 running at once started in ${startMs.toFixed(0)} ms, then ${share.toFixed(1)} % of a core (reference 1.6 %)`,
  );
  await consumer.stop("handover");
}

/** What ran when its process ended starts again: from opening the file to the handler, without the start of Node. */
async function measureTakeover(): Promise<void> {
  {
    await using file = await openFile("takeover");
    await using queue = await openSqliteQueue({ file, log: SILENT, bounds: BOUNDS });
    await enqueueAll(queue, { turns: 10_000, conversations: 1_000 });
    const running = Promise.withResolvers<void>();
    await queue.work(
      async () => {
        running.resolve();
        await new Promise(() => undefined);
      },
      { concurrency: 200 },
    );
    await running.promise;
    // Without its file the queue writes nothing more, as after a kill.
    await file[Symbol.asyncDispose]();
  }
  const begin = performance.now();
  await using file = await openFile("takeover");
  await using queue = await openSqliteQueue({ file, log: SILENT, bounds: BOUNDS });
  const started = Promise.withResolvers<number>();
  await queue.work(async () => started.resolve(performance.now()), { concurrency: 200 });
  console.log(
    `reopen -> takeover    ${((await started.promise) - begin).toFixed(0)} ms with 10,000 turns   (at most 1 s)`,
  );
}

async function enqueueAll(queue: TurnQueue, size: { turns: number; conversations: number }): Promise<void> {
  await Promise.all(
    Array.from({ length: size.turns }, (_, index) => queue.enqueue(aTurn(index, index % size.conversations))),
  );
}

function aTurn(index: number, conversation: number): NewTurn {
  return {
    key: `turn:${index}`,
    conversation: `conversation:${conversation}`,
    payload: { text: "x".repeat(200) },
  };
}

function reference({ turns, conversations }: { turns: number; conversations: number }): string {
  if (turns === conversations) return "18,700 /s";
  return conversations === 1 ? "19 ms" : "16,400 /s";
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
