import { longText, STORY } from "../../sandbox/coze/stories.ts";

/** One piece of an answer, and when Coze writes it, in ms after the chat began. */
export interface Delta {
  readonly atMs: number;
  readonly text: string;
}

export interface Trace {
  readonly name: string;
  readonly deltas: readonly Delta[];
}

/** A stretch of an answer that is written evenly. */
interface Stretch {
  /** Silence before its first delta, in ms. */
  readonly afterMs: number;
  readonly deltas: number;
  /** Mean time between two deltas. */
  readonly everyMs: number;
}

/** Coze thinks before it writes, in ms. */
const THINKING_MS = 400;
/** A delta comes this much of the mean gap earlier or later. */
const JITTER = 0.2;

/**
 * The six of docs/reference/pacing.md, written anew so that somebody who knows the future can do on them what its table
 * says, to a few hundredths of a second. The same at each start.
 */
export const REFERENCE_TRACES: readonly Trace[] = [
  trace("short", prose(160), [even(40, 25)]),
  trace("story", STORY, [even(500, 27)]),
  trace("bursty", prose(1_800), bursts([1_000, 3_000, 1_600, 6_000, 2_400, 4_000], 60, 20)),
  trace("long", longText(8_000), [even(880, 20)]),
  trace("plugin", prose(800), [even(60, 50), { afterMs: 20_000, deltas: 120, everyMs: 50 }]),
  trace("slow", prose(500), [even(100, 200)]),
];

/** Those, and one where text comes in blinks, of which no program without foresight can make the best. */
export const TRACES: readonly Trace[] = [
  ...REFERENCE_TRACES,
  trace("gusts", prose(1_200), bursts([500, 1_500, 800, 3_000, 1_200, 2_000], 12, 15)),
];

/** What each of many answers at once is: some 900 characters in 15 s. */
export const CROWD_TRACE: Trace = trace("crowd", prose(900), [even(150, 100)]);

export function traceNamed(name: string): Trace {
  const found = [...TRACES, CROWD_TRACE].find((each) => each.name === name);
  if (found === undefined) throw new Error(`no trace ${name}`);
  return found;
}

export function textOf({ deltas }: Trace): string {
  return deltas.map(({ text }) => text).join("");
}

function even(deltas: number, everyMs: number): Stretch {
  return { afterMs: everyMs, deltas, everyMs };
}

/** Text, and silence before each stretch of it, as a busy model or a proxy that collects hands them on. */
function bursts(silencesMs: readonly number[], deltas: number, everyMs: number): Stretch[] {
  return silencesMs.map((afterMs) => ({ afterMs, deltas, everyMs }));
}

/** Plain paragraphs out of the story, the heading left out. */
function prose(length: number): string {
  const paragraphs = STORY.split("\n\n").filter((text) => /^[A-Z]/.test(text));
  const text = paragraphs.join("\n\n");
  return text.repeat(Math.ceil(length / text.length)).slice(0, length);
}

function trace(name: string, text: string, stretches: readonly Stretch[]): Trace {
  const random = seeded(name);
  const count = stretches.reduce((sum, { deltas }) => sum + deltas, 0);
  const pieces = cutInto(text, count, random);
  let at = THINKING_MS;
  let index = 0;
  const deltas: Delta[] = [];
  for (const stretch of stretches) {
    at += stretch.afterMs;
    for (let number = 0; number < stretch.deltas; number += 1) {
      const jitter = (random() * 2 - 1) * JITTER * stretch.everyMs;
      deltas.push({ atMs: Math.round(at + number * stretch.everyMs + jitter), text: pieces[index] ?? "" });
      index += 1;
    }
    at += (stretch.deltas - 1) * stretch.everyMs;
  }
  return { name, deltas };
}

/** Pieces of about equal length, as tokens are. */
function cutInto(text: string, count: number, random: () => number): string[] {
  const characters = Array.from(text);
  const step = characters.length / count;
  const borders = Array.from({ length: count + 1 }, (_, index) => {
    const moved = index === 0 || index === count ? 0 : (random() - 0.5) * step;
    return Math.round(index * step + moved);
  });
  return borders.slice(1).map((end, index) => characters.slice(borders[index], end).join(""));
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export function seeded(seed: string): () => number {
  let state = Array.from(seed).reduce((sum, letter) => Math.imul(sum, 31) + (letter.codePointAt(0) ?? 0), 7);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
