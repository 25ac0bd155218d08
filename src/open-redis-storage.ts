import type { Redis } from "ioredis";
import { deadLettersOf } from "./control/dead-letters.ts";
import type { Storage, StorageArchive, StorageOptions } from "./open-storage.ts";
import { openBullmqQueue } from "./queue/bullmq-queue.ts";
import { createRedisQueueArchive } from "./queue/redis-archive.ts";
import { connectRedis } from "./redis/redis-client.ts";
import { createRedisStoreArchive } from "./store/redis-archive.ts";
import { createRedisBuckets } from "./store/redis-buckets.ts";
import { createRedisLeases } from "./store/redis-leases.ts";
import { createRedisStore } from "./store/redis-store.ts";

/** Names our keys. */
const PREFIX = "coze-bridge";
/** Nobody waits longer for a value, in ms. */
const STORE_TIMEOUT_MS = 5_000;
/** Nobody's text waits longer for a token, in ms. */
const BUCKETS_TIMEOUT_MS = 300;

export interface RedisStorageOptions extends StorageOptions {
  /** As of `StorageConfig`. */
  readonly dedupeMs: number | undefined;
}

/** Opens queue and store on Redis. Loaded only when it is used. @throws {BridgeError} as {@link openBullmqQueue}. */
export async function openRedisStorage(
  url: string,
  { log, dedupeMs, leaseMs }: RedisStorageOptions,
): Promise<Storage> {
  await using stack = new AsyncDisposableStack();
  const queue = stack.use(
    await openBullmqQueue({
      ...{ url, log, prefix: PREFIX, dedupeMs },
      ...(leaseMs !== undefined && { leaseMs }),
    }),
  );
  const redis = connectRedis(url, {
    log,
    name: "store",
    prefix: PREFIX,
    commandTimeoutMs: STORE_TIMEOUT_MS,
  });
  const store = stack.use(createRedisStore({ redis, prefix: PREFIX }));
  const counters = connectRedis(url, {
    log,
    name: "limits",
    prefix: PREFIX,
    commandTimeoutMs: BUCKETS_TIMEOUT_MS,
  });
  stack.defer(() => counters.disconnect());
  const deadLetters = deadLettersOf(
    queue,
    createRedisQueueArchive({ redis, prefix: PREFIX, queue, dedupeMs }),
  );
  const opened = stack.move();
  return {
    queue,
    store,
    leases: createRedisLeases({ redis, prefix: PREFIX, log, ...(leaseMs !== undefined && { leaseMs }) }),
    buckets: createRedisBuckets({ redis: counters, prefix: PREFIX, log }),
    deadLetters,
    // Commands talk to Redis.
    serveControl: () => Promise.resolve(new AsyncDisposableStack()),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Opens all that is stored on Redis. @throws {BridgeError} as {@link openBullmqQueue}. */
export async function openRedisArchive(
  url: string,
  { log, dedupeMs }: RedisStorageOptions,
): Promise<StorageArchive> {
  const queue = await openBullmqQueue({ url, log, prefix: PREFIX, dedupeMs });
  const redis = connectRedis(url, { log, name: "archive", prefix: PREFIX });
  return {
    driver: "redis",
    queue: createRedisQueueArchive({ redis, prefix: PREFIX, queue, dedupeMs }),
    store: createRedisStoreArchive({ redis, prefix: PREFIX }),
    async [Symbol.asyncDispose]() {
      await close(redis);
      await queue[Symbol.asyncDispose]();
    },
  };
}

async function close(redis: Redis): Promise<void> {
  try {
    await redis.quit();
  } catch {
    // It was away; there is nothing to say goodbye to.
    redis.disconnect();
  }
}
