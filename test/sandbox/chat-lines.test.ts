import { expect, it } from "vitest";
import { toChatLines, wrap } from "../../sandbox/chat-lines.ts";
import type { ChatView, SeenMessage } from "../../sandbox/stand-in.ts";

const aMessage = (changes: Partial<SeenMessage>): SeenMessage => ({
  id: "1",
  author: "Ada",
  bot: false,
  text: "hello",
  files: [],
  documents: [],
  edits: 0,
  unfinished: false,
  at: 0,
  ...changes,
});
const lines = (view: Partial<ChatView>): string =>
  toChatLines(
    "Discord #general",
    { place: "c", messages: [], status: "", ...view },
    { width: 40, color: false },
  ).join("\n");

it("shows who says what, tasks, files, replies, edits, growth and status", () => {
  const text = lines({
    messages: [
      aMessage({ files: ["cat.png"] }),
      aMessage({
        id: "2",
        author: "Coze",
        bot: true,
        text: "Hi\nAda",
        parent: "1",
        edits: 3,
        unfinished: true,
        tasks: [
          { title: "Looking", status: "complete" },
          { title: "Using\u001b[31m", status: "in_progress" },
        ],
      }),
    ],
    status: "Coze is typing…",
  });
  expect(text).toBe(
    [
      `── Discord #general ${"─".repeat(20)}`,
      "Ada",
      "  hello",
      "  📎 cat.png",
      "  ↳ Coze  APP  ▌ writing … edited 3×",
      "      ✓ Looking",
      "      ◌ Using",
      "      Hi",
      "      Ada",
      "   Coze is typing…",
    ].join("\n"),
  );
});

it("counts Chinese and emoji as two columns and breaks at spaces", () => {
  expect(wrap("one two three four", 9)).toEqual(["one two", "three", "four"]);
  expect(wrap("中文中文中文", 4)).toEqual(["中文", "中文", "中文"]);
  expect(wrap("👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", 4)).toEqual(["👨‍👩‍👧👨‍👩‍👧", "👨‍👩‍👧"]);
});

it("lets no control sequence reach the terminal", () => {
  const text = lines({
    messages: [aMessage({ text: "a\u001B[2Jb\u0007c\u202Ed", author: "\u001B]0;x\u0007Eve" })],
  });
  for (const control of ["\u001B", "\u0007", "\u202E"]) expect(text).not.toContain(control);
  expect(text).toContain("abcd");
});
