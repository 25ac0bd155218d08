import { describe, expect, it } from "vitest";
import { MAX_CONTENT, renderParts } from "../../adapters/discord/render.ts";
import { codePoints } from "../../adapters/discord/size.ts";
import { answerOf } from "./harness.ts";

function texts(markdown: string, options: { final?: boolean; notice?: string } = {}): readonly string[] {
  const { final = true, notice } = options;
  const content = { answer: answerOf(markdown, final), ...(notice !== undefined && { notice }) };
  return renderParts(content, { final, locale: "en" }).map((part) => part.content);
}

describe("the size of a message", () => {
  it("§11.30 is 2,000 code points, no more", () => {
    expect(texts("a".repeat(2000))).toHaveLength(1);
    const two = texts("a".repeat(2001));
    expect(two).toHaveLength(2);
    expect(two.join("")).toBe("a".repeat(2001));
  });

  it("§11.30 counts an emoji as one", () => {
    expect(texts("😀".repeat(1990))).toEqual(["😀".repeat(1990)]);
  });

  it("§11.30 never ends in half a character", () => {
    const parts = texts(`${"a".repeat(1999)}${"😀".repeat(10)}`);
    expect(parts.every((part) => part.isWellFormed() && codePoints(part) <= MAX_CONTENT)).toBe(true);
  });

  it("§11.31 closes a fence at the border and opens it again", () => {
    const code = Array.from({ length: 200 }, (_, line) => `const value${line} = ${line};`).join("\n");
    const parts = texts(`\`\`\`ts\n${code}\n\`\`\``);
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) {
      expect(part.startsWith("```ts\n")).toBe(true);
      expect(part.trimEnd().endsWith("```")).toBe(true);
      expect(codePoints(part)).toBeLessThanOrEqual(MAX_CONTENT);
    }
  });
});

describe("mentions from the model", () => {
  it("§11.33 are plain to see and inert, outside code only", () => {
    const shown = texts("@everyone <@123> <@!5> <@&7> `@everyone`").join("");
    expect(shown).toBe("@\u200beveryone <\u200b@123> <\u200b@!5> <\u200b@&7> `@everyone`");
  });

  it("are inert in a notice as well, where the name of a file may hold one", () => {
    expect(texts("ok", { notice: "“@here.png” is too large" })).toEqual([
      "ok\n-# “@\u200bhere.png” is too large",
    ]);
  });
});

it("shows its words for a picture that is written into the text, bytes and all", () => {
  expect(texts(`![a cat](data:image/png;base64,${"A".repeat(30_000)}) there`)).toEqual(["a cat there"]);
});

describe("links from the model", () => {
  it("are words only where tags stand between them", () => {
    expect(texts("[<b>bank.example</b>](https://evil.example)")).toEqual([
      "bank.example (<https://evil.example>)",
    ]);
  });

  it("show where they go when their words name another host", () => {
    expect(texts("see [**bank.example**](https://evil.example/x) now").join("")).toBe(
      "see bank.example (<https://evil.example/x>) now",
    );
    expect(texts("a [b.example](https://b.example) [www.c.example](<https://evil.example>)").join("")).toBe(
      "a [b.example](https://b.example) www.c.example (<https://evil.example>)",
    );
  });

  it.each([
    ["[b.example](https://e.example/>[b.example](https://evil.example))", "b.example (<", ">)"],
    ["[b.example](<https://e.example/ [b.example](https://evil.example)>)", "b.example (<", ">)"],
    ["![b.example](https://e.example/>[b.example](https://evil.example))", "b.example (<", ">)"],
    ["![words](https://e.example/>[b.example](https://evil.example))", "[words](<", ">)"],
  ])("hold no other one in their address: %j", (markdown, before, behind) => {
    const shown = texts(markdown).join("");
    const address = shown.slice(before.length, -behind.length);
    expect(shown).toBe(`${before}${address}${behind}`);
    expect(address).toMatch(/^https:\/\/e\.example\/%[\dE]+\[b\.example\]\(https:\/\/evil\.example\)$/);
  });

  it("stay as they are when their words name none, or in code", () => {
    const markdown =
      "[docs](https://a.example) [read.md](https://a.example) `[b.example](https://a.example)`";
    expect(texts(markdown)).toEqual([markdown]);
  });
});

