import type { Redis } from "ioredis";
import { BridgeError } from "../core/errors.ts";
import { unavailable } from "../redis/redis-client.ts";

/** From here on new turns are refused, while workers go on; from the lower one on it is said (queue.md §7). */
export const MEMORY_FULL_SHARE = 0.85;
const MEMORY_WARN_SHARE = 0.7;
/** LPOS, GETDEL and what BullMQ needs are there from 6.2 on (queue.md §0). */
const OLDEST_VERSION = [6, 2] as const;
const CLOCK_SKEW_MS = 2_000;

/** What a Redis says about itself. */
export interface RedisFacts {
  /** Lines of `INFO`, by name. */
  readonly info: Readonly<Record<string, string>>;
  /** `undefined` where `CONFIG` is not allowed, as on most managed servers. */
  readonly appendfsync: string | undefined;
  /** Its clock ahead of ours, in ms. */
  readonly aheadMs: number;
  /** Number of the database we use. */
  readonly database: number;
}

export interface Verdict {
  /** Set: it must not be used. */
  readonly refusal: BridgeError | undefined;
  /** It takes writes now. */
  readonly ok: boolean;
  readonly notes: readonly string[];
}

/** Asks Redis about itself; all but one answer come from `INFO`, which every server allows. */
export async function readRedisFacts(redis: Redis, now: () => number): Promise<RedisFacts> {
  const before = now();
  const [info, time, appendfsync] = await Promise.all([redis.info(), redis.time(), readAppendfsync(redis)]);
  const ours = (before + now()) / 2;
  const theirs = Number(time[0]) * 1_000 + Number(time[1]) / 1_000;
  return { info: parseInfo(info), appendfsync, aheadMs: theirs - ours, database: redis.options.db ?? 0 };
}

/** The lines of an `INFO` answer, by name. */
export function parseInfo(text: string): Readonly<Record<string, string>> {
  const lines = text.split("\n").map((line) => line.trim());
  const pairs = lines.filter((line) => line.includes(":")).map((line) => splitOnce(line));
  return Object.fromEntries(pairs);
}

/** Used part of `maxmemory`, 0 to 1; 0 when there is no limit. */
export function memoryShare(info: RedisFacts["info"]): number {
  const limit = Number(info["maxmemory"] ?? 0);
  return limit > 0 ? Number(info["used_memory"] ?? 0) / limit : 0;
}

/**
 * Whether a Redis can be trusted with turns.
 *
 * @see docs/reference/queue.md §7
 */
export function judgeRedis(facts: RedisFacts, target: string): Verdict {
  const { info } = facts;
  const troubles = findTroubles(info);
  return {
    refusal: findRefusal(facts, target),
    ok: troubles.length === 0,
    notes: [...troubles, ...findWarnings(facts)],
  };
}

function findRefusal({ info, database }: RedisFacts, target: string): BridgeError | undefined {
  const version = info["redis_version"] ?? "an unknown version";
  if (isTooOld(version)) {
    return refuse(
      `Redis at ${target} is ${version}, ${OLDEST_VERSION.join(".")} or newer is needed (or Valkey)`,
    );
  }
  if (isCluster(info) && database !== 0) {
    return refuse(
      `Redis at ${target} is a Cluster, which has only database 0: take /${database} out of REDIS_URL`,
    );
  }
  if (info["role"] !== undefined && info["role"] !== "master") {
    return unavailable(target, "it is a read-only replica, REDIS_URL must name the primary");
  }
  if (evicts(info)) {
    const policy = info["maxmemory_policy"];
    return refuse(
      `Redis at ${target} may silently drop accepted messages (maxmemory-policy ${policy}): set maxmemory-policy noeviction`,
    );
  }
  return undefined;
}

function refuse(message: string): BridgeError {
  return new BridgeError("CONFIG_INVALID", message);
}

function findTroubles(info: RedisFacts["info"]): readonly string[] {
  const troubles: string[] = [];
  if (info["loading"] === "1") troubles.push("Redis is still loading its data");
  if ((info["aof_last_write_status"] ?? "ok") !== "ok") {
    troubles.push("Redis can't write its append-only file: writes are refused");
  }
  if ((info["rdb_last_bgsave_status"] ?? "ok") !== "ok") {
    troubles.push("Redis can't save its snapshot: writes may be refused");
  }
  const share = memoryShare(info);
  if (share >= MEMORY_FULL_SHARE) {
    troubles.push(`Redis uses ${percent(share)} of its memory: new messages are refused, raise maxmemory`);
  }
  return troubles;
}

function findWarnings({ info, appendfsync, aheadMs }: RedisFacts): readonly string[] {
  const notes: string[] = [];
  if (info["aof_enabled"] !== "1") {
    notes.push("a restart of Redis loses accepted messages: switch its append-only file on (appendonly yes)");
  } else if (appendfsync === "no") {
    notes.push("up to 30 s of accepted messages may be lost: set appendfsync everysec");
  }
  const share = memoryShare(info);
  if (share >= MEMORY_WARN_SHARE && share < MEMORY_FULL_SHARE) {
    notes.push(
      `Redis uses ${percent(share)} of its memory, from ${percent(MEMORY_FULL_SHARE)} on new messages are refused`,
    );
  }
  if (Math.abs(aheadMs) > CLOCK_SKEW_MS) {
    notes.push(
      `the clocks of Redis and this machine are ${(Math.abs(aheadMs) / 1_000).toFixed(1)} s apart: delays and ages will be off`,
    );
  }
  if (Number(info["connected_slaves"] ?? 0) > 0 || isCluster(info)) {
    notes.push("Redis has replicas: a failover may lose the last writes");
  }
  return notes;
}

function isCluster(info: RedisFacts["info"]): boolean {
  return info["cluster_enabled"] === "1";
}

function evicts(info: RedisFacts["info"]): boolean {
  return Number(info["maxmemory"] ?? 0) > 0 && (info["maxmemory_policy"] ?? "noeviction") !== "noeviction";
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1]);
}

async function readAppendfsync(redis: Redis): Promise<string | undefined> {
  try {
    const answer: unknown = await redis.config("GET", "appendfsync");
    return Array.isArray(answer) ? String(answer[1]) : undefined;
  } catch {
    // Not allowed here, so it is not known. A lost connection shows in the other questions.
    return undefined;
  }
}

function splitOnce(line: string): readonly [string, string] {
  const cut = line.indexOf(":");
  return [line.slice(0, cut), line.slice(cut + 1)];
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
