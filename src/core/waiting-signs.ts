import type { Adapter, Log, Store, TurnQueue } from "./ports.ts";
import type { Turn } from "./turn.ts";

/** A turn that waits longer than this shows it. */
const PATIENCE_MS = 5_000;
/** Turns that are watched at once; beyond it nobody is told that they wait, they are answered all the same. */
const MAX_WATCHED = 10_000;
const WAITING_SPACE = "waiting";
/** A sign is forgotten after this; then it stays where it is. */
const SIGN_TTL_MS = 24 * 3_600_000;

export interface SignParts {
  readonly queue: Pick<TurnQueue, "isWaiting">;
  readonly store: Pick<Store, "get" | "set" | "delete">;
  readonly log: Log;
  readonly adapterOf: (platform: string) => Adapter | undefined;
  /** Calls back once after `ms`; the result cancels. */
  readonly after: (ms: number, call: () => void) => () => void;
}

/** Shows at questions that they wait. The intake puts a sign up, the worker that takes the turn takes it down. */
export class WaitingSigns implements AsyncDisposable {
  readonly #parts: SignParts;
  readonly #timers = new Set<() => void>();
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  constructor(parts: SignParts) {
    this.#parts = parts;
  }

  /** Watches an accepted turn. */
  watch(turn: Turn, queueId: string): void {
    if (this.#timers.size >= MAX_WATCHED || this.#stop.signal.aborted) return;
    const cancel = this.#parts.after(PATIENCE_MS, () => {
      this.#timers.delete(cancel);
      const shown = this.#show(turn, queueId).catch((error: unknown) =>
        this.#parts.log.debug({ err: error, turnId: turn.id }, "waiting sign could not be shown"),
      );
      this.#running.add(shown);
      void shown.finally(() => this.#running.delete(shown));
    });
    this.#timers.add(cancel);
  }

  async #show(turn: Turn, queueId: string): Promise<void> {
    const { queue, store } = this.#parts;
    if (!(await queue.isWaiting(queueId))) return;
    // Noted first: whoever takes the turn meanwhile finds the note, or we find that it was taken.
    await store.set(WAITING_SPACE, turn.id, true, { ttlMs: SIGN_TTL_MS });
    const adapter = this.#parts.adapterOf(turn.platform);
    await adapter?.showWaiting(turn, true, { signal: this.#stop.signal });
    if (!(await queue.isWaiting(queueId))) await takeSignDown(turn, this.#parts, this.#stop.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#stop.abort();
    await Promise.all(this.#running);
  }
}

/** Takes the sign of a turn down, if it has one. */
export async function takeSignDown(
  turn: Turn,
  { store, adapterOf }: Pick<SignParts, "store" | "adapterOf">,
  signal: AbortSignal,
): Promise<void> {
  if ((await store.get(WAITING_SPACE, turn.id)) === undefined) return;
  await adapterOf(turn.platform)?.showWaiting(turn, false, { signal });
  await store.delete(WAITING_SPACE, turn.id);
}
