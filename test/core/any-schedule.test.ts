import fc from "fast-check";
import { expect, it } from "vitest";
import { GrowingReply, type Part } from "../../src/core/growing-reply.ts";
import type { Json } from "../../src/core/json.ts";
import type { BucketLimits, RateHeaders } from "../../src/core/pacer.ts";
import type { Log } from "../../src/core/ports.ts";
import { aContent, TextPlatform } from "./text-platform.ts";
import { VirtualClock } from "./virtual-clock.ts";

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
const LIMITS: BucketLimits = { burst: 5, tokensPerSecond: 1, minGapMs: 150 };
const ROUND_TRIP_MS = 80;

/** What the headers of a platform's answers say. */
type Headers = "none" | "true" | "of an outer limit" | "nothing left" | "a window";

const WINDOW_MS = 5_000;

/** What a route of the platform holds. `at` is when it was counted last or, where it counts in windows, when the window began. */
interface Level {
  tokens: number;
  at: number;
}

/** A platform that counts, refuses what is too much, and says so in its headers. */
class CountingPlatform extends TextPlatform {
  readonly #clock: VirtualClock;
  readonly #headers: Headers;
  readonly #levels: Readonly<Record<"create" | "edit", Level>> = {
    create: { tokens: 5, at: 0 },
    edit: { tokens: 5, at: 0 },
  };
  refusals = 0;

  constructor(clock: VirtualClock, headers: Headers) {
    super(clock, { maxLength: 40, roundTripMs: ROUND_TRIP_MS, limits: LIMITS });
    this.#clock = clock;
    this.#headers = headers;
  }

  override async create(part: Part, index: number, options: { signal: AbortSignal }): Promise<string> {
    this.#count("create");
    const id = await super.create(part, index, options);
    this.#tell("create");
    // Made by a process that was killed, with the text of then: writers see to that, as Discord's does.
    if (this.messages.get(id) !== part["text"]) await super.edit(id, part, options);
    return id;
  }

  override async edit(id: string, part: Part, options: { signal: AbortSignal }): Promise<void> {
    this.#count("edit");
    await super.edit(id, part, options);
    this.#tell("edit");
  }

  #count(call: "create" | "edit"): void {
    const level = this.#levels[call];
    const { tokens, at } = this.#now(level);
    level.tokens = tokens >= 1 ? tokens - 1 : tokens;
    level.at = at;
    if (tokens >= 1) return;
    this.refusals += 1;
    const nextAt = this.#headers === "a window" ? at + WINDOW_MS : at + Math.ceil((1 - tokens) * 1000);
    const retryAfterMs = nextAt - this.#clock.now();
    this.faults.unshift({ code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs });
  }

  #now({ tokens, at }: Level): Level {
    const now = this.#clock.now();
    if (this.#headers !== "a window") return { tokens: Math.min(5, tokens + (now - at) / 1000), at: now };
    return now < at + WINDOW_MS && tokens < 5 ? { tokens, at } : { tokens: 5, at: now };
  }

  #tell(call: "create" | "edit"): void {
    const { tokens, at } = this.#now(this.#levels[call]);
    const remaining = Math.floor(tokens);
    const told: Readonly<Record<Headers, RateHeaders | undefined>> = {
      none: undefined,
      true: { limit: 5, remaining, resetAfterMs: (5 - tokens) * 1000 },
      "of an outer limit": { limit: 50, remaining: 49, resetAfterMs: 20 },
      "nothing left": { limit: 5, remaining: 0, resetAfterMs: 5_000 },
      "a window": { limit: 5, remaining, resetAfterMs: at + WINDOW_MS - this.#clock.now() },
    };
    const headers = told[this.#headers];
    if (headers !== undefined) this.gate(call).learn(headers);
  }
}

/** Once in so many times, else `undefined`. */
function rarely<T>(times: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: times - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

const step = fc.record({
  letters: fc.integer({ min: 0, max: 8 }),
  afterMs: fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: 0, max: 60 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 4_000 }) },
  ),
  refusedMs: rarely(25, fc.integer({ min: 0, max: 3_000 })),
  lostMs: rarely(25, fc.integer({ min: 0, max: 3_000 })),
  killed: rarely(40, fc.constant(true)),
});
const headers = fc.constantFrom<Headers>("none", "true", "of an outer limit", "nothing left", "a window");

it("any deltas, pauses, refusals, headers and kills end with the text shown once, whole, and within the limits", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 300, size: "max" }),
      headers,
      async (steps, kind) => {
        const clock = new VirtualClock();
        const platform = new CountingPlatform(clock, kind);
        let saved: Json | undefined;
        let life = new AbortController();
        const open = (): GrowingReply => {
          const { signal } = life;
          return new GrowingReply({
            continuesAnswer: true,
            onOver: () => undefined,
            ...{ writer: platform, saved, signal, log, now: () => clock.now() },
            sleep: (ms) => clock.sleep(ms, signal),
            save: (state) => {
              // Who was killed saves nothing any more.
              signal.throwIfAborted();
              saved = state;
              return Promise.resolve();
            },
          });
        };
        let reply = open();
        let text = "";
        let injected = 0;
        for (const { letters, afterMs, refusedMs, lostMs, killed } of steps) {
          text += "abcdefgh".slice(0, letters);
          reply.show(aContent(text));
          if (refusedMs !== undefined && injected < 5) {
            injected += 1;
            platform.faults.push({ code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: refusedMs });
          }
          // The call has its effect, its answer is lost.
          if (lostMs !== undefined && injected < 5) {
            injected += 1;
            platform.faults.push({
              ...{ code: "PLATFORM_UNKNOWN_OUTCOME", retryable: true, retryAfterMs: lostMs, arrives: true },
            });
          }
          await clock.advance(afterMs);
          if (killed === undefined) continue;
          life.abort(new Error("killed"));
          await clock.settle(reply.abandon());
          life = new AbortController();
          reply = open();
        }
        text += "end";
        const { messageKeys } = await clock.settle(reply.finish(aContent(text)));
        expect(platform.screen.join("")).toBe(text);
        expect(platform.screen).toHaveLength(Math.ceil(text.length / 40));
        expect(new Set(messageKeys).size).toBe(platform.screen.length);
        // The gates live on here, as they do on Redis: none of all that makes us ask for more than there is. That it
        // counts in windows we cannot know before it has answered twice.
        if (kind !== "a window") expect(platform.refusals).toBe(0);
        expect(clock.pending).toBe(0);
      },
    ),
    // Taking a long schedule apart lasts longer than a test may.
    { numRuns: 150, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: true },
  );
});
