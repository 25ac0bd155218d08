import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { AcquireOptions, Lease, Leases, Log } from "../core/ports.ts";

/** How long a dead process keeps the others waiting, in ms; as long as its turns do (queue.md §0). */
const LEASE_MS = 10_000;
const RENEWALS_PER_LEASE = 4;
/** Part of the lease after which an unconfirmed one is given up; the rest is there to stop in. */
const LEASE_SHARE = 0.8;
/** How often those who wait look, in ms: what is given back is taken after half of it. */
const LOOK_MS = 250;

/** Name, owner, ms → 1 when it is the owner's now. Takes and renews; safe to run twice. */
const TAKE = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`;

/** Name, owner: nobody gives back what is another's. */
const GIVE_BACK = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
`;

export interface RedisLeasesOptions {
  /** With a command time-out; the connection stays the caller's. */
  readonly redis: Redis;
  /** Names our keys. */
  readonly prefix: string;
  readonly log: Log;
  /** How long a lease lasts without a renewal, in ms; default 10 s, shorter in tests. */
  readonly leaseMs?: number;
}

/**
 * Leases on Redis: one key per name, which expires unless its holder renews it. The holder counts by its own clock,
 * from before it asked, so that it lets go before Redis does.
 */
export function createRedisLeases(options: RedisLeasesOptions): Leases {
  return new RedisLeases(options);
}

class RedisLeases implements Leases {
  readonly #options: RedisLeasesOptions;
  /** The same for all leases of this process: an answer that was lost on the way takes nothing from us. */
  readonly #owner = randomUUID();

  constructor(options: RedisLeasesOptions) {
    this.#options = options;
  }

  async acquire(name: string, { signal, onTaken }: AcquireOptions): Promise<Lease> {
    const { redis, prefix, log, leaseMs = LEASE_MS } = this.#options;
    const parts = { redis, log, leaseMs, owner: this.#owner, key: `{${prefix}}:lease:${name}` };
    let tell = onTaken;
    for (;;) {
      signal.throwIfAborted();
      const askedAt = performance.now();
      const answer = await take(parts);
      if (answer === "ours") {
        const lease = new RedisLease(parts, askedAt);
        if (!signal.aborted) return lease;
        await lease[Symbol.asyncDispose]();
      } else if (answer === "taken") {
        tell?.();
        tell = undefined;
      }
      // Aborted: the loop's first line says so.
      await sleep(Math.min(LOOK_MS, leaseMs), undefined, { signal }).catch(() => undefined);
    }
  }
}

interface LeaseParts {
  readonly redis: Redis;
  readonly log: Log;
  readonly leaseMs: number;
  readonly owner: string;
  readonly key: string;
}

class RedisLease implements Lease {
  readonly #parts: LeaseParts;
  readonly #lost = new AbortController();
  readonly #renewals: NodeJS.Timeout;
  #deadline: NodeJS.Timeout | undefined;
  #confirmedAt: number;
  #ended = false;

  constructor(parts: LeaseParts, askedAt: number) {
    this.#parts = parts;
    this.#confirmedAt = askedAt;
    this.#renewals = setInterval(() => void this.#renew(), parts.leaseMs / RENEWALS_PER_LEASE);
    this.#confirm(askedAt);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What is lost runs out, or is another's.
    if (this.#ended) return;
    this.#end();
    const { redis, key, owner, log } = this.#parts;
    try {
      await redis.eval(GIVE_BACK, 1, key, owner);
    } catch (error) {
      log.debug({ err: error, key }, "lease could not be given back, it runs out");
    }
  }

  async #renew(): Promise<void> {
    const askedAt = performance.now();
    const answer = await take(this.#parts);
    if (answer === "ours") this.#confirm(askedAt);
    if (answer === "taken") this.#lose();
  }

  /** @param askedAt - Before Redis was asked: its own count began later. */
  #confirm(askedAt: number): void {
    if (this.#ended) return;
    this.#confirmedAt = Math.max(this.#confirmedAt, askedAt);
    const leftMs = this.#confirmedAt + this.#parts.leaseMs * LEASE_SHARE - performance.now();
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#lose(), leftMs);
  }

  #lose(): void {
    if (this.#ended) return;
    this.#end();
    this.#lost.abort(new Error("the lease could not be renewed"));
  }

  #end(): void {
    this.#ended = true;
    clearInterval(this.#renewals);
    clearTimeout(this.#deadline);
  }
}

/** Never rejects: who does not answer says nothing about the lease. */
async function take({ redis, log, leaseMs, owner, key }: LeaseParts): Promise<"ours" | "taken" | "unknown"> {
  try {
    return Number(await redis.eval(TAKE, 1, key, owner, leaseMs)) === 1 ? "ours" : "taken";
  } catch (error) {
    log.debug({ err: error, key }, "lease could not be asked for");
    return "unknown";
  }
}
