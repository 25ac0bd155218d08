import { open, readFile, rename, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { BridgeError } from "../core/errors.ts";
import type { Abortable } from "../core/ports.ts";

/** How often a held lock is tried again, in ms. */
const RETRY_MS = 50;

/** The one holder of a data folder. Disposing it, or the end of the process however it comes, frees the folder. */
export interface FileLock extends Disposable {
  readonly path: string;
}

export interface FileLockOptions extends Abortable {
  /** How long to wait for another holder to go, in ms: a rolling restart overlaps. */
  readonly waitMs: number;
}

/**
 * Takes the folder for this process: a tiny SQLite file, opened and held exclusively. The kernel frees it with the
 * process, so there is nothing stale to clean up after a kill (queue.md §4).
 *
 * @throws {BridgeError} `QUEUE_OWNED` when another process holds it for longer than `waitMs`.
 */
export async function openFileLock(folder: string, { waitMs, signal }: FileLockOptions): Promise<FileLock> {
  const path = join(folder, "bridge.lock");
  await makeLockFile(path);
  const deadline = performance.now() + waitMs;
  for (;;) {
    const database = tryLock(path);
    if (database !== undefined) {
      return holdLock(database, folder, path);
    }
    if (performance.now() >= deadline) throw await ownedError(folder);
    await sleep(RETRY_MS, undefined, { signal });
  }
}

async function holdLock(database: DatabaseSync, folder: string, path: string): Promise<FileLock> {
  try {
    await writeOwner(folder);
    return { path, [Symbol.dispose]: () => closeOnce(database) };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Only SQLite may ever open an existing one: closing any other descriptor of it drops this process's lock (POSIX). */
async function makeLockFile(path: string): Promise<void> {
  try {
    await (await open(path, "wx", 0o600)).close();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

function tryLock(path: string): DatabaseSync | undefined {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

/** SQLITE_BUSY (5) and its extended forms: somebody else holds a lock. */
function isBusy(error: unknown): boolean {
  return (
    error instanceof Error &&
    "errcode" in error &&
    typeof error.errcode === "number" &&
    (error.errcode & 0xff) === 5
  );
}

function closeOnce(database: DatabaseSync): void {
  if (database.isOpen) database.close();
}

const OWNER = z.object({ pid: z.int(), host: z.string() });

function ownerPath(folder: string): string {
  return join(folder, "bridge.owner.json");
}

/** Who holds the lock, for the sentence another process shows; not the lock itself, so staleness does no harm. */
async function writeOwner(folder: string): Promise<void> {
  const fresh = `${ownerPath(folder)}.${process.pid}`;
  await writeFile(fresh, JSON.stringify({ pid: process.pid, host: hostname() }), { mode: 0o600 });
  await rename(fresh, ownerPath(folder));
}

async function ownedError(folder: string): Promise<BridgeError> {
  const owner = await readOwner(folder);
  const who = owner === undefined ? "another process" : `process ${owner.pid} on ${owner.host}`;
  return new BridgeError(
    "QUEUE_OWNED",
    `${who} owns ${join(folder, "bridge.sqlite")}. The built-in queue belongs to one process: stop the other one, ` +
      "give this one its own DATA_DIR, or set REDIS_URL to run several.",
  );
}

async function readOwner(folder: string): Promise<z.infer<typeof OWNER> | undefined> {
  try {
    return OWNER.parse(JSON.parse(await readFile(ownerPath(folder), "utf8")));
  } catch {
    // It only makes the sentence better; without it the sentence is still true.
    return undefined;
  }
}
