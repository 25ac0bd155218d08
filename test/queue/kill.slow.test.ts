import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openSqliteQueue } from "../../src/queue/sqlite-queue.ts";
import { aNewTurn } from "../contract/queue-contract.ts";
import { makeTestFolder, makeTestLog, openTestFile } from "./embedded.ts";
import { judgeJournal, parseJournal } from "./journal.ts";

const TURNS = 500;
const KILLS = 12;

it("survives kill -9 at any moment: nothing lost, swapped, doubled or set back", async () => {
  await using folder = await makeTestFolder();
  const journal = join(folder.path, "journal");
  await writeFile(journal, "");
  for (let kill = 0; kill < KILLS; kill += 1) {
    const child = startMortal(folder.path, journal);
    await afterSigns(child, 20 + Math.floor(Math.random() * 120));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }
  const last = startMortal(folder.path, journal);
  last.stdout?.resume();
  expect(await once(last, "exit")).toEqual([0, null]);
  const lines = parseJournal(await readFile(journal, "utf8"));
  expect(judgeJournal(lines, TURNS)).toEqual([]);
  // Otherwise the kills came too late to mean anything.
  expect(new Set(lines.map(({ pid }) => pid)).size).toBeGreaterThan(KILLS / 2);
});

it("tells a second process who owns the file and what to do, and lets it in once the first is killed", async () => {
  await using folder = await makeTestFolder();
  const journal = join(folder.path, "journal");
  await writeFile(journal, "");
  const first = startMortal(folder.path, journal);
  await afterSigns(first, 1);
  await expect(openTestFile(folder.path, 100)).rejects.toMatchObject({
    code: "QUEUE_OWNED",
    message: expect.stringMatching(
      new RegExp(`process ${first.pid} on .*bridge.sqlite.*REDIS_URL`),
    ) as string,
  });
  first.kill("SIGKILL");
  await using file = await openTestFile(folder.path, 10_000);
  expect(file.isOpen).toBe(true);
});

it("closes within seconds though a handler ignores its signal, and frees the turn", async () => {
  await using folder = await makeTestFolder();
  await using file = await openTestFile(folder.path);
  const log = makeTestLog();
  const deaf = Promise.withResolvers<void>();
  {
    await using queue = await openSqliteQueue({ file, log });
    await queue.work(() => deaf.promise, { concurrency: 1 });
    await queue.enqueue(aNewTurn("a:1"));
    await expect.poll(async () => (await queue.stats()).running).toBe(1);
  }
  deaf.resolve();
  expect(log.lines.map(({ message }) => message)).toContain(
    "handlers did not stop: their turns are left to the next start",
  );
  // It was no death: a turn is not suspected for a slow handler.
  expect(file.prepare("SELECT crashes FROM turn").get()?.["crashes"]).toBe(0);
  expect(file.prepare("SELECT token FROM lane").get()?.["token"]).toBeNull();
  await using next = await openSqliteQueue({ file, log });
  const starts: number[] = [];
  await next.work(
    async ({ start }) => {
      starts.push(start);
    },
    { concurrency: 1 },
  );
  await expect.poll(() => starts).toEqual([2]);
});

function startMortal(folder: string, journal: string): ChildProcess {
  const script = join(import.meta.dirname, "mortal-process.ts");
  return spawn(process.execPath, [script, folder, journal, String(TURNS)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Resolves when the process has given so many signs of life, or has ended. Its pipe stays open: see it die by us. */
function afterSigns(child: ChildProcess, signs: number): Promise<void> {
  return new Promise((resolve) => {
    let left = signs;
    child.once("exit", () => resolve());
    child.stdout?.on("data", (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) resolve();
    });
  });
}
