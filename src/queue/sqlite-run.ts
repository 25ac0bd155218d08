import { BridgeError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import { type QueuedTurn, type Run, RunAborted } from "../core/ports.ts";
import { parseJson, toJsonText } from "./json-text.ts";
import type { Claim, QueueFile, TurnTable } from "./turn-table.ts";

/** A started run: what the handler sees, and how the queue takes it away again. */
export class SqliteRun implements Run {
  readonly claim: Claim;
  readonly turns: readonly QueuedTurn[];
  readonly conversation: string;
  readonly start: number;
  readonly attempt: number;
  readonly suspected: boolean;
  readonly state: Json | undefined;
  readonly #file: QueueFile;
  readonly #table: TurnTable;
  readonly #abort = new AbortController();
  #live = true;

  /** @throws {SyntaxError} when what is stored is not JSON. */
  constructor(claim: Claim, file: QueueFile, table: TurnTable) {
    this.claim = claim;
    this.turns = claim.turns.map(({ id, key, payload, at }) => ({
      id,
      key,
      payload: parseJson(payload),
      at,
    }));
    this.conversation = claim.lane;
    this.start = claim.start;
    this.attempt = claim.attempt;
    this.suspected = claim.suspected;
    this.state = claim.state === undefined ? undefined : parseJson(claim.state);
    this.#file = file;
    this.#table = table;
    if (claim.cancelled) this.abort("cancelled");
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get aborted(): RunAborted | undefined {
    const reason: unknown = this.signal.reason;
    return reason instanceof RunAborted ? reason : undefined;
  }

  async save(state: Json): Promise<void> {
    if (!this.#live) throw new RunAborted("lease-lost");
    const text = toJsonText(state, "checkpoint");
    if (this.#write(text)) return;
    this.lose();
    throw new RunAborted("lease-lost");
  }

  /** Fires the signal; the first reason stays. */
  abort(why: RunAborted["why"]): void {
    this.#abort.abort(new RunAborted(why));
  }

  /** Somebody else may run these turns now. */
  lose(): void {
    this.#live = false;
    this.abort("lease-lost");
  }

  #write(text: string): boolean {
    try {
      return this.#file.transaction(() => this.#table.save(this.claim, text));
    } catch (cause) {
      if (!this.#file.isOpen) return false;
      if (cause instanceof BridgeError) throw cause;
      throw new BridgeError("QUEUE_UNAVAILABLE", `${this.#file.path}: the checkpoint can't be written`, {
        cause,
        retryable: true,
      });
    }
  }
}
