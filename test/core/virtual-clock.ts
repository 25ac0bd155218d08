import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/core/gate.ts";

interface Timer {
  readonly at: number;
  readonly call: () => void;
}

/** Time that passes when a test says so, and all at once. */
export class VirtualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  /** Timers nobody cancelled yet; a leak shows here. */
  get pending(): number {
    return this.#timers.size;
  }

  after(ms: number, call: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), call };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Like `setTimeout` of `node:timers/promises`. */
  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const cancel = this.after(ms, () => {
        signal.removeEventListener("abort", abort);
        resolve();
      });
      const abort = (): void => {
        cancel();
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  /** Lets `ms` pass, and all that happens in it happen. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await setImmediate();
    for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) {
      this.#now = Math.max(this.#now, timer.at);
      this.#timers.delete(timer);
      timer.call();
      await setImmediate();
    }
    this.#now = until;
  }

  /** Lets time pass until the promise is settled. @throws when nothing is left that could settle it. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const watched = promise.finally(() => {
      settled = true;
    });
    watched.catch(() => {
      // Whoever awaits the result gets the error.
    });
    await setImmediate();
    while (!settled) {
      const timer = this.#next(Number.POSITIVE_INFINITY);
      if (timer === undefined) throw new Error("nothing left to wait for");
      await this.advance(timer.at - this.#now);
    }
    return watched;
  }

  #next(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers)
      if (timer.at <= until && (next === undefined || timer.at < next.at)) next = timer;
    return next;
  }
}
