import { expect, it } from "vitest";
import { FinishedBlocks } from "../../src/markdown/finished-blocks.ts";

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
