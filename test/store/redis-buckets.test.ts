import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Clock, Gate } from "../../src/core/gate.ts";
import { type Bucket, type BucketLimits, fullBucket, refill, spend } from "../../src/core/pacer.ts";
import type { BucketView, SharedBucket, SharedBuckets } from "../../src/core/shared-bucket.ts";
import { connectRedis } from "../../src/redis/redis-client.ts";
import { createRedisBuckets } from "../../src/store/redis-buckets.ts";
import { type LogLine, makeTestLog } from "../queue/embedded.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";

/** Slow enough that nothing comes back while a test looks. */
const SLOW: BucketLimits = { burst: 5, tokensPerSecond: 0.01, minGapMs: 0 };
const QUICK: BucketLimits = { burst: 4, tokensPerSecond: 40, minGapMs: 0 };

const never = new AbortController().signal;

const clock: Clock = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

interface Member extends Disposable {
  readonly client: Redis;
  readonly buckets: SharedBuckets;
  readonly lines: readonly LogLine[];
}

/** One process' view of the buckets; its connection is its own. */
async function join(prefix: string, server: TestRedis = redis): Promise<Member> {
  const log = makeTestLog();
  const client = connectRedis(server.url, { log, name: "limits", prefix, commandTimeoutMs: 300 });
  await once(client, "ready");
  return {
    client,
    lines: log.lines,
    buckets: createRedisBuckets({ redis: client, prefix, log }),
    [Symbol.dispose]: () => client.disconnect(),
  };
}

/** @throws when nobody answered. */
async function take(
  bucket: SharedBucket,
  ask: Partial<Parameters<SharedBucket["take"]>[0]> = {},
): Promise<BucketView> {
  const view = await bucket.take({ needs: 1, sharers: 1, owed: 0, ...ask });
  if (view === undefined) throw new Error("Redis did not answer");
  return view;
}

const newPrefix = (): string => `test-${randomUUID()}`;

