import { expect, it } from "vitest";
import { RetryLater, RunAborted } from "../../src/core/ports.ts";
import { openSqliteQueue } from "../../src/queue/sqlite-queue.ts";
import { aNewTurn, describeQueueContract } from "../contract/queue-contract.ts";
import { CrashingFile } from "./crashing-file.ts";
import { makeTestFolder, makeTestLog, openTestFile, startSqliteBackend } from "./embedded.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

describeQueueContract("sqlite", () => startSqliteBackend());

it("knows a finished turn for a day, and an unfinished one for as long as it takes", async () => {
  let now = 1_767_225_600_000;
  await using backend = await startSqliteBackend({ now: () => now });
  await using opened = await backend.open();
  const { queue } = opened;
  await queue.enqueue(aNewTurn("a:1"));
  now += 10 * DAY_MS;
  expect((await queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
  await queue.work(async () => {}, { concurrency: 1 });
  await expect.poll(async () => (await queue.stats()).depth).toBe(0);
  // Its window was over long ago.
  expect((await queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(false);
  await expect.poll(async () => (await queue.stats()).depth).toBe(0);
  now += DAY_MS - 1;
  expect((await queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
  now += 1;
  expect((await queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(false);
});

it("starts a parked turn again although the clock was set back by a day meanwhile", async () => {
  let now = 1_767_225_600_000;
  await using backend = await startSqliteBackend({ now: () => now });
  await using opened = await backend.open();
  const starts: number[] = [];
  await opened.queue.work(
    async ({ start }) => {
      starts.push(start);
      if (start === 1) throw new RetryLater({ afterMs: 60_000 });
    },
    { concurrency: 1 },
  );
  await opened.queue.enqueue(aNewTurn("a:1"));
  await expect.poll(() => starts).toEqual([1]);
  // Its end is written, with a time on the clock as it was.
  await expect.poll(async () => (await opened.queue.stats()).running).toBe(0);
  now -= DAY_MS;
  await opened.queue.enqueue(aNewTurn("b:1"));
  await expect.poll(() => starts.filter((start) => start === 2)).toEqual([2]);
});

it("forgets the keys whose window is over, but not those of unfinished turns", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const log = makeTestLog();
  const keys = (): unknown[] =>
    file
      .prepare("SELECT key FROM seen")
      .all()
      .map((row) => row["key"]);
  {
    await using queue = await openSqliteQueue({ file, log, dedupeMs: 1 });
    const consumer = await queue.work(async () => {}, { concurrency: 1 });
    await queue.enqueue(aNewTurn("a:1"));
    await expect.poll(async () => (await queue.stats()).depth).toBe(0);
    await consumer.stop("drain");
    await queue.enqueue(aNewTurn("a:2"));
    expect(keys()).toEqual(["a:1", "a:2"]);
  }
  await using _again = await openSqliteQueue({ file, log, now: () => Date.now() + 1_000 });
  expect(keys()).toEqual(["a:2"]);
});

it("buries a turn whose stored form was damaged, and goes on with its conversation", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  await using queue = await openSqliteQueue({ file, log: makeTestLog() });
  await queue.enqueue(aNewTurn("a:1"));
  await queue.enqueue(aNewTurn("a:2"));
  file.prepare("UPDATE turn SET payload = '{\"text' WHERE key = 'a:1'").run();
  const answered: string[] = [];
  await queue.work(
    async ({ turns }) => {
      answered.push(...turns.map(({ key }) => key));
    },
    { concurrency: 1 },
  );
  await expect.poll(() => answered).toEqual(["a:2"]);
  expect((await queue.dead()).map(({ key }) => key)).toEqual(["a:1"]);
});

it("refuses a turn or checkpoint that is too big, and stays usable", async () => {
  await using backend = await startSqliteBackend();
  await using opened = await backend.open();
  const huge = "x".repeat(1_000_001);
  const tooBig = opened.queue.enqueue(aNewTurn("a:1", { payload: huge }));
  await expect(tooBig).rejects.toMatchObject({ code: "INTERNAL" });
  const saves: unknown[] = [];
  await opened.queue.work(
    async (run) => {
      await run.save(huge).catch((error: unknown) => saves.push(error));
      await run.save("small");
    },
    { concurrency: 1 },
  );
  expect((await opened.queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(false);
  await expect.poll(() => saves).toMatchObject([{ code: "INTERNAL" }]);
  await expect.poll(async () => (await opened.queue.stats()).depth).toBe(0);
});

it("does not accept what could not be written before its deadline", async () => {
  await using backend = await startSqliteBackend();
  await using opened = await backend.open();
  const late = opened.queue.enqueue(aNewTurn("a:1"), { deadlineMs: -1 });
  await expect(late).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE", retryable: true });
  expect((await opened.queue.enqueue(aNewTurn("a:1"), { deadlineMs: 10_000 })).duplicate).toBe(false);
});

it("waits out a file that can't be written: nothing accepted, nothing lost, and it says so", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const log = makeTestLog();
  await using queue = await openSqliteQueue({ file, log });
  const open = Promise.withResolvers<void>();
  const starts: string[] = [];
  await queue.work(
    async ({ turns }) => {
      starts.push(...turns.map(({ key }) => key));
      await open.promise;
    },
    { concurrency: 5 },
  );
  await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(() => starts).toEqual(["a:1"]);
  const pages = Number(file.prepare("PRAGMA page_count").get()?.["page_count"]);
  file.prepare(`PRAGMA max_page_count = ${pages}`).get();
  // Of one moment, so of one transaction: the small one was counted already when the big one failed.
  const payload = "x".repeat(500_000);
  const refused = [queue.enqueue(aNewTurn("c:1")), queue.enqueue(aNewTurn("b:1", { payload }))];
  const trouble = { code: "QUEUE_UNAVAILABLE", retryable: true };
  expect(await Promise.allSettled(refused)).toMatchObject([{ reason: trouble }, { reason: trouble }]);
  expect((await queue.stats()).depth).toBe(1);
  file.prepare("PRAGMA query_only = ON").get();
  open.resolve();
  await expect.poll(async () => (await queue.health()).ok).toBe(false);
  file.prepare("PRAGMA query_only = OFF").get();
  await expect.poll(async () => (await queue.stats()).depth).toBe(0);
  expect((await queue.health()).ok).toBe(true);
  expect(starts).toEqual(["a:1"]);
});

it("is not well from the first question on that it could not store, until it can write again", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  await using queue = await openSqliteQueue({ file, log: makeTestLog() });
  file.prepare("PRAGMA query_only = ON").get();
  await expect(queue.enqueue(aNewTurn("a:1"))).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
  expect(await queue.health()).toMatchObject({
    ok: false,
    notes: [expect.stringContaining("can't be written") as string],
  });
  file.prepare("PRAGMA query_only = OFF").get();
  await expect.poll(async () => (await queue.health()).ok, { timeout: 5_000 }).toBe(true);
});

it("aborts its runs and goes quiet when its file is closed under it", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const queue = await openSqliteQueue({ file, log: makeTestLog() });
  const signals: AbortSignal[] = [];
  await queue.work(
    async ({ signal }) => {
      signals.push(signal);
      await new Promise(() => {});
    },
    { concurrency: 1 },
  );
  await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(() => signals.length).toBe(1);
  await file[Symbol.asyncDispose]();
  await queue[Symbol.asyncDispose]();
  expect(signals[0]?.reason).toBeInstanceOf(RunAborted);
  await expect(queue.enqueue(aNewTurn("a:2"))).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
});

it("notices when somebody else took its turn, and leaves it alone from then on", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const log = makeTestLog();
  await using queue = await openSqliteQueue({ file, log });
  const go = Promise.withResolvers<void>();
  const seen: unknown[] = [];
  await queue.work(
    async (run) => {
      await go.promise;
      await run.save("mine").catch((error: unknown) => seen.push(error));
      seen.push(run.signal.reason);
    },
    { concurrency: 1 },
  );
  await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(async () => (await queue.stats()).running).toBe(1);
  // As a second process would that ignored the lock.
  file.prepare("UPDATE lane SET token = 'other:1'").run();
  go.resolve();
  await expect.poll(() => seen).toMatchObject([{ why: "lease-lost" }, { why: "lease-lost" }]);
  await expect
    .poll(() => log.lines.map(({ message }) => message))
    .toContain("a run ended that was no longer ours");
  expect(file.prepare("SELECT state FROM turn").get()?.["state"]).toBeNull();
  expect((await queue.stats()).depth).toBe(1);
});

it("says in its health what an operator should know", async () => {
  let now = 1_767_225_600_000;
  await using backend = await startSqliteBackend({ now: () => now });
  await using opened = await backend.open();
  const { queue } = opened;
  await queue.work(
    async () => {
      throw new Error("no");
    },
    { concurrency: 1 },
  );
  await queue.enqueue(aNewTurn("a:1"));
  await expect.poll(async () => (await queue.health()).notes.join()).toContain("1 dead letter");
  await queue.pause();
  await queue.enqueue(aNewTurn("a:2"));
  now += 7 * 60_000;
  const { ok, notes } = await queue.health();
  expect(ok).toBe(true);
  expect(notes.join()).toContain("paused");
  expect(notes.join()).toContain("7 minutes old");
});

it("does not answer for what the crash of its file may have undone", async () => {
  await using folder = await makeTestFolder();
  await using real = await openTestFile(folder.path);
  // Points 1 to 3 open the queue, 4 to 6 are the enqueue: written, and gone before the commit.
  const queue = await openSqliteQueue({ file: new CrashingFile(real, 5), log: makeTestLog() });
  await expect(queue.enqueue(aNewTurn("a:1"))).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
  await queue[Symbol.asyncDispose]();
  await using next = await openSqliteQueue({ file: real, log: makeTestLog() });
  expect((await next.enqueue(aNewTurn("a:1"))).duplicate).toBe(false);
});

it("starts what was just taken in before the loop turns", async () => {
  await using backend = await startSqliteBackend();
  await using opened = await backend.open();
  const started: string[] = [];
  await opened.queue.work(async ({ conversation }) => void started.push(conversation), { concurrency: 3 });
  await Promise.all(["a:1", "b:1", "c:1"].map((key) => opened.queue.enqueue(aNewTurn(key))));
  // Comes behind all that waits on promises, and before all that waits for the loop.
  await new Promise<void>((resolve) => {
    process.nextTick(resolve);
  });
  expect(started.toSorted()).toEqual(["a", "b", "c"]);
});
