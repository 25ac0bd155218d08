import fc from "fast-check";
import { type AnswerState, EMPTY_ANSWER } from "../../src/core/answer-state.ts";
import type { ReplyContent } from "../../src/core/ports.ts";

/** An answer of one message. */
export function contentOf(text: string, { completed }: { completed: boolean }): ReplyContent {
  const answer: AnswerState = {
    ...EMPTY_ANSWER,
    status: completed ? "completed" : "running",
    answers: [{ messageId: "1", text, reasoning: "", contentType: "text", completed }],
  };
  return { answer };
}

/** What stands in a line, and what each platform has its own ideas about. */
const inline: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      "word",
      "longer words",
      "ends.",
      "中文",
      "你好，",
      "（括号）",
      "世界。",
      "👨‍👩‍👧‍👦",
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom("**bold**", "*it*", "**注意：**", "~~gone~~", "__strong__", "`code`", "_a_b_"),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "[label](https://a.example/b)",
      '[titled](https://a.example "title")',
      "![图](https://a.example/p.png)",
      "![](https://a.example/p.png)",
      "[bank.example](https://evil.example)",
      "[up](#top)",
      "https://a.example/路径，",
      "<https://a.example>",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "$a_1*b$",
      "\\(x^2\\)",
      "$5 and $6",
      "a || b || c",
      "foo__bar__baz",
      "[^1]",
      "<b>x</b>",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "@everyone",
      "@here",
      "<@123456>",
      "<@&7>",
      "<!channel>",
      "<#C1>",
      "&lt;@123&gt;",
    ),
  },
);

const line: fc.Arbitrary<string> = fc
  .array(inline, { minLength: 1, maxLength: 12 })
  .map((words) => `Line ${words.join(" ")}`);

const cell = fc.oneof(
  { weight: 4, arbitrary: inline },
  {
    weight: 1,
    arbitrary: fc.constantFrom("", "a \\| b", "`a \\| b`", "one<br>two", "words ".repeat(12).trim()),
  },
);

const table: fc.Arbitrary<string> = fc
  .integer({ min: 1, max: 5 })
  .chain((columns) =>
    fc.tuple(
      fc.array(cell, { minLength: columns, maxLength: columns }),
      fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 30 }),
    ),
  )
  .map(([header, rows]) => {
    const toLine = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
    return [toLine(header), `|${"---|".repeat(header.length)}`, ...rows.map(toLine)].join("\n");
  });

const fence: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom("```", "~~~", "````"),
    fc.constantFrom("", "js", 'py title="x"'),
    fc.array(fc.constantFrom("const a_b = 1;", "  x => y;", "", "**no**", "@everyone", "<@1>", "| a | |"), {
      minLength: 1,
      maxLength: 40,
    }),
  )
  .map(([marker, info, lines]) => [marker + info, ...lines, marker].join("\n"));

const plain: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: line },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 6 }), line)
      .map(([depth, text]) => `${"#".repeat(depth)} ${text}`),
  },
  { weight: 1, arbitrary: line.map((text) => `${text}\n---`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("---", "$$\nx = \\frac{1}{2}\n$$", "\\[ y \\]", "<div>", "[^1]: The note"),
  },
  {
    weight: 2,
    arbitrary: fc
      .array(line, { minLength: 1, maxLength: 5 })
      .map((lines) => lines.map((text) => `- [x] ${text}`).join("\n")),
  },
  {
    weight: 2,
    arbitrary: fc
      .array(line, { minLength: 1, maxLength: 5 })
      .map((lines) => lines.map((text, at) => `${at + 1}) ${text}\n   + ${text}`).join("\n")),
  },
  { weight: 1, arbitrary: fc.tuple(line, line).map(([a, b]) => `> ${a}\n>> ${b}\n> > > ${a}`) },
);

function documentOf(block: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.array(block, { minLength: 1, maxLength: 40 }).map((blocks) => blocks.join("\n\n"));
}

/** Markdown of every kind that bots write. */
export const anyDocument: fc.Arbitrary<string> = documentOf(
  fc.oneof({ weight: 4, arbitrary: plain }, { weight: 1, arbitrary: table }, { weight: 1, arbitrary: fence }),
);

/** What marks, tokens and links are made of, put together by nobody in their senses. */
export const pieces: fc.Arbitrary<string> = fc
  .array(
    fc.constantFrom(
      ...[
        "**",
        "*",
        "_",
        "~~",
        "`",
        "``",
        "```\n",
        "\n",
        "\n\n",
        " ",
        "a",
        "b c",
        "你",
        "，",
        "“",
        "”",
        "（",
        "）",
      ],
      ...[
        "[",
        "](",
        ")",
        "https://",
        "bank.example",
        "evil.example",
        "/路",
        "#top",
        "<",
        "!",
        "@",
        "here",
        ">",
      ],
      ...[
        "channel",
        "|",
        "---",
        "- ",
        "1. ",
        "> ",
        "# ",
        "$",
        "$$",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "x_1",
        "5",
        "<br>",
      ],
      ...["\\", "|---|", "| a | b |\n", "|---|---|\n", "=", "&lt;", ":"],
    ),
    { maxLength: 40 },
  )
  .map((list) => list.join(""));

/** The same without what repeats its words: tables have their headers again in each part or each row. */
export const documentWithoutTables: fc.Arbitrary<string> = documentOf(
  fc.oneof({ weight: 4, arbitrary: plain }, { weight: 1, arbitrary: fence }),
);

/** Letters and digits of what people read, in their order; no name of a language behind a fence's marks. */
export function lettersOf(markdown: string): string {
  return markdown
    .replaceAll(/&[lg]t;/g, "")
    .replace(/^[ >│]*(?:`{3,}|~{3,}).*$/gm, "")
    .replace(/[^\p{L}\p{N}]/gu, "");
}
