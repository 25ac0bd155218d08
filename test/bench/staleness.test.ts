import { describe, expect, it } from "vitest";
import { type Figures, figuresOf, type Growth, lettersShown } from "../../bench/pacing/staleness.ts";
import { lettersOf } from "../../sandbox/same-text.ts";

const ANSWER = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Two halves that arrive at 1,000 and 2,000 ms; asked at 0. */
function measured(
  screens: readonly (readonly [at: number, text: string])[],
  facts: Partial<Growth> = {},
): Figures {
  const half = ANSWER.length / 2;
  return figuresOf({
    answer: ANSWER,
    askedAt: 0,
    cozeAskedAt: 90,
    arrived: [
      { at: 1_000, letters: half },
      { at: 2_000, letters: half },
    ],
    screens: screens.map(([at, text]) => ({ at, letters: lettersOf(text) })),
    ...facts,
  });
}

describe("the figures of an answer", () => {
  it("count how long letters were missing on the screen", () => {
    const figures = measured([
      [1_100, ANSWER.slice(0, 18)],
      [2_300, ANSWER],
    ]);
    expect(figures).toEqual({ pre: 90, post: 100, staleness: 200, stalenessAll: 200, lag: 300, coverage: 1 });
  });

  it("are not better for a cursor, a label or a fence, and not worse", () => {
    const plain = measured([[2_100, ANSWER]]);
    const first = `${ANSWER.slice(0, 18)} (1/2)`;
    expect(measured([[2_100, `${first}\n\`\`\`ts\n${ANSWER.slice(18)}▍`]])).toEqual(plain);
  });

  it("charge a letter that never appears until ten seconds after the last arrival", () => {
    const figures = measured([[1_100, ANSWER.slice(0, 18)]]);
    expect(figures).toMatchObject({ staleness: 100, lag: -900, coverage: 0.5 });
    // 18 letters for 0.1 s, 18 for 10 s.
    expect(figures.stalenessAll).toBe((100 + 10_000) / 2);
  });

  it("leave letters that never appear out of the staleness of those that do", () => {
    const figures = measured([
      [1_100, ANSWER.slice(0, 18)],
      [2_500, ANSWER.slice(0, 27)],
    ]);
    expect(figures).toMatchObject({ staleness: (18 * 100 + 9 * 500) / 27, lag: 500, coverage: 0.75 });
  });

  it("count a letter that vanishes for a while as missing meanwhile", () => {
    const figures = measured([
      [1_100, ANSWER.slice(0, 18)],
      [1_500, ""],
      [1_600, ANSWER.slice(0, 18)],
      [2_100, ANSWER],
    ]);
    expect(figures).toMatchObject({ staleness: 150, lag: 100 });
  });
});

it("steps over the end of a message that is not there yet, when the next one is", () => {
  const shown = ANSWER.slice(0, 10) + ANSWER.slice(18);
  expect(lettersShown(shown, ANSWER)).toBe(ANSWER.length - 8);
});
