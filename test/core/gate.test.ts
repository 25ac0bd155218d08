import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Gate, Gates } from "../../src/core/gate.ts";
import { arrive, type BucketLimits, type Permit } from "../../src/core/pacer.ts";
import type { BucketView, SharedBucket } from "../../src/core/shared-bucket.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Discord's edits: 5 in 5 s (docs/reference/pacing.md §3). */
const LIMITS: BucketLimits = { burst: 5, tokensPerSecond: 1, minGapMs: 0 };

const never = new AbortController().signal;
/** What makes an edit a draft: its text grows. */
const DRAFT = { arrivals: () => arrive(undefined, clock.now()) };

let clock: VirtualClock;

beforeEach(() => {
  clock = new VirtualClock();
});

/** Asks for a permit and notes when it came. */
function ask(
  gate: Gate,
  permit: Permit,
  { log, name, lastEditAt }: { log: string[]; name: string; lastEditAt?: number },
): Promise<void> {
  return gate.acquire(permit, { lastEditAt, signal: never }).then(() => {
    log.push(`${name} ${clock.now()}`);
  });
}

/** Takes `count` permits of a kind that waits for nothing but tokens; the fifth waits 61 ms for the margin. */
async function take(gate: Gate, count: number): Promise<void> {
  for (let taken = 0; taken < count; taken += 1) await clock.settle(gate.acquire("final", { signal: never }));
}

