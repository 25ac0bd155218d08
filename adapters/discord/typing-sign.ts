import { BridgeError } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/gate.ts";

/** Discord shows typing for 10 s (discord.md §1.5). */
const REFRESH_MS = 8_000;
/** A sign that never ends is worse than none (discord.md §1.5). */
const LONGEST_MS = 120_000;

/** "Coze is typing…", from the start until the first message exists. */
export class TypingSign {
  readonly #send: (signal: AbortSignal) => Promise<void>;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #startedAt: number;
  #cancelTimer: (() => void) | undefined;
  #sending: Promise<void> = Promise.resolve();

  /** @param send - Says it once; its failures are nobody's business. */
  constructor(send: (signal: AbortSignal) => Promise<void>, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#say();
  }

  /**
   * Ends it. Must come before the first message goes out: a sign that arrives later stays for 10 s, so one under
   * way is called back.
   */
  stop(): void {
    this.#cancelTimer?.();
    this.#stop.abort();
  }

  /** Resolves when nothing is under way any more. */
  settled(): Promise<void> {
    return this.#sending;
  }

  #say(): void {
    // The sign is a courtesy: what really fails will fail again, and be told, when the message is created.
    this.#sending = this.#send(this.#stop.signal).catch((error: unknown) => {
      // What is forbidden stays so, and refusals are counted (discord.md §1.2).
      if (error instanceof BridgeError && !error.retryable) this.stop();
    });
    if (this.#clock.now() + REFRESH_MS - this.#startedAt > LONGEST_MS) return;
    this.#cancelTimer = this.#clock.after(REFRESH_MS, () => this.#say());
  }
}
