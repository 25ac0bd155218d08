/** Far more than anybody asks in a thread before the first of it is answered. */
const MAX_PER_THREAD = 20;
const MAX_THREADS = 1_000;

/** The newest questions of each thread, since a stop before the first text names the thread alone (slack.md §2.2). */
export class AskedInThread {
  readonly #keys = new Map<string, readonly string[]>();

  /** @param dedupeKey - Of the question. */
  add(thread: string, dedupeKey: string): void {
    const known = this.of(thread).filter((key) => key !== dedupeKey);
    this.#keys.delete(thread);
    this.#keys.set(thread, [...known, dedupeKey].slice(-MAX_PER_THREAD));
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > MAX_THREADS && oldest !== undefined) this.#keys.delete(oldest);
  }

  /** Oldest first; none where this process was not there. */
  of(thread: string): readonly string[] {
    return this.#keys.get(thread) ?? [];
  }
}
