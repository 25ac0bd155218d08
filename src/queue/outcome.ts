import { BridgeError } from "../core/errors.ts";
import {
  type MergeMark,
  RetryLater,
  type Run,
  type RunAborted,
  type TurnHandler,
  type WorkOptions,
} from "../core/ports.ts";
import type { ClaimedRun } from "./claim.ts";

/** What becomes of a turn after a run. */
export type Outcome =
  | { readonly end: "done" }
  | { readonly end: "dead"; readonly error: string }
  /** Parked together with its conversation, so that the order is kept. */
  | { readonly end: "retry"; readonly afterMs: number; readonly counts: boolean }
  /** Free for the next start, as if this one had not been. */
  | { readonly end: "release" };

export interface RunFacts {
  /** The reason of the run's signal, once it fired. */
  readonly aborted: RunAborted | undefined;
  /** 1, 2, …, whatever the cause of the start. */
  readonly start: number;
  /** 1, 2, … */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly backoffMs: (attempt: number) => number;
}

/** Deaths of a process under a turn before the turn is suspected (queue.md §3, "Poison turns"). */
export const MAX_CRASHES = 20;
/** Attempts before a turn becomes a dead letter, when the caller names none. */
const DEFAULT_MAX_ATTEMPTS = 5;
/** Longest text of a dead letter's error, in characters. */
const MAX_ERROR_CHARACTERS = 2_000;
const FIRST_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;
/**
 * What does not count waits this often as long as after one try, before it waits longer: where two versions run, the
 * one that knows a newer turn gets it with the first few looks.
 */
const LOOKS_PER_WAIT = 4;
/**
 * Longest a turn is parked, in ms, whoever asks for more: its whole conversation waits with it. What is due later than
 * this was parked by a clock that has been set back since.
 */
export const LONGEST_PARKED_MS = 3_600_000;

/** 1 s, 2 s, 4 s, … up to a minute: the wait after the given attempt, in ms. */
export function defaultBackoffMs(attempt: number): number {
  return Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(attempt - 1, 16));
}

/** Whether a turn that so many processes have died under is taken for the cause ({@link Run.suspected}). */
export function isSuspected(crashes: number): boolean {
  return crashes >= MAX_CRASHES;
}

/** Whether it is started again: suspected, it is once more, to tell its asker. Else it is buried. */
export function mayStartAgain(crashes: number): boolean {
  return crashes <= MAX_CRASHES;
}

/** Lets the handler answer a run. Never rejects: whatever it throws is the turn's outcome. */
export async function runHandler(
  handler: TurnHandler,
  run: ClaimedRun,
  { maxAttempts = DEFAULT_MAX_ATTEMPTS, backoffMs = defaultBackoffMs }: WorkOptions,
): Promise<Outcome> {
  try {
    await handler(run);
    return { end: "done" };
  } catch (error) {
    const { aborted, start, attempt } = run;
    return outcomeOf(error, { aborted, start, attempt, maxAttempts, backoffMs });
  }
}

/**
 * Decides what a handler's throw means.
 *
 * A hand-over or a lost lease wins over {@link RetryLater}: the handler's calls fail because of the abort, and such a
 * failure must neither cost an attempt nor delay the next start. After a cancel the handler may ask for another try,
 * because it could not tidy up; that one starts with an aborted signal again.
 */
export function outcomeOf(thrown: unknown, facts: RunFacts): Outcome {
  const why = facts.aborted?.why;
  if (why === "handover" || why === "lease-lost") return { end: "release" };
  if (thrown instanceof RetryLater) return retryOutcome(thrown, facts);
  // Our own failure (a full disk), which the handler only passed on: not the turn's fault.
  if (thrown instanceof BridgeError && thrown.code === "QUEUE_UNAVAILABLE") {
    return retryOutcome(new RetryLater({ counts: false, cause: thrown }), facts);
  }
  return why === "cancelled" ? { end: "done" } : { end: "dead", error: describeError(thrown) };
}

function retryOutcome(retry: RetryLater, facts: RunFacts): Outcome {
  if (retry.counts && facts.attempt >= facts.maxAttempts) {
    const cause = retry.cause === undefined ? "" : `: ${describeError(retry.cause)}`;
    return { end: "dead", error: cutText(`gave up after attempt ${facts.attempt}${cause}`) };
  }
  const tries = retry.counts ? facts.attempt : Math.ceil(facts.start / LOOKS_PER_WAIT);
  const afterMs = retry.afterMs ?? facts.backoffMs(tries);
  return { end: "retry", afterMs: Math.min(LONGEST_PARKED_MS, Math.max(0, afterMs)), counts: retry.counts };
}

/** An error as one line of text for the list of dead letters. */
export function describeError(error: unknown): string {
  return cutText(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
}

function cutText(text: string): string {
  return text.slice(0, MAX_ERROR_CHARACTERS);
}

/**
 * How many of a conversation's waiting turns start as one: neighbours of one group, each written at most
 * `mergeWithinMs` after the one before it. One that may have been started is alone: what it came to is about it alone.
 */
export function batchSize(
  waiting: readonly Mergeable[],
  { maxMerge, mergeWithinMs }: { readonly maxMerge: number; readonly mergeWithinMs: number },
): number {
  const considered = waiting.slice(0, maxMerge);
  const end = considered.findIndex(
    (turn, index) => index > 0 && !joins(considered[index - 1], turn, mergeWithinMs),
  );
  return Math.max(1, end === -1 ? considered.length : end);
}

interface Mergeable {
  readonly merge: MergeMark | undefined;
  readonly cancelled: boolean;
  readonly starts: number;
}

function joins(before: Mergeable | undefined, turn: Mergeable, withinMs: number): boolean {
  if (before?.merge === undefined || turn.merge === undefined) return false;
  if (before.cancelled || turn.cancelled || before.starts > 0 || turn.starts > 0) return false;
  return before.merge.group === turn.merge.group && Math.abs(turn.merge.at - before.merge.at) <= withinMs;
}
