import fc from "fast-check";
import { expect, it } from "vitest";
import { FinishedBlocks } from "../../src/markdown/finished-blocks.ts";
import { parseMarkdown, rangeOf } from "../../src/markdown/parse.ts";
import { markdownDocument, oddLines } from "./documents.ts";

it("cuts before each block behind a blank line, and keeps every character", () => {
  const markdown = "# a\nb\n\n- c\n\n- d\n\n```\n\ne\n```\n\nf";
  expect(new FinishedBlocks().cut(markdown)).toEqual([
    "# a\nb\n\n",
    "- c\n\n- d\n\n",
    "```\n\ne\n```\n\n",
    "f",
  ]);
});

it("takes nothing for finished that may still become part of what stands above it", () => {
  const blocks = new FinishedBlocks();
  blocks.cut("text\n#");
  expect(blocks.cut("text\n#5 of it")).toEqual(["text\n#5 of it"]);
});

it("begins anew with another text", () => {
  const blocks = new FinishedBlocks();
  blocks.cut("a\n\nb\n\nc");
  expect(blocks.cut("d\n\ne")).toEqual(["d\n\n", "e"]);
});

/** Where the parser sees a block begin behind a blank line. */
function startsByParser(markdown: string): readonly number[] {
  const [, ...later] = parseMarkdown(markdown).children;
  return later
    .map((node) => markdown.lastIndexOf("\n", rangeOf(node).start - 1) + 1)
    .filter((start) => /\n[ \t]*\r?\n$/.test(markdown.slice(0, start)));
}

it("cuts where the parser does, also where it is not asked", () => {
  fc.assert(
    fc.property(fc.oneof(oddLines, markdownDocument), (markdown) => {
      const starts = [0, ...startsByParser(markdown)];
      const blocks = starts.map((start, index) => markdown.slice(start, starts[index + 1]));
      expect(new FinishedBlocks().cut(markdown)).toEqual(blocks.filter((block) => block !== ""));
    }),
    { numRuns: 1_000 },
  );
});

it.each([
  ["a list that goes on", "1. a\n\n2. b\n\nend", ["1. a\n\n2. b\n\n", "end"]],
  ["a list behind its paragraph", "Text\n- a\n\n- b", ["Text\n- a\n\n- b"]],
  ["a list behind text", "Text\n\n- a\n- b", ["Text\n\n", "- a\n- b"]],
  ["code with blank lines", "```\na\n\n# b\n```\n\nc", ["```\na\n\n# b\n```\n\n", "c"]],
  ["a longer fence", "````\n```\n\na\n````\n\nb", ["````\n```\n\na\n````\n\n", "b"]],
  ["code in a sentence", "```a```\n\nb", ["```a```\n\n", "b"]],
  ["HTML that goes on", "<!--\n\na\n-->\n\nb", ["<!--\n\na\n-->\n\n", "b"]],
  ["an item's second paragraph", "- a\n\n  b\n\nc", ["- a\n\n  b\n\n", "c"]],
])("cuts %s as a whole", (_, markdown, blocks) => {
  expect(new FinishedBlocks().cut(markdown)).toEqual(blocks);
});
