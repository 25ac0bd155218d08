import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseMarkdown, rangeOf, walk } from "../../src/markdown/parse.ts";
import { CutMemory, cutMarkdown, splitMarkdown } from "../../src/markdown/split.ts";
import { markdownDocument } from "./documents.ts";
import { joinParts, withoutSpace } from "./join-parts.ts";

const measure = (text: string): number => text.length;
const split = (markdown: string, limit: number): readonly string[] =>
  splitMarkdown(markdown, { limit, measure });

/** Every fence of the text has a closing line of its own. */
function hasBalancedFences(text: string): boolean {
  return [...walk(parseMarkdown(text))].every((node) => {
    const { start, end } = rangeOf(node);
    const source = text.slice(start, end);
    return node.type !== "code" || !/^(```|~~~)/.test(source) || /\n[ >\t]*(`{3,}|~{3,})$/.test(source);
  });
}

/** The lines that only open or close a fence; splitting may add some. */
function withoutFences(markdown: string): string {
  return withoutSpace(markdown.replace(/^[ >\t]*(?:(?:-|\d\.)[ ]+)*(?:`{3,}|~{3,})\w*$/gm, ""));
}

/** Each run parses every part; thousands were run when this was written. */
const RUNS = { numRuns: 50 };

describe("any Markdown", () => {
  const limits = fc.integer({ min: 60, max: 400 });

  it("is cut into parts that all fit", () => {
    fc.assert(
      fc.property(markdownDocument, limits, (markdown, limit) => {
        for (const part of split(markdown, limit)) expect(part.length).toBeLessThanOrEqual(limit);
      }),
      RUNS,
    );
  });

  it("loses nothing, repeats nothing", () => {
    fc.assert(
      fc.property(markdownDocument, limits, (markdown, limit) => {
        const bodies = cutMarkdown(markdown, { limit, measure }).map(({ body }) => body);
        expect(withoutFences(bodies.join("\n"))).toBe(withoutFences(markdown));
      }),
      RUNS,
    );
  });

  it("has balanced fences in every part", () => {
    fc.assert(
      fc.property(markdownDocument, limits, (markdown, limit) => {
        for (const part of split(markdown, limit))
          expect([part, hasBalancedFences(part)]).toEqual([part, true]);
      }),
      RUNS,
    );
  });

  it("keeps characters, links, code spans and mentions whole", () => {
    const tokens = [
      "👨‍👩‍👧‍👦",
      "👍🏽",
      "🇨🇳",
      "é",
      "𠮷",
      "❤️",
      "<@123456>",
      "<:name:99>",
      "[label](https://a.example/b)",
      "`code`",
    ];
    fc.assert(
      fc.property(markdownDocument, limits, (markdown, limit) => {
        const parts = split(markdown, limit);
        for (const token of tokens) {
          const count = parts.reduce((sum, part) => sum + part.split(token).length - 1, 0);
          expect([token, count]).toEqual([token, markdown.split(token).length - 1]);
        }
      }),
      RUNS,
    );
  });

  it("keeps every part but the last while it grows", () => {
    fc.assert(
      fc.property(
        markdownDocument,
        limits,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (markdown, limit, share) => {
          const whole = split(markdown, limit);
          const early = split(markdown.slice(0, Math.floor(markdown.length * share)), limit);
          expect(whole.slice(0, Math.max(0, early.length - 1))).toEqual(early.slice(0, -1));
        },
      ),
      RUNS,
    );
  });
});

describe("the parts", () => {
  it("join to the text that was cut", () => {
    const markdown = [
      "# Title\n\nA paragraph that is long enough to be cut somewhere in the middle of it.",
      "```js\nconst a = 1;\nconst b = 2;\nconst c = 3;\nconst d = 4;\n```",
      "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n| 7 | 8 |",
      "> a quote with\n> ~~~\n> code in it\n> and more code\n> ~~~",
    ].join("\n\n");
    for (let limit = 50; limit < 200; limit += 1) {
      expect(withoutSpace(joinParts(split(markdown, limit)))).toBe(withoutSpace(markdown));
    }
  });

  it("are at most one character when nothing more fits, and never half a surrogate pair", () => {
    expect(split("a𠮷b", 1)).toEqual(["a", "𠮷", "b"]);
  });

  it("are none for blank text", () => {
    expect(split(" \n\n ", 10)).toEqual([]);
  });

  it("are counted by the platform's own measure", () => {
    const doubled = (text: string): number => text.length * 2;
    expect(splitMarkdown("one two three four", { limit: 20, measure: doubled })).toEqual([
      "one two",
      "three four",
    ]);
  });

  it.each([
    ["a wall of backticks", "`".repeat(3000)],
    ["quotes in quotes", `${"> ".repeat(60)}${"word ".repeat(500)}`],
    ["a table with a wide header", `| ${"a".repeat(80)} |\n|---|\n${"| b |\n".repeat(300)}`],
    ["a first line of a fence without end", `\`\`\`${"x ".repeat(1500)}`],
    ["fences in list items", "- ```\n".repeat(400)],
    ["lists in lists", Array.from({ length: 60 }, (_, depth) => `${"  ".repeat(depth)}- a`).join("\n")],
  ])("stay few for %s", (_, text) => {
    const parts = split(text, 100);
    expect(Math.max(...parts.map(measure))).toBeLessThanOrEqual(100);
    expect(parts.length).toBeLessThan((4 * text.length) / 100);
  });

  it("cost a bounded number of looks, also when the closing of a fence never quite fits", () => {
    let looks = 0;
    const odd = (text: string): number => {
      looks += 1;
      return text.length + (text.endsWith("\n```") ? 1000.5 - text.length : 0);
    };
    const parts = splitMarkdown(`\`\`\`\n${"x\n".repeat(1000)}`, { limit: 1000, measure: odd });
    expect(parts.length).toBeLessThan(10);
    expect(looks).toBeLessThan(200);
  });

  it("hold any text at all, without loss", () => {
    const anything = fc.string({ unit: "binary", maxLength: 300 });
    const markup = fc.string({ unit: fc.constantFrom(..."`~>-*_[](<&\\|#: \n\ta1。"), maxLength: 300 });
    fc.assert(
      fc.property(fc.oneof(anything, markup), fc.integer({ min: 1, max: 60 }), (text, limit) => {
        const pieces = cutMarkdown(text, { limit, measure });
        for (const { before, body, after } of pieces) {
          expect(before.length + body.length + after.length).toBeLessThanOrEqual(Math.max(2, limit));
        }
        expect(plain(pieces.map(({ body }) => body).join(""))).toBe(plain(text));
      }),
      { numRuns: 100 },
    );
  });
});

