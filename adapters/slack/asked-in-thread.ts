/** Far more than anybody asks in a thread before the first of it is answered. */
const MAX_PER_THREAD = 20;
const MAX_THREADS = 1_000;

interface Asked {
  readonly dedupeKey: string;
  /** Who asked. */
  readonly user: string;
  /** The question's message. */
  readonly ts: string;
}

interface Thread {
  readonly channel: string;
  readonly thread: string;
}

/** The newest questions of each thread, since a stop before the first text names the thread alone (slack.md §2.2). */
export class AskedInThread {
  readonly #asked = new Map<string, readonly Asked[]>();

  add(where: Thread, question: Asked): void {
    const key = keyOf(where);
    const others = this.of(where).filter(({ dedupeKey }) => dedupeKey !== question.dedupeKey);
    this.#asked.delete(key);
    this.#asked.set(key, [...others, question].slice(-MAX_PER_THREAD));
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > MAX_THREADS && oldest !== undefined) this.#asked.delete(oldest);
  }

  /** Oldest first; empty where an earlier process took them. */
  of(where: Thread): readonly Asked[] {
    return this.#asked.get(keyOf(where)) ?? [];
  }
}

function keyOf({ channel, thread }: Thread): string {
  return `${channel}:${thread}`;
}
