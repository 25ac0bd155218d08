import { BridgeError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import { RunAborted } from "../core/ports.ts";
import { ClaimedRun } from "./claim.ts";
import { toJsonText } from "./json-text.ts";
import type { QueueFile, TableClaim, TurnTable } from "./turn-table.ts";

/** A started run, whose checkpoints go into the file. */
export class SqliteRun extends ClaimedRun {
  readonly claim: TableClaim;
  readonly #file: QueueFile;
  readonly #table: TurnTable;
  #live = true;

  /** @throws {SyntaxError} when what is stored is not JSON. */
  constructor(claim: TableClaim, file: QueueFile, table: TurnTable) {
    super(claim);
    this.claim = claim;
    this.#file = file;
    this.#table = table;
  }

  override async save(state: Json): Promise<void> {
    if (!this.#live) throw new RunAborted("lease-lost");
    const text = toJsonText(state, "checkpoint");
    if (this.#write(text)) return;
    this.lose();
    throw new RunAborted("lease-lost");
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
