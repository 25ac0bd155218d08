import { describe, expect, it } from "vitest";
import {
  type Arrivals,
  arrive,
  type Bucket,
  type BucketLimits,
  fullBucket,
  learn,
  planPermit,
  refill,
  sendAll,
  spend,
} from "../../src/core/pacer.ts";

/** Discord's edits: 5 in 5 s (docs/reference/pacing.md §3). */
const LIMITS: BucketLimits = { burst: 5, tokensPerSecond: 1, minGapMs: 0 };

function waitForPermit(...args: Parameters<typeof planPermit>): number {
  return planPermit(...args).waitMs;
}

describe("a bucket", () => {
  it("fills at its rate up to its burst, and never by a clock that goes back", () => {
    const empty = { tokens: 0, at: 1000 };
    expect(refill(empty, LIMITS, 2500)).toEqual({ tokens: 1.5, at: 2500 });
    expect(refill(empty, LIMITS, 100_000).tokens).toBe(5);
    expect(refill(empty, LIMITS, 0)).toEqual({ tokens: 0, at: 1000 });
  });

  it("lets a last write go with one token, a draft only when more than the kept one is left", () => {
    const bucket = { tokens: 1.2, at: 0 };
    const alone = { lastEditAt: undefined, arrivals: undefined, sharers: 1 };
    expect(waitForPermit(bucket, LIMITS, "final", 0, alone)).toBe(0);
    expect(waitForPermit(bucket, LIMITS, "first", 0, alone)).toBe(0);
    expect(waitForPermit(bucket, LIMITS, "edit", 0, alone)).toBeCloseTo(610);
  });

  it("is enough when full, even where it holds a single token", () => {
    const limits = { burst: 1, tokensPerSecond: 1, minGapMs: 0 };
    const alone = { lastEditAt: undefined, arrivals: undefined, sharers: 1 };
    expect(waitForPermit(fullBucket(limits, 0), limits, "edit", 0, alone)).toBe(0);
    expect(waitForPermit(fullBucket(limits, 0), limits, "final", 0, alone)).toBe(0);
  });

  it("spends its burst early and settles at its rate", () => {
    const gap = (tokens: number): number =>
      waitForPermit({ tokens, at: 0 }, LIMITS, "edit", 0, { lastEditAt: 0, arrivals: undefined, sharers: 1 });
    expect(gap(5)).toBeCloseTo(1000 / (1 + 4.25 / 1.25));
    expect(gap(2)).toBeCloseTo(1000 / (1 + 1.25 / 1.25));
    expect(gap(1)).toBeGreaterThan(800);
  });

  it("keeps the platform's shortest gap between two edits of one message", () => {
    const limits = { ...LIMITS, minGapMs: 1200 };
    expect(
      waitForPermit(fullBucket(limits, 0), limits, "edit", 500, {
        lastEditAt: 0,
        arrivals: undefined,
        sharers: 1,
      }),
    ).toBe(700);
    expect(
      waitForPermit(fullBucket(limits, 0), limits, "final", 500, {
        lastEditAt: 0,
        arrivals: undefined,
        sharers: 1,
      }),
    ).toBe(0);
  });

  it("gives each of several replies its share of the rate", () => {
    const gap = (sharers: number): number =>
      waitForPermit(fullBucket(LIMITS, 0), LIMITS, "edit", 0, {
        lastEditAt: 0,
        arrivals: undefined,
        sharers,
      });
    expect(gap(3)).toBeCloseTo(3 * gap(1));
  });
});

describe("an edit", () => {
  const limits = { ...LIMITS, minGapMs: 260 };
  /** Pieces every 20 ms from the last edit until `lastAt`. */
  const steady = (lastAt: number): Arrivals => ({ lastAt, meanGapMs: 20, unsentSince: 20 });
  const wait = (now: number, arrivals: Arrivals, tokens = 2): number =>
    waitForPermit({ tokens, at: now }, limits, "edit", now, { lastEditAt: 0, arrivals, sharers: 1 });

  it("goes out at the arrival that is due, and half a mean gap early", () => {
    // With two tokens at 690 ms there was 0.56 token to spare after the last edit: 1 / (1 + 0.56 / 1.25) s.
    expect(wait(690, steady(690))).toBe(0);
    expect(wait(680, steady(680))).toBe(0);
    expect(wait(665, steady(665))).toBeGreaterThan(0);
  });

  it("does not go between two arrivals before it is due, but in a pause it does", () => {
    expect(wait(690, steady(650))).toBeCloseTo(650 + 50 - 690);
    expect(wait(700, steady(650))).toBe(0);
  });

  it("waits for the next piece where that is near, for half a mean gap beyond it at most", () => {
    const slow = (lastAt: number): Arrivals => ({ lastAt, meanGapMs: 200, unsentSince: 200 });
    expect(wait(1_500, slow(1_350))).toBeCloseTo(1_350 + 300 - 1_500);
    expect(wait(1_500, slow(1_450))).toBe(0);
  });

  it("uses a little of the kept token where its text has just arrived, and only there", () => {
    const slow = (lastAt: number): Arrivals => ({ lastAt, meanGapMs: 200, unsentSince: 200 });
    expect(wait(1_500, slow(1_499), 1.72)).toBe(0);
    expect(wait(1_500, slow(1_490), 1.72)).toBeCloseTo(90);
    expect(wait(1_500, slow(1_499), 1.7)).toBeCloseTo(1_499 + 300 - 1_500);
  });

  it("collects some text after a pause before it goes", () => {
    const resumed = (lastAt: number): Arrivals => ({ lastAt, meanGapMs: 20, unsentSince: 60_000 });
    // 0.6 of the shortest gap is 156 ms, less a mean gap, and half of one early.
    expect(wait(60_000, resumed(60_000), 5)).toBe(50);
    expect(wait(60_120, resumed(60_120), 5)).toBe(50);
    expect(wait(60_130, resumed(60_130), 5)).toBe(0);
  });

  it("may use the token kept for the end in a pause, and only then", () => {
    expect(wait(2_000, steady(1_000), 1.3)).toBe(0);
    // Due, but 0.51 token short: it has to wait for a pause, which comes sooner if it comes.
    expect(wait(2_000, steady(2_000), 1.3)).toBeCloseTo(50);
  });

  it("collects for a while before it goes in a pause, unless its bucket is full", () => {
    expect(wait(150, steady(0), 4)).toBeCloseTo(110);
    expect(wait(150, steady(0), 5)).toBe(0);
  });
});

