import type { Consumer, TurnHandler, WorkOptions } from "../core/ports.ts";
import { type Outcome, runHandler } from "./outcome.ts";
import type { SqliteRun } from "./sqlite-run.ts";

/** How long a hand-over waits for handlers that do not react to their signal, in ms. */
const HANDOVER_WAIT_MS = 5_000;

/** Takes an ended run; resolves once that is written. */
export type OnEnd = (run: SqliteRun, outcome: Outcome) => Promise<void>;

interface OpenRun {
  readonly run: SqliteRun;
  /** Settles once the run's end is written; never rejects. */
  readonly ended: Promise<void>;
}

/** The workers of one `work` call. */
export class SqliteConsumer implements Consumer {
  readonly maxMerge: number;
  readonly mergeWithinMs: number;
  readonly #handler: TurnHandler;
  readonly #options: WorkOptions;
  readonly #onEnd: OnEnd;
  readonly #open = new Set<OpenRun>();
  readonly #gaveUp = Promise.withResolvers<void>();
  #running = 0;
  #stopping = false;
  #handover: Promise<void> | undefined;

  constructor(handler: TurnHandler, options: WorkOptions, onEnd: OnEnd) {
    this.#handler = handler;
    this.#options = options;
    this.#onEnd = onEnd;
    this.maxMerge = Math.max(1, options.maxMerge ?? 1);
    this.mergeWithinMs = options.mergeWithinMs ?? 0;
  }

  /** Runs it could start now. */
  get room(): number {
    return this.#stopping ? 0 : Math.max(0, this.#options.concurrency - this.#running);
  }

  /** Runs whose end is not written yet. */
  get runs(): readonly SqliteRun[] {
    return [...this.#open].map(({ run }) => run);
  }

  start(run: SqliteRun): void {
    const open: OpenRun = { run, ended: this.#answer(run).finally(() => this.#open.delete(open)) };
    this.#open.add(open);
  }

  async stop(mode: "drain" | "handover"): Promise<void> {
    this.#stopping = true;
    if (mode === "handover") this.#handover ??= this.#handOver();
    await Promise.race([this.#allEnded(), this.#gaveUp.promise]);
  }

  async #handOver(): Promise<void> {
    for (const { run } of this.#open) run.abort("handover");
    const tooLong = setTimeout(() => this.#gaveUp.resolve(), HANDOVER_WAIT_MS);
    await this.#allEnded();
    clearTimeout(tooLong);
  }

  async #allEnded(): Promise<void> {
    await Promise.all([...this.#open].map(({ ended }) => ended));
  }

  async #answer(run: SqliteRun): Promise<void> {
    this.#running += 1;
    const outcome = await runHandler(this.#handler, run, this.#options);
    this.#running -= 1;
    await this.#onEnd(run, outcome);
  }
}
