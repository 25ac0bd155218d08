import fs from "node:fs";
import { type FileHandle, mkdir, open, readFile, rmdir, stat, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it, type Mock, vi } from "vitest";
import { openSqliteQueue } from "../../src/queue/sqlite-queue.ts";
import { openSqliteFile, type SqliteFile, unusable } from "../../src/store/sqlite-file.ts";
import { MIGRATIONS } from "../../src/store/sqlite-schema.ts";
import { makeTestFolder, makeTestLog, openTestFile } from "../queue/embedded.ts";

const signal = new AbortController().signal;

it("makes its folder and files for its owner alone", async () => {
  await using folder = await makeTestFolder();
  const data = join(folder.path, "a", "data");
  await using file = await openTestFile(data);
  await file.commit(() => undefined);
  expect((await stat(data)).mode & 0o777).toBe(0o700);
  for (const name of ["bridge.sqlite", "bridge.sqlite-wal", "bridge.lock", "bridge.owner.json"]) {
    expect([name, (await stat(join(data, name))).mode & 0o777]).toEqual([name, 0o600]);
  }
});

describe("a commit", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });

  it("is synced to the disk where it changes something, and nothing else", async () => {
    await using folder = await makeTestFolder();
    await using file = await openTestFile(folder.path);
    await file.commit(add(file, "first"));
    const sync = vi.spyOn(fs, "fdatasyncSync");
    syncBuiltinESMExports();
    file.transaction(add(file, "a"));
    expect(await file.commit(() => "nothing")).toBe("nothing");
    expect(sync).not.toHaveBeenCalled();
    await file.commit(add(file, "b"));
    expect(sync).toHaveBeenCalledTimes(1);
    await expect(
      file.commit(() => {
        add(file, "c")();
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(sync).toHaveBeenCalledTimes(1);
  });

  it("is synced where it is the first, though it changes nothing: an earlier process may have left something", async () => {
    await using folder = await makeTestFolder();
    await using file = await openTestFile(folder.path);
    const sync = vi.spyOn(fs, "fdatasyncSync");
    syncBuiltinESMExports();
    await file.commit(() => undefined);
    expect(sync).toHaveBeenCalledTimes(1);
    await file.commit(() => undefined);
    expect(sync).toHaveBeenCalledTimes(1);
  });

  it("that changes nothing waits for those before it", async () => {
    await using folder = await makeTestFolder();
    await using file = await openTestFile(folder.path);
    await using disk = await slowDisk(file, folder.path);
    const done: string[] = [];
    void file.commit(add(file, "a")).then(() => done.push("a"));
    await expect.poll(() => disk.begun.mock.calls.length).toBe(1);
    void file.commit(() => undefined).then(() => done.push("nothing"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(done).toEqual([]);
    disk.sync.resolve();
    await expect.poll(() => done).toEqual(["a", "nothing"]);
    expect(disk.begun).toHaveBeenCalledTimes(1);
  });

  it.each([
    ["waited for", (sync: PromiseWithResolvers<void>) => sync.resolve()],
    [
      "written anew where its sync fails",
      (sync: PromiseWithResolvers<void>) => sync.reject(new Error("EIO")),
    ],
  ])("is %s while the file is closed, also on a slow disk", async (_what, end) => {
    await using folder = await makeTestFolder();
    const file = await openTestFile(folder.path);
    await using disk = await slowDisk(file, folder.path);
    const done: string[] = [];
    void file.commit(add(file, "late")).then(() => done.push("late"));
    const closing = file[Symbol.asyncDispose]().then(() => done.push("closed"));
    await expect.poll(() => disk.begun.mock.calls.length).toBe(1);
    expect([file.isOpen, done]).toEqual([true, []]);
    end(disk.sync);
    await closing;
    expect(done).toEqual(["late", "closed"]);
  });

  it("writes all of the log anew after a sync that failed, which may have lost any of it", async () => {
    await using folder = await makeTestFolder();
    await using file = await openTestFile(folder.path);
    const logSize = async (): Promise<number> => (await stat(`${file.path}-wal`)).size;
    failSyncOnce();
    expect(await file.commit(add(file, "a"))).toBe(1);
    expect(await logSize()).toBe(0);
    await file.commit(add(file, "b"));
    expect(await logSize()).toBeGreaterThan(0);
  });

  it("fails where that can't be done either, until it can", async () => {
    await using folder = await makeTestFolder();
    await using file = await openTestFile(folder.path);
    file.transaction(add(file, "a"));
    using reader = new DatabaseSync(file.path, { readOnly: true });
    reader.exec("BEGIN; SELECT * FROM flag");
    failSyncOnce();
    const refusal = { code: "QUEUE_UNAVAILABLE", retryable: true };
    await expect(file.commit(add(file, "b"))).rejects.toMatchObject(refusal);
    await expect(file.commit(add(file, "c"))).rejects.toMatchObject(refusal);
    reader.close();
    expect(await file.commit(add(file, "d"))).toBe(1);
    expect((await stat(`${file.path}-wal`)).size).toBe(0);
  });
});

it("moves into the file what an earlier process left in the log", async () => {
  await using folder = await makeTestFolder();
  await (await openTestFile(folder.path))[Symbol.asyncDispose]();
  // Closed by nobody, as by a kill.
  using killed = new DatabaseSync(join(folder.path, "bridge.sqlite"));
  killed.exec("INSERT INTO flag VALUES ('left', 1)");
  expect((await stat(join(folder.path, "bridge.sqlite-wal"))).size).toBeGreaterThan(0);
  await using file = await openTestFile(folder.path);
  expect((await stat(`${file.path}-wal`)).size).toBe(0);
  expect(file.prepare("SELECT name FROM flag").get()?.["name"]).toBe("left");
});

it("shares one transaction among all commits of a moment, and undoes all when one throws", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const count = (): number => Number(file.prepare("SELECT count(*) AS n FROM flag").get()?.["n"]);
  const results = await Promise.allSettled([file.commit(add(file, "a")), file.commit(add(file, "a"))]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(count()).toBe(0);
  expect(await Promise.all([file.commit(add(file, "a")), file.commit(add(file, "b"))])).toEqual([1, 1]);
  expect(() => file.transaction(add(file, "a"))).toThrow("UNIQUE");
  expect(file.transaction(add(file, "c"))).toBe(1);
});

it("takes more commits at once than fit into one transaction", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const all = await Promise.all(Array.from({ length: 2_500 }, (_, index) => file.commit(() => index)));
  expect(all).toEqual(Array.from({ length: 2_500 }, (_, index) => index));
});

it("writes what is pending before it closes, and may be closed twice", async () => {
  await using folder = await makeTestFolder();
  const file = await openTestFile(folder.path);
  const written = file.commit(() => file.prepare("INSERT INTO flag VALUES ('x', 1)").run().changes);
  await file[Symbol.asyncDispose]();
  await file[Symbol.asyncDispose]();
  expect(await written).toBe(1);
  expect(file.isOpen).toBe(false);
  expect((await file.check()).ok).toBe(false);
  await expect(file.commit(() => 1)).rejects.toThrow();
});

it("refuses a second owner and names the first, and stays with the first", async () => {
  await using folder = await makeTestFolder();
  await using first = await openTestFile(folder.path);
  for (const _try of [1, 2]) {
    await expect(openTestFile(folder.path, 60)).rejects.toMatchObject({
      code: "QUEUE_OWNED",
      message: expect.stringMatching(
        new RegExp(`^process ${process.pid} on .*: stop the other one, or set REDIS_URL to run several\\.`),
      ) as string,
    });
  }
  expect(first.transaction(() => 1)).toBe(1);
});

it("waits for the owner to go", async () => {
  await using folder = await makeTestFolder();
  const first = await openTestFile(folder.path);
  const second = openTestFile(folder.path, 10_000);
  await first[Symbol.asyncDispose]();
  await using file = await second;
  expect(file.isOpen).toBe(true);
});

it("stops waiting for the owner when told to", async () => {
  await using folder = await makeTestFolder();
  await using _first = await openTestFile(folder.path);
  const stop = new AbortController();
  const second = openSqliteFile(folder.path, { log: makeTestLog(), signal: stop.signal });
  stop.abort(new Error("shutdown"));
  await expect(second).rejects.toMatchObject({ name: "AbortError" });
});

it("refuses a file of a newer version, untouched, and frees the folder", async () => {
  await using folder = await makeTestFolder();
  const newer = [...MIGRATIONS, "CREATE TABLE future (x)"];
  const file = await openSqliteFile(folder.path, { log: makeTestLog(), signal, migrations: newer });
  await file[Symbol.asyncDispose]();
  for (const _try of [1, 2]) {
    await expect(openTestFile(folder.path, 0)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("newer coze-bridge") as string,
    });
  }
  await using again = await openSqliteFile(folder.path, { log: makeTestLog(), signal, migrations: newer });
  expect(again.prepare("SELECT count(*) AS n FROM future").get()?.["n"]).toBe(0);
});

it.each([
  ["EMFILE", "QUEUE_UNAVAILABLE", "just now"],
  ["ENOSPC", "QUEUE_UNAVAILABLE", "just now"],
  ["EACCES", "CONFIG_INVALID", "It must be writable for user"],
  ["ENOTDIR", "CONFIG_INVALID", "It must be a folder."],
])("tells a folder that %s keeps from it as %s", (code, meaning, words) => {
  const error = unusable("/data", Object.assign(new Error("no"), { code }));
  expect(error).toMatchObject({ code: meaning, retryable: meaning === "QUEUE_UNAVAILABLE" });
  expect(error.message).toContain(words);
});

it("leaves a file as it was when a migration fails half-way", async () => {
  await using folder = await makeTestFolder();
  await (await openTestFile(folder.path))[Symbol.asyncDispose]();
  const broken = [...MIGRATIONS, "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1)"];
  await expect(
    openSqliteFile(folder.path, { log: makeTestLog(), signal, migrations: broken }),
  ).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
  await using file = await openTestFile(folder.path, 0);
  expect(file.prepare("SELECT name FROM sqlite_schema WHERE name = 'half'").get()).toBeUndefined();
  expect(file.prepare("PRAGMA user_version").get()?.["user_version"]).toBe(MIGRATIONS.length);
});

it("answers the turns that version 1 left behind", async () => {
  await using folder = await makeTestFolder();
  const old = new DatabaseSync(join(folder.path, "bridge.sqlite"));
  old.exec(await readFile(join(import.meta.dirname, "../fixtures/queue/schema-1.sql"), "utf8"));
  old.close();
  await using file = await openTestFile(folder.path);
  await using queue = await openSqliteQueue({ file, log: makeTestLog() });
  expect(await queue.stats()).toMatchObject({ depth: 3, dead: 1, paused: true });
  expect((await queue.enqueue({ key: "old:done", conversation: "x", payload: null })).duplicate).toBe(true);
  const runs: unknown[] = [];
  await queue.work(
    async ({ turns, start, attempt, state }) => {
      runs.push([turns.map(({ key }) => key), start, attempt, state]);
    },
    { concurrency: 1, maxMerge: 9 },
  );
  await queue.resume();
  await expect
    .poll(() => runs)
    .toEqual([
      [["old:a:1", "old:a:2"], 3, 2, { part: 1 }],
      [["old:b:1"], 1, 1, undefined],
    ]);
});

it.each(["bridge.sqlite", "bridge.lock"])("says what to do when %s is not a database", async (name) => {
  await using folder = await makeTestFolder();
  await writeFile(join(folder.path, name), "this is not a database, but long enough to be one".repeat(50));
  await expect(openTestFile(folder.path)).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining("move it away") as string,
  });
});