describe("arrivals", () => {
  const all = (gaps: readonly number[]): Arrivals | undefined => {
    let now = 0;
    let arrivals: Arrivals | undefined;
    for (const gap of [0, ...gaps]) {
      now += gap;
      arrivals = arrive(arrivals, now);
    }
    return arrivals;
  };

  it("have the mean gap of what comes, which a pause hardly changes", () => {
    const steady = Array.from({ length: 50 }, () => 20);
    expect(all(steady)?.lastAt).toBe(1_000);
    expect(all(steady)?.meanGapMs).toBeCloseTo(20, 1);
    expect(all([...steady, 5_000])?.meanGapMs).toBeLessThan(50);
  });

  it("know since when something waits to be sent", () => {
    const two = arrive(arrive(undefined, 100), 120);
    expect(two.unsentSince).toBe(100);
    const sent = sendAll(two);
    expect(sent?.unsentSince).toBeUndefined();
    expect(arrive(sent, 150).unsentSince).toBe(150);
  });

  it("get used to a slow stream", () => {
    expect(
      all([...Array.from({ length: 50 }, () => 20), ...Array.from({ length: 30 }, () => 200)])?.meanGapMs,
    ).toBeGreaterThan(190);
  });
});

describe("what a platform tells", () => {
  const told = (
    bucket: Bucket,
    headers: { remaining: number; resetAfterMs: number; limit?: number },
  ): Bucket => learn(bucket, LIMITS, { headers: { limit: 5, ...headers }, before: undefined, now: 0 });

  it("is exact for a leaky bucket", () => {
    expect(told(fullBucket(LIMITS, 0), { remaining: 3, resetAfterMs: 1_400 }).tokens).toBeCloseTo(3.6);
  });

  it("never gives us more than we thought", () => {
    expect(told({ tokens: 1, at: 0 }, { remaining: 4, resetAfterMs: 1_000 }).tokens).toBe(1);
  });

  it("means nothing where a large outer limit hides the real one", () => {
    expect(told({ tokens: 2, at: 0 }, { limit: 50_000, remaining: 0, resetAfterMs: 60_000 }).tokens).toBe(2);
  });

  it("shows a fixed window by a reset that stands still, and a leaky bucket by one that moves", () => {
    const toldLater = (resetAfterMs: number): Bucket =>
      learn({ tokens: 3, at: 200 }, LIMITS, {
        headers: { limit: 5, remaining: 3, resetAfterMs },
        before: { remaining: 4, resetAt: 5_000 },
        now: 200,
      });
    expect(toldLater(4_800).windowEndsAt).toBe(5_000);
    expect(toldLater(5_800).windowEndsAt).toBeUndefined();
  });

  it("of a fixed window gives nothing back before its end, then all, and the next begins with a call", () => {
    const bucket: Bucket = { tokens: 1, at: 0, windowEndsAt: 3_000 };
    expect(refill(bucket, LIMITS, 2_999).tokens).toBe(1);
    expect(refill(bucket, LIMITS, 3_000).tokens).toBe(5);
    expect(spend(bucket, LIMITS, 4_000)).toMatchObject({ tokens: 4, windowEndsAt: 9_000 });
    const pace = { lastEditAt: 0, arrivals: undefined, sharers: 1 };
    expect(waitForPermit(bucket, LIMITS, "final", 500, pace)).toBe(0);
    expect(waitForPermit(bucket, LIMITS, "edit", 1_500, pace)).toBe(1_500);
    // Paced over the window, not spent at its begin.
    expect(waitForPermit({ ...bucket, tokens: 4 }, LIMITS, "edit", 500, pace)).toBe(500);
  });
});
