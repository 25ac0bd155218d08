import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { certainLength } from "../../adapters/slack/certain-length.ts";
import { renderParts } from "../../adapters/slack/render.ts";
import { fullTableEnd, planAppend } from "../../adapters/slack/segments.ts";
import { StreamDrawing } from "../../adapters/slack/stream-drawing.ts";
import { markdownDocument, oddLines } from "../markdown/documents.ts";
import { contentOf } from "../render/written.ts";

const FOLDER = join(import.meta.dirname, "../fixtures/markdown");
const SAMPLES = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".md"))
  .map((name) => ({ name, markdown: readFileSync(join(FOLDER, name), "utf8") }));

function whole(markdown: string): string {
  return new StreamDrawing().draw(markdown, { final: true, cuts: [] });
}

/** What stands on the screen after each delta of so many characters, the last one included. */
function* growth(markdown: string, step: number): Generator<{ written: string; drawn: string }> {
  const stream = new StreamDrawing();
  for (let end = step; end < markdown.length; end += step) {
    const written = markdown.slice(0, end);
    yield { written, drawn: stream.draw(written, { final: false, cuts: [] }) };
  }
}

describe.each(SAMPLES)("$name", ({ markdown }) => {
  it("is appended in small deltas as it is drawn in one go: nothing is left to be edited", () => {
    const end = whole(markdown);
    for (const { written, drawn } of growth(markdown, 4)) {
      expect(end.startsWith(drawn), JSON.stringify(written.slice(-50))).toBe(true);
      expect(drawn).not.toMatch(/<[@#!]/);
    }
  });
});

it("draws what a post of one message shows", () => {
  for (const { name, markdown } of SAMPLES) {
    const parts = renderParts(contentOf(markdown, { completed: true }), { final: true, locale: "en" });
    const [first] = parts.map(({ blocks }) => (blocks[0] as { readonly text: string }).text);
    if (parts.length === 1) expect(whole(markdown).trim(), name).toBe(first?.trim());
  }
});

it("shows prose as it comes: less than a tenth is held back", () => {
  const prose = SAMPLES.filter(({ name }) =>
    /^(01|02|03|04|05|06|07|08|09|10|31|33|35|36|53|54|55)-/.test(name),
  );
  let held = 0;
  let all = 0;
  for (const { markdown } of prose) {
    for (const { written, drawn } of growth(markdown, 4)) {
      held += Math.max(0, whole(written).length - drawn.length);
      all += written.length;
    }
  }
  expect(prose.length).toBe(17);
  expect(held / all).toBeLessThan(0.1);
});

it.each([
  ["the first letter", "N", "N"],
  ["words", "Now this", "Now this"],
  ["half bold", "it is **very imp", "it is **very imp"],
  ["half bold beside Chinese", "请看**“注意", "请看"],
  ["half a code span", "run `npm ci", "run `npm ci"],
  ["what a code span would show otherwise", "run `a <b> [c](d) e", "run `a "],
  ["half a link", "see [the docs](https://docs.exam", "see "],
  ["half a picture", "see ![the", "see "],
  ["half an address", "see https://docs.exam", "see "],
  ["an address", "see https://docs.example now", "see https://docs.example now"],
  ["a line end", "one<br>", "one"],
  ["a line end alone", "one\n\n<br>", "one\n\n"],
  ["a sign that may begin a picture", "look!", "look"],
  ["a backslash", "a \\", "a "],
  ["less than", "if 1 < 2 then", "if 1 < 2 then"],
  ["half a call", "hello @chan", "hello "],
  ["no call", "hello @charlie", "hello @charlie"],
  ["half a ping", "hello <!chan", "hello "],
  ["a price", "costs $5 a month", "costs $5 a month"],
  ["half a formula", "where $x_1 +", "where "],
  ["a formula in a sentence", "where $x_1$ is", "where `x_1` is"],
  ["a formula that may stand alone", "Text\n\n$$x_1$$\n", "Text\n\n"],
  ["what may be a table's head", "Text\n\n| a | b |", "Text\n\n"],
  ["a table's head", "| a | b |\n|---|---|", ""],
  ["a table's rows", "| a | b |\n|---|---|\n| 1 | 2 |\n| 3", "| a | b |\n| --- | --- |\n| 1 | 2 |\n"],
  ["code", "```ts\nconst a = [1, <T>x", "```ts\nconst a = [1, <T>x"],
  ["the language of a fence", "Text\n\n```t", "Text\n\n"],
  ["a quote's mark", "> a\n>", "> a\n"],
])("shows of %s only what stays", (_what, markdown, drawn) => {
  expect(new StreamDrawing().draw(markdown, { final: false, cuts: [] })).toBe(drawn);
});

it("takes a mark that nobody closes for text after a while", () => {
  const unclosed = `请看**“${"很长的一句话".repeat(60)}`;
  expect(certainLength(unclosed, { tables: "any" })).toBe(unclosed.length);
});

it("is as certain of a block as of one that stands behind another one", () => {
  const other = "Some `code`.\n\n";
  fc.assert(
    fc.property(fc.oneof(oddLines, markdownDocument), (block) => {
      fc.pre(/^\S/.test(block));
      const length = certainLength(block, { tables: "any" });
      expect(certainLength(other + block, { tables: "any" })).toBe(other.length + length);
    }),
    { numRuns: 1_000 },
  );
});

const TABLE = "| a | b |\n|---|---|\n| 1 | |\n";

it("gives each message one table of Slack's own, and makes code of a second one when it is whole", () => {
  const two = `${TABLE}\nbetween\n\n${TABLE}\n`;
  const native = "| a | b |\n| --- | --- |\n| 1 | – |\n";
  const code = "```\na  b\n-  -\n1\n```\n";
  expect(whole(two)).toBe(`${native}\nbetween\n\n${code}\n`);
  expect(new StreamDrawing().draw(two.trimEnd(), { final: false, cuts: [] })).toBe(`${native}\nbetween\n\n`);
  const stream = new StreamDrawing();
  expect(stream.draw(two, { final: true, cuts: [native.length + 1] })).toBe(
    `${native}\nbetween\n\n${native}\n`,
  );
});

it.each(["\n\nThe end of it.", "\n# A heading\n\nmore", "\nlast row\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"])(
  "appends a long table row by row, and goes on behind it: %j",
  (behind) => {
    const rows = Array.from({ length: 40 }, (_, index) => `| ${index} | | **“x”**y |`);
    const markdown = `Before.\n\n| a | b | c |\n|:-|-|-:|\n${rows.join("\n")}${behind}`;
    const end = whole(markdown);
    let rowsSeen = 0;
    for (const { drawn } of growth(markdown, 3)) {
      expect(end.slice(0, drawn.length)).toBe(drawn);
      rowsSeen = Math.max(rowsSeen, drawn.split("\n").length);
    }
    expect(rowsSeen).toBeGreaterThan(40);
  },
);

it("ends a message where its table is full, and repeats the head in the next one", () => {
  const row = "| one | two |\n";
  const head = "| a | b |\n| --- | --- |\n";
  const table = head + row.repeat(150);
  expect(fullTableEnd(head + row.repeat(99))).toBe(undefined);
  const { text, rotate } = planAppend("Words.\n\n", table, { ageMs: 0 });
  expect({ rows: text.split("\n").length - 3, rotate }).toEqual({ rows: 99, rotate: true });
  const wide = `| ${"word ".repeat(40)} | x |\n`;
  expect(planAppend("", head + wide.repeat(60), { ageMs: 0 }).text.length).toBeLessThanOrEqual(9_000);
});