describe("a bucket on Redis", () => {
  it("is spent by all processes together", async () => {
    const prefix = newPrefix();
    using one = await join(prefix);
    using other = await join(prefix);
    const [mine, theirs] = [one, other].map(({ buckets }) => buckets.of("a", SLOW, 1)) as [
      SharedBucket,
      SharedBucket,
    ];
    for (let left = 4; left >= 0; left -= 1) {
      const view = await take(left % 2 === 0 ? mine : theirs);
      expect(view).toMatchObject({ taken: true });
      expect(view.tokens).toBeCloseTo(left, 1);
    }
    expect((await take(mine)).taken).toBe(false);
    expect((await take(theirs)).taken).toBe(false);
    // Another bucket is another limit.
    expect((await take(one.buckets.of("b", SLOW, 1))).taken).toBe(true);
  });

  it("counts as core/pacer.ts does, whatever happens to it", async () => {
    using member = await join(newPrefix());
    const now = async (): Promise<number> => {
      const [seconds = 0, micros = 0] = (await member.client.time()).map(Number);
      return seconds * 1000 + micros / 1000;
    };
    const step = fc.oneof(
      fc.record({ op: fc.constant("take" as const), needs: fc.double({ min: 0.5, max: 4, noNaN: true }) }),
      fc.record({ op: fc.constant("lower" as const), atMost: fc.double({ min: 0, max: 4, noNaN: true }) }),
      fc.record({ op: fc.constant("back" as const) }),
      fc.record({ op: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 30 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const bucket = member.buckets.of(randomUUID(), QUICK, 1);
        // When exactly Redis counted is not known: between the two.
        let [least, most] = [fullBucket(QUICK, 0), fullBucket(QUICK, 0)];
        for (const one of steps) {
          if (one.op === "wait") {
            await sleep(one.ms);
            continue;
          }
          const before = await now();
          if (one.op === "lower") bucket.tell({ atMost: one.atMost });
          if (one.op === "back") bucket.tell({ more: 1 });
          const needs = one.op === "take" ? one.needs : 1_000;
          const view = await bucket.take({ needs, sharers: 1, owed: 0 });
          const after = await now();
          if (view === undefined) throw new Error("Redis did not answer");
          const change = ({ tokens, at }: Bucket): Bucket => {
            if (one.op === "lower") return { at, tokens: Math.min(tokens, one.atMost) };
            return { at, tokens: one.op === "back" ? Math.min(QUICK.burst, tokens + 1) : tokens };
          };
          // What comes back between the two commands of this step is within the same uncertainty.
          least = change(refill(least, QUICK, before));
          most = refill(change(refill(most, QUICK, after)), QUICK, after + (after - before));
          if (most.tokens < needs) expect(view.taken).toBe(false);
          if (least.tokens >= needs) expect(view.taken).toBe(true);
          if (view.taken) {
            least = spend(least, QUICK, least.at);
            most = spend(most, QUICK, most.at);
          }
          expect(view.tokens).toBeGreaterThanOrEqual(least.tokens - 0.001);
          expect(view.tokens).toBeLessThanOrEqual(most.tokens + 0.001);
          least = { tokens: view.tokens, at: after };
          most = { tokens: view.tokens, at: before };
        }
      }),
      { numRuns: 40 },
    );
  });

  it("refills by the caller's clock where that runs faster than the world's", async () => {
    using member = await join(newPrefix());
    const bucket = member.buckets.of("a", { burst: 2, tokensPerSecond: 0.1, minGapMs: 0 }, 200);
    await take(bucket);
    await take(bucket);
    expect((await take(bucket)).taken).toBe(false);
    // Twenty tokens a second of ours.
    await expect.poll(async () => (await take(bucket)).taken, { interval: 20, timeout: 2_000 }).toBe(true);
  });

  it("is closed for all by a refusal, holds little then, and its burst is doubted", async () => {
    const prefix = newPrefix();
    using one = await join(prefix);
    using other = await join(prefix);
    const limits = { ...QUICK, burst: 50, sureBurst: 3 };
    const [mine, theirs] = [one, other].map(({ buckets }) => buckets.of("a", limits, 1)) as [
      SharedBucket,
      SharedBucket,
    ];
    expect(await take(theirs)).toMatchObject({ taken: true, doubted: false });
    await take(mine);
    mine.tell({ closedForMs: 200, tokens: 1.06 });
    await take(mine, { needs: 1_000 });
    const view = await take(theirs);
    expect(view).toMatchObject({ taken: false, doubted: true, tokens: 1.06 });
    expect(view.closedForMs).toBeGreaterThan(100);
    expect(view.closedForMs).toBeLessThanOrEqual(200);
    await sleep(200);
    expect((await take(theirs)).taken).toBe(true);
    await sleep(200);
    // Eight would have come back; three is what is sure.
    expect((await take(theirs, { needs: 1_000 })).tokens).toBe(3);
  });

  it("of fixed windows holds what was told until the window ends, then all, and the next begins with a call", async () => {
    using member = await join(newPrefix());
    const limits = { burst: 4, tokensPerSecond: 8, minGapMs: 0 };
    const bucket = member.buckets.of("a", limits, 1);
    await take(bucket);
    bucket.tell({ atMost: 1, windowEndsInMs: 300 });
    expect(await take(bucket)).toMatchObject({ taken: true, tokens: 0 });
    await sleep(150);
    expect(await take(bucket)).toMatchObject({ taken: false, tokens: 0 });
    await sleep(200);
    const next = await take(bucket);
    expect(next).toMatchObject({ taken: true, tokens: 3 });
    expect(next.windowEndsInMs).toBeGreaterThan(400);
    expect(next.windowEndsInMs).toBeLessThanOrEqual(500);
  });

  it("counts sharers of all processes until they leave", async () => {
    const prefix = newPrefix();
    using one = await join(prefix);
    using other = await join(prefix);
    const [mine, theirs] = [one, other].map(({ buckets }) => buckets.of("a", SLOW, 1)) as [
      SharedBucket,
      SharedBucket,
    ];
    await take(mine, { sharers: 3 });
    // The last word of each counts.
    expect((await take(theirs, { sharers: 2 })).sharers).toBe(5);
    mine.tell({ sharers: 1 });
    await take(mine, { sharers: 1 });
    expect((await take(theirs, { sharers: 2 })).sharers).toBe(3);
    mine.tell({ sharers: 0 });
    await expect.poll(async () => (await take(theirs, { sharers: 2 })).sharers).toBe(2);
  });

  it("takes off what was spent while there was nobody to ask, and owes nothing beyond empty", async () => {
    using member = await join(newPrefix());
    const bucket = member.buckets.of("a", SLOW, 1);
    expect((await take(bucket, { owed: 2 })).tokens).toBeCloseTo(2, 1);
    expect(await take(bucket, { owed: 40 })).toMatchObject({ taken: false });
    expect((await take(bucket)).tokens).toBeGreaterThanOrEqual(0);
  });

  it("leaves nothing in Redis once it is full again and nobody shares it", async () => {
    const prefix = newPrefix();
    using member = await join(prefix);
    await take(member.buckets.of("a", SLOW, 1));
    const key = `{${prefix}}:bucket:a`;
    const ttl = await member.client.pttl(key);
    // 100 s for one token.
    expect(ttl).toBeGreaterThan(90_000);
    expect(ttl).toBeLessThan(110_000);
  });

  it.each(["a string", "a field that is no number"])(
    "is not impressed by %s of an older version",
    async (kind) => {
      const prefix = newPrefix();
      using member = await join(prefix);
      const bucket = member.buckets.of("a", SLOW, 1);
      const key = `{${prefix}}:bucket:a`;
      if (kind === "a string") await member.client.set(key, "5");
      if (kind === "a field that is no number") await member.client.hset(key, "tokens", "many", "at", "noon");
      const view = await bucket.take({ needs: 1, sharers: 1, owed: 0 });
      expect(view?.taken).toBe(kind === "a string" ? undefined : true);
    },
  );
});

