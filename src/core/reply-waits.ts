import type { AcquireOptions, Gate, Grant } from "./gate.ts";
import type { Permit } from "./pacer.ts";

/**
 * What a reply waits for: permits and pauses. Its waits can be ended from outside, as often as there is a reason; a call that
 * is under way is none of them, since its outcome has to be known.
 */
export class ReplyWaits {
  readonly #signal: AbortSignal;
  readonly #now: () => number;
  #interrupt = new AbortController();
  /** When it asked for an urgent permit that it did not get yet. */
  #urgentSince: number | undefined;

  /** @param now - On the clock of the gates, in ms. */
  constructor(signal: AbortSignal, now: () => number) {
    this.#signal = signal;
    this.#now = now;
  }

  /** Ends what waits now; what waits later is another wait. */
  interrupt(): void {
    this.#interrupt.abort();
    this.#interrupt = new AbortController();
  }

  /** @returns What the wait came to, `undefined` when it was interrupted. @throws the signal's reason. */
  async wait<T>(wait: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const interrupt = this.#interrupt.signal;
    try {
      return await wait(AbortSignal.any([this.#signal, interrupt]));
    } catch (error) {
      if (interrupt.aborted && !this.#signal.aborted) return undefined;
      throw error;
    }
  }

  /** Whoever was interrupted and asks again, as a first text that has become the last one, keeps its place. */
  async permit(
    gate: Gate,
    permit: Permit,
    pace: Omit<AcquireOptions, "signal" | "since"> = {},
  ): Promise<Grant | undefined> {
    if (permit === "edit") return this.wait((signal) => gate.acquire(permit, { ...pace, signal }));
    this.#urgentSince ??= this.#now();
    const since = this.#urgentSince;
    const grant = await this.wait((signal) => gate.acquire(permit, { ...pace, since, signal }));
    if (grant !== undefined) this.#urgentSince = undefined;
    return grant;
  }
}
