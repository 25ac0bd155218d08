import { expect, it } from "vitest";
import { withoutPictureBytes } from "../../src/markdown/picture-bytes.ts";

const BYTES = `data:image/png;base64,${"A".repeat(30_000)}`;

it.each([
  ["its words", `see ![a cat](${BYTES}) there`, "see a cat there"],
  ["its words, however short it is", "![a cat](<data:image/gif;base64,R0lG>)", "a cat"],
  ["a dash without words", `![](${BYTES})`, "–"],
])("shows a picture that is written into the text as %s", (_what, markdown, shown) => {
  expect(withoutPictureBytes(markdown)).toBe(shown);
});

it("shows no bytes of a picture whose end has not come", () => {
  expect(withoutPictureBytes(`see ![a cat](${BYTES}`)).toBe("see ![a cat](data:");
});

it.each([`\`![a](${BYTES})\``, `\`\`\`\n![a](${BYTES})\n\`\`\``, "the data: ![a](https://a.example/data:b)"])(
  "leaves what is no such picture: %.20s",
  (markdown) => {
    expect(withoutPictureBytes(markdown)).toBe(markdown);
  },
);
