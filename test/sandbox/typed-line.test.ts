import { expect, it } from "vitest";
import { parseArguments, SANDBOX_HELP } from "../../sandbox/arguments.ts";
import { readTypedLine, typingHelp } from "../../sandbox/typed-line.ts";

it.each([
  ["hello", { do: "mention", platform: "discord", text: "hello" }],
  ["slack> 讲个故事", { do: "mention", platform: "slack", text: "讲个故事" }],
  ["Discord>hi", { do: "mention", platform: "discord", text: "hi" }],
  ["/coze what time is it?", { do: "command", platform: "discord", text: "what time is it?" }],
  ["slack> /dm my name is Ada", { do: "dm", platform: "slack", text: "my name is Ada" }],
  ["/file ./a.pdf sum it up", { do: "file", platform: "discord", path: "./a.pdf", text: "sum it up" }],
  ['/file "my file.pdf"', { do: "file", platform: "discord", path: "my file.pdf", text: "" }],
  ["slack>", { do: "switch", platform: "slack" }],
  ["  ", { do: "nothing" }],
  ["/what", { do: "help" }],
  ["/coze", { do: "help" }],
])("understands %j", (line, understood) => {
  expect(readTypedLine(line, "discord")).toEqual(understood);
});

it("stays where the last line went", () => {
  expect(readTypedLine("again", "slack")).toMatchObject({ platform: "slack" });
});

it("knows its two options and refuses others", () => {
  expect(parseArguments(["--once"])).toEqual({ once: true, help: false });
  expect(() => parseArguments(["--twice"])).toThrow(/--twice/);
});

it("explains itself in both languages", () => {
  const help = typingHelp({ scripted: true });
  for (const text of ["also knows", "还认识", "fail 4011", "Ctrl-C"]) expect(help).toContain(text);
  expect(typingHelp({ scripted: false })).not.toContain("还认识");
  expect(SANDBOX_HELP).toContain("真实的扣子");
});
