/**
 * Joins the caller's signal with our own time-outs: whichever fires first, its reason is what the waiting call
 * throws. One timer for what is expected next, one for the whole.
 */
export class Deadline implements Disposable {
  readonly #outer: AbortSignal;
  readonly #own = new AbortController();
  /** What is waited for, and until when on the monotonic clock. */
  #next: { readonly until: number; readonly toError: () => Error } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = 0;
  #whole: NodeJS.Timeout | undefined;

  constructor(outer: AbortSignal) {
    this.#outer = outer;
    if (outer.aborted) this.#onAbort();
    else outer.addEventListener("abort", this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#own.signal;
  }

  /** Starts the clock of the whole call. */
  limit(ms: number, toError: () => Error): void {
    clearTimeout(this.#whole);
    this.#whole = setTimeout(() => this.#own.abort(toError()), ms);
  }

  /** Waits for `step` at most `ms`; what the reader does in between does not count. */
  async within<T>(ms: number, toError: () => Error, step: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    this.#next = { until: performance.now() + ms, toError };
    this.#arm(this.#next.until, ms);
    try {
      return await step();
    } finally {
      this.#next = undefined;
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    clearTimeout(this.#whole);
    this.#outer.removeEventListener("abort", this.#onAbort);
  }

  /** A timer that comes earlier is left alone, it looks again: pieces come often, and hardly ever too late. */
  #arm(until: number, ms: number): void {
    if (this.#timer !== undefined && this.#timerAt <= until) return;
    clearTimeout(this.#timer);
    this.#timerAt = until;
    this.#timer = setTimeout(() => this.#look(), ms);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#next === undefined) return;
    const { until, toError } = this.#next;
    const leftMs = until - performance.now();
    if (leftMs > 0) this.#arm(until, leftMs);
    else this.#own.abort(toError());
  }

  readonly #onAbort = (): void => this.#own.abort(this.#outer.reason);
}
