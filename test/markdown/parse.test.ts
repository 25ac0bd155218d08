import { expect, it } from "vitest";
import { parseMarkdown, walk } from "../../src/markdown/parse.ts";

function types(markdown: string): readonly string[] {
  return [...walk(parseMarkdown(markdown))].map(({ type }) => type);
}

it.each([
  ["**中文。**后", "strong"],
  ["**“重点”**内容", "strong"],
  ["**注意：**请", "strong"],
  ["~~删除。~~后", "delete"],
  ["*强调（括号）*文字", "emphasis"],
  ["**`code`**后", "strong"],
  ["| a |\n|---|\n| b |", "table"],
  ["a\n:-\nb", "table"],
  ["a\n-:\nb", "table"],
])("understands %s", (markdown, type) => {
  expect(types(markdown)).toContain(type);
});

it("takes no Chinese sentence into a bare URL", () => {
  expect(types("请看https://a.example/b。好的")).toEqual(["root", "paragraph", "text"]);
});

it("strikes nothing through between two prices", () => {
  expect(types("价格10~20元，重量30~40克")).not.toContain("delete");
});

it("knows what of a task list is done", () => {
  const items = [...walk(parseMarkdown("- [x] a\n- [ ] b\n- c"))].filter((node) => node.type === "listItem");
  expect(items.map(({ checked }) => checked)).toEqual([true, false, null]);
});

it("takes a check that stands in no item for text", () => {
  expect(types("2.\n[x] a")).toContain("paragraph");
  const [list] = parseMarkdown("- [x] a").children;
  expect(list).toMatchObject({ children: [{ checked: true }] });
});
