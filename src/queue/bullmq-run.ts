import type { Json } from "../core/json.ts";
import { RunAborted } from "../core/ports.ts";
import { ClaimedRun, headOf } from "./claim.ts";
import { toJsonText } from "./json-text.ts";
import type { Begun, Mailbox, Owned } from "./mailbox.ts";
import type { Outcome } from "./outcome.ts";

/** How long a handler that was told to leave its run may still take, in ms. */
const PATIENCE_MS = 5_000;

export interface RunSettings {
  readonly mailbox: Mailbox;
  /** Turns a failed write into an error for the handler; `undefined` when the connection is closed for good. */
  readonly toError: (cause: unknown) => Error | undefined;
}

/** A started run, whose checkpoints go to Redis, and whose handler is not waited for when it stays. */
export class BullmqRun extends ClaimedRun {
  readonly begun: Begun;
  /** Id of its first turn, which a cancel names. */
  readonly head: string;
  readonly #settings: RunSettings;
  readonly #lost = Promise.withResolvers<Owned>();
  readonly #gaveUp = Promise.withResolvers<Outcome>();
  #patience: NodeJS.Timeout | undefined;
  #live = true;
  /** The last checkpoint, as text. */
  #saved: string | undefined;

  /** @throws {SyntaxError} when what is stored is not JSON. */
  constructor(begun: Begun, settings: RunSettings) {
    super(begun);
    this.begun = begun;
    this.head = headOf(begun).id;
    this.#settings = settings;
    this.#saved = begun.state;
  }

  /** Settles when the handler had to leave and did not in time, so that nobody waits for it for ever. */
  get gaveUp(): Promise<Outcome> {
    return this.#gaveUp.promise;
  }

  override async save(state: Json): Promise<void> {
    if (!this.#live) throw new RunAborted("lease-lost");
    this.#saved = toJsonText(state, "checkpoint");
    if ((await this.#write(this.#saved)) !== "lost") return;
    this.lose();
    throw new RunAborted("lease-lost");
  }

  /** Another Redis may have lost the last checkpoint. @returns False when it has lost that the run is ours. */
  async saveAgain(): Promise<boolean> {
    return !this.#live || (await this.#write(this.#saved)) !== "lost";
  }

  /** Fires the signal; unless it only was cancelled, the handler has to leave soon. */
  override abort(why: RunAborted["why"]): void {
    super.abort(why);
    if (why === "cancelled") return;
    this.#patience ??= setTimeout(() => this.giveUp(), PATIENCE_MS);
  }

  /** Stops waiting for the handler. */
  giveUp(): void {
    this.#gaveUp.resolve({ end: "release" });
  }

  /** The run is over, or no longer ours: nothing more is saved. */
  close(): void {
    this.#live = false;
    this.#lost.resolve("lost");
    clearTimeout(this.#patience);
  }

  /** Somebody else may run these turns soon. */
  lose(): void {
    this.#live = false;
    this.#lost.resolve("lost");
    this.abort("lease-lost");
  }

  async #write(text: string | undefined): Promise<Owned> {
    // While Redis is away the write hangs; the run must not outlive its lease with it (queue.md §8.4).
    const owned = await Promise.race([this.#send(text), this.#lost.promise]);
    if (owned === "cancelled") this.abort("cancelled");
    return owned;
  }

  async #send(text: string | undefined): Promise<Owned> {
    try {
      return await this.#settings.mailbox.save(this.begun, text);
    } catch (cause) {
      const error = this.#settings.toError(cause);
      if (error === undefined) return "lost";
      throw error;
    }
  }
}
