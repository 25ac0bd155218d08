import { finished, type Readable } from "node:stream";
import type { Deadline } from "./deadline.ts";

/** Bytes that wait for their reader before the other side is held back; the body itself holds as many. */
const MAX_WAITING_BYTES = 64 * 1024;

export interface BodyReaderOptions {
  readonly deadline: Deadline;
  /** How long the next piece may take, in ms; asked before each wait. */
  readonly idleMs: () => number;
  /** What is thrown when it takes longer. */
  readonly toError: (ms: number) => Error;
}

/**
 * The bytes of a response as they come, with a limit on each wait. Disposing it ends the connection, unless the body is
 * over. Listens instead of iterating: a stream's own iterator takes several times as long for a small piece.
 */
export class BodyReader implements Disposable {
  readonly #body: Readable;
  readonly #options: BodyReaderOptions;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #end: { readonly error: Error | undefined } | undefined;
  #wake: (() => void) | undefined;

  constructor(body: Readable, options: BodyReaderOptions) {
    this.#body = body;
    this.#options = options;
    options.deadline.signal.addEventListener("abort", this.#onAbort, { once: true });
    finished(body, { writable: false }, (error) => {
      this.#end = { error: error ?? undefined };
      this.#wake?.();
    });
    body.on("data", (chunk: Uint8Array) => this.#take(chunk));
  }

  /** All that has come since the last time; waits for something to come. Nothing at the end. */
  async next(): Promise<readonly Uint8Array[]> {
    const { deadline, idleMs, toError } = this.#options;
    deadline.signal.throwIfAborted();
    if (this.#waiting.length === 0 && this.#end === undefined) {
      const ms = idleMs();
      await deadline.within(
        ms,
        () => toError(ms),
        () => this.#news(),
      );
    }
    const chunks = this.#waiting;
    if (chunks.length === 0 && this.#end?.error !== undefined) throw this.#end.error;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return chunks;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (let chunks = await this.next(); chunks.length > 0; chunks = await this.next()) yield* chunks;
  }

  [Symbol.dispose](): void {
    this.#options.deadline.signal.removeEventListener("abort", this.#onAbort);
    // An error here would hide the one that brought us here; after a whole body this changes nothing.
    this.#body.on("error", () => undefined).destroy();
  }

  #take(chunk: Uint8Array): void {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes >= MAX_WAITING_BYTES) this.#body.pause();
    this.#wake?.();
  }

  #news(): Promise<void> {
    if (this.#body.isPaused()) this.#body.resume();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#options.deadline.signal.reason;
    this.#body.destroy(reason instanceof Error ? reason : new Error("aborted", { cause: reason }));
  };
}
