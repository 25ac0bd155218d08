import { expect, it } from "vitest";
import { GrowingReply } from "../../src/core/growing-reply.ts";
import type { Log } from "../../src/core/ports.ts";
import { aContent, TextPlatform } from "./text-platform.ts";
import { VirtualClock } from "./virtual-clock.ts";

const ONE_WAY_MS = 40;
const BURST = 5;
const TOKENS_PER_SECOND = 1;

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };

interface Delta {
  readonly at: number;
  readonly text: string;
}

interface Measured {
  /** Mean delay of a character, in s (docs/reference/pacing.md §2). */
  readonly staleness: number;
  readonly longestGapMs: number;
  readonly completionLagMs: number;
  /** Length of what each call showed. */
  readonly shown: readonly number[];
}

/** Plays the deltas through a reply on one bucket of Discord's kind. */
async function play(deltas: readonly Delta[]): Promise<Measured> {
  const clock = new VirtualClock();
  const limits = { burst: BURST, tokensPerSecond: TOKENS_PER_SECOND, minGapMs: 0 };
  const platform = new TextPlatform(clock, { maxLength: 100_000, roundTripMs: 2 * ONE_WAY_MS, limits });
  const reply = new GrowingReply({
    continuesAnswer: true,
    onOver: () => undefined,
    writer: platform,
    saved: undefined,
    save: () => Promise.resolve(),
    signal: new AbortController().signal,
    log,
    now: () => clock.now(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  });
  let text = "";
  for (const delta of deltas) {
    await clock.advance(delta.at - clock.now());
    text += delta.text;
    reply.show(aContent(text));
  }
  await clock.settle(reply.finish(aContent(text)));
  return measure(deltas, platform);
}

function measure(deltas: readonly Delta[], platform: TextPlatform): Measured {
  const shown = platform.calls.map(({ at, text }) => ({ at: at + ONE_WAY_MS, length: text.length }));
  let arrived = 0;
  let delay = 0;
  for (const { at, text } of deltas) {
    for (let index = 0; index < text.length; index += 1) {
      arrived += 1;
      const visible = shown.find(({ length }) => length >= arrived);
      delay += (visible?.at ?? Number.POSITIVE_INFINITY) - at;
    }
  }
  const times = shown.map(({ at }) => at);
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  return {
    staleness: delay / arrived / 1000,
    longestGapMs: Math.max(...gaps),
    completionLagMs: (times.at(-1) ?? 0) - (deltas.at(-1)?.at ?? 0),
    shown: platform.calls.map(({ text }) => text.length),
  };
}

/** `count` words over `seconds`, evenly. */
function story(count: number, seconds: number): readonly Delta[] {
  return Array.from({ length: count }, (_, index) => ({
    at: (index * seconds * 1000) / count,
    text: "words ",
  }));
}

/** What the best could do that knows the future (docs/reference/pacing.md §3). */
function closedForm(seconds: number): number {
  return ONE_WAY_MS / 1000 + seconds / (2 * (BURST + TOKENS_PER_SECOND * seconds));
}

it("shows a story of 500 words in 25 s within a tenth of the best possible", async () => {
  const measured = await play(story(500, 25));
  expect(measured.staleness / closedForm(25)).toBeLessThan(1.1);
  expect(measured.longestGapMs).toBeLessThanOrEqual(1100);
  expect(measured.completionLagMs).toBeLessThanOrEqual(500);
});

it("shows a short answer at once and whole", async () => {
  const measured = await play(story(30, 1.5));
  expect(measured.staleness).toBeLessThan(0.3);
  expect(measured.completionLagMs).toBeLessThanOrEqual(200);
});

it("shows the beginning and the end of what comes after a pause, not its first word alone", async () => {
  const burst = (from: number): Delta[] => story(20, 0.4).map(({ at, text }) => ({ at: from + at, text }));
  const { shown } = await play([...burst(0), ...burst(10_000), ...burst(20_000)]);
  const whole = "words ".length * 20;
  const after = shown.filter((length) => length > whole);
  expect(after.some((length) => length < whole + 4 * "words ".length)).toBe(false);
  expect(shown).toContain(2 * whole);
  expect(shown.at(-1)).toBe(3 * whole);
});