describe("a gate", () => {
  it("serves last writes and first texts before drafts that asked earlier", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 5);
    const log: string[] = [];
    const all = [
      ask(gate, "edit", { log, name: "edit" }),
      ask(gate, "first", { log, name: "first" }),
      ask(gate, "final", { log, name: "final" }),
    ];
    await clock.settle(Promise.all(all));
    expect(log.map((entry) => entry.split(" ")[0])).toEqual(["first", "final", "edit"]);
  });

  it("serves last writes first also where no token is kept for them", async () => {
    const gate = new Gate({ burst: 1, tokensPerSecond: 1, minGapMs: 0 }, clock);
    await take(gate, 1);
    const log: string[] = [];
    const all = [ask(gate, "edit", { log, name: "edit" }), ask(gate, "final", { log, name: "final" })];
    await clock.settle(Promise.all(all));
    expect(log.map((entry) => entry.split(" ")[0])).toEqual(["final", "edit"]);
  });

  it("serves drafts in the order of asking when none is due before the other", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 5);
    const log: string[] = [];
    await clock.settle(Promise.all(["a", "b", "c"].map((name) => ask(gate, "edit", { log, name }))));
    expect(log.map((entry) => entry[0])).toEqual(["a", "b", "c"]);
  });

  it("opens after a refusal when the platform said so, and not with a burst", async () => {
    const gate = new Gate(LIMITS, clock);
    gate.refused(3000);
    const log: string[] = [];
    await clock.settle(Promise.all(["a", "b"].map((name) => ask(gate, "final", { log, name }))));
    expect(log).toEqual(["a 3000", "b 4000"]);
  });

  it("stays closed for the longer of two refusals", async () => {
    const gate = new Gate(LIMITS, clock);
    gate.refused(3000);
    gate.refused(1000);
    const log: string[] = [];
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 3000"]);
  });

  it("opens after an hour, whatever the platform said: no timer lasts for ever", async () => {
    const gate = new Gate(LIMITS, clock);
    gate.refused(Number.POSITIVE_INFINITY);
    const log: string[] = [];
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 3600000"]);
  });

  it("closes for those that wait already", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 5);
    const log: string[] = [];
    const waiting = ask(gate, "final", { log, name: "a" });
    gate.refused(5000);
    await clock.settle(waiting);
    expect(log).toEqual(["a 5061"]);
  });

  it("learns that fewer tokens are left, never that there are more", async () => {
    const gate = new Gate(LIMITS, clock);
    gate.learn({ limit: 5, remaining: 0, resetAfterMs: 5_000 });
    gate.learn({ limit: 5, remaining: 5, resetAfterMs: 0 });
    const log: string[] = [];
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 1060"]);
  });

  it("counts a call from when it went out: a full bucket gains nothing before", async () => {
    const gate = new Gate(LIMITS, clock);
    const grant = await gate.acquire("final", { signal: never });
    await clock.advance(300);
    grant.sent();
    await take(gate, 4);
    const log: string[] = [];
    // Without the delay 0.3 of the next token would be there.
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 1361"]);
  });

  it("counts a call from when it was allowed where the bucket was not full", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 1);
    const grant = await gate.acquire("final", { signal: never });
    await clock.advance(300);
    grant.sent();
    await take(gate, 3);
    const log: string[] = [];
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 1061"]);
  });

  it("counts a call that waited until its bucket was full from then on", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 1);
    const grant = await gate.acquire("final", { signal: never });
    // Full after 2 s; the platform, which knows of one call only, was after 1 s.
    await clock.advance(1_400);
    grant.sent();
    await take(gate, 4);
    const log: string[] = [];
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 2461"]);
  });

  it("takes no more than its token off for a call that waited for long", async () => {
    const gate = new Gate(LIMITS, clock);
    const grant = await gate.acquire("final", { signal: never });
    await clock.advance(60_000);
    grant.sent();
    await take(gate, 4);
    const log: string[] = [];
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 61061"]);
  });

  it("counts a call from when the last of its permits came", async () => {
    const outer = new Gate({ burst: 100, tokensPerSecond: 1_000, minGapMs: 0 }, clock);
    const gate = new Gate(LIMITS, clock, { outer });
    outer.refused(300);
    await clock.settle(gate.acquire("final", { signal: never }));
    await take(gate, 4);
    const log: string[] = [];
    // Counted from when its own came, 0.3 of the next token would be there.
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 1361"]);
  });

  it("gives back no more than has not come back by itself", async () => {
    const gate = new Gate(LIMITS, clock);
    const grant = await gate.acquire("final", { signal: never });
    await clock.advance(1_000);
    await take(gate, 1);
    grant.giveBack();
    await take(gate, 4);
    const log: string[] = [];
    // One was called, and full it was before.
    await clock.settle(ask(gate, "final", { log, name: "a" }));
    expect(log).toEqual(["a 2061"]);
  });

  it("gives back nothing that a refusal has taken", async () => {
    const gate = new Gate(LIMITS, clock);
    const [unused, late] = [
      await gate.acquire("final", { signal: never }),
      await gate.acquire("final", { signal: never }),
    ];
    expect(unused.stands).toBe(true);
    gate.refused(5_000);
    expect(unused.stands).toBe(false);
    unused.giveBack();
    await clock.advance(5_000);
    late.sent();
    const log: string[] = [];
    await clock.settle(Promise.all(["a", "b"].map((name) => ask(gate, "final", { log, name }))));
    expect(log).toEqual(["a 5000", "b 6000"]);
  });

  describe("of a platform that counts in windows", () => {
    /** A gate that knows of its window: three tokens until 5 s. */
    function windowed(): Gate {
      const gate = new Gate(LIMITS, clock);
      gate.learn({ limit: 5, remaining: 4, resetAfterMs: 5_000 });
      gate.learn({ limit: 5, remaining: 3, resetAfterMs: 5_000 });
      return gate;
    }

    it("counts a call in the window that it goes out in", async () => {
      const gate = windowed();
      const grant = await gate.acquire("final", { signal: never });
      await clock.advance(5_500);
      grant.sent();
      await take(gate, 4);
      const log: string[] = [];
      await clock.settle(ask(gate, "final", { log, name: "a" }));
      expect(log).toEqual(["a 10500"]);
    });

    it("takes nothing off while the window lasts: nothing came back in it", async () => {
      const gate = windowed();
      const grant = await gate.acquire("final", { signal: never });
      await clock.advance(3_000);
      grant.sent();
      await take(gate, 2);
      expect(clock.now()).toBe(3_000);
    });

    it("gives nothing back into another window", async () => {
      const gate = windowed();
      const grant = await gate.acquire("final", { signal: never });
      await clock.advance(5_500);
      grant.giveBack();
      await clock.advance(3_000);
      await take(gate, 5);
      const log: string[] = [];
      // The next one begins with its first call.
      await clock.settle(ask(gate, "final", { log, name: "a" }));
      expect(log).toEqual(["a 13500"]);
    });
  });

  it("lets a waiting one leave by its signal, and the next one move up", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 5);
    const controller = new AbortController();
    const left = gate.acquire("final", { signal: controller.signal });
    const log: string[] = [];
    const stayed = ask(gate, "final", { log, name: "b" });
    const reason = new Error("no longer needed");
    controller.abort(reason);
    await expect(left).rejects.toBe(reason);
    await clock.settle(stayed);
    expect(log).toEqual(["b 1061"]);
    expect(clock.pending).toBe(0);
  });

  it("leaves no timer behind when everybody has left", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 5);
    const controller = new AbortController();
    const left = gate.acquire("edit", { signal: controller.signal });
    expect(clock.pending).toBe(1);
    controller.abort();
    await expect(left).rejects.toThrow();
    expect(clock.pending).toBe(0);
  });

  it("refuses at once when the signal has fired before", async () => {
    const gate = new Gate(LIMITS, clock);
    const reason = new Error("too late");
    await expect(gate.acquire("final", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(gate.idle).toBe(true);
  });

  it("lets those who wait go sooner when somebody stops sharing", async () => {
    const gate = new Gate(LIMITS, clock);
    const leave = gate.join();
    gate.join();
    gate.join();
    const log: string[] = [];
    const waiting = ask(gate, "edit", { log, name: "a", lastEditAt: 0 });
    // Two are left, however often one leaves: twice the gap of one.
    leave();
    leave();
    await clock.settle(waiting);
    expect(log).toEqual(["a 455"]);
  });

  it("lets a draft that is due go when text arrives, not before", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 4);
    let arrivals = { lastAt: 0, meanGapMs: 600, unsentSince: 0 };
    const went: number[] = [];
    const waiting = gate
      .acquire("edit", { lastEditAt: 0, arrivals: () => arrivals, signal: never })
      .then(() => went.push(clock.now()));
    await clock.advance(1_400);
    expect(went).toEqual([]);
    arrivals = { lastAt: 1_400, meanGapMs: 600, unsentSince: 0 };
    gate.look();
    await waiting;
    expect(went).toEqual([1_400]);
  });

  it("believes only in a sure burst once the assumed one was refused", async () => {
    const gate = new Gate({ ...LIMITS, burst: 50, sureBurst: 2 }, clock);
    await take(gate, 20);
    expect(clock.now()).toBe(0);
    gate.refused(1_000);
    await clock.advance(60_000);
    await take(gate, 4);
    expect(clock.now()).toBeGreaterThan(61_900);
  });

  it("keeps to a limit of several buckets together, finals first", async () => {
    const outer = new Gate({ burst: 2, tokensPerSecond: 10, minGapMs: 0 }, clock);
    const gates = new Gates(clock);
    const log: string[] = [];
    const all = Array.from({ length: 12 }, (_, index) => {
      const permit = index === 11 ? "final" : "edit";
      return ask(gates.of(`bucket ${index}`, LIMITS, outer), permit, { log, name: permit });
    });
    await clock.settle(Promise.all(all));
    // The burst goes at once, the rest ten a second.
    expect(clock.now()).toBeGreaterThan(900);
    expect(clock.now()).toBeLessThan(1_300);
    expect(log.findIndex((entry) => entry.startsWith("final"))).toBeLessThan(3);
  });

  it("keeps the place of whoever asks again for something urgent", async () => {
    const gate = new Gate(LIMITS, clock);
    await take(gate, 5);
    const askedAt = clock.now();
    const interrupt = new AbortController();
    const first = gate.acquire("first", { signal: interrupt.signal });
    const log: string[] = [];
    await clock.advance(10);
    const others = [1, 2, 3].map((name) => ask(gate, "first", { log, name: `other ${name}` }));
    interrupt.abort();
    await expect(first).rejects.toThrow();
    const again = gate.acquire("final", { since: askedAt, signal: never }).then(() => log.push("last"));
    await clock.settle(Promise.all([...others, again]));
    expect(log[0]).toBe("last");
  });

  it("gives nothing on what all had to say before a refusal", async () => {
    const { promise, resolve } = Promise.withResolvers<BucketView>();
    const views = [promise];
    const none = { taken: false, tokens: 0, closedForMs: 5_000, sharers: 1, doubted: false };
    const shared: SharedBucket = {
      take: () => views.shift() ?? Promise.resolve(none),
      tell: () => undefined,
    };
    const gate = new Gate(LIMITS, clock, { shared });
    let granted = false;
    const waiting = gate.acquire("final", { signal: never }).then(() => {
      granted = true;
    });
    await clock.advance(10);
    gate.refused(5_000);
    resolve({ taken: true, tokens: 4, closedForMs: 0, sharers: 1, doubted: false });
    await clock.advance(4_900);
    expect(granted).toBe(false);
    views.push(Promise.resolve({ ...none, taken: true, closedForMs: 0 }));
    await clock.settle(waiting);
    expect(clock.now()).toBeGreaterThanOrEqual(5_010);
  });

  it("holds the drafts of a process to what it can draw, and nothing else", async () => {
    const gates = new Gates(clock);
    const all = (permit: Permit): Promise<unknown> =>
      Promise.all(
        Array.from({ length: 630 }, (_, index) =>
          gates.of(`bucket ${index}`, LIMITS).acquire(permit, { ...DRAFT, signal: never }),
        ),
      );
    await clock.settle(all("first"));
    await clock.settle(all("final"));
    expect(clock.now()).toBe(0);
    await clock.settle(all("edit"));
    // The burst goes at once, the rest 300 a second.
    expect(clock.now()).toBeGreaterThan(1_990);
    expect(clock.now()).toBeLessThan(2_050);
  });

  it("shows fewer drafts while the process has no time for them, and more again when it has", async () => {
    let use = 1;
    const gates = new Gates(clock, { loopUse: () => use });
    const draw = async (drafts: number, firstBucket: number): Promise<number> => {
      const since = clock.now();
      const all = Array.from({ length: drafts }, (_, index) =>
        gates.of(`bucket ${firstBucket + index}`, LIMITS).acquire("edit", { ...DRAFT, signal: never }),
      );
      await clock.settle(Promise.all(all));
      return clock.now() - since;
    };
    // Each time somebody asks there may be a look.
    for (let round = 0; round < 10; round += 1) {
      await draw(1, round);
      await clock.advance(200);
    }
    // The burst goes at once, the rest 20 a second.
    expect(await draw(50, 100)).toBeGreaterThan(900);
    use = 0;
    await clock.advance(5_001);
    expect(await draw(330, 200)).toBeLessThan(1_100);
  });

  it("holds up nothing else than drafts", async () => {
    const gates = new Gates(clock, { loopUse: () => 1 });
    const all = Array.from({ length: 100 }, (_, index) =>
      gates.of(`bucket ${index}`, LIMITS).acquire("edit", { ...DRAFT, signal: never }),
    );
    // A sign that somebody types, or a page of what was missed.
    await gates.of("typing", LIMITS).acquire("edit", { signal: never });
    expect(clock.now()).toBe(0);
    await clock.settle(Promise.all(all));
    expect(clock.now()).toBeGreaterThan(200);
  });

  it("counts a draft once, also where its bucket is behind another one", async () => {
    const gates = new Gates(clock);
    const outer = gates.of("all", { burst: 1_000, tokensPerSecond: 1_000, minGapMs: 0 });
    const all = Array.from({ length: 28 }, (_, index) =>
      gates.of(`bucket ${index}`, LIMITS, outer).acquire("edit", { ...DRAFT, signal: never }),
    );
    await clock.settle(Promise.all(all));
    // All of them are in the burst.
    expect(clock.now()).toBe(0);
  });

  it("asks anew for a draft whose bucket was refused while it waited for a limit of several", async () => {
    const outer = new Gate({ burst: 1, tokensPerSecond: 1, minGapMs: 0 }, clock);
    const gate = new Gate(LIMITS, clock, { outer });
    await take(outer, 1);
    const log: string[] = [];
    const waiting = ask(gate, "edit", { log, name: "draft" });
    await clock.advance(500);
    gate.refused(5_000);
    await clock.advance(4_900);
    expect(log).toEqual([]);
    await clock.settle(waiting);
    expect(clock.now()).toBeGreaterThanOrEqual(5_500);
  });

  it("gives back what it took of a limit of several, too", async () => {
    const outer = new Gate({ burst: 2, tokensPerSecond: 0.001, minGapMs: 0 }, clock);
    const gate = new Gate(LIMITS, clock, { outer });
    for (let round = 0; round < 4; round += 1) {
      const grant = await clock.settle(gate.acquire("edit", { signal: never }));
      grant.giveBack();
    }
    expect(clock.now()).toBeLessThan(1_000);
  });

  it("gives back what it took of a limit of several when it leaves while it asks anew", async () => {
    const outer = new Gate({ burst: 2, tokensPerSecond: 1, minGapMs: 0 }, clock);
    const gate = new Gate(LIMITS, clock, { outer });
    await take(outer, 1);
    // The second one waits 61 ms for the margin.
    const held = await clock.settle(outer.acquire("final", { signal: never }));
    const leaving = new AbortController();
    const left = gate.acquire("first", { signal: leaving.signal });
    await clock.advance(500);
    gate.refused(5_000);
    held.giveBack();
    await clock.advance(100);
    leaving.abort();
    await expect(left).rejects.toThrow();
    const log: string[] = [];
    await clock.settle(ask(outer, "final", { log, name: "outer" }));
    // Its own token from before the refusal is no more: one is there when it opens.
    await take(gate, 1);
    await clock.settle(ask(gate, "final", { log, name: "own" }));
    expect(log).toEqual(["outer 661", "own 6561"]);
  });

  it("is idle when it is full, open, and nobody uses it", async () => {
    const gate = new Gate(LIMITS, clock);
    expect(gate.idle).toBe(true);
    const leave = gate.join();
    expect(gate.idle).toBe(false);
    leave();
    await take(gate, 1);
    expect(gate.idle).toBe(false);
    await clock.advance(1000);
    expect(gate.idle).toBe(true);
    gate.refused(10_000);
    await clock.advance(9999);
    expect(gate.idle).toBe(false);
  });
});

