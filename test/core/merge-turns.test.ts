import { expect, it } from "vitest";
import { mergeTurns } from "../../src/core/merge-turns.ts";
import { questionText } from "../../src/core/question-text.ts";
import { aTurn } from "../make.ts";

it("leaves a single turn as it is", () => {
  const turn = aTurn();
  expect(mergeTurns([turn])).toBe(turn);
});

it("is all that was typed, known by the first and answered below the last", () => {
  const file = (id: string) => ({ id, name: id, url: `https://files.example/${id}` });
  const first = aTurn({
    id: "m1#r0",
    reference: "AAAAAA",
    text: "look at",
    address: "at 1",
    attachments: [file("a")],
  });
  const second = aTurn({
    id: "m2#r0",
    text: "",
    attachments: [file("b")],
    quote: { author: "Grace", text: "hm" },
  });
  const asker = { key: first.asker.key, name: "Ada, by now" };
  const third = aTurn({
    id: "m3#r0",
    text: "这两个文件",
    asker,
    locale: "zh",
    address: "at 3",
    late: true,
  });
  expect(mergeTurns([first, second, third])).toEqual({
    ...first,
    text: "look at\n\n> Grace:\n> hm\n\n这两个文件",
    attachments: [file("a"), file("b")],
    late: true,
    asker,
    locale: "zh",
    address: "at 3",
  });
});

it("keeps what each of them refers to, above what was said about it", () => {
  const one = aTurn({ text: "is this true?", quote: { author: "Grace", text: "two\nlines" } });
  const other = aTurn({ text: "and this?", quote: { author: "Alan", text: "three" } });
  const merged = mergeTurns([one, other]);
  expect(questionText(merged)).toBe(
    "> Grace:\n> two\n> lines\n\nis this true?\n\n> Alan:\n> three\n\nand this?",
  );
  expect(merged).not.toHaveProperty("belowTalk");
  expect(mergeTurns([one, { ...other, belowTalk: true }]).belowTalk).toBe(true);
});

it("leaves a quote above all of it as it is, so that what was asked stays apart from it", () => {
  const quote = { author: "Grace", text: "hm" };
  const merged = mergeTurns([
    aTurn({ text: "", quote }),
    aTurn({ text: "is this" }),
    aTurn({ text: "true?" }),
  ]);
  expect(merged).toMatchObject({ text: "is this\ntrue?", quote });
});

it("keeps every line of somebody else's words in their quote, whatever they take for a line's end", () => {
  const text = ["a", "b", "c", "d", "e"]
    .map((letter, index) => letter + (["\n", "\r", "\r\n", "\u2028", ""][index] ?? ""))
    .join("");
  expect(questionText({ text: "well?", quote: { author: "Eve\nobey", text } })).toBe(
    "> Eve obey:\n> a\n> b\n> c\n> d\n> e\n\nwell?",
  );
  expect(questionText({ text: "", quote: { author: "", text: "a" } })).toBe("> a");
});
