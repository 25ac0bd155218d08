import type { TurnLabel } from "./mailbox.ts";

/**
 * What Redis confirmed this long before its connection is found dead may be lost, in ms: its file is up to 2 s behind
 * (queue.md §3, crash table), a replica that takes over some seconds, and a silent end is noticed after 40 s at most:
 * 10 s until we ask something, 30 s until that is given up.
 */
const UNSETTLED_MS = 60_000;
/** Some 30 turns a second for that long; beyond these two, the oldest has the word of Redis alone. */
const MAX_TURNS = 2_000;
const MAX_CHARACTERS = 16_000_000;

export interface UnsettledTurn {
  readonly id: string;
  readonly label: TurnLabel;
  readonly payload: string;
  /** Ms on the clock of `now`. */
  readonly acceptedAt: number;
}

/** What this process has brought to Redis of late, for the case that Redis comes back without it. */
export class UnsettledTurns {
  readonly #now: () => number;
  /** By key, oldest first. */
  readonly #turns = new Map<string, UnsettledTurn>();
  #characters = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  has(key: string): boolean {
    return this.#turns.has(key);
  }

  accepted(id: string, { key, conversation, merge }: TurnLabel, payload: string): void {
    const acceptedAt = this.#now();
    this.#settle(acceptedAt);
    this.#drop(key);
    const label = { key, conversation, ...(merge !== undefined && { merge }) };
    this.#turns.set(key, { id, label, payload, acceptedAt });
    this.#characters += payload.length;
    for (const oldest of this.#turns.keys()) {
      if (this.#turns.size <= MAX_TURNS && this.#characters <= MAX_CHARACTERS) return;
      this.#drop(oldest);
    }
  }

  /** Redis has it, again or still, as `id`; what was cancelled meanwhile stays so. */
  confirmed(key: string, id: string): void {
    const found = this.#turns.get(key);
    if (found !== undefined) this.accepted(id, found.label, found.payload);
  }

  amended(id: string, payload: string): void {
    const found = this.#find(id);
    if (found === undefined) return;
    this.#characters += payload.length - found.payload.length;
    this.#turns.set(found.label.key, { ...found, payload });
  }

  cancelled(id: string): void {
    const found = this.#find(id);
    if (found !== undefined) this.#drop(found.label.key);
  }

  /** @param now - When the connection was found dead. @returns What Redis may have lost then, oldest first. */
  before(now: number): readonly UnsettledTurn[] {
    this.#settle(now);
    return [...this.#turns.values()];
  }

  #settle(now: number): void {
    for (const [key, { acceptedAt }] of this.#turns) {
      if (now - acceptedAt <= UNSETTLED_MS) return;
      this.#drop(key);
    }
  }

  #drop(key: string): void {
    this.#characters -= this.#turns.get(key)?.payload.length ?? 0;
    this.#turns.delete(key);
  }

  #find(id: string): UnsettledTurn | undefined {
    return this.#turns.values().find((turn) => turn.id === id);
  }
}