/** Replies that ask again as soon as they may; how often each got a permit within `ms`. */
async function grow(gates: readonly Gate[], ms: number): Promise<readonly number[]> {
  const stop = AbortSignal.timeout(ms);
  const counts = gates.map(() => 0);
  const all = gates.map(async (gate, index) => {
    const leave = gate.join();
    try {
      for (let lastEditAt: number | undefined; ; lastEditAt = clock.now()) {
        await gate.acquire(lastEditAt === undefined ? "first" : "edit", { lastEditAt, signal: stop });
        counts[index] = (counts[index] ?? 0) + 1;
      }
    } catch {
      leave();
    }
  });
  await Promise.all(all);
  return counts;
}

/** What each of several processes has of one bucket. */
function gatesOf(members: readonly Member[], limits: BucketLimits): readonly Gate[] {
  return members.map(({ buckets }) => new Gate(limits, clock, { shared: buckets.of("a", limits, 1) }));
}

describe("gates of several processes", () => {
  it("spend a bucket together and share it equally, however the replies are spread", async () => {
    const prefix = newPrefix();
    using one = await join(prefix);
    using other = await join(prefix);
    const [mine, theirs] = gatesOf([one, other], QUICK) as [Gate, Gate];
    const counts = await grow([mine, mine, mine, theirs], 2_000);
    const total = counts.reduce((sum, count) => sum + count);
    // 4 + 2 s × 40/s, less what is kept and never more.
    expect(total).toBeLessThanOrEqual(84);
    expect(total).toBeGreaterThan(60);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(3);
  });

  it("are all closed by one refusal, and nothing that one of them held outlives it", async () => {
    const prefix = newPrefix();
    using one = await join(prefix);
    using other = await join(prefix);
    const [mine, theirs] = gatesOf([one, other], QUICK) as [Gate, Gate];
    const held = await theirs.acquire("final", { signal: never });
    const refusedAt = clock.now();
    mine.refused(300);
    await sleep(20);
    const next = await theirs.acquire("final", { signal: never });
    expect(clock.now() - refusedAt).toBeGreaterThan(290);
    expect([held.stands, next.stands]).toEqual([false, true]);
  });

  it("know what the platform told one of them", async () => {
    const prefix = newPrefix();
    using one = await join(prefix);
    using other = await join(prefix);
    const [mine, theirs] = gatesOf([one, other], { burst: 5, tokensPerSecond: 5, minGapMs: 0 }) as [
      Gate,
      Gate,
    ];
    const toldAt = clock.now();
    mine.learn({ limit: 5, remaining: 0, resetAfterMs: 1_000 });
    await sleep(20);
    await theirs.acquire("final", { signal: never });
    expect(clock.now() - toldAt).toBeGreaterThan(170);
  });

  it("count a call that waited from when it went out, whatever others have taken meanwhile", async () => {
    const prefix = newPrefix();
    using one = await join(prefix);
    using other = await join(prefix);
    const limits = { burst: 5, tokensPerSecond: 5, minGapMs: 0 };
    const [mine, theirs] = gatesOf([one, other], limits) as [Gate, Gate];
    const grant = await mine.acquire("final", { signal: never });
    await sleep(300);
    // The bucket is full again, though nothing was called.
    const fullAt = clock.now();
    for (let taken = 0; taken < 2; taken += 1) await theirs.acquire("final", { signal: never });
    grant.sent();
    // On the connection that the correction goes over, so behind it.
    const { tokens } = await take(one.buckets.of("a", limits, 1), { needs: 1_000 });
    const back = ((clock.now() - fullAt) / 1000) * limits.tokensPerSecond;
    // Three calls out of five, and what has come back since.
    expect(tokens).toBeGreaterThan(1.9);
    expect(tokens - back).toBeLessThan(2.1);
  });

  it("give back what nobody used", async () => {
    using member = await join(newPrefix());
    const limits = { burst: 1, tokensPerSecond: 0.01, minGapMs: 0 };
    const shared = member.buckets.of("inner", limits, 1);
    const outer = new Gate(limits, clock);
    await outer.acquire("final", { signal: never });
    const gate = new Gate(limits, clock, { shared, outer });
    await expect(gate.acquire("edit", { signal: AbortSignal.timeout(50) })).rejects.toThrow();
    expect((await take(shared)).taken).toBe(true);
  });

  it("give back what came for somebody who had left", async () => {
    using member = await join(newPrefix());
    const shared = member.buckets.of("a", { ...SLOW, burst: 1 }, 1);
    const gate = new Gate({ ...SLOW, burst: 1 }, clock, { shared });
    const leaving = new AbortController();
    const asked = gate.acquire("edit", { signal: leaving.signal });
    leaving.abort();
    await expect(asked).rejects.toThrow();
    await gate.acquire("final", { signal: AbortSignal.timeout(1_000) });
    expect((await take(shared)).taken).toBe(false);
  });

  it("owe what they spent while Redis was away", async () => {
    await using own = await startRedis();
    using member = await join(newPrefix(), own);
    const shared = member.buckets.of("a", SLOW, 1);
    const gate = new Gate(SLOW, clock, { shared });
    await gate.acquire("final", { signal: never });
    own.freeze();
    for (let spent = 0; spent < 2; spent += 1) await gate.acquire("final", { signal: never });
    own.thaw();
    await sleep(700);
    await gate.acquire("final", { signal: never });
    // What was asked of the frozen one counts as well: it answered too late.
    expect((await take(shared, { needs: 1_000 })).tokens).toBeLessThan(1.5);
  });

  it("keep to their share while Redis is frozen, lose little time by it, and owe it afterwards", async () => {
    await using own = await startRedis();
    const prefix = newPrefix();
    using one = await join(prefix, own);
    using other = await join(prefix, own);
    const gates = gatesOf([one, other], QUICK);
    await grow(gates, 300);
    own.freeze();
    const [mine = 0, theirs = 0] = await grow(gates, 2_000);
    // Half of 40/s for each, after the time-out that found it out.
    for (const count of [mine, theirs]) {
      expect(count).toBeGreaterThan(20);
      expect(count).toBeLessThanOrEqual(42);
    }
    expect(one.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    own.thaw();
    await sleep(700);
    const counts = await grow(gates, 1_000);
    const total = counts.reduce((sum, count) => sum + count);
    expect(total).toBeLessThanOrEqual(44);
    expect(total).toBeGreaterThan(25);
  });
});
