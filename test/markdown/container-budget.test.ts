import { expect, it } from "vitest";
import { codeRanges } from "../../src/markdown/code-ranges.ts";
import { parseMarkdown, rangeOf, walk } from "../../src/markdown/parse.ts";

function countOf(markdown: string, type: string): number {
  return walk(parseMarkdown(markdown))
    .filter((node) => node.type === type)
    .toArray().length;
}

it("reads a long list of items with items as one, all of it", () => {
  const list = "- a\n  - b\n".repeat(250);
  expect(countOf(list, "listItem")).toBe(500);
  expect(countOf("1. a\n".repeat(900), "listItem")).toBe(900);
});

it.each([
  ["quotes in items", "- > a\n", 1_000],
  ["items in items", "- a\n  - b\n", 1_000],
  ["quotes", "> a\n\n", 2_000],
  ["twenty of both in a line", `${"> ".repeat(20)}${"- ".repeat(20)}a\n`, 100],
])("reads too many %s as plain lines, where they stand", (_, unit, times) => {
  const text = `**b** ${unit.repeat(times)}`;
  expect(countOf(text, "listItem") + countOf(text, "blockquote")).toBe(0);
  expect(countOf(text, "strong")).toBe(1);
  expect(rangeOf(parseMarkdown(text))).toEqual({ start: 0, end: text.length });
});

it("reads thousands of lines behind a quote's first one as plain lines, too", () => {
  expect(countOf(`> a\n${"b\n".repeat(500)}`, "blockquote")).toBe(1);
  expect(countOf(`> a\n${"b\n".repeat(5_000)}`, "blockquote")).toBe(0);
});

it("does not count what stands in code, nor lines of a text without quotes and lists", () => {
  const yaml = `\`\`\`yaml\n${"a:\n  - > b\n".repeat(1_000)}\`\`\`\n`;
  const text = `${"a\n".repeat(5_000)}\n${yaml}\n- end\n`;
  expect(codeRanges(text)).toHaveLength(1);
  expect(countOf(text, "listItem")).toBe(1);
});
