import type { Json } from "../core/json.ts";
import { type QueuedTurn, type Run, RunAborted } from "../core/ports.ts";
import { parseJson } from "./json-text.ts";

/** A started run as it is stored: what is needed to write to it, and to end it. */
export interface Claim<Turn extends ClaimedTurn = ClaimedTurn> {
  readonly lane: string;
  /** Proves that the run is still ours. */
  readonly token: string;
  /** Oldest first; never empty. */
  readonly turns: readonly Turn[];
  readonly start: number;
  readonly attempt: number;
  /** As of {@link Run}. */
  readonly suspected: boolean;
  readonly state: string | undefined;
  readonly cancelled: boolean;
}

export interface ClaimedTurn {
  readonly id: string;
  readonly key: string;
  readonly payload: string;
  readonly at: number;
}

/** The first turn of a run, which carries its facts. */
export function headOf<Turn extends ClaimedTurn>(claim: Claim<Turn>): Turn {
  const [head] = claim.turns;
  if (head === undefined) throw new Error("a run without a turn");
  return head;
}

/** A started run as its handler sees it. A driver adds how a checkpoint is written, and when the run is lost. */
export abstract class ClaimedRun implements Run {
  readonly turns: readonly QueuedTurn[];
  readonly conversation: string;
  readonly start: number;
  readonly attempt: number;
  readonly suspected: boolean;
  readonly state: Json | undefined;
  readonly #abort = new AbortController();

  /** @throws {SyntaxError} when what is stored is not JSON. */
  constructor({ turns, lane, start, attempt, suspected, state, cancelled }: Claim) {
    this.turns = turns.map(({ id, key, payload, at }) => ({ id, key, payload: parseJson(payload), at }));
    this.conversation = lane;
    this.start = start;
    this.attempt = attempt;
    this.suspected = suspected;
    this.state = state === undefined ? undefined : parseJson(state);
    if (cancelled) this.#abort.abort(new RunAborted("cancelled"));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get aborted(): RunAborted | undefined {
    const reason: unknown = this.signal.reason;
    return reason instanceof RunAborted ? reason : undefined;
  }

  abstract save(state: Json): Promise<void>;

  /** Fires the signal; the first reason stays. */
  abort(why: RunAborted["why"]): void {
    this.#abort.abort(new RunAborted(why));
  }
}
