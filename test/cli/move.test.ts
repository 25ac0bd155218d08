import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { expect, it } from "vitest";
import type { CommandTools } from "../../src/cli/command-tools.ts";
import { exportAll } from "../../src/cli/export.ts";
import { importAll } from "../../src/cli/import.ts";
import { runStoredCommand } from "../../src/cli/stored-command.ts";
import { loadStorageConfig, type StorageConfig } from "../../src/config.ts";
import type { NewTurn, QueueRecord, TurnQueue } from "../../src/core/ports.ts";
import { leftBehind, openStorage } from "../../src/open-storage.ts";
import { makeTestFolder, makeTestLog } from "../queue/embedded.ts";
import { startRedis } from "../redis-server.ts";

const signal = AbortSignal.timeout(60_000);
const tools = { log: makeTestLog(), signal, lockWaitMs: 0 };
const open = (place: string) => openStorage(configOf(place), tools);

/** A place is a folder, or the address of a Redis. */
function configOf(place: string): StorageConfig {
  return place.startsWith("redis:") ? { dataDir: "/nonexistent", redisUrl: place } : { dataDir: place };
}

function envOf(place: string): Record<string, string> {
  return place.startsWith("redis:") ? { REDIS_URL: place } : { DATA_DIR: place };
}

async function run(
  folder: string,
  command: (config: StorageConfig, tools: CommandTools) => Promise<number>,
  settings: Record<string, string> = {},
) {
  const err: string[] = [];
  const code = await runStoredCommand(
    async (config, tools) => (await command(config, tools)) as 0, // any exit code
    { env: { ...envOf(folder), ...settings }, write: () => undefined, say: (text) => err.push(text), signal },
  );
  return { code, err: err.join("\n") };
}

/** Exports a folder; what it wrote to stdout. */
async function exported(folder: string, settings: Record<string, string> = {}) {
  let out = "";
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      out += String(chunk);
      done();
    },
  });
  const result = await run(
    folder,
    (config, tools) => exportAll(undefined, config, { ...tools, stdout }),
    settings,
  );
  return { ...result, out };
}

function imported(folder: string, text: string, { merge = false } = {}) {
  const stdin = Readable.from([text.slice(0, 100), text.slice(100)]);
  return run(folder, (config, tools) => importAll({ merge }, config, { ...tools, stdin }));
}

const turn = (index: number, conversation: string): NewTurn => ({
  key: `key-${conversation}-${index}`,
  conversation,
  payload: { index, text: `question ${index}\n问题` },
  merge: { group: "ada", at: 1_000 + index },
});

/** A bit of everything: a checkpoint, a batch, an attempt, a dead letter, a finished one, a pause, values. */
async function fill(folder: string): Promise<void> {
  await using storage = await open(folder);
  const { queue, store } = storage;
  for (const conversation of ["b", "a"]) {
    for (const index of [1, 2, 3]) await queue.enqueue(turn(index, conversation));
  }
  await queue.enqueue(turn(1, "dies"));
  await queue.enqueue(turn(1, "is done"));
  const started = Promise.withResolvers<void>();
  const consumer = await queue.work(
    async (run) => {
      if (run.conversation === "dies") throw new Error("no luck");
      if (run.conversation === "is done") return;
      await run.save({ v: 1, part: `of ${run.conversation}` });
      if (run.conversation === "a") started.resolve();
      await new Promise((resolve) => run.signal.addEventListener("abort", resolve));
      throw run.signal.reason;
    },
    { concurrency: 4, maxMerge: 2, mergeWithinMs: 100 },
  );
  await started.promise;
  await expect.poll(async () => (await queue.stats()).dead, { interval: 5 }).toBe(1);
  await expect.poll(async () => (await queue.stats()).depth, { interval: 5 }).toBe(6);
  await consumer.stop("handover");
  await queue.pause();
  await store.set("conversation", "a", { id: "7380" });
  await store.set("conversation", "b", "short", { ttlMs: 60_000 });
}

/** What the next workers see, in order. */
async function answerAll(queue: TurnQueue): Promise<readonly (readonly unknown[])[]> {
  const seen: (readonly unknown[])[] = [];
  const consumer = await queue.work(
    async (run) => {
      seen.push([run.conversation, run.start, run.state, run.turns.map(({ key }) => key)]);
    },
    { concurrency: 1 },
  );
  await expect.poll(async () => (await queue.stats()).depth, { interval: 5 }).toBe(0);
  await consumer.stop("drain");
  return seen;
}

/** The lines, sorted: drivers differ in the order of conversations. Redis counts what is left of a time, not its end. */
const recordsOf = (text: string): readonly string[] =>
  withoutHead(text)
    .replaceAll(/"until":\d+/g, '"until":1')
    .split("\n")
    .toSorted();

const withoutHead = (text: string): string => text.slice(text.indexOf("\n"));

