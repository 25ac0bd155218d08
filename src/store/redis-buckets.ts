import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { z } from "zod";
import type { BucketLimits } from "../core/pacer.ts";
import type { Log } from "../core/ports.ts";
import type { BucketNews, BucketView, SharedBucket, SharedBuckets } from "../core/shared-bucket.ts";

/** How long a process counts as a sharer after it was heard of last, in ms: a dead one takes nobody's share for longer. */
const SHARER_LEASE_MS = 30_000;
/** How often it is looked whether Redis is back, in ms. */
const LOOK_MS = 500;

/**
 * One step on one bucket, by Redis' own clock. The arithmetic is that of `core/pacer.ts`.
 *
 * Bucket; speed, burst, sure burst, tokens per ms, process, lease in ms, then an operation and its arguments: `take`
 * needs, sharers, owed; `close` ms, tokens; `lower` tokens, ms to the window's end or -1; `add` tokens; `share` sharers.
 * Answers: taken, tokens, ms closed, ms to the window's end or -1, sharers, doubted.
 */
const STEP = `
local clock = redis.call('TIME')
local wall = clock[1] * 1000 + clock[2] / 1000
local speed, burst, sure, rate = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local me, lease, op = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local a, b, c = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local now = wall * speed

local fields, sharers, state = redis.call('HGETALL', KEYS[1]), 0, {}
for i = 1, #fields, 2 do
  local count, ends = string.match(fields[i + 1], '^(%d+):([%d.]+)$')
  if not count then state[fields[i]] = tonumber(fields[i + 1])
  elseif tonumber(ends) < wall then redis.call('HDEL', KEYS[1], fields[i])
  elseif fields[i] ~= me then sharers = sharers + tonumber(count) end
end

local closed, window, doubted = state.closed or 0, state.window, state.doubted or 0
if op == 'close' then doubted = 1 end
if doubted == 1 then burst = sure end
local at = math.max(now, closed)
local tokens = state.tokens
if not tokens then tokens = burst
elseif window then if now >= window then tokens = burst end
else tokens = math.min(burst, tokens + math.max(0, now - (state.at or now)) * rate) end

local taken = 0
if op == 'take' then
  tokens = math.max(math.min(tokens, 0), tokens - c)
  sharers = sharers + b
  redis.call('HSET', KEYS[1], me, string.format('%d:%.0f', b, wall + lease))
  if closed <= now and tokens >= a - 0.000001 then
    if window and now >= window then window = now + burst / rate end
    tokens = tokens - 1
    taken = 1
  end
elseif op == 'close' then
  closed = math.max(closed, now + a)
  if not window then tokens = math.min(burst, tokens + math.max(0, closed - at) * rate)
  elseif closed >= window then tokens = burst end
  tokens, window, at = math.min(b, tokens), nil, closed
  redis.call('HDEL', KEYS[1], 'window')
elseif op == 'lower' then
  tokens = math.min(tokens, a)
  if b >= 0 then window = now + b end
elseif op == 'add' then tokens = math.min(burst, tokens + a)
elseif a == 0 then redis.call('HDEL', KEYS[1], me)
else redis.call('HSET', KEYS[1], me, string.format('%d:%.0f', a, wall + lease)) end

redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.3f', at),
  'closed', string.format('%.3f', closed), 'doubted', doubted)
if window then redis.call('HSET', KEYS[1], 'window', string.format('%.3f', window)) end
local full = (burst - tokens) / rate
if window then full = window - now end
local keep = math.max(lease, (math.max(0, at - now) + full) / speed)
redis.call('PEXPIRE', KEYS[1], math.ceil(keep) + 1000)
return { taken, string.format('%.6f', tokens), string.format('%.3f', math.max(0, closed - now)),
  window and string.format('%.3f', window - now) or '-1', sharers, doubted }
`;

export interface RedisBucketsOptions {
  /** With a short command time-out: who waits for a token of a Redis that is away loses time. Closed by the caller. */
  readonly redis: Redis;
  /** Names our keys. */
  readonly prefix: string;
  readonly log: Log;
}

/**
 * Buckets on Redis: one hash per bucket that is not full, and one script that takes, gives and tells (design.md §11).
 * A process that spends out of a bucket is counted for as long as it was heard of lately.
 */
export function createRedisBuckets(options: RedisBucketsOptions): SharedBuckets {
  return new RedisBuckets(options);
}

type Step = (key: string, ...args: readonly (string | number)[]) => Promise<unknown>;

class RedisBuckets implements SharedBuckets {
  readonly #options: RedisBucketsOptions;
  readonly #me = randomUUID();
  /** Until it answers again nobody is kept waiting for it. */
  #isAway = false;

  constructor(options: RedisBucketsOptions) {
    this.#options = options;
    options.redis.defineCommand("bucketStep", { numberOfKeys: 1, lua: STEP });
  }

  of(name: string, limits: BucketLimits, speed: number): SharedBucket {
    const { burst, sureBurst = burst, tokensPerSecond } = limits;
    const key = `{${this.#options.prefix}}:bucket:${name}`;
    const fixed = [speed, burst, sureBurst, tokensPerSecond / 1000, this.#me, SHARER_LEASE_MS];
    const step = (...args: readonly (string | number)[]): Promise<BucketView | undefined> =>
      this.#step(key, [...fixed, ...args]);
    return {
      take: ({ needs, sharers, owed }) => step("take", needs, sharers, owed),
      tell: (news) => void step(...toStep(news)),
    };
  }

  async #step(key: string, args: readonly (string | number)[]): Promise<BucketView | undefined> {
    const { redis } = this.#options;
    if (this.#isAway || redis.status !== "ready") return undefined;
    try {
      // `defineCommand` added the method; ioredis' types can't know that.
      const { bucketStep } = redis as unknown as { readonly bucketStep: Step };
      return toView(await bucketStep.call(redis, key, ...args));
    } catch (error) {
      if (!this.#isAway) void this.#awaitReturn(error);
      return undefined;
    }
  }

  async #awaitReturn(error: unknown): Promise<void> {
    this.#isAway = true;
    const { redis, log } = this.#options;
    log.warn(
      { err: error },
      "limits can't be shared over Redis, each process keeps to its own share of them",
    );
    do await sleep(LOOK_MS, undefined, { ref: false });
    while (redis.status !== "end" && !(await answers(redis)));
    this.#isAway = false;
  }
}

async function answers(redis: Redis): Promise<boolean> {
  try {
    await redis.ping();
    return true;
  } catch {
    return false;
  }
}

function toStep(news: BucketNews): readonly (string | number)[] {
  if ("closedForMs" in news) return ["close", news.closedForMs, news.tokens];
  if ("atMost" in news) return ["lower", news.atMost, news.windowEndsInMs ?? -1];
  if ("more" in news) return ["add", news.more];
  return ["share", news.sharers];
}

/** @throws {Error} when the script is not ours. */
function toView(answer: unknown): BucketView {
  const [taken, tokens, closedForMs, windowEndsInMs, sharers, doubted] = numbers.parse(answer);
  const window = windowEndsInMs < 0 ? {} : { windowEndsInMs };
  return { taken: taken === 1, tokens, closedForMs, sharers, doubted: doubted === 1, ...window };
}

const number = z.coerce.number();
const numbers = z.tuple([number, number, number, number, number, number]);