it.each([
  ["bridge.sqlite", "CONFIG_INVALID"],
  ["bridge.lock", "QUEUE_UNAVAILABLE"],
])("has a sentence for a folder where %s should be", async (name, code) => {
  await using folder = await makeTestFolder();
  await mkdir(join(folder.path, name));
  await expect(openTestFile(folder.path, 0)).rejects.toMatchObject({ code });
  await rmdir(join(folder.path, name));
  await using file = await openTestFile(folder.path, 0);
  expect(file.isOpen).toBe(true);
});

it("says what is wrong with a folder it can't have", async () => {
  await using folder = await makeTestFolder();
  await writeFile(join(folder.path, "file"), "");
  await expect(openTestFile(join(folder.path, "file", "data"))).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining("ENOTDIR") as string,
  });
});

it("does not keep the folder when it can't write into it", async () => {
  await using folder = await makeTestFolder();
  const owner = join(folder.path, "bridge.owner.json");
  await mkdir(owner);
  await expect(openTestFile(folder.path)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  await rmdir(owner);
  await using file = await openTestFile(folder.path, 0);
  expect(file.isOpen).toBe(true);
});

it("tells trouble with the disk from a mistake of ours", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const write = (): unknown => file.prepare("INSERT INTO flag VALUES ('x', 1)").run();
  file.prepare("PRAGMA query_only = ON").get();
  const trouble = { code: "QUEUE_UNAVAILABLE", retryable: true };
  expect(() => file.transaction(write)).toThrow(expect.objectContaining(trouble) as Error);
  await expect(file.commit(write)).rejects.toMatchObject(trouble);
  file.prepare("PRAGMA query_only = OFF").get();
  expect(() => file.transaction(() => file.prepare("INSERT INTO nowhere VALUES (1)"))).toThrow(
    "no such table",
  );
});

