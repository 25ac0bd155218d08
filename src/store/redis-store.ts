import type { Redis } from "ioredis";
import { BridgeError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import type { SetOptions, Store } from "../core/ports.ts";
import { scanKeys } from "../redis/scan-keys.ts";
import { SETTLED_MS, SettlingWrites } from "./settling-writes.ts";

export interface RedisStoreOptions {
  /**
   * A connection of its own, with a command time-out, so that nobody waits for a Redis that is away. The store closes
   * it when disposed.
   */
  readonly redis: Redis;
  /** Names our keys; the queue's may be the same. */
  readonly prefix: string;
  /** How long what vouches for something else waits, in ms; default 10 s, shorter in tests. */
  readonly settledMs?: number;
}

/** How often it is looked whether something is to be written, at most so many times a {@link SETTLED_MS}. */
const LOOKS = 10;

/** A value as it is written. */
interface Written {
  readonly text: string;
  /** Time to live, in ms. */
  readonly px: number | undefined;
}

/**
 * The store on Redis: one string key per value, expiry by Redis' own clock. As durable as its append-only file.
 *
 * @see docs/reference/queue.md §6
 */
export function createRedisStore(options: RedisStoreOptions): Store & AsyncDisposable {
  return new RedisStore(options);
}

class RedisStore implements Store, AsyncDisposable {
  readonly #redis: Redis;
  readonly #root: string;
  readonly #settledMs: number;
  readonly #settling: SettlingWrites<Written>;
  /** Since when Redis has been there without a break; before that it may have lost something. */
  #readySince: number;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor({ redis, prefix, settledMs = SETTLED_MS }: RedisStoreOptions) {
    this.#redis = redis;
    // The braces put all keys into one slot, so a Cluster lists a space from one node.
    this.#root = `{${prefix}}:kv:`;
    this.#settledMs = settledMs;
    this.#settling = new SettlingWrites(settledMs);
    this.#readySince = performance.now();
    redis.on("ready", () => {
      this.#readySince = performance.now();
    });
  }

  async get(space: string, key: string): Promise<Json | undefined> {
    const name = this.#keyOf(space, key);
    const text = this.#settling.get(name)?.text ?? (await ask(() => this.#redis.get(name)));
    return text === null ? undefined : toJson(text);
  }

  async set(space: string, key: string, value: Json, options: SetOptions = {}): Promise<boolean> {
    const { ttlMs, ifAbsent = false, vouches = false } = options;
    const name = this.#keyOf(space, key);
    // Redis refuses an expiry of 0; what should be gone already is gone a moment later.
    const px = ttlMs === undefined ? undefined : Math.max(1, Math.ceil(ttlMs));
    const written = { text: JSON.stringify(value), px };
    if (vouches) {
      this.#settling.add(name, written, performance.now());
      this.#watch();
      return true;
    }
    // What comes to wait while this is written is newer.
    if (!ifAbsent) this.#settling.drop(name);
    return (await this.#write(name, written, { ifAbsent })) === "OK";
  }

  async delete(space: string, key: string): Promise<boolean> {
    const name = this.#keyOf(space, key);
    const waited = this.#settling.drop(name);
    return (await ask(() => this.#redis.del(name))) === 1 || waited;
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
          const text = this.#settling.get(name)?.text ?? texts[index];
          if (typeof text === "string") yield [name.slice(root.length), toJson(text)];
        }
      }
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    // The last word of this process: if Redis dies now, it loses this before what it vouches for.
    if (this.#isSettled) await this.#writeAll(this.#settling.takeAll());
    try {
      await this.#redis.quit();
    } catch {
      // It was away; there is nothing to say goodbye to.
      this.#redis.disconnect();
    }
  }

  async #write(name: string, { text, px }: Written, { ifAbsent }: { ifAbsent: boolean }): Promise<unknown> {
    return ask(() => {
      if (px === undefined) return ifAbsent ? this.#redis.set(name, text, "NX") : this.#redis.set(name, text);
      if (ifAbsent) return this.#redis.set(name, text, "PX", px, "NX");
      return this.#redis.set(name, text, "PX", px);
    });
  }

  /** As long as something waits. */
  #watch(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#settling.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#writeSettled().finally(() => this.#watch());
    }, this.#settledMs / LOOKS).unref();
  }

  /** Whether Redis is there, and has been for so long that the queue brought again what it may have lost. */
  get #isSettled(): boolean {
    return this.#redis.status === "ready" && performance.now() - this.#readySince >= this.#settledMs;
  }

  async #writeSettled(): Promise<void> {
    if (this.#isSettled) await this.#writeAll(this.#settling.take(performance.now()));
  }

  /** Never rejects: what cannot be written leaves the value before it, as a kill would. */
  async #writeAll(values: readonly (readonly [name: string, value: Written])[]): Promise<void> {
    await Promise.allSettled(
      values.map(([name, written]) => this.#write(name, written, { ifAbsent: false })),
    );
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
