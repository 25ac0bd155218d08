import { fdatasyncSync } from "node:fs";
import { chmod, type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { BridgeError } from "../core/errors.ts";
import type { Abortable, Log } from "../core/ports.ts";
import { isVersionAtLeast, judgeDisk } from "./disk.ts";
import { type FileLock, openFileLock } from "./file-lock.ts";
import type { HoldOptions } from "./held-file.ts";
import { LogSync } from "./log-sync.ts";
import { MIGRATIONS, migrate } from "./sqlite-schema.ts";

/** Older ones can corrupt a WAL file that a tool reads at the same time (queue.md §4, "WAL-reset"). */
const MIN_SQLITE = "3.51.3";
/** A rolling restart overlaps for about this long (queue.md §4). */
const LOCK_WAIT_MS = 10_000;
/** How long a write, or a log's rewriting, waits for a tool that holds the file, in ms. The event loop stands still meanwhile. */
const BUSY_MS = 500;
/** After a failed sync, SQLite's own sync of the same log may hear of the same failure once more. */
const REWRITES = 2;
/** SQLite says that another program reads the log, or holds the file. */
const IS_BUSY = 1;
/** Durable pieces of work per transaction; more are done in the next one, so that the loop can breathe. */
const MAX_GROUP = 1_000;

export interface SqliteFileOptions extends Abortable {
  readonly log: Log;
  /** How long to wait for the present owner to go, in ms; default 10 s. */
  readonly lockWaitMs?: number;
  /** Default {@link MIGRATIONS}. */
  readonly migrations?: readonly string[];
}

interface DurableWork {
  readonly work: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens `bridge.sqlite` in the folder, which it makes if need be, for this process alone.
 *
 * @throws {BridgeError} `QUEUE_OWNED` when another process has it; `CONFIG_INVALID` when the place or the file is
 * unfit (network file system, newer schema, not a database); `QUEUE_UNAVAILABLE` when it can't be opened.
 */
export async function openSqliteFile(
  folder: string,
  { log, signal, lockWaitMs = LOCK_WAIT_MS, migrations = MIGRATIONS }: SqliteFileOptions,
): Promise<SqliteFile> {
  const onWait = (): void =>
    log.info({ folder, waitMs: lockWaitMs }, "another process has the data folder, waiting for it");
  const lock = await takeFolder(folder, { waitMs: lockWaitMs, signal, onWait });
  try {
    const path = join(folder, "bridge.sqlite");
    const disk = await judgeDisk(folder);
    if (disk.system.verdict === "refuse") {
      throw new BridgeError("CONFIG_INVALID", `DATA_DIR ${folder} can't be used: ${disk.system.note}.`);
    }
    // Made by us first, so that it is never readable by others; SQLite gives its side files the same mode.
    await (await open(path, "a", 0o600)).close();
    await chmod(path, 0o600);
    const database = openDatabase(path, migrations);
    // Some systems sync only what may be written.
    const wal = await open(`${path}-wal`, "r+").catch((error: unknown) => {
      database.close();
      throw error;
    });
    const notes = [disk.system.note, disk.space.note].filter((note) => note !== "");
    for (const note of notes) log.warn({ path, note }, "queue file is not in the best place");
    const about = { path, notes: [disk.system.note].filter((note) => note !== ""), log };
    return new SqliteFile({ database, wal, lock }, about);
  } catch (error) {
    lock[Symbol.dispose]();
    throw hasErrno(error) ? unusable(folder, error) : error;
  }
}

async function takeFolder(folder: string, options: HoldOptions): Promise<FileLock> {
  try {
    await makeFolder(folder);
    return await openFileLock(folder, options);
  } catch (error) {
    if (hasErrno(error)) throw unusable(folder, error);
    throw resultCode(error) === 0 ? error : openError(join(folder, "bridge.lock"), error);
  }
}

/** No fault of the folder's: it may be usable again by itself. */
const MAY_PASS = /^(EMFILE|ENFILE|ENOSPC|EDQUOT|EIO|EAGAIN|ENOMEM)$/;
const NO_FOLDER = /^(EEXIST|ENOTDIR)$/;

/** What the operating system's refusal of a folder means to who runs us. */
export function unusable(folder: string, cause: Error & { code: string }): BridgeError {
  const { code } = cause;
  if (MAY_PASS.test(code)) {
    const text = `DATA_DIR ${folder} can't be used just now (${code})`;
    return new BridgeError("QUEUE_UNAVAILABLE", text, { cause, retryable: true });
  }
  const who = process.getuid === undefined ? "" : ` It must be writable for user ${process.getuid()}.`;
  const remedy = NO_FOLDER.test(code) ? " It must be a folder." : who;
  return new BridgeError("CONFIG_INVALID", `DATA_DIR ${folder} can't be used (${code}).${remedy}`, { cause });
}

/** Whether the operating system refused a file. */
function hasErrno(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "syscall" in error && "code" in error && typeof error.code === "string";
}

async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made === undefined) return;
  // A new folder must outlive a power loss as well as the file in it.
  const parent = await open(dirname(made), "r");
  try {
    await parent.sync();
  } catch (error) {
    // Not every platform lets a folder be synced; then its entry is as safe as the platform makes it.
    if (process.platform === "linux") throw error;
  } finally {
    await parent.close();
  }
}

