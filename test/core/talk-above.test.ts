import fc from "fast-check";
import { expect, it } from "vitest";
import { quoteAbove } from "../../src/core/talk-above.ts";

const said = (author: string, text: string): { author: string; text: string } => ({ author, text });

it("quotes one person's words under their name, and several people's each with theirs", () => {
  expect(quoteAbove([])).toBeUndefined();
  expect(quoteAbove([said("Grace", "one"), said("Grace", "two")])).toEqual({
    author: "Grace",
    text: "one\ntwo",
  });
  expect(quoteAbove([said("Grace", "one"), said("Alan", "two"), said("Grace", "three")])).toEqual({
    author: "Grace, Alan",
    text: "Grace: one\nAlan: two\nGrace: three",
  });
});

it("keeps the first, which says what it is about, and the last ones", () => {
  const talk = Array.from({ length: 50 }, (_, index) => said("Grace", String(index)));
  const lines = quoteAbove(talk)?.text.split("\n") ?? [];
  expect(lines).toHaveLength(21);
  expect([lines[0], lines[1], lines[2], lines.at(-1)]).toEqual(["0", "…", "31", "49"]);
});

it("reads of long messages as many as a question should bring along, the last ones first", () => {
  const talk = Array.from({ length: 19 }, (_, index) => said("Grace", String(index % 10).repeat(1_500)));
  const lines = quoteAbove([said("Grace", "x".repeat(3_000)), ...talk])?.text.split("\n") ?? [];
  expect(lines.map((line) => [line.at(0), line.length])).toEqual([
    ["x", 2_001],
    ["…", 1],
    ["7", 1_500],
    ["8", 1_500],
  ]);
});

it("is never longer than what a question should bring along, nor cut inside of a character", () => {
  const text = fc.string({ minLength: 1, maxLength: 5_000, unit: "grapheme" });
  const talk = fc.array(fc.record({ author: fc.constantFrom("Grace", "Alan"), text }), { maxLength: 30 });
  fc.assert(
    fc.property(talk, (all) => {
      const quote = quoteAbove(all);
      expect(quote === undefined).toBe(all.length === 0);
      expect(quote?.text.length ?? 0).toBeLessThan(6_000 + 20 * 10);
      expect(quote?.text.isWellFormed() ?? true).toBe(true);
      const [first] = all;
      if (first !== undefined) expect(quote?.text).toContain(first.text.slice(0, 1_990));
    }),
    { numRuns: 100 },
  );
});
