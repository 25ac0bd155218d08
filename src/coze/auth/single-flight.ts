import type { Abortable } from "../../core/ports.ts";
import { untilAborted } from "../../core/until-aborted.ts";

/**
 * Work that many want at once and that is done once. Who stops waiting leaves the others alone, and the work too: a
 * request that rotates a refresh token must be read to its end.
 */
export class SingleFlight<T> {
  #running: Promise<T> | undefined;

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** What the running work comes to; starts it when none runs. Rejects with the signal's reason when that fires first. */
  async join(start: () => Promise<T>, { signal }: Abortable): Promise<T> {
    signal.throwIfAborted();
    this.#running ??= this.#begin(start);
    return untilAborted(this.#running, signal);
  }

  /** Resolves when nothing runs. */
  async settled(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  #begin(start: () => Promise<T>): Promise<T> {
    const running = start().finally(() => {
      this.#running = undefined;
    });
    // Perhaps nobody waits for it any more.
    running.catch(() => undefined);
    return running;
  }
}
