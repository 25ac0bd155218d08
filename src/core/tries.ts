import { BridgeError, isRateLimit } from "./errors.ts";

/** Failures in a row before a reply gives up. */
const MAX_FAILURES = 6;
/** The same for "too fast": nothing happened, and each one said when to come back. */
const MAX_REFUSALS = 20;
/** Whoever says "at once" after refusing us shall not be asked in a loop. */
const SHORTEST_CLOSED_MS = 100;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** What went wrong in a row. Refusals are counted apart: they say nothing about whether the next call arrives. */
export class Tries {
  #failures = 0;
  #refusals = 0;

  get areUsedUp(): boolean {
    return this.#failures >= MAX_FAILURES || this.#refusals >= MAX_REFUSALS;
  }

  count(error: unknown): void {
    if (isRateLimit(error)) this.#refusals += 1;
    else this.#failures += 1;
  }

  reset(): void {
    this.#failures = 0;
    this.#refusals = 0;
  }

  /**
   * Until the next try, in ms.
   *
   * @param options.gated - Default true: a refusal closes the gate, which is all the waiting there is.
   */
  pauseMs(error: BridgeError, { gated = true }: { readonly gated?: boolean } = {}): number {
    if (isRateLimit(error)) return gated ? 0 : Math.min(LONGEST_PAUSE_MS, closedForMs(error));
    const backOff = FIRST_PAUSE_MS * 2 ** Math.max(0, this.#failures - 1);
    return Math.min(LONGEST_PAUSE_MS, error.retryAfterMs ?? backOff);
  }
}

export interface RepeatedOptions {
  /** Between two tries, in ms: one more try than there are pauses. */
  readonly pausesMs: readonly number[];
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Does a single piece of work again after a failure that may pass. A refusal is waited out at its gate.
 *
 * @throws the last failure, or the signal's reason.
 */
export async function repeated<T>(work: () => Promise<T>, options: RepeatedOptions): Promise<T> {
  const { pausesMs, sleep, signal } = options;
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const pauseMs = pausesMs[tries];
      if (pauseMs === undefined || !(error instanceof BridgeError) || !error.retryable) throw error;
      if (!isRateLimit(error)) await sleep(Math.max(pauseMs, error.retryAfterMs ?? 0), signal);
    }
  }
}

/** How long a refusal closes its gate, in ms. */
export function closedForMs({ retryAfterMs }: BridgeError): number {
  return Math.max(SHORTEST_CLOSED_MS, retryAfterMs ?? FIRST_PAUSE_MS);
}