it("carries everything from one folder to another", async () => {
  await using source = await makeTestFolder();
  await using target = await makeTestFolder();
  await fill(source.path);
  const first = await exported(source.path);
  expect(first).toMatchObject({ code: 0 });
  expect(first.err).toContain("6 waiting turns, 1 dead letters, 8 keys of turns and 2 stored values");
  expect(await imported(target.path, first.out)).toEqual({ code: 0, err: "Imported 18 of 18 records." });
  expect(withoutHead((await exported(target.path)).out)).toBe(withoutHead(first.out));

  await checkMoved(target.path);
});

/** What a bridge finds at the new place is what the old one left. */
async function checkMoved(place: string): Promise<void> {
  await using moved = await open(place);
  const { queue, store } = moved;
  expect(await queue.stats()).toMatchObject({ depth: 6, dead: 1, paused: true });
  expect(await store.get("conversation", "a")).toEqual({ id: "7380" });
  expect((await queue.enqueue(turn(1, "is done"))).duplicate).toBe(true);
  const later = await queue.enqueue(turn(4, "a"));
  expect(later).toMatchObject({ duplicate: false, ahead: 3 });
  expect(Number(later.id)).toBeGreaterThan(8);
  await queue.resume();
  const answered = await answerAll(queue);
  expect(answered.filter(([conversation]) => conversation === "b")).toEqual([
    ["b", 2, { v: 1, part: "of b" }, ["key-b-1", "key-b-2"]],
    ["b", 1, undefined, ["key-b-3"]],
  ]);
  expect(answered.filter(([conversation]) => conversation === "a")).toEqual([
    ["a", 2, { v: 1, part: "of a" }, ["key-a-1", "key-a-2"]],
    ["a", 1, undefined, ["key-a-3"]],
    ["a", 1, undefined, ["key-a-4"]],
  ]);
}

it("carries everything to Redis and back", async () => {
  await using redis = await startRedis({ aof: false });
  await using source = await makeTestFolder();
  await using target = await makeTestFolder();
  await fill(source.path);
  const { out } = await exported(source.path);
  expect(await imported(redis.url, out)).toEqual({ code: 0, err: "Imported 18 of 18 records." });
  expect((await imported(redis.url, out)).err).toContain("This Redis holds turns or values already");
  expect((await imported(redis.url, out, { merge: true })).err).toContain("Imported 1 of 18 records"); // the pause
  const back = await exported(redis.url);
  expect(recordsOf(back.out)).toEqual(recordsOf(out));
  expect(await imported(target.path, back.out)).toMatchObject({ code: 0 });
  await checkMoved(target.path);
  await checkMoved(redis.url);
});

it("carries keys that are known for longer, because the bridge looks back for longer", async () => {
  await using redis = await startRedis({ aof: false });
  await using folder = await makeTestFolder();
  const settings = { CATCHUP_WINDOW: "168h" };
  {
    const config = loadStorageConfig({ ...envOf(redis.url), ...settings }, () => "");
    await using storage = await openStorage(config, tools);
    await storage.queue.enqueue(turn(1, "a"));
  }
  const { out } = await exported(redis.url, settings);
  expect(knownForMs(out)).toBe(2 * 168 * 60 * 60 * 1_000);
  expect(await imported(folder.path, out)).toMatchObject({ code: 0 });
  expect(knownForMs((await exported(folder.path)).out)).toBe(knownForMs(out));
});

/** From when the only turn was accepted until its key is forgotten. */
function knownForMs(text: string): number {
  // As `export` wrote it.
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { queue?: QueueRecord });
  const records = lines.flatMap(({ queue }) => queue ?? []);
  const at = records.find((record) => record.kind === "turn")?.at ?? Number.NaN;
  return (records.find((record) => record.kind === "seen")?.until ?? Number.NaN) - at;
}

it("carries a dead letter to Redis that can be shown and retried there", async () => {
  await using redis = await startRedis({ aof: false });
  await using source = await makeTestFolder();
  await fill(source.path);
  await imported(redis.url, (await exported(source.path)).out);
  await using storage = await open(redis.url);
  const [letter] = await storage.deadLetters.list(10);
  expect(letter).toMatchObject({ conversation: "dies", error: "Error: no luck" });
  const id = letter?.id ?? "";
  expect(await storage.deadLetters.show(id, { text: true })).toMatchObject({
    turn: { index: 1, text: "question 1\n问题" },
  });
  expect(await storage.deadLetters.retry("all")).toEqual({ done: [id], unknown: [] });
  expect(await storage.queue.stats()).toMatchObject({ depth: 7, dead: 0 });
});

it("tells what to do with a folder that Redis takes the place of", async () => {
  await using folder = await makeTestFolder();
  const config = { dataDir: folder.path, redisUrl: "redis://127.0.0.1:1" };
  expect(await leftBehind(config, tools)).toBeUndefined();
  await (await open(folder.path))[Symbol.asyncDispose]();
  expect(await leftBehind(config, tools)).toBeUndefined(); // it is empty
  await fill(folder.path);
  expect(await leftBehind(config, tools)).toMatch(/holds turns or conversations.*coze-bridge export.*import/);
  expect(await leftBehind({ dataDir: folder.path }, tools)).toBeUndefined();
  await using _running = await open(folder.path);
  expect(await leftBehind(config, tools)).toContain("is there, too, and is not used");
});

