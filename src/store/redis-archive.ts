import type { Redis } from "ioredis";
import type { Json } from "../core/json.ts";
import type { Archive, StoreRecord } from "../core/ports.ts";
import { scanKeys } from "../redis/scan-keys.ts";

/** Everything that the store on Redis holds (`redis-store.ts` has its keys). The connection stays the caller's. */
export function createRedisStoreArchive({
  redis,
  prefix,
}: {
  readonly redis: Redis;
  readonly prefix: string;
}): Archive<StoreRecord> {
  return new RedisStoreArchive(redis, `{${prefix}}:kv:`);
}

class RedisStoreArchive implements Archive<StoreRecord> {
  readonly #redis: Redis;
  readonly #root: string;

  constructor(redis: Redis, root: string) {
    this.#redis = redis;
    this.#root = root;
  }

  async isEmpty(): Promise<boolean> {
    for await (const names of scanKeys(this.#redis, this.#root)) if (names.length > 0) return false;
    return true;
  }

  async *dump(): AsyncIterable<StoreRecord> {
    for await (const names of scanKeys(this.#redis, this.#root)) {
      const found = await Promise.all(
        names.map((name) => Promise.all([this.#redis.get(name), this.#redis.pttl(name)])),
      );
      for (const [index, name] of names.entries()) {
        const [text = null, leftMs = -2] = found[index] ?? [];
        const place = this.#placeOf(name);
        if (text === null || place === undefined) continue;
        // Only JSON is ever written there.
        const record = { ...place, value: JSON.parse(text) as Json };
        yield leftMs < 0 ? record : { ...record, until: Date.now() + leftMs };
      }
    }
  }

  async load(lines: readonly StoreRecord[]): Promise<number> {
    const added = await Promise.all(lines.map((line) => this.#add(line)));
    return added.filter(Boolean).length;
  }

  async #add({ space, key, value, until }: StoreRecord): Promise<boolean> {
    const name = `${this.#root}${space.length}:${space}:${key}`;
    const text = JSON.stringify(value);
    if (until === undefined) return (await this.#redis.set(name, text, "NX")) === "OK";
    const leftMs = Math.ceil(until - Date.now());
    return leftMs > 0 && (await this.#redis.set(name, text, "PX", leftMs, "NX")) === "OK";
  }

  /** The length of the space stands before it, since a space may hold any character. */
  #placeOf(name: string): { space: string; key: string } | undefined {
    const [, digits, rest] = /^(\d+):(.*)$/s.exec(name.slice(this.#root.length)) ?? [];
    if (digits === undefined || rest === undefined) return undefined;
    const length = Number(digits);
    return { space: rest.slice(0, length), key: rest.slice(length + 1) };
  }
}