it("finds a bucket's gate by its name", () => {
  const gates = new Gates(clock);
  const gate = gates.of("channel-1", LIMITS);
  expect(gates.of("channel-1", LIMITS)).toBe(gate);
  expect(gates.of("channel-2", LIMITS)).not.toBe(gate);
});

it("forgets gates that nobody uses once there are very many, and no other", () => {
  const gates = new Gates(clock);
  const used = gates.of("used", LIMITS);
  used.join();
  const unused = gates.of("unused", LIMITS);
  for (let index = 0; index < 10_000; index += 1) gates.of(`channel-${index}`, LIMITS);
  expect(gates.of("used", LIMITS)).toBe(used);
  expect(gates.of("unused", LIMITS)).not.toBe(unused);
});

/** Writers that ask again as soon as they may, as replies do; the time of every permit. */
async function growing(
  gate: Gate,
  { writers, durationMs, roundTripMs }: { writers: number; durationMs: number; roundTripMs: number },
): Promise<number[][]> {
  const stop = new AbortController();
  const times = Array.from({ length: writers }, (): number[] => []);
  const all = times.map(async (own) => {
    gate.join();
    while (!stop.signal.aborted) {
      await gate.acquire(own.length === 0 ? "first" : "edit", {
        lastEditAt: own.at(-1),
        signal: stop.signal,
      });
      own.push(clock.now());
      await clock.sleep(roundTripMs, stop.signal);
    }
  });
  const ended = Promise.allSettled(all);
  await clock.advance(durationMs);
  stop.abort();
  await ended;
  return times;
}

