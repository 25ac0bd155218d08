import { expect, it } from "vitest";
import { withoutPictureBytes } from "../../src/markdown/picture-bytes.ts";

const BYTES = `data:image/png;base64,${"A".repeat(30_000)}`;

it.each([
  ["its words", `see ![a cat](${BYTES}) there`, "see a cat there"],
  ["its words, however short it is", "![a cat](<data:image/gif;base64,R0lG>)", "a cat"],
  ["its words, and not its title", `![a cat](${BYTES} "a title")`, "a cat"],
  ["a dash without words", `![](${BYTES})`, "–"],
])("shows a picture that is written into the text as %s", (_what, markdown, shown) => {
  expect(withoutPictureBytes(markdown, { final: true })).toBe(shown);
});

it("shows no bytes of a picture whose end does not come", () => {
  expect(withoutPictureBytes(`see ![a cat](${BYTES}`, { final: true })).toBe("see ![a cat](data:");
});

it.each([
  ["all", BYTES],
  ["some", "data:image/png"],
  ["none", "data:"],
])("ends before a picture of whose bytes %s have come", (_how, bytes) => {
  expect(withoutPictureBytes(`see ![a cat](${bytes}`, { final: false })).toBe("see ");
});

it("leaves what may become code", () => {
  expect(withoutPictureBytes("see `![a](data:b)", { final: false })).toBe("see `![a](data:b)");
  expect(withoutPictureBytes("see `![a](data:b)", { final: true })).toBe("see `a");
});

it.each([
  ["a span of code", `\`![a](${BYTES})\``],
  ["a fence", `\`\`\`\n![a](${BYTES})\n\`\`\``],
  ["a picture elsewhere", "the data: ![a](https://a.example/data:b)"],
  ["an escape", String.raw`\![a](data:b)`],
])("leaves what is no such picture: %s", (_what, markdown) => {
  expect(withoutPictureBytes(markdown, { final: true })).toBe(markdown);
});
