import { expect, it } from "vitest";
import { ChatScreen } from "../../sandbox/terminal.ts";

it.each([
  ["on a terminal", true, true, true],
  ["not on a terminal where nobody wants any", true, false, false],
  ["not elsewhere", false, true, false],
])("draws in colours %s", (_where, isTTY, color, colored) => {
  let written = "";
  const screen = new ChatScreen({ isTTY, write: (text) => (written += text) }, { live: false, color });
  screen.settle("Discord #general", { place: "c", messages: [], status: "" });
  expect(written).toContain("Discord #general");
  expect(written.includes("\u001B[")).toBe(colored);
});
