import type { TimedLetters } from "./optimum.ts";
import { seeded } from "./traces.ts";

/** Answers that nobody chose, of the kinds that the pacer's constants were tuned on, so that they fit more than six traces. */
export interface RandomTrace {
  readonly kind: Kind;
  readonly pieces: readonly TimedLetters[];
}

export const KINDS = ["short", "long", "slow", "bursty", "plugin", "gusts", "chunked"] as const;
export type Kind = (typeof KINDS)[number];

/** Ten of each kind, the same at each start. */
export function randomTraces(): readonly RandomTrace[] {
  const dice = new Dice("seventy answers");
  return Array.from({ length: 10 }, () =>
    KINDS.map((kind) => ({ kind, pieces: piecesOf(kind, dice) })),
  ).flat();
}

function piecesOf(kind: Kind, dice: Dice): readonly TimedLetters[] {
  const answer = new Answer(dice);
  switch (kind) {
    case "short":
      return answer.write(dice.spread(600, 2_500), dice.spread(15, 60)).pieces;
    case "long":
      return answer.write(dice.spread(6_000, 22_000), dice.spread(15, 50)).pieces;
    case "slow":
      return answer.write(dice.spread(4_000, 22_000), dice.spread(120, 350)).pieces;
    case "bursty":
      return gusty(answer, dice, { longest: 2_000, shortest: 500 });
    case "gusts":
      return gusty(answer, dice, { longest: 400, shortest: 80 });
    case "plugin":
      return answer
        .write(dice.spread(1_000, 5_000), dice.spread(12, 60))
        .wait(dice.spread(4_000, 20_000))
        .write(dice.spread(2_000, 8_000), dice.spread(12, 60)).pieces;
    case "chunked":
      return chunked(answer, dice);
  }
}

function gusty(
  answer: Answer,
  dice: Dice,
  { shortest, longest }: { shortest: number; longest: number },
): readonly TimedLetters[] {
  const bursts = 3 + dice.below(5);
  for (let burst = 0; burst < bursts; burst += 1) {
    answer.write(dice.spread(shortest, longest), dice.spread(8, 40)).wait(dice.spread(500, 5_000));
  }
  return answer.pieces;
}

/** Pieces of many words, as somebody on the way hands them on. */
function chunked(answer: Answer, dice: Dice): readonly TimedLetters[] {
  const everyMs = dice.spread(120, 700);
  const chunks = 2 + Math.round(dice.spread(2_000, 15_000) / everyMs);
  for (let chunk = 0; chunk < chunks; chunk += 1)
    answer.piece(10 + dice.below(40)).wait(everyMs * (0.7 + 0.6 * dice.roll()));
  return answer.pieces;
}

class Answer {
  readonly pieces: TimedLetters[] = [];
  readonly #dice: Dice;
  #at = 400;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** Evenly for so many ms, but for jitter. */
  write(ms: number, everyMs: number): this {
    const start = this.#at;
    const jitter = 0.4 * this.#dice.roll() * everyMs;
    for (let at = 0; at < ms; at += everyMs) {
      this.#at = Math.max(this.#at, start + at + (2 * this.#dice.roll() - 1) * jitter);
      this.piece(1 + this.#dice.below(7));
    }
    return this;
  }

  piece(letters: number): this {
    this.pieces.push({ atMs: Math.round(this.#at), letters });
    return this;
  }

  wait(ms: number): this {
    this.#at += ms;
    return this;
  }
}

class Dice {
  readonly roll: () => number;

  constructor(seed: string) {
    this.roll = seeded(seed);
  }

  /** 0 to `end` - 1. */
  below(end: number): number {
    return Math.floor(this.roll() * end);
  }

  /** As many small ones as large ones. */
  spread(from: number, to: number): number {
    return from * (to / from) ** this.roll();
  }
}
