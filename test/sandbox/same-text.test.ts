import { expect, it } from "vitest";
import { holdsText } from "../../sandbox/same-text.ts";

it("looks past markup, white space and reopened fences", () => {
  const shown = "Ada: tell me\n# A *story*\n```ts\nlet a = 1;\n```\n```ts\nlet b = 2;\n```\nThe end.";
  expect(holdsText(shown, "# A story\n\n```ts\nlet a = 1;\nlet b = 2;\n```\n\nThe **end**.")).toBe(true);
});

it("notices a lost, doubled or swapped word, and an empty expectation", () => {
  expect(holdsText("one three", "one two three")).toBe(false);
  expect(holdsText("one two two three", "one two three")).toBe(false);
  expect(holdsText("two one", "one two")).toBe(false);
  expect(holdsText("anything", "")).toBe(false);
  expect(holdsText("灰岬灯塔", "灰岬的灯塔")).toBe(false);
});