it("adds to what is there only when told to, and takes nothing twice", async () => {
  await using source = await makeTestFolder();
  await using target = await makeTestFolder();
  await fill(source.path);
  {
    await using storage = await open(target.path);
    await storage.queue.enqueue(turn(9, "a"));
    await storage.queue.enqueue(turn(1, "is done"));
    await storage.store.set("conversation", "a", "ours");
  }
  const { out } = await exported(source.path);
  const refused = await imported(target.path, out);
  expect(refused.code).toBe(64);
  expect(refused.err).toContain("add --merge");
  expect(await imported(target.path, out, { merge: true })).toMatchObject({ code: 0 });
  const twice = await imported(target.path, out, { merge: true });
  expect(twice.err).toContain("Imported 1 of 18 records; the rest was there already"); // the pause

  await using storage = await open(target.path);
  expect(await storage.store.get("conversation", "a")).toBe("ours");
  expect(await storage.queue.stats()).toMatchObject({ depth: 8, dead: 1 });
  await storage.queue.resume();
  const keys = (await answerAll(storage.queue)).map((entry) => entry[3]);
  expect(keys.flat().filter((key) => String(key).startsWith("key-a-"))).toEqual([
    "key-a-9",
    "key-a-1",
    "key-a-2",
    "key-a-3",
  ]);
});

it("carries more than fits into one step", async () => {
  await using source = await makeTestFolder();
  await using target = await makeTestFolder();
  {
    await using storage = await open(source.path);
    const all = Array.from({ length: 1_201 }, (_, index) => index);
    await Promise.all(all.map((index) => storage.queue.enqueue(turn(index, `lane ${index % 40}`))));
    await Promise.all(all.map((index) => storage.store.set(`space ${index % 3}`, `${index}`, index)));
  }
  const { out } = await exported(source.path);
  expect((await imported(target.path, out)).err).toBe("Imported 3603 of 3603 records.");
  expect(withoutHead((await exported(target.path)).out)).toBe(withoutHead(out));
});

it("writes a file that nobody else can read, and reads it", async () => {
  await using source = await makeTestFolder();
  await using target = await makeTestFolder();
  await fill(source.path);
  const path = join(target.path, "moved.jsonl");
  const streams = { stdout: process.stdout, stdin: Readable.from([]) };
  await run(source.path, (config, others) => exportAll(path, config, { ...others, ...streams }));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const folder = join(target.path, "data");
  const load = (from: string) =>
    run(folder, (config, others) => importAll({ from, merge: false }, config, { ...others, ...streams }));
  const text = await readFile(path, "utf8");
  const cut = join(target.path, "cut.jsonl");
  await writeFile(cut, text.slice(0, -100));
  expect(await load(cut)).toMatchObject({ code: 65, err: expect.stringMatching(/cut off/) as string });
  // Nothing of the broken one was taken, so the place is still empty.
  expect(await load(path)).toEqual({ code: 0, err: "Imported 18 of 18 records." });
  expect((await load(join(target.path, "nothing"))).code).toBe(66);
});

it.each([
  ["nothing at all", "", "it is empty"],
  ["somebody else's file", '{"format":"other","version":1}\n', "not made by coze-bridge export"],
  ["no JSON", "hello\n", "not made by coze-bridge export"],
  [
    "a newer version",
    '{"format":"coze-bridge export","version":2,"from":"x","at":"y"}\n',
    "version 2, this bridge reads up to 1",
  ],
  [
    "records without an end",
    '{"format":"coze-bridge export","version":1,"from":"x","at":"y"}\n{"queue":{"kind":"paused"}}\n',
    "ends after 1 records, cut off. What came before it was taken",
  ],
  [
    "an end too early",
    '{"format":"coze-bridge export","version":1,"from":"x","at":"y"}\n{"end":{"records":3}}\n',
    "line 2 does not belong there",
  ],
  [
    "a record that is none",
    '{"format":"coze-bridge export","version":1,"from":"x","at":"y"}\n{"queue":{"kind":"turn"}}\n',
    "line 2 can't be understood",
  ],
])("does not import %s", async (_what, text, words) => {
  await using folder = await makeTestFolder();
  const { code, err } = await imported(folder.path, text);
  expect(code).toBe(65);
  expect(err).toContain(words);
});

it("exports nothing while a bridge runs, and from no place that has nothing", async () => {
  await using folder = await makeTestFolder();
  expect((await exported(join(folder.path, "nowhere"))).code).toBe(66);
  await using _storage = await open(folder.path);
  expect((await exported(folder.path)).code).toBe(75);
});
