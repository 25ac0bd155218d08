import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { longText, STORY, STORY_ZH } from "../../sandbox/coze/stories.ts";
import { healMarkdown } from "../../src/markdown/heal.ts";
import { parseMarkdown, walk } from "../../src/markdown/parse.ts";
import { splitMarkdown } from "../../src/markdown/split.ts";
import { tameMarkdown } from "../../src/markdown/tame.ts";

const LIMIT = { limit: 2_000, measure: (text: string) => text.length };

describe("text that would make the parser stand still", () => {
  it.each(["> ", "- ", "1. ", ">"])("shows %j 5,000 times in a row, without loss", (marker) => {
    const markdown = `${marker.repeat(5_000)}end`;
    const marks = splitMarkdown(healMarkdown(markdown), LIMIT).join("").match(/[^\s]/g);
    expect(marks?.length).toBeGreaterThanOrEqual(markdown.replace(/\s/g, "").length);
  });

  it.each(["![", "*a ", "[", "~~a ", "_a "])("reads %j 2,000 times in a paragraph as letters", (mark) => {
    const types = [...walk(parseMarkdown(`${mark.repeat(2_000)}\n\n**bold**`))].map(({ type }) => type);
    expect(types).toEqual(["root", "paragraph", "text", "paragraph", "strong", "text"]);
  });

  it.each([">", "> ", ">- ", "- "])("reads %j as letters from a depth on, in a short text, too", (marker) => {
    const kinds = [...walk(parseMarkdown(`${marker.repeat(300)}end`))].map(({ type }) => type);
    const containers = kinds.filter((type) => type === "blockquote" || type === "listItem");
    expect(containers).toHaveLength(50);
  });

  it.each(["- ", "* ", "-"])("still finds a rule in %j 300 times in a row", (mark) => {
    const types = [...walk(parseMarkdown(`a\n\n${mark.repeat(300)}\n\nb`))].map(({ type }) => type);
    expect(types).toEqual(["root", "paragraph", "text", "thematicBreak", "paragraph", "text"]);
  });

  it("still finds where code ends in it", () => {
    const code = `~~~js\n${"a[_] ".repeat(2_000)}\n~~~\n\n**bold**`;
    const types = [...walk(parseMarkdown(code))].map(({ type }) => type);
    expect(types).toEqual(["root", "code", "paragraph", "strong", "text"]);
  });
});

it("moves no offset, whatever the text", () => {
  const hostile = fc
    .array(fc.constantFrom("> ", "- ", "12) ", "![", "*a", "\n", "\n\n", "~~~", "界", "😀"), {
      maxLength: 40,
    })
    .map((pieces) => pieces.join("").repeat(60));
  fc.assert(
    fc.property(hostile, (markdown) => {
      const tamed = tameMarkdown(markdown);
      expect(tamed).toHaveLength(markdown.length);
      expect(tamed.replace(/[^\n]/g, "")).toBe(markdown.replace(/[^\n]/g, ""));
    }),
  );
});

it("leaves alone what bots write", () => {
  for (const text of [STORY, STORY_ZH, longText(50_000)]) expect(tameMarkdown(text)).toBe(text);
  const table = `| a | b |\n|---|---|\n${"| **x** | `y` |\n".repeat(200)}`;
  const list = "- **point**: [link](https://a.example) and *more*\n".repeat(500);
  for (const text of [table, list, `${"- ".repeat(60)}\n`.slice(0, 60)])
    expect(tameMarkdown(text)).toBe(text);
});
