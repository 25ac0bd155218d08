/**
 * How long after what it vouches for a value is written, in ms. Redis loses its last 2 s when it dies, on a slow disk some
 * more (queue.md §3, crash table), and the queue brings those again a second or two after it is back.
 */
export const SETTLED_MS = 10_000;
/** Values that wait; beyond, the oldest is not written at all, and what is stored stays. */
const MAX_WAITING = 10_000;

interface Pending<T> {
  readonly value: T;
  /** Ms on the caller's clock. */
  readonly at: number;
}

/** What waits under one name: what is written next, and the newest of what came after it. */
interface Waiting<T> {
  readonly next: Pending<T>;
  readonly last: Pending<T> | undefined;
}

/** Values that must not outlive what they vouch for: each is written once that cannot be lost any more. */
export class SettlingWrites<T> {
  readonly #settledMs: number;
  /** By name, oldest first. */
  readonly #waiting = new Map<string, Waiting<T>>();

  constructor(settledMs: number = SETTLED_MS) {
    this.#settledMs = settledMs;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** The newest value that waits. */
  get(name: string): T | undefined {
    const waiting = this.#waiting.get(name);
    return (waiting?.last ?? waiting?.next)?.value;
  }

  /** What comes after a value that waits already does not put that one off. */
  add(name: string, value: T, now: number): void {
    const next = this.#waiting.get(name)?.next;
    const pending = { value, at: now };
    this.#waiting.set(name, { next: next ?? pending, last: next && pending });
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > MAX_WAITING && oldest !== undefined) this.#waiting.delete(oldest);
  }

  /** Something else is written, or nothing is there any more. @returns Whether anything waited. */
  drop(name: string): boolean {
    return this.#waiting.delete(name);
  }

  /** Takes out the newest of all, as nothing comes after it any more. */
  takeAll(): readonly (readonly [name: string, value: T])[] {
    const taken = [...this.#waiting].map(([name, { next, last }]) => [name, (last ?? next).value] as const);
    this.#waiting.clear();
    return taken;
  }

  /** Takes out what is to be written now. */
  take(now: number): readonly (readonly [name: string, value: T])[] {
    const taken: (readonly [string, T])[] = [];
    for (const [name, { next, last }] of this.#waiting) {
      if (now - next.at < this.#settledMs) continue;
      taken.push([name, next.value]);
      if (last === undefined) this.#waiting.delete(name);
      else this.#waiting.set(name, { next: last, last: undefined });
    }
    return taken;
  }
}