function add(file: SqliteFile, name: string): () => number | bigint {
  return () => file.prepare("INSERT INTO flag VALUES (?, 1)").run(name).changes;
}

/** Finds the disk slow, so that syncs go on beside the loop; they end with `sync`. Mocked until the test is over. */
async function slowDisk(
  file: SqliteFile,
  folder: string,
): Promise<AsyncDisposable & { begun: Mock<FileHandle["datasync"]>; sync: PromiseWithResolvers<void> }> {
  const quick = vi.spyOn(fs, "fdatasyncSync").mockImplementation(() => {
    const end = performance.now() + 5;
    while (performance.now() < end);
  });
  syncBuiltinESMExports();
  await file.commit(add(file, "finds the disk slow"));
  quick.mockRestore();
  syncBuiltinESMExports();
  const sync = Promise.withResolvers<void>();
  const some = await open(join(folder, "some"), "w");
  const handles = Object.getPrototypeOf(some) as Pick<FileHandle, "datasync">;
  const begun = vi.spyOn(handles, "datasync").mockReturnValue(sync.promise);
  return { begun, sync, [Symbol.asyncDispose]: () => some.close() };
}

/** Mocked until the test is over. */
function failSyncOnce(): void {
  vi.spyOn(fs, "fdatasyncSync").mockImplementationOnce(() => {
    throw new Error("EIO");
  });
  syncBuiltinESMExports();
}
