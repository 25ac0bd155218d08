import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../../src/core/ports.ts";
import { openSqliteQueue, type SqliteQueueOptions } from "../../src/queue/sqlite-queue.ts";
import { openSqliteFile, type SqliteFile } from "../../src/store/sqlite-file.ts";
import type { OpenedQueue, QueueBackend } from "../contract/queue-contract.ts";

/** A folder of its own, gone when disposed. */
interface TestFolder extends AsyncDisposable {
  readonly path: string;
}

export async function makeTestFolder(): Promise<TestFolder> {
  const path = await mkdtemp(join(fastFolder(), "coze-bridge-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Memory, where there is some: what survives a kill does so there as well, and a sync costs nothing. */
function fastFolder(): string {
  try {
    accessSync("/dev/shm", constants.W_OK);
    return "/dev/shm";
  } catch {
    // Only Linux has it.
    return tmpdir();
  }
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

/** A log that can be read. */
export function makeTestLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push({ level, message, fields });
    };
  const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  return { ...log, lines, child: () => ({ ...log, child: () => makeTestLog() }) };
}

export function openTestFile(folder: string, lockWaitMs = 1_000): Promise<SqliteFile> {
  return openSqliteFile(folder, {
    log: makeTestLog(),
    signal: AbortSignal.timeout(60_000),
    lockWaitMs,
  });
}

/** The embedded queue as the contract wants it. */
export async function startSqliteBackend(
  settings: Omit<SqliteQueueOptions, "file" | "log"> = {},
): Promise<QueueBackend> {
  const folder = await makeTestFolder();
  return {
    open: async (options = {}) => openSqlite(folder.path, { ...settings, ...options }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function openSqlite(
  folder: string,
  settings: Omit<SqliteQueueOptions, "file" | "log">,
): Promise<OpenedQueue> {
  const file = await openTestFile(folder);
  const queue = await openSqliteQueue({ file, log: makeTestLog(), ...settings });
  const close = async (first: AsyncDisposable, second: AsyncDisposable): Promise<void> => {
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
  };
  return {
    queue,
    // Without its file the queue can write nothing any more, as if the process had gone.
    crash: () => close(file, queue),
    [Symbol.asyncDispose]: () => close(queue, file),
  };
}