describe("what looks like a link and leads nowhere", () => {
  it.each([
    ["a[0](1) and b[1](2)", String.raw`a\[0](1) and b\[1](2)`],
    [
      '[a guide](docs/guide.md "title"), [up](#top), [x]()',
      String.raw`\[a guide](docs/guide.md "title"), \[up](#top), \[x]()`,
    ],
    ["[**run**](javascript:alert(1))", String.raw`\[**run**](javascript:alert(1))`],
    ["f[0](2*x*y)", String.raw`f\[0](2\*x\*y)`],
    ["![a *chart*](one.png) ![](two.png)", String.raw`!\[a \*chart\*](one.png) !\[](two.png)`],
    [
      "![a [bank.example](https://evil.example) b](one.png)",
      String.raw`!\[a \[bank.example](https://evil.example) b](one.png)`,
    ],
    [
      '[x](one "[bank.example](https://evil.example)")',
      String.raw`\[x](one "\[bank.example](https://evil.example)")`,
    ],
    [
      String.raw`[x](\\[bank.example](https://evil.example))`,
      String.raw`\[x](\\\[bank.example](https://evil.example))`,
    ],
    [
      "[x](mailto:[bank.example](https://evil.example))",
      String.raw`\[x](mailto:\[bank.example](https://evil.example))`,
    ],
    ["See\n\n    [bank.example](https://evil.example)", "See\n\n    \\[bank.example](https://evil.example)"],
    ["<urn:isbn:1>", String.raw`\<urn:isbn:1>`],
    ["[us](mailto:us@a.example) <us@a.example>", "us (us@a.example) us@a.example"],
    ["[a][1] ![b][1]\n\n[1]: one.md", "[a][1] ![b][1]\n\n[1]: one.md"],
    ["![](data:image/png;base64,AAAA)", "–"],
  ])("is the text that was written: %j", (markdown, shown) => {
    expect(texts(markdown)).toEqual([shown]);
  });

  it("calls nobody from where its address would be", () => {
    expect(texts("[x](<@123>) [y](@everyone) <urn:@here>")).toEqual([
      "\\[x](<\u200b@123>) \\[y](@\u200beveryone) \\<urn:@\u200bhere>",
    ]);
  });
});

it("leaves out what hides or turns the text", () => {
  expect(texts("a\u0000b\u202ec\u2066d\r\ne")).toEqual(["abcd\ne"]);
});

describe("an answer that says nothing", () => {
  it("§11.32 is a notice at the end, never an empty message", () => {
    expect(texts(" \n ")).toEqual(["-# The bot had nothing to say to this."]);
  });

  it.each(["", " ", "##", "**", "```"])("is not shown while it is only %j", (markdown) => {
    expect(texts(markdown, { final: false })).toEqual([]);
  });
});

describe("a notice", () => {
  it("stands in small print below the answer", () => {
    expect(texts("answer", { notice: "one\ntwo" })).toEqual(["answer\n-# one\n-# two"]);
  });

  it("gets a message of its own where there is no room", () => {
    expect(texts("a".repeat(2000), { notice: "n" })).toEqual(["a".repeat(2000), "-# n"]);
  });
});

it("says its notice outside of a fence that the bot left open", () => {
  expect(texts("```js\nlet a", { notice: "stopped" })).toEqual(["```js\nlet a", "-# stopped"]);
});

it("heals half-written Markdown for display only", () => {
  expect(texts("this is **bo", { final: false })).toEqual(["this is **bo**"]);
  expect(texts("this is **bo")).toEqual(["this is **bo"]);
});
