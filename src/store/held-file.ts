import { open } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { Abortable } from "../core/ports.ts";

/** How often a held file is tried again, in ms. */
const RETRY_MS = 50;

export interface HoldOptions extends Abortable {
  /** How long to wait for another holder to go, in ms. */
  readonly waitMs: number;
  /** Called once when there is another holder to wait for. */
  readonly onWait?: () => void;
}

/**
 * Holds a file for this process alone: a tiny SQLite file, opened exclusively. The kernel frees it with the process, so
 * there is nothing stale to clean up after a kill (queue.md §4).
 *
 * @returns `undefined` when another holder stayed for longer than `waitMs`.
 */
export async function holdFile(
  path: string,
  { waitMs, signal, onWait }: HoldOptions,
): Promise<Disposable | undefined> {
  await makeFile(path);
  const deadline = performance.now() + waitMs;
  for (let tries = 0; ; tries += 1) {
    const database = tryHold(path);
    if (database !== undefined) return { [Symbol.dispose]: () => closeOnce(database) };
    if (performance.now() >= deadline) return undefined;
    if (tries === 0) onWait?.();
    await sleep(RETRY_MS, undefined, { signal });
  }
}

/** Only SQLite may ever open an existing one: closing any other descriptor of it drops this process's lock (POSIX). */
async function makeFile(path: string): Promise<void> {
  try {
    await (await open(path, "wx", 0o600)).close();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

function tryHold(path: string): DatabaseSync | undefined {
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
