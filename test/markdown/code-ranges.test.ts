import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { codeRanges, neutralizeOutsideCode } from "../../src/markdown/code-ranges.ts";
import { markdownDocument } from "./documents.ts";

const defuse = (markdown: string): string =>
  neutralizeOutsideCode(markdown, (text) => text.replaceAll("@here", "@-here"));

describe("a mention", () => {
  it.each([
    ["in text", "hi @here", "hi @-here"],
    ["in bold text", "**@here**", "**@-here**"],
    ["in a link's label", "[@here](https://a.example)", "[@-here](https://a.example)"],
    [
      "in an image's description, which Discord shows",
      "![@here](https://a.example)",
      "![@-here](https://a.example)",
    ],
    ["in indented code, which Discord shows as text", "text\n\n    @here", "text\n\n    @-here"],
    ["in HTML", "<b>@here</b> <!-- @here -->", "<b>@-here</b> <!-- @-here -->"],
    ["in a table", "| a |\n|---|\n| @here |", "| a |\n|---|\n| @-here |"],
    ["behind an escaped backtick", "\\`@here\\`", "\\`@-here\\`"],
    ["behind a single backtick", "a ` b @here", "a ` b @-here"],
    ["a note at the foot, which has no address", "[^1]: @here", "[^1]: @-here"],
    ["the title of a definition", '[a]: https://a.example "@here"', '[a]: https://a.example "@-here"'],
    [
      "between a closed and an open fence",
      "```\n@here\n```\n@here\n```\n@here",
      "```\n@here\n```\n@-here\n```\n@here",
    ],
  ])("%s is made harmless", (_, markdown, expected) => {
    expect(defuse(markdown)).toBe(expected);
  });

  it.each([
    ["a code span", "`@here`"],
    ["a code span with two backticks", "`` a ` @here ``"],
    ["a fence", "```\n@here\n```"],
    ["a fence in a list", "- a\n  ```\n  @here\n  ```"],
    ["a fence still open", "~~~\n@here"],
    ["a link's URL", "[a](https://a.example/@here)"],
    ["an image's URL", "![a](https://a.example/@here)"],
    ["an autolink", "<https://a.example/@here>"],
    ["a link definition", "[a]: https://a.example/@here"],
    ["the URLs of an image in a link", "[![a](u/@here)](v/@here)"],
  ])("in %s stays", (_, markdown) => {
    expect(defuse(markdown)).toBe(markdown);
  });
});

it("changes nothing when there is nothing to replace", () => {
  fc.assert(
    fc.property(fc.oneof(markdownDocument, fc.string({ unit: "binary" })), (markdown) => {
      expect(neutralizeOutsideCode(markdown, (text) => text)).toBe(markdown);
    }),
  );
});

it("tells where code is, in order, without the indented kind", () => {
  const markdown = "a `b` c\n\n```\nd\n```\n\n    e\n\n~~~\nf";
  const found = codeRanges(markdown).map(({ start, end }) => markdown.slice(start, end));
  expect(found).toEqual(["`b`", "```\nd\n```", "~~~\nf"]);
});
