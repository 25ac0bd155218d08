import type { NewTurn } from "../../src/core/ports.ts";

/** One line of what the outside world saw: process, event, turn, checkpoint. */
export interface JournalLine {
  readonly pid: number;
  readonly what: string;
  readonly key: string;
  readonly step: number;
}

const LANES = 12;

/** The turn with this number; its place in the conversation is its order of acceptance. */
export function aKilledTurn(index: number): NewTurn {
  const lane = `lane${index % LANES}`;
  return {
    key: `${lane}:${Math.floor(index / LANES)}`,
    conversation: lane,
    payload: { text: "x".repeat(300) },
  };
}

export function parseJournal(text: string): readonly JournalLine[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [pid = "", what = "", key = "", step = ""] = line.split(" ");
      return { pid: Number(pid), what, key, step: Number(step) };
    });
}

/** Everything in the journal that must not be. */
export function judgeJournal(lines: readonly JournalLine[], turns: number): readonly string[] {
  const keys = Array.from({ length: turns }, (_, index) => aKilledTurn(index).key);
  const done = new Set(lines.filter(({ what }) => what === "done").map(({ key }) => key));
  const lost = keys.filter((key) => !done.has(key)).map((key) => `lost: ${key}`);
  return [...lost, ...judgeOrder(lines), ...judgeOverlaps(lines), ...judgeCheckpoints(lines)];
}

function laneOf(key: string): string {
  return key.slice(0, key.indexOf(":"));
}

function placeOf(key: string): number {
  return Number(key.slice(key.indexOf(":") + 1));
}

/** Once a turn has started, no earlier one of its conversation may. */
function judgeOrder(lines: readonly JournalLine[]): readonly string[] {
  const newest = new Map<string, number>();
  const wrong: string[] = [];
  for (const { what, key } of lines) {
    if (what !== "start") continue;
    const place = placeOf(key);
    if (place < (newest.get(laneOf(key)) ?? 0)) wrong.push(`out of order: ${key}`);
    newest.set(laneOf(key), place);
  }
  return wrong;
}

/** A process runs one turn of a conversation at a time, and no dead process says anything. */
function judgeOverlaps(lines: readonly JournalLine[]): readonly string[] {
  const running = new Set<string>();
  const wrong: string[] = [];
  let pid = 0;
  const past = new Set<number>();
  for (const line of lines) {
    if (line.pid !== pid) {
      if (past.has(line.pid)) wrong.push(`two processes at once: ${line.pid} and ${pid}`);
      past.add(pid);
      pid = line.pid;
      running.clear();
    }
    const lane = laneOf(line.key);
    if (line.what === "start" && running.has(lane)) wrong.push(`two at once: ${line.key}`);
    if (line.what === "start") running.add(lane);
    if (line.what === "done" || line.what === "retry") running.delete(lane);
  }
  return wrong;
}

/** A start gets at least the last checkpoint that was confirmed before it. */
function judgeCheckpoints(lines: readonly JournalLine[]): readonly string[] {
  const saved = new Map<string, number>();
  const wrong: string[] = [];
  for (const { what, key, step } of lines) {
    if (what === "saved") saved.set(key, step);
    const confirmed = saved.get(key) ?? 0;
    if (what === "start" && step < confirmed)
      wrong.push(`${key}: checkpoint ${step}, confirmed ${confirmed}`);
  }
  return wrong;
}
