/**
 * A 500-word story as people see it grow, at a usual model's pace: `npm run bench:story`. Measured on what stands on
 * the screen: first text after Coze's first delta, longest time without growth, calls, refusals.
 */
import { performance } from "node:perf_hooks";
import { expectedAnswer } from "../sandbox/coze/bot.ts";
import { holdsText } from "../sandbox/same-text.ts";
import { botText, type Stage, since } from "../sandbox/stage.ts";
import { openBridge } from "../test/e2e/bridge-under-test.ts";

const ROUNDS = 3;
const TIMEOUT_MS = 120_000;
const STORY = expectedAnswer({ text: "tell me a story" });

interface Watched {
  readonly firstTextMs: number;
  readonly longestGapMs: number;
  readonly whole: boolean;
}

async function watch(
  stage: Stage,
  act: () => string,
  onFirstDelta: (call: () => void) => () => void,
): Promise<Watched> {
  const before = new Map(stage.places().map((place) => [place, stage.standIn.view(place)]));
  const { promise, resolve } = Promise.withResolvers<Watched>();
  let firstDeltaAt: number | undefined;
  const leaveCoze = onFirstDelta(() => {
    firstDeltaAt ??= performance.now();
  });
  let firstTextMs = Number.NaN;
  let grownAt = 0;
  let longestGapMs = 0;
  let length = 0;
  const leave = stage.standIn.onChange((place) => {
    const now = performance.now();
    const text = botText(since(stage.standIn.view(place), before.get(place)));
    if (text.length <= length || firstDeltaAt === undefined) return;
    if (length === 0) firstTextMs = now - firstDeltaAt;
    else longestGapMs = Math.max(longestGapMs, now - grownAt);
    [length, grownAt] = [text.length, now];
    if (holdsText(text, STORY)) resolve({ firstTextMs, longestGapMs, whole: true });
  });
  const late = setTimeout(() => resolve({ firstTextMs, longestGapMs, whole: false }), TIMEOUT_MS);
  act();
  const watched = await promise;
  clearTimeout(late);
  leave();
  leaveCoze();
  return watched;
}

console.log(
  `Node ${process.version}, ${STORY.split(/\s+/).length} words, ${STORY.length} characters, ${ROUNDS} rounds each`,
);
await using bridge = await openBridge({ speed: 1 });
const { coze } = bridge.services;
const onFirstDelta = (call: () => void): (() => void) =>
  coze.traffic.onExchange(({ name }) => {
    if (name.includes("message.delta")) call();
  });
const shows: readonly [string, Stage, () => string][] = [
  ["Discord channel", bridge.discord, () => bridge.discord.mention("tell me a story")],
  ["Slack channel (edit)", bridge.slack, () => bridge.slack.mention("tell me a story")],
  ["Slack DM (native)", bridge.slack, () => bridge.slack.dm("tell me a story")],
];
for (const [name, stage, act] of shows) {
  for (let round = 1; round <= ROUNDS; round += 1) {
    const seenBefore = stage.standIn.traffic.exchanges.length;
    const { firstTextMs, longestGapMs, whole } = await watch(stage, act, onFirstDelta);
    const calls = stage.standIn.traffic.exchanges.slice(seenBefore).filter(({ kind }) => kind === "http");
    const refused = calls.filter(({ status }) => status === 429).length;
    console.log(
      `${name.padEnd(22)} first text +${firstTextMs.toFixed(0)} ms   longest gap ${(longestGapMs / 1000).toFixed(2)} s   ` +
        `${calls.length} calls, ${refused} × 429   ${whole ? "whole" : "NOT WHOLE"}`,
    );
  }
}
