import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { StorageConfig } from "./config.ts";
import { openControlServer } from "./control/control-server.ts";
import { type DeadLetters, deadLettersOf } from "./control/dead-letters.ts";
import { BridgeError } from "./core/errors.ts";
import type {
  Abortable,
  Archive,
  Leases,
  Log,
  QueueArchive,
  Store,
  StoreRecord,
  TurnQueue,
} from "./core/ports.ts";
import type { SharedBuckets } from "./core/shared-bucket.ts";
import { createSqliteQueueArchive } from "./queue/sqlite-archive.ts";
import { openSqliteQueue } from "./queue/sqlite-queue.ts";
import { createFileLeases } from "./store/file-leases.ts";
import { createSqliteStoreArchive } from "./store/sqlite-archive.ts";
import { openSqliteFile } from "./store/sqlite-file.ts";
import { createSqliteStore } from "./store/sqlite-store.ts";

export interface StorageOptions extends Abortable {
  readonly log: Log;
  /** How long a worker on Redis may be silent before its turns are taken over, in ms; the queue's own when absent. */
  readonly leaseMs?: number | undefined;
  /** How long to wait for another process that has the file, in ms. */
  readonly lockWaitMs?: number;
}

/** Queue and store of one bridge, and who may do what only one process may. */
export interface Storage extends AsyncDisposable {
  readonly queue: TurnQueue;
  readonly store: Store;
  readonly leases: Leases;
  /** Where several processes spend out of the same limits. */
  readonly buckets?: SharedBuckets;
  readonly deadLetters: DeadLetters;
  /** Lets commands look in while this process has the file; nothing to do where they can look for themselves. */
  serveControl(): Promise<AsyncDisposable>;
}

/** Everything that a bridge has stored, while nobody works on it. */
export interface StorageArchive extends AsyncDisposable {
  readonly driver: "sqlite" | "redis";
  readonly queue: QueueArchive;
  readonly store: Archive<StoreRecord>;
}

/** Where commands reach the bridge that runs on this folder. */
export function controlSocketOf(dataDir: string): string {
  return join(dataDir, "control.sock");
}

/**
 * Whether a bridge ever kept its queue in this folder.
 *
 * @throws {BridgeError} `CONFIG_INVALID` when this user may not look.
 */
export function hasStorage({ dataDir, redisUrl }: StorageConfig): boolean {
  if (redisUrl !== undefined) return true;
  try {
    statSync(join(dataDir, "bridge.sqlite"));
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EACCES")) return false;
    const todo = "run the command as the user who runs the bridge";
    throw new BridgeError("CONFIG_INVALID", `DATA_DIR ${dataDir} may not be read by this user: ${todo}.`, {
      cause: error,
    });
  }
}

/**
 * Opens queue and store.
 *
 * @throws {BridgeError} `QUEUE_OWNED`, `QUEUE_UNAVAILABLE` or `CONFIG_INVALID`.
 */
export async function openStorage(config: StorageConfig, options: StorageOptions): Promise<Storage> {
  const { log } = options;
  const { dedupeMs } = config;
  if (config.redisUrl !== undefined) {
    const { openRedisStorage } = await import("./open-redis-storage.ts");
    return openRedisStorage(config.redisUrl, { ...options, dedupeMs });
  }
  await using stack = new AsyncDisposableStack();
  const file = stack.use(await openSqliteFile(config.dataDir, options));
  const queue = stack.use(await openSqliteQueue({ file, log, dedupeMs }));
  const deadLetters = deadLettersOf(queue, createSqliteQueueArchive(file));
  const opened = stack.move();
  return {
    queue,
    store: createSqliteStore(file),
    leases: createFileLeases(),
    deadLetters,
    serveControl: () => openControlServer({ path: controlSocketOf(config.dataDir), deadLetters, log }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/**
 * Opens what is stored, to be carried elsewhere.
 *
 * @throws {BridgeError} `QUEUE_OWNED`, `QUEUE_UNAVAILABLE` or `CONFIG_INVALID`.
 */
export async function openStorageArchive(
  config: StorageConfig,
  options: StorageOptions,
): Promise<StorageArchive> {
  if (config.redisUrl !== undefined) {
    const { openRedisArchive } = await import("./open-redis-storage.ts");
    return openRedisArchive(config.redisUrl, { ...options, dedupeMs: config.dedupeMs });
  }
  const file = await openSqliteFile(config.dataDir, options);
  return {
    driver: "sqlite",
    queue: createSqliteQueueArchive(file),
    store: createSqliteStoreArchive(file),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

/**
 * Tells the operator who has just set `REDIS_URL` that the folder still holds what the bridge did before.
 *
 * @returns The sentence, or `undefined` when nothing is left behind.
 */
export async function leftBehind(
  { dataDir, redisUrl }: StorageConfig,
  options: StorageOptions,
): Promise<string | undefined> {
  const path = join(dataDir, "bridge.sqlite");
  if (redisUrl === undefined || !existsSync(path)) return undefined;
  const todo =
    "Stop the bridge, run `REDIS_URL= coze-bridge export --to moved.jsonl`, then `coze-bridge import --from moved.jsonl` " +
    `with REDIS_URL set, and move ${path} away. To start empty, only move it away.`;
  try {
    await using archive = await openStorageArchive({ dataDir }, { ...options, lockWaitMs: 0 });
    const empty = (await archive.queue.isEmpty()) && (await archive.store.isEmpty());
    return empty
      ? undefined
      : `REDIS_URL is set, but ${path} holds turns or conversations, which are not used. ${todo}`;
  } catch (error) {
    options.log.debug({ err: error, path }, "the old queue file can't be looked into");
    return `REDIS_URL is set, but ${path} is there, too, and is not used. ${todo}`;
  }
}