function openDatabase(path: string, migrations: readonly string[]): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_MS });
  try {
    checkVersion(database);
    const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
    if (mode !== "wal") {
      throw new BridgeError(
        "CONFIG_INVALID",
        `${path}: SQLite can't use write-ahead logging here (it says "${String(mode)}"): use a local disk.`,
      );
    }
    database.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -8000");
    migrate(database, path, migrations);
    // What an earlier process wrote, and perhaps did not live to see on the disk; a program that reads may prevent it.
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    // Commits are synced by us, not to hold up the loop; SQLite syncs what its checkpoints need.
    database.exec("PRAGMA synchronous = NORMAL");
    return database;
  } catch (error) {
    database.close();
    throw error instanceof BridgeError ? error : openError(path, error);
  }
}

function checkVersion(database: DatabaseSync): void {
  const version = String(database.prepare("SELECT sqlite_version() AS version").get()?.["version"]);
  if (isVersionAtLeast(version, MIN_SQLITE)) return;
  throw new BridgeError(
    "CONFIG_INVALID",
    `This Node has SQLite ${version}; ${MIN_SQLITE} is needed, older ones may damage the file. Use Node 24.15 or newer.`,
  );
}

// SQLite's primary result codes, sqlite.org/rescode.html.
const CORRUPT = 11;
const NOT_A_DATABASE = 26;
/** Busy, locked, read-only, I/O error, corrupt, full, can't open, not a database: the disk's fault, not the query's. */
const DISK_TROUBLE: ReadonlySet<number> = new Set([5, 6, 8, 10, CORRUPT, 13, 14, NOT_A_DATABASE]);

function resultCode(error: unknown): number {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
}

function openError(path: string, cause: unknown): BridgeError {
  const code = resultCode(cause);
  const reason = cause instanceof Error ? cause.message : String(cause);
  return code === NOT_A_DATABASE || code === CORRUPT
    ? new BridgeError(
        "CONFIG_INVALID",
        `${path} is damaged or not ours. Restore it from a backup, or move it away to start empty.`,
        { cause },
      )
    : new BridgeError("QUEUE_UNAVAILABLE", `${path} can't be opened: ${reason}.`, {
        cause,
        retryable: true,
      });
}

/**
 * The one SQLite file of the embedded mode: one process, one connection, shared by queue and store.
 *
 * Two kinds of writes: `transaction` survives the end of the process, `commit` also a power loss.
 */
