import type { ProcessLine } from "./bridge-process.ts";

/** What went wrong, counted; all but the last three must be 0. */
export interface LinesReport {
  /** Accepted turns whose handler never came to its end. */
  readonly lost: number;
  /** Starts before an earlier turn of the conversation had ended. */
  readonly outOfOrder: number;
  /** Starts while the same conversation was running somewhere else. */
  readonly atOnce: number;
  /** Starts with an older checkpoint than the last that was confirmed. */
  readonly lostCheckpoints: number;
  /** Ends beyond the first: the process died, or lost its lease, before that was recorded. */
  readonly endedAgain: number;
  /** Starts beyond the first. */
  readonly startedAgain: number;
  readonly kills: number;
}

/**
 * Judges what processes told.
 *
 * @param killedAt - By process id, on the clock of the lines: what still ran there ended then.
 */
export function judgeLines(
  keys: readonly string[],
  lines: readonly ProcessLine[],
  killedAt: ReadonlyMap<number, number>,
): LinesReport {
  const inOrder = lines.toSorted((one, other) => one.at - other.at);
  const done = new Map<string, number>();
  const saved = new Map<string, number>();
  /** Who runs a conversation now. */
  const running = new Map<string, number>();
  const report = { lost: 0, outOfOrder: 0, atOnce: 0, lostCheckpoints: 0, endedAgain: 0, startedAgain: 0 };
  for (const { what, key, step, start, process, at } of inOrder) {
    const [lane = "", number = ""] = key.split(":");
    if (what === "start") {
      const holder = running.get(lane);
      if (holder !== undefined && (killedAt.get(holder) ?? Number.POSITIVE_INFINITY) > at) report.atOnce += 1;
      running.set(lane, process);
      const before = keys.filter((one) => one.startsWith(`${lane}:`) && Number(one.split(":")[1]) < +number);
      if (before.some((one) => !done.has(one))) report.outOfOrder += 1;
      if (step < (saved.get(key) ?? 0)) report.lostCheckpoints += 1;
      if (start > 1) report.startedAgain += 1;
    } else if (what === "saved") {
      saved.set(key, Math.max(step, saved.get(key) ?? 0));
    } else if (what === "done") {
      if (done.has(key)) report.endedAgain += 1;
      done.set(key, at);
    } else if (what === "left" && running.get(lane) === process) {
      running.delete(lane);
    }
  }
  return { ...report, lost: keys.filter((key) => !done.has(key)).length, kills: killedAt.size };
}