/** White space goes at cuts, and the closing line of a fence that is closed already. */
function plain(text: string): string {
  return text.replace(/[\s>`~]+/g, "");
}

describe("a cut", () => {
  it("prefers the border of a block, and takes a heading along", () => {
    const text = "First block of text here.\n\n## Heading\n\nSecond block of text here, longer.";
    expect(split(text, 50)).toEqual([
      "First block of text here.",
      "## Heading\n\nSecond block of text here, longer.",
    ]);
  });

  it("falls on a line when a block is too long", () => {
    expect(split("one line of text\nanother line of text\na third line", 45)).toEqual([
      "one line of text\nanother line of text",
      "a third line",
    ]);
  });

  it("falls on a line that ends exactly at the limit", () => {
    expect(split("aaaa bbbb\ncccc dddd", 9)).toEqual(["aaaa bbbb", "cccc dddd"]);
    expect(split("aaaa bbbb\r\ncccc dddd", 9)).toEqual(["aaaa bbbb", "cccc dddd"]);
  });

  it("leaves a link whole where there is no space before it", () => {
    expect(split("中文中文中文中文中文[链接](https://a.example/b)", 26)).toEqual([
      "中文中文中文中文中文",
      "[链接](https://a.example/b)",
    ]);
  });

  it("moves a deep list to the left, and only the list", () => {
    const text = "- a\n  - b\n    - c c c c c c c\n    - d d d\n- e\n\ntext\n\n    code";
    expect(split(text, 32)).toEqual(["- a\n  - b\n    - c c c c c c c", "- d d d\n- e\n\ntext\n\n    code"]);
    expect(split(text, 29)).toEqual(split(text, 32));
  });

  it("falls behind Chinese punctuation where there are no spaces", () => {
    expect(split("中文测试，这里有一个很长的句子。第二句话在这里没有结束", 20)).toEqual([
      "中文测试，这里有一个很长的句子。",
      "第二句话在这里没有结束",
    ]);
  });

  it("does not begin a part with what would become a list, a heading or a quote", () => {
    expect(split("It costs about five - or six - dollars a day", 30)).toEqual([
      "It costs about five - or",
      "six - dollars a day",
    ]);
  });

  it("leaves bold text whole where it can", () => {
    expect(split("Some words first, then **a bold statement here** and the end", 40)).toEqual([
      "Some words first, then",
      "**a bold statement here** and the end",
    ]);
  });

  it("does not fall into a link that is only half within the limit", () => {
    expect(split("Please read [the manual](https://example.com/a) first", 30)).toEqual([
      "Please read",
      "[the manual](https://example.com/a)".slice(0, 29),
      "[the manual](https://example.com/a)".slice(29).concat(" first"),
    ]);
    expect(split("Please read [the manual](https://example.com/a) first", 40)).toEqual([
      "Please read",
      "[the manual](https://example.com/a)",
      "first",
    ]);
  });

  it("does not fall into a mention with a name in it", () => {
    expect(split("Ask in the channel <#123|some long name> today", 30)).toEqual([
      "Ask in the channel",
      "<#123|some long name> today",
    ]);
  });

  it("does not part a table's header from its first row, nor a title from its underline", () => {
    expect(split("Some text comes before it.\n| a | b |\n|---|---|\n| 1 | 2 |", 55)).toEqual([
      "Some text comes before it.",
      "| a | b |\n|---|---|\n| 1 | 2 |",
    ]);
    expect(split("Title text that is rather long\n---\nMore", 33)).toEqual([
      "Title text that is rather",
      "long\n---\nMore",
    ]);
  });
});

describe("a fence", () => {
  it("is closed in one part and opened again in the next, with its marker and language", () => {
    expect(split("~~~~python\nline one\nline two\nline three\n~~~~", 40)).toEqual([
      "~~~~python\nline one\nline two\n~~~~",
      "~~~~python\nline three\n~~~~",
    ]);
  });

  it("is opened again without an info string that is too long", () => {
    const info = `js ${"x".repeat(50)}`;
    const [, second] = split(`\`\`\`${info}\nline one\nline two\nline three\n\`\`\``, 80);
    expect(second).toBe("```\nline three\n```");
  });

  it("keeps its indentation in a list", () => {
    expect(split("- item\n\n  ```\n  line one\n  line two\n  ```\n- next", 35)).toEqual([
      "- item\n\n  ```\n  line one\n  ```",
      "  ```\n  line two\n  ```\n- next",
    ]);
  });

  it("moves to the left where its indentation would make it indented code", () => {
    const text = "1. a\n   - b\n     - c\n\n       ```\n       one\n         two\n       ```\n     - d\n2. e";
    expect(split(text, 45)).toEqual(["1. a\n   - b\n     - c", "```\none\n  two\n```\n- d\n2. e"]);
  });

  it("keeps its quote marks", () => {
    expect(split("> words\n> ```\n> line one\n> line two\n> ```\n> end", 32)).toEqual([
      "> words\n> ```\n> line one\n> ```",
      "> ```\n> line two\n> ```\n> end",
    ]);
  });

  it("is not opened again only to be closed", () => {
    expect(split("```\nline one\nline two\n```\nText that follows after it.", 26)).toEqual([
      "```\nline one\nline two\n```",
      "Text that follows after",
      "it.",
    ]);
  });

  it("is not opened again only to be closed behind blank lines", () => {
    expect(split("```\nline one\nline two\n\n\n\n\n```\nText", 26)).toEqual([
      "```\nline one\nline two\n```",
      "Text",
    ]);
  });

  it("is opened again when the next line only looks like its end", () => {
    expect(split("````\nline one\n```\ninner\n````", 20)).toEqual([
      "````\nline one\n````",
      "````\n```\ninner\n````",
    ]);
    expect(split("```\nline one\n    ```\nx\n```", 18)).toEqual([
      "```\nline one\n```",
      "```\n    ```\nx\n```",
    ]);
  });

  it("keeps the indentation of its code where it is cut", () => {
    expect(split("```\nif (a) {\n  b();\n}\n```", 18)).toEqual(["```\nif (a) {\n```", "```\n  b();\n}\n```"]);
  });

  it("is never cut in its first line, which would make code of a title", () => {
    const parts = split("```python with a long title here\ncode line\n```", 24);
    expect(withoutSpace(parts.join("\n"))).toBe(
      withoutSpace("```python with a long title here\ncode line\n```"),
    );
  });

  it("is told from a longer one that quotes it", () => {
    expect(split("````\n```\ninner\n```\nline two\nline three\n````", 33)).toEqual([
      "````\n```\ninner\n```\nline two\n````",
      "````\nline three\n````",
    ]);
  });
});