export class SqliteFile implements AsyncDisposable {
  readonly path: string;
  readonly #database: DatabaseSync;
  /** SQLite's write-ahead log, which holds every commit. */
  readonly #wal: FileHandle;
  readonly #logSync: LogSync;
  readonly #lock: FileLock;
  readonly #notes: readonly string[];
  readonly #log: Log;
  readonly #begin: StatementSync;
  readonly #end: StatementSync;
  readonly #undo: StatementSync;
  readonly #rewrite: StatementSync;
  readonly #changes: StatementSync;
  /** What an earlier process wrote may not be on the disk, so until one sync has succeeded every commit is synced. */
  #hasSynced = false;
  /** A sync failed since all was last written anew: the system may take for written what it could not write. */
  #isDoubtful = false;
  /** Committed and not known to be on the disk yet; these never reject. */
  readonly #settling = new Set<Promise<void>>();
  #pending: DurableWork[] = [];
  #flush: NodeJS.Immediate | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    { database, wal, lock }: { database: DatabaseSync; wal: FileHandle; lock: FileLock },
    about: { path: string; notes: readonly string[]; log: Log },
  ) {
    this.path = about.path;
    this.#notes = about.notes;
    this.#log = about.log;
    this.#database = database;
    this.#wal = wal;
    this.#logSync = new LogSync({ syncNow: () => fdatasyncSync(wal.fd), sync: () => wal.datasync() });
    this.#lock = lock;
    this.#begin = database.prepare("BEGIN IMMEDIATE");
    this.#end = database.prepare("COMMIT");
    this.#undo = database.prepare("ROLLBACK");
    this.#rewrite = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#changes = database.prepare("SELECT total_changes() AS n");
  }

  get isOpen(): boolean {
    return this.#database.isOpen;
  }

  /** A prepared statement of this connection; to be kept by the caller. */
  prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  /**
   * Runs the work in one transaction, at once. A throw undoes all of it.
   *
   * @throws {BridgeError} `QUEUE_UNAVAILABLE` when the disk does not take it.
   */
  transaction<T>(work: () => T): T {
    try {
      this.#begin.run();
      const result = work();
      this.#end.run();
      return result;
    } catch (error) {
      // A full disk has rolled back by itself; asking again would hide its error.
      if (this.isOpen && this.#database.isTransaction) this.#undo.run();
      throw this.#translate(error);
    }
  }

  /**
   * Runs the work in a transaction that is on the disk (fsync) when the promise resolves. All work of one turn of
   * the event loop shares one transaction, and its fate: work returns its refusals, a throw undoes everybody's. While a
   * slow disk works the loop goes on; what is written meanwhile shares the next sync. After a sync that failed the log is
   * written anew, in the loop.
   *
   * @throws {BridgeError} `QUEUE_UNAVAILABLE` when the disk does not take it.
   */
  commit<T>(work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // What `work` returned is what `resolve` gets: the only place where the type is forgotten in between.
      this.#pending.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#flush ??= setImmediate(() => this.#commitPending());
    });
  }

  /** Whether the disk is still good to write to, in words. */
  async check(): Promise<{ ok: boolean; notes: readonly string[] }> {
    if (!this.isOpen) return { ok: false, notes: [...this.#notes, "the queue file is closed"] };
    try {
      const { space } = await judgeDisk(dirname(this.path));
      return { ok: true, notes: [...this.#notes, space.note].filter((note) => note !== "") };
    } catch (error) {
      return { ok: false, notes: [...this.#notes, `the queue's folder can't be read: ${String(error)}`] };
    }
  }

  /** Writes what is pending, closes the file and lets the next process have it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    using _ = this.#lock;
    while (this.#pending.length > 0) this.#commitPending();
    await Promise.all(this.#settling);
    this.#database.close();
    await this.#wal.close();
  }

  #commitPending(): void {
    clearImmediate(this.#flush);
    const group = this.#pending.slice(0, MAX_GROUP);
    this.#pending = this.#pending.slice(MAX_GROUP);
    this.#flush = this.#pending.length > 0 ? setImmediate(() => this.#commitPending()) : undefined;
    try {
      const before = this.#countChanges();
      const results = this.transaction(() => group.map(({ work }) => work()));
      const settling = this.#settle(group, results, this.#countChanges() > before);
      this.#settling.add(settling);
      void settling.finally(() => this.#settling.delete(settling));
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  /** Never rejects. */
  async #settle(
    group: readonly DurableWork[],
    results: readonly unknown[],
    hasChanged: boolean,
  ): Promise<void> {
    try {
      await this.#toDisk(hasChanged);
      group.forEach(({ resolve }, index) => {
        resolve(results[index]);
      });
    } catch (error) {
      for (const { reject } of group) reject(this.#unwritable(error));
    }
  }

  /**
   * Resolves when all commits so far are on the disk. A log whose sync failed is worth nothing any more, so all of it is
   * moved into the file and synced there.
   *
   * @param hasChanged - False: the last one changed nothing, so only those before it may still be on their way.
   */
  async #toDisk(hasChanged: boolean): Promise<void> {
    const isNew = hasChanged || !this.#hasSynced;
    try {
      if (!this.#isDoubtful) await (isNew ? this.#logSync.sync() : this.#logSync.underWay());
    } catch (error) {
      this.#isDoubtful = true;
      this.#log.warn({ err: error, path: this.path }, "the disk failed, the queue's log is written anew");
    }
    // Set meanwhile perhaps, by a sync that failed before this one.
    if (this.#isDoubtful) this.#writeAnew();
    this.#hasSynced = true;
  }

  /** Holds up the event loop. @throws what the disk says, or that another program reads the log. */
  #writeAnew(): void {
    for (let tries = 1; this.#isDoubtful; tries += 1) {
      let busy: unknown;
      try {
        busy = this.#rewrite.get()?.["busy"];
      } catch (error) {
        if (tries < REWRITES) continue;
        throw error;
      }
      if (busy === IS_BUSY) throw new Error("another program reads the log");
      this.#isDoubtful = false;
    }
  }

  /** Rows that this connection has changed since it was opened. */
  #countChanges(): number {
    return Number(this.#changes.get()?.["n"]);
  }

  #translate(error: unknown): unknown {
    if (this.isOpen && !DISK_TROUBLE.has(resultCode(error))) return error;
    return this.#unwritable(error);
  }

  #unwritable(cause: unknown): BridgeError {
    return new BridgeError("QUEUE_UNAVAILABLE", `${this.path} can't be written`, { cause, retryable: true });
  }
}
