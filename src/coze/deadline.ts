/**
 * Joins the caller's signal with our own time-outs: whichever fires first, its reason is what the waiting call
 * throws. One timer at a time for what is expected next, one for the whole.
 */
export class Deadline implements Disposable {
  readonly #own = new AbortController();
  readonly signal: AbortSignal;
  #next: NodeJS.Timeout | undefined;
  #whole: NodeJS.Timeout | undefined;

  constructor(outer: AbortSignal) {
    this.signal = AbortSignal.any([outer, this.#own.signal]);
  }

  /** Starts the clock of the whole call. */
  limit(ms: number, toError: () => Error): void {
    clearTimeout(this.#whole);
    this.#whole = setTimeout(() => this.#own.abort(toError()), ms);
  }

  /** Waits for `step` at most `ms`; what the reader does in between does not count. */
  async within<T>(ms: number, toError: () => Error, step: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    this.#next = setTimeout(() => this.#own.abort(toError()), ms);
    try {
      return await step();
    } finally {
      clearTimeout(this.#next);
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#next);
    clearTimeout(this.#whole);
  }
}
