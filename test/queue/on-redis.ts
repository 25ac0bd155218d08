import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Redis } from "ioredis";
import type { TurnQueue } from "../../src/core/ports.ts";
import { type BullmqQueueOptions, openBullmqQueue } from "../../src/queue/bullmq-queue.ts";
import { type ConnectRedis, connectRedis } from "../../src/redis/redis-client.ts";
import type { OpenedQueue, QueueBackend } from "../contract/queue-contract.ts";
import { makeTestLog } from "./embedded.ts";

/** Short, so that a takeover takes 0.3 to 0.9 s. */
export const TEST_LEASE_MS = 600;

/** Connections that can all be cut at once, as the end of their process would. */
export class Connections {
  readonly #open = new Set<Redis>();
  readonly #onOpen: (redis: Redis) => void;

  constructor(onOpen: (redis: Redis) => void = () => {}) {
    this.#onOpen = onOpen;
  }

  readonly connect: ConnectRedis = (url, options) => this.#follow(connectRedis(url, options));

  /** For good: nothing reconnects, every later command is refused. */
  async cut(): Promise<void> {
    await Promise.all([...this.#open].map((redis) => end(redis)));
  }

  /** BullMQ makes a second connection out of ours, to wait on. */
  #follow(redis: Redis): Redis {
    this.#open.add(redis);
    this.#onOpen(redis);
    const duplicate = redis.duplicate.bind(redis);
    redis.duplicate = (override) => this.#follow(duplicate(override));
    return redis;
  }
}

async function end(redis: Redis): Promise<void> {
  if (redis.status === "end") return;
  const ended = once(redis, "end");
  redis.disconnect();
  await ended;
}

/** The queue on Redis as the contract wants it; each backend has keys of its own. */
export async function startBullmqBackend(
  url: string,
  settings: Partial<BullmqQueueOptions> = {},
): Promise<QueueBackend> {
  const prefix = `test-${randomUUID()}`;
  return {
    open: async (options = {}) =>
      openCuttable({ url, log: makeTestLog(), prefix, leaseMs: TEST_LEASE_MS, ...settings, ...options }),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** A queue whose process can die without the test's dying. */
export async function openCuttable(options: BullmqQueueOptions): Promise<OpenedQueue> {
  const connections = new Connections();
  const queue: TurnQueue = await openBullmqQueue({ ...options, connect: connections.connect });
  return {
    queue,
    crash: async () => {
      await connections.cut();
      await queue[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => queue[Symbol.asyncDispose](),
  };
}
