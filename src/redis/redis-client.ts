import { Redis } from "ioredis";
import { BridgeError } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";
import { slotConnector } from "./slot-connector.ts";

/** Wait before a reconnect, in ms: at once after a hiccup, never so long that a returned Redis is missed. */
const FIRST_RECONNECT_MS = 25;
const MAX_RECONNECT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** A server that owes an answer for this long is gone; longer than any blocking read (10 s, queue.md §1). */
const SILENCE_MS = 30_000;
const KEEP_ALIVE_MS = 10_000;

export interface RedisClientOptions {
  readonly log: Log;
  /** Shown by Redis in `CLIENT LIST`. */
  readonly name: string;
  /** Names our keys; in a Cluster they are all on one node, which is found by it. */
  readonly prefix: string;
  /** Rejects a command after this long, in ms; by default it waits until Redis is back. */
  readonly commandTimeoutMs?: number;
}

/** Opens a connection; tests pass their own to cut it where they want. */
export type ConnectRedis = (url: string, options: RedisClientOptions) => Redis;

/**
 * Starts a client that reconnects for as long as it lives, and sends again what got no answer (queue.md §8.3).
 *
 * @throws {BridgeError} `CONFIG_INVALID` when the address is none.
 */
export function connectRedis(url: string, options: RedisClientOptions): Redis {
  const target = describeRedis(url);
  const redis = new Redis(url, {
    connectionName: `coze-bridge-${options.name}`,
    maxRetriesPerRequest: null,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MS,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy: (times) => Math.min(MAX_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** Math.min(times, 10)),
    // What ioredis subscribes by itself rejects unheard where the connection ends before the answer: who listens does it again
    // on `ready`.
    autoResubscribe: false,
    Connector: slotConnector(`{${options.prefix}}:`),
    // After a failover the old address may be a replica, or no longer have our keys: connect anew and send again.
    reconnectOnError: (error) => (/^(READONLY|MOVED) /.test(error.message) ? 2 : false),
    ...(options.commandTimeoutMs === undefined ? {} : { commandTimeout: options.commandTimeoutMs }),
  });
  logOutages(redis, target, options);
  return redis;
}

/** One line when it goes, one when it is back; without a listener each refused reconnect would be printed. */
function logOutages(redis: Redis, target: string, { log, name }: RedisClientOptions): void {
  let isAway = false;
  redis.on("error", (error: Error) => {
    const level = isAway ? "debug" : "warn";
    isAway = true;
    log[level]({ err: error, redis: target, connection: name }, "Redis can't be reached, trying again");
  });
  redis.on("ready", () => {
    if (isAway) log.info({ redis: target, connection: name }, "Redis is back");
    isAway = false;
  });
}

/**
 * Host and port of an address, without its password.
 *
 * @throws {BridgeError} `CONFIG_INVALID`, naming no part of the address: any of it may be the password.
 */
export function describeRedis(url: string): string {
  const parsed = URL.parse(url);
  if (parsed !== null && ["redis:", "rediss:"].includes(parsed.protocol) && parsed.hostname !== "") {
    return `${parsed.hostname}:${parsed.port === "" ? "6379" : parsed.port}`;
  }
  throw new BridgeError(
    "CONFIG_INVALID",
    "the address of Redis must look like redis://user:password@host:6379, or rediss:// for TLS",
  );
}

/** What went wrong between us and Redis, in words for the operator. Errors of ours pass unchanged. */
export function toQueueError(cause: unknown, target: string): BridgeError {
  if (cause instanceof BridgeError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (message.includes("OOM command not allowed")) {
    const words = `Redis at ${target} is at its memory limit: raise maxmemory, nothing can be written until then`;
    return new BridgeError("QUEUE_FULL", words, { cause, retryable: true });
  }
  return unavailable(target, reasonOf(message), cause);
}

/** @param what - Ends the sentence "Redis at …: ". */
export function unavailable(target: string, what: string, cause?: unknown): BridgeError {
  return new BridgeError("QUEUE_UNAVAILABLE", `Redis at ${target}: ${what}`, { cause, retryable: true });
}

function reasonOf(message: string): string {
  if (message.includes("MISCONF")) return "it refuses writes because it can't save to its disk";
  if (message.includes("READONLY")) return "it is a read-only replica";
  if (message.includes("LOADING")) return "it is still loading its data";
  if (message.includes("CLUSTERDOWN")) return "its Cluster is down, or no node has our keys";
  if (/NOAUTH|WRONGPASS|NOPERM/.test(message)) return "user or password are refused";
  if (message.includes("Command timed out")) return "no answer in time";
  return "it can't be reached";
}
