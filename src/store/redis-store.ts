import type { Redis } from "ioredis";
import { BridgeError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import type { SetOptions, Store } from "../core/ports.ts";
import { scanKeys } from "./scan-keys.ts";

export interface RedisStoreOptions {
  /**
   * A connection of its own, with a command time-out, so that nobody waits for a Redis that is away. The store closes
   * it when disposed.
   */
  readonly redis: Redis;
  /** Names our keys; the queue's may be the same. */
  readonly prefix: string;
}

/**
 * The store on Redis: one string key per value, expiry by Redis' own clock. As durable as its append-only file.
 *
 * @see docs/reference/queue.md §6
 */
export function createRedisStore({ redis, prefix }: RedisStoreOptions): Store & AsyncDisposable {
  return new RedisStore(redis, prefix);
}

class RedisStore implements Store, AsyncDisposable {
  readonly #redis: Redis;
  readonly #root: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    // The braces put all keys into one slot, so a Cluster lists a space from one node.
    this.#root = `{${prefix}}:kv:`;
  }

  async get(space: string, key: string): Promise<Json | undefined> {
    const text = await ask(() => this.#redis.get(this.#keyOf(space, key)));
    return text === null ? undefined : toJson(text);
  }

  async set(space: string, key: string, value: Json, options: SetOptions = {}): Promise<boolean> {
    const { ttlMs, ifAbsent = false } = options;
    const [name, text] = [this.#keyOf(space, key), JSON.stringify(value)];
    // Redis refuses an expiry of 0; what should be gone already is gone a moment later.
    const px = ttlMs === undefined ? undefined : Math.max(1, Math.ceil(ttlMs));
    const answer = await ask(() => {
      if (px === undefined) return ifAbsent ? this.#redis.set(name, text, "NX") : this.#redis.set(name, text);
      if (ifAbsent) return this.#redis.set(name, text, "PX", px, "NX");
      return this.#redis.set(name, text, "PX", px);
    });
    return answer === "OK";
  }

  async delete(space: string, key: string): Promise<boolean> {
    return (await ask(() => this.#redis.del(this.#keyOf(space, key)))) === 1;
  }

  async *list(space: string): AsyncIterable<readonly [key: string, value: Json]> {
    const root = this.#keyOf(space, "");
    const seen = new Set<string>();
    try {
      for await (const names of scanKeys(this.#redis, root)) {
        const fresh = names.filter((name) => !seen.has(name));
        for (const name of fresh) seen.add(name);
        const texts = fresh.length === 0 ? [] : await this.#redis.mget(fresh);
        for (const [index, name] of fresh.entries()) {
          const text = texts[index];
          if (typeof text === "string") yield [name.slice(root.length), toJson(text)];
        }
      }
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#redis.quit();
    } catch {
      // It was away; there is nothing to say goodbye to.
      this.#redis.disconnect();
    }
  }

  /** A space may hold any character, so its length goes first: `a` + `b:c` is not `a:b` + `c`. */
  #keyOf(space: string, key: string): string {
    return `${this.#root}${space.length}:${space}:${key}`;
  }
}

/** @throws {BridgeError} `QUEUE_UNAVAILABLE` when Redis does not answer or refuses. */
async function ask<T>(command: () => Promise<T>): Promise<T> {
  try {
    return await command();
  } catch (cause) {
    throw unavailable(cause);
  }
}

function unavailable(cause: unknown): BridgeError {
  const refusal = cause instanceof Error && cause.name === "ReplyError" ? ` (${cause.message})` : "";
  return new BridgeError("QUEUE_UNAVAILABLE", `the store on Redis can't be reached or refuses${refusal}`, {
    cause,
    retryable: true,
  });
}

/** Values are written by `set` alone, as JSON. */
function toJson(text: string): Json {
  return JSON.parse(text) as Json;
}
