import type { NewTurn } from "../core/ports.ts";

/**
 * What Redis confirmed this long before its connection is found dead may be lost, in ms: its file is up to 2 s behind
 * (queue.md §3, crash table), a replica that takes over some seconds, and a silent end is noticed after 30 s.
 */
const UNSETTLED_MS = 40_000;
/** 50 turns a second for that long; beyond, the oldest has the word of Redis alone. */
const MAX_TURNS = 2_000;

export interface UnsettledTurn {
  readonly id: string;
  readonly turn: NewTurn;
  readonly payload: string;
  /** Ms on the clock of `now`. */
  readonly at: number;
}

/** What this process has brought to Redis of late, for the case that Redis comes back without it. */
export class UnsettledTurns {
  readonly #now: () => number;
  /** By key, oldest first. */
  readonly #turns = new Map<string, UnsettledTurn>();

  constructor(now: () => number) {
    this.#now = now;
  }

  accepted(id: string, turn: NewTurn, payload: string): void {
    this.#settle(this.#now());
    this.#turns.delete(turn.key);
    this.#turns.set(turn.key, { id, turn, payload, at: this.#now() });
    const [oldest] = this.#turns.keys();
    if (this.#turns.size > MAX_TURNS && oldest !== undefined) this.#turns.delete(oldest);
  }

  amended(id: string, payload: string): void {
    const found = this.#find(id);
    if (found !== undefined) this.#turns.set(found.turn.key, { ...found, payload });
  }

  cancelled(id: string): void {
    const found = this.#find(id);
    if (found !== undefined) this.#turns.delete(found.turn.key);
  }

  /** @param lostAt - When the connection was found dead. @returns What Redis may have lost then, oldest first. */
  at(lostAt: number): readonly UnsettledTurn[] {
    this.#settle(lostAt);
    return [...this.#turns.values()];
  }

  #settle(now: number): void {
    for (const [key, { at }] of this.#turns) {
      if (now - at <= UNSETTLED_MS) return;
      this.#turns.delete(key);
    }
  }

  #find(id: string): UnsettledTurn | undefined {
    return this.#turns.values().find((turn) => turn.id === id);
  }
}
