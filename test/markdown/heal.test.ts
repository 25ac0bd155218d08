import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { closeOpenFence, healForRanges, healMarkdown } from "../../src/markdown/heal.ts";
import { markdownDocument, oddLines } from "./documents.ts";

describe("half-written Markdown", () => {
  it.each([
    ["closes bold", "some **bold te", "some **bold te**"],
    ["closes a code span", "call `foo(", "call `foo(`"],
    ["closes a strike-through", "was ~~ten eu", "was ~~ten eu~~"],
    ["shows the label of a half link only", "see [the manual](https://a.exa", "see the manual"],
    ["shows nothing of a half image", "look: ![a cat](https://a.exa", "look: "],
    ["cuts a half tag", "a line<b", "a line"],
    ["leaves prices with a tilde alone", "价格10~20元", "价格10~20元"],
    ["leaves snake_case and products alone", "a_b 2 * 3", "a_b 2 * 3"],
    ["leaves a comparison in a list alone", "- > 25", "- > 25"],
    ["leaves an open fence alone", "```js\nconst a = `x ** 2", "```js\nconst a = `x ** 2"],
    ["leaves a fence in a list alone", "- a\n  ```\n  **", "- a\n  ```\n  **"],
    ["leaves indented code alone", "text\n\n    a **b", "text\n\n    a **b"],
    ["heals only the last block", "a ** b\n\nand **bold", "a ** b\n\nand **bold**"],
    ["leaves whole text as it is", "**a** [b](c) `d`", "**a** [b](c) `d`"],
    ["leaves indented code alone, with a space at its end", "text\n\n    a ", "text\n\n    a "],
    ["leaves nothing as it is", "", ""],
    ["leaves white space as it is", " ", " "],
  ])("%s", (_, written, shown) => {
    expect(healMarkdown(written)).toBe(shown);
  });
});

it("heals a block as it does where it stands behind another one", () => {
  const other = "Some `code`.\n\n";
  fc.assert(
    fc.property(fc.oneof(oddLines, markdownDocument), (written) => {
      // No block at all; a block that only begins behind white space is none behind another one.
      fc.pre(/^\S/.test(written));
      expect(healMarkdown(other + written)).toBe(other + healMarkdown(written));
    }),
    { numRuns: 1_000 },
  );
});

it("keeps every offset when it heals for a cut", () => {
  for (const text of ["a **b", "a [label](htt", "![alt", "x `y", "- > 25 <b", "a\n\n**b *c"]) {
    const healed = healForRanges(text);
    const kept = text.replace(/\(htt$/, "");
    expect(healed.startsWith(kept)).toBe(true);
  }
});

describe("a fence that is still open", () => {
  it.each([
    ["is closed with its own marker", "~~~~js\nlet a;", "~~~~js\nlet a;\n~~~~"],
    ["is closed in its list and its quote", "- > ```\n  > let a;\n", "- > ```\n  > let a;\n  > ```"],
    ["stays open while it holds nothing", "```js\n", "```js\n"],
    ["is left alone once it is closed", "```\na\n```", "```\na\n```"],
  ])("%s", (_, written, shown) => {
    expect(closeOpenFence(written)).toBe(shown);
  });
});
