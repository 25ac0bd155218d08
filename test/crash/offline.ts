import { setTimeout as sleep } from "node:timers/promises";
import { catchUpNotice, lateNotice } from "../../src/core/notices.ts";
import { Arena, type Lane, type LaneKind } from "./arena.ts";
import { type JudgedMessage, type JudgedTurn, judge, readWords, type Verdict } from "./judge.ts";

export interface OfflineOptions {
  /** By kind, how many places. A command needs a listener at once, so it has none here. */
  readonly places: Readonly<Partial<Record<Exclude<LaneKind, "discord command" | "slack command">, number>>>;
  /** Questions that each place gets before the bridge goes, while it is gone, and after it came back. */
  readonly perPlace: { readonly before: number; readonly during: number; readonly after: number };
  /** How long it is gone, in ms by the platforms' clock; the questions are spread over that time. */
  readonly awayMs: number;
  readonly clockSpeed: number;
  /** When Slack brings again what nobody acknowledged, in ms; as the stand-in does by default. */
  readonly slackRetryMs?: readonly number[];
}

export interface OfflineResult {
  readonly verdict: Verdict;
  /** Questions of the time away. */
  readonly missed: number;
  /** Of those, answered as late ones. */
  readonly late: number;
  /** Answered without a word about it, though it took more than Slack's first repeat, which comes nearly at once. */
  readonly unmarked: readonly number[];
  /** Not of the time away, but answered as if they were. */
  readonly wronglyLate: readonly number[];
  /** Places that were told once how many of their questions stay without an answer. */
  readonly told: number;
  /** What was said in places where it is not what became of their questions: a wrong number, twice, or for nothing. */
  readonly toldWrongly: readonly (readonly string[])[];
  readonly refusals: Arena["refusals"];
  readonly seconds: number;
}

/** Words of an answer: one that is not empty, and short enough that only the waiting takes time. */
const WORDS = 10;
const LATE = lateNotice("en");

/** People ask all the time; in the middle of it the bridge is gone for a while. */
export async function askWhileOffline(options: OfflineOptions): Promise<OfflineResult> {
  const { places, perPlace, awayMs, clockSpeed, slackRetryMs: retryMs } = options;
  const begun = performance.now();
  await using arena = await Arena.open({ clockSpeed, standIns: { slack: retryMs ? { retryMs } : {} } });
  const lanes = (Object.entries(places) as [LaneKind, number][]).flatMap(([kind, count]) =>
    Array.from({ length: count }, () => arena.lane(kind)),
  );
  // Who never asked there is not followed. Then all ask at their own pace, one after the other.
  await arena.settle(askAll(arena, lanes));
  for (let round = 1; round < perPlace.before; round += 1) await arena.settle(askAll(arena, lanes));
  await arena.bridge.kill();
  const missed: JudgedTurn[] = [];
  for (let round = 0; round < perPlace.during; round += 1) {
    missed.push(...askAll(arena, lanes));
    await sleep(awayMs / clockSpeed / perPlace.during);
  }
  await arena.bridge.start();
  for (let round = 0; round < perPlace.after; round += 1) askAll(arena, lanes);
  await arena.settle();
  const history = arena.history();
  const verdict = judge(history);
  const lost = new Set(verdict.lost);
  const notices = [...history.places].map(([place, messages]) => ({
    left: history.turns.filter((turn) => turn.place === place && lost.has(turn.tag)).length,
    texts: messages.map(({ text }) => text).filter((text) => verdict.strays.includes(text)),
  }));
  const isLate = (turn: JudgedTurn): boolean => isMarked(turn, history.places.get(turn.place) ?? []);
  const isMissed = new Set(missed);
  const answered = missed.filter(({ tag }) => !lost.has(tag));
  return {
    verdict,
    missed: missed.length,
    late: missed.filter(isLate).length,
    unmarked: tags(answered.filter((turn) => !isLate(turn) && !arena.wasRepeatedSoon(turn))),
    wronglyLate: tags(history.turns.filter((turn) => !isMissed.has(turn) && isLate(turn))),
    told: notices.filter((notice) => notice.left > 0 && isTold(notice)).length,
    toldWrongly: notices.filter((notice) => !isTold(notice)).map(({ texts }) => texts),
    refusals: arena.refusals,
    seconds: (performance.now() - begun) / 1000,
  };
}

/** Each place is told once, in one sentence with the number, where there is something to tell; on Discord in small print. */
function isTold({ left, texts }: { left: number; texts: readonly string[] }): boolean {
  if (left === 0) return texts.length === 0;
  return texts.length === 1 && texts[0]?.replace(/^-# /, "") === catchUpNotice(left, "en");
}

function askAll(arena: Arena, lanes: readonly Lane[]): JudgedTurn[] {
  return lanes.map((lane) => arena.ask(lane, WORDS));
}

/** Whether the message that ends a turn's answer says that it comes late. */
function isMarked({ tag }: JudgedTurn, messages: readonly JudgedMessage[]): boolean {
  const last = messages.findLast(
    ({ bot, text }) => bot && readWords([{ bot, text, unfinished: false }]).has(tag),
  );
  return last?.text.includes(LATE) === true;
}

function tags(turns: readonly JudgedTurn[]): readonly number[] {
  return turns.map(({ tag }) => tag);
}