function gaps(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? 0));
}

describe("a steady stream", () => {
  it("is written at least once per refill", async () => {
    const [times = []] = await growing(new Gate(LIMITS, clock), {
      writers: 1,
      durationMs: 60_000,
      roundTripMs: 80,
    });
    expect(Math.max(...gaps(times))).toBeLessThanOrEqual(1010);
    expect(times.length).toBeGreaterThanOrEqual(60);
  });

  it("shares its bucket equally with others", async () => {
    const all = await growing(new Gate(LIMITS, clock), { writers: 4, durationMs: 60_000, roundTripMs: 80 });
    const counts = all.map((times) => times.length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    for (const times of all) expect(Math.max(...gaps(times))).toBeLessThanOrEqual(4100);
  });
});

it("never gives more permits in any stretch of time than the bucket allows", async () => {
  const request = fc.record({
    permit: fc.constantFrom<Permit>("first", "edit", "final"),
    afterMs: fc.integer({ min: 0, max: 900 }),
    abortAfterMs: fc.option(fc.integer({ min: 0, max: 3000 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { maxLength: 25 }),
      fc.integer({ min: 1, max: 6 }),
      fc.double({ min: 0.2, max: 10, noNaN: true }),
      async (requests, burst, tokensPerSecond) => {
        clock = new VirtualClock();
        const gate = new Gate({ burst, tokensPerSecond, minGapMs: 0 }, clock);
        const times: number[] = [];
        const all: Promise<unknown>[] = [];
        for (const { permit, afterMs, abortAfterMs } of requests) {
          await clock.advance(afterMs);
          const controller = new AbortController();
          if (abortAfterMs !== undefined) clock.after(abortAfterMs, () => controller.abort());
          const asked = gate.acquire(permit, { lastEditAt: times.at(-1), signal: controller.signal });
          // Who leaves by its signal is no concern here.
          all.push(asked.then(() => times.push(clock.now())).catch(() => undefined));
        }
        await clock.settle(Promise.all(all));
        for (const [first, from] of times.entries()) {
          for (const [last, to] of times.entries()) {
            if (last < first) continue;
            const allowed = burst + ((to - from) / 1000) * tokensPerSecond;
            expect(last - first + 1).toBeLessThanOrEqual(allowed + 1e-6);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});
