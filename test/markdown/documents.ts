import fc from "fast-check";

/** Words of several scripts, and all that must not be torn apart. */
const word: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("alpha", "be", "straße", "x", "word", "longerword", "ends.", "asks?"),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom("中文", "重点内容", "你好，", "世界。", "结束！", "（括号）", "日本語"),
  },
  { weight: 2, arbitrary: fc.constantFrom("👨‍👩‍👧‍👦", "👍🏽", "🇨🇳", "é", "𠮷", "❤️") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "<@123456>",
      "<#42>",
      "<:name:99>",
      "[label](https://a.example/b)",
      "`code`",
      "&amp;",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("**bold text**", "*it*", "~~gone~~", "**注意：**", "\\*", "10~20", "- x", "#"),
  },
);

const separator = fc.constantFrom(" ", " ", " ", "", "\n");

/** Text that begins with a word, so that it is a paragraph. */
const paragraph: fc.Arbitrary<string> = fc
  .array(fc.tuple(word, separator), { minLength: 1, maxLength: 30 })
  .map((words) =>
    `Text ${words.map(([text, after]) => text + after).join("")}`.replace(/\n[-#>]/g, "\n").trimEnd(),
  );

const codeLine = fc.constantFrom(
  "const a = 1;",
  "  indented();",
  "",
  "<p>x</p>",
  "中文注释 // 注意",
  "** not bold",
  "a_b_c",
);

const fence: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom("```", "~~~", "````"),
    fc.constantFrom("", "js", "python"),
    fc.array(codeLine, { minLength: 1, maxLength: 12 }),
  )
  .map(([marker, info, lines]) => [marker + info, ...lines, marker].join("\n"));

const table: fc.Arbitrary<string> = fc
  .array(fc.tuple(word, word), { minLength: 1, maxLength: 8 })
  .map((rows) => ["| a | b |", "|---|---|", ...rows.map((cells) => `| ${cells.join(" | ")} |`)].join("\n"));

const heading = word.map((text) => `## Title ${text}`);

function indented(text: string, margin: string): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? line : margin + line))
    .join("\n");
}

/** Items, some with a fence or a list of their own inside. */
function list(inner: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const item = fc
    .tuple(fc.constantFrom("- ", "1. "), paragraph, fc.option(inner, { nil: undefined }))
    .map(([marker, text, below]) => {
      const margin = " ".repeat(marker.length);
      const first = marker + indented(text, margin).trimStart();
      return below === undefined ? first : `${first}\n${margin}\n${indented(below, margin)}`;
    });
  return fc.array(item, { minLength: 1, maxLength: 4 }).map((items) => items.join("\n"));
}

const quote = fc.oneof(paragraph, fence).map((text) => text.replace(/^/gm, "> "));

const block = fc.oneof(
  { weight: 4, arbitrary: paragraph },
  { weight: 3, arbitrary: fence },
  { weight: 1, arbitrary: table },
  { weight: 1, arbitrary: heading },
  { weight: 2, arbitrary: list(fc.oneof(fence, list(fc.oneof(fence, paragraph)))) },
  { weight: 1, arbitrary: quote },
);

/** Markdown as a bot writes it: whole blocks with blank lines between them. */
export const markdownDocument: fc.Arbitrary<string> = fc
  .array(block, { minLength: 1, maxLength: 6 })
  .map((blocks) => blocks.join("\n\n"));

/** Lines and half lines of all that may begin a block or go on with one, as nobody would write them. */
export const oddLines: fc.Arbitrary<string> = fc
  .array(
    fc.constantFrom(
      ...[
        "a",
        "Text",
        "你好，",
        "http",
        "h",
        "5",
        " ",
        "  ",
        "    ",
        "\t",
        ":",
        ".",
        "x y ",
        "👍🏽",
        "\u3000",
        "(5)",
        "é!",
      ],
      ...["\n", "\n", "\n", "\n\n", "\n\n", "\n  \n", "\n   ", "\r\n"],
      ...[
        "- ",
        "-",
        "1. ",
        "2",
        "1)",
        "+ ",
        "* ",
        "*",
        "**",
        "_",
        "__",
        "~~",
        "`",
        "[",
        "](",
        "[x] ",
        ")",
        "!",
        "@",
        "\\",
      ],
      ...[
        "```",
        "```js\n",
        "\n```\n",
        "~~~\n",
        "> ",
        "#",
        "## ",
        "===",
        "---",
        "--",
        "|",
        "|---|",
        "\n:-",
        "-:",
      ],
      ...[
        "<",
        "<b>",
        "<br>",
        "<div>\n",
        "<!--",
        "[a]: /u\n",
        "&lt;",
        "$",
        "$$",
        "x_1",
        "://",
        "https://a.example/b",
      ],
    ),
    { maxLength: 25 },
  )
  .map((list) => list.join(""));
