import type { Clock } from "../../core/gate.ts";
import type { Abortable, Log } from "../../core/ports.ts";

const DAY_MS = 24 * 3_600_000;

/** How many days before its end somebody is told, the nearest first; 0 is the end itself. */
const DAYS_BEFORE = [0, 1, 7, 14] as const;
export type ExpiryStep = (typeof DAYS_BEFORE)[number];

/**
 * The warning that is due.
 *
 * @param endsAt - In ms since the epoch, as `now`.
 * @returns `undefined` while the end is far.
 */
export function dueWarning(endsAt: number, now: number): ExpiryStep | undefined {
  return DAYS_BEFORE.find((days) => now >= endsAt - days * DAY_MS);
}

/** How often the date is looked at, in ms. */
const LOOK_MS = 3_600_000;

export interface ExpiryWatchOptions {
  /** When the sign-in ends, in ms since the epoch; `undefined` while nobody knows. It may move. */
  readonly endsAt: () => number | undefined;
  /** Called before each look: keeps the sign-in from ending by disuse. */
  readonly keep: (options: Abortable) => Promise<void>;
  /** What the operator has to do about it. */
  readonly remedy: string;
  readonly log: Log;
  /** Ms since the epoch. */
  readonly now: () => number;
  readonly clock: Pick<Clock, "after">;
}

/** Tells the operator in time that the sign-in ends: once for each step, in a process. */
export class ExpiryWatch implements AsyncDisposable {
  readonly #options: ExpiryWatchOptions;
  readonly #stop = new AbortController();
  #looking: Promise<void>;
  #told: ExpiryStep | undefined;
  #cancel: () => void = () => undefined;

  /** Looks at once, then every hour. */
  constructor(options: ExpiryWatchOptions) {
    this.#options = options;
    this.#looking = this.#look();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel();
    this.#stop.abort();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { keep, log, clock } = this.#options;
    this.#cancel = clock.after(LOOK_MS, () => {
      this.#looking = this.#look();
    });
    try {
      await keep(this.#stop);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      log.warn({ err: error }, "coze sign-in could not be kept alive");
    }
    this.#tell();
  }

  #tell(): void {
    const { endsAt: readEnd, now, log, remedy } = this.#options;
    const endsAt = readEnd();
    const due = endsAt === undefined ? undefined : dueWarning(endsAt, now());
    if (due === this.#told) return;
    this.#told = due;
    if (endsAt === undefined || due === undefined) return;
    const fields = { endsAt: new Date(endsAt).toISOString(), note: remedy };
    if (due === 0) log.error(fields, "coze sign-in has ended");
    else log.warn({ ...fields, days: Math.ceil((endsAt - now()) / DAY_MS) }, "coze sign-in ends soon");
  }
}