describe("a table", () => {
  it("repeats its header in every part", () => {
    expect(split("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n\nafter", 45)).toEqual([
      "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
      "| a | b |\n|---|---|\n| 5 | 6 |\n\nafter",
    ]);
  });
});

it("repeats a table's header when a row ends exactly at the limit", () => {
  expect(split("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |", 29)).toEqual([
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "| a | b |\n|---|---|\n| 3 | 4 |",
  ]);
});

describe("a quote", () => {
  it("goes on as a quote when a long line of it is cut", () => {
    expect(split("> a long line of quoted text that must be cut", 30)).toEqual([
      "> a long line of quoted text",
      "> that must be cut",
    ]);
  });
});

describe("a text that was cut before", () => {
  const paragraphs = Array.from(
    { length: 40 },
    (_, index) => `Paragraph ${index} says something of its own.`,
  );

  it("is looked at again only behind its last cut", () => {
    const memory = new CutMemory();
    let characters = 0;
    const counted = (text: string): number => {
      characters += text.length;
      return text.length;
    };
    const cut = (count: number): readonly string[] =>
      splitMarkdown(paragraphs.slice(0, count).join("\n\n"), { limit: 200, measure: counted, memory });
    cut(39);
    characters = 0;
    expect(cut(40)).toEqual(split(paragraphs.join("\n\n"), 200));
    expect(characters).toBeLessThan(5_000);
  });

  it("is cut anew where it is another one", () => {
    const memory = new CutMemory();
    const options = { limit: 200, measure, memory };
    splitMarkdown(paragraphs.join("\n\n"), options);
    const other = paragraphs.toReversed().join("\n\n");
    expect(splitMarkdown(other, options)).toEqual(split(other, 200));
  });

  it("is cut anew behind a fence of another language", () => {
    const code = `${"let a = 1;\n".repeat(100)}\`\`\``;
    const memory = new CutMemory();
    splitMarkdown(`\`\`\`js\n${code}`, { limit: 200, measure, memory });
    const other = `\`\`\`py\n${code}`;
    expect(splitMarkdown(other, { limit: 200, measure, memory })).toEqual(split(other, 200));
  });
});
