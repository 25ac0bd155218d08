import fc from "fast-check";
import { expect, it } from "vitest";
import { drawBlock } from "../../adapters/slack/draw-block.ts";
import { neutralize, stableLength, toInertText } from "../../adapters/slack/neutralize.ts";
import { renderParts } from "../../adapters/slack/render.ts";
import { borderOf, planAppend, planSegment, SEGMENT_LIMITS } from "../../adapters/slack/segments.ts";
import { StreamDrawing } from "../../adapters/slack/stream-drawing.ts";
import { answer } from "./bridge.ts";

/** A token Slack would act on: a ping or a link with another label. */
const LIVE_TOKEN = /<[@#!]|<https?:[^<>\s]*\|/;

it.each([
  ["<!channel> look", "&lt;!channel&gt; look"],
  ["<@U123> <#C1|x> <!subteam^S1>", "&lt;@U123&gt; &lt;#C1|x&gt; &lt;!subteam^S1&gt;"],
  ["<https://a.example|the docs>", "[the docs](https://a.example)"],
  ["<https://evil.example|https://bank.example>", "https://bank.example (evil.example)"],
  ["[https://bank.example](https://evil.example/x)", "https://bank.example (evil.example)"],
  ["[bank.example](https://www.bank.example)", "[bank.example](https://www.bank.example)"],
  ["[run](javascript:alert(1))", "[run]\u2060(javascript:alert(1))"],
  ["see [the code](file:///etc/passwd)", "see [the code]\u2060(file:///etc/passwd)"],
  ["hi @channel and me@here.example", "hi @\u2060channel and me@here.example"],
  ["a\u202Eb\u0000c\r\nd", "abc\nd"],
  ["`<@U1>` and `a < b`", "`<\u200B@U1>` and `a < b`"],
  ["```\n<!here> https://x.example?a=1&b=2\n```", "```\n<\u200B!here> https://x.example?a=1&b=2\n```"],
  ["https://x.example?a=1&b=2", "https://x.example?a=1&b=2"],
  ["1 < 2 & 3 > 2", "1 < 2 & 3 > 2"],
])("§14.46 makes %j harmless", (markdown, harmless) => {
  expect(neutralize(markdown)).toBe(harmless);
});

const TRICKY = [
  "Hello <!channel> and <@U123ABC>, see <https://evil.example|https://bank.example>.",
  "A [https://bank.example](https://evil.example) link, `code <@U1>`, **bold** @here 👩‍👩‍👧‍👦 end.",
  "Text\r\n\n```js\nconst a = '<!here>';\n```\n\n`inline` &lt;!here&gt; and ![x](https://x.example/y.png) done.",
  "很长的中文 @everyone，还有 <!subteam^S1|@team>。",
];

it.each(TRICKY)("§14.45 shows nothing of %j that it would take back, wherever a delta ends", (text) => {
  const whole = neutralize(text);
  for (let end = 0; end <= text.length; end += 1) {
    const part = text.slice(0, end);
    const shown = neutralize(part.slice(0, stableLength(part)));
    expect(whole.startsWith(shown), JSON.stringify(part)).toBe(true);
    expect(shown).not.toMatch(LIVE_TOKEN);
    expect(shown.isWellFormed()).toBe(true);
  }
});

it("holds back at most a few words", () => {
  expect(stableLength(`a <${"b".repeat(1_000)}`)).toBe(1_003);
  expect(stableLength("plain words")).toBe(11);
});

it("leaves no live token in anything, whatever the model writes", () => {
  const piece = fc.constantFrom(
    "<",
    "!",
    "@",
    "here",
    "channel",
    ">",
    "|",
    "`",
    "```\n",
    "\n",
    "a",
    "https://",
    "x.example",
    "[",
    "](",
    ")",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      const text = pieces.join("");
      expect(neutralize(text)).not.toMatch(/<[@#!]/);
      expect(toInertText(text)).not.toMatch(/[<>]/);
      expect(
        JSON.stringify(renderParts({ answer: answer(text) }, { final: true, locale: "en" })),
      ).not.toMatch(/<[@#!]/);
    }),
  );
});

it("shows nothing while there is only markup, and the notice below the text", () => {
  const render = (text: string, notice?: string): unknown =>
    renderParts(
      { answer: answer(text), ...(notice !== undefined && { notice }) },
      { final: false, locale: "en" },
    );
  expect(render("")).toEqual([]);
  expect(render("## ")).toEqual([]);
  expect(render("hi", "<b> & more")).toEqual([
    {
      text: "hi",
      blocks: [
        { type: "markdown", text: "hi" },
        { type: "context", elements: [{ type: "mrkdwn", text: "_&lt;b&gt; &amp; more_" }] },
      ],
    },
  ]);
});

it("ends with a note when an answer needs too many messages", () => {
  const parts = renderParts({ answer: answer("word ".repeat(60_000)) }, { final: true, locale: "zh" });
  expect(parts).toHaveLength(20);
  expect(JSON.stringify(parts.at(-1))).toContain("后面的内容已省略");
});

it("§14.32 ends an old stream at the next block, and a very old one anywhere", () => {
  expect(planAppend("a", " b", { ageMs: 0 })).toEqual({ text: " b", rotate: false });
  expect(planAppend("a", " b\n\nc", { ageMs: SEGMENT_LIMITS.softAgeMs })).toEqual({
    text: " b\n\n",
    rotate: true,
  });
  expect(planAppend("a", " b c", { ageMs: SEGMENT_LIMITS.softAgeMs })).toEqual({
    text: " b c",
    rotate: false,
  });
  expect(planAppend("a", " b c", { ageMs: SEGMENT_LIMITS.hardAgeMs }).rotate).toBe(true);
});

it("§14.33 keeps a stream under its size, and loses nothing at the cut", () => {
  const pieces = fc.array(
    fc.constantFrom(
      ...["word ", "很", "\n", "\n\n", "```\n", "| a | b |\n", "|---|---|\n", "👩‍👩‍👧 ", "x".repeat(700)],
      ...[`a${"\u0301".repeat(6_000)}`, `| ${"word ".repeat(2_000)} |\n`, `\n\`\`\`${"x".repeat(11_000)}\n`],
    ),
    {
      minLength: 50,
      maxLength: 200,
    },
  );
  fc.assert(
    fc.property(pieces, (list) => {
      let sent = "";
      let previous = "";
      let shown: string | undefined;
      for (const piece of list) {
        let pending = piece;
        while (pending !== "") {
          const begins = shown === undefined ? planSegment(previous, pending, 0) : undefined;
          const before: string = shown ?? begins?.reopen ?? "";
          const { text, rotate } = begins ?? planAppend(before, pending, { ageMs: 0 });
          if (begins !== undefined) expect(text).not.toBe("");
          sent += text;
          pending = pending.slice(text.length);
          previous = before + text;
          shown = rotate ? undefined : previous;
          expect(Buffer.byteLength(previous + borderOf(previous).close)).toBeLessThanOrEqual(11_000);
        }
      }
      expect(sent).toBe(list.join(""));
    }),
    { numRuns: 50 },
  );
});

it.each(["x", "很", "👩‍👩‍👧 "])("§14.33 cuts a text without any border by its bytes: %s", (character) => {
  const pending = character.repeat(20_000 / character.length);
  const { text, rotate } = planAppend("", pending, { ageMs: 0 });
  expect(rotate).toBe(true);
  expect(Buffer.byteLength(text)).toBeGreaterThan(10_000);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(11_000);
  expect(text.isWellFormed()).toBe(true);
});

it("opens again what a cut closed", () => {
  expect(borderOf("text\n\n```ts\nlet a;\n")).toEqual({ close: "```", reopen: "```ts\n" });
  expect(borderOf("~~~~\nlet a;")).toEqual({ close: "\n~~~~", reopen: "~~~~\n" });
  expect(borderOf(`\`\`\`${"x".repeat(300)}\nlet a;\n`)).toEqual({ close: "```", reopen: "```\n" });
  expect(borderOf("```ts\nlet a;\n```\n")).toEqual({ close: "", reopen: "" });
  expect(borderOf("| a | b |\n|---|---|\n| 1 | 2 |\n")).toEqual({
    close: "",
    reopen: "| a | b |\n|---|---|\n",
  });
  expect(borderOf("| a | b |\n|---|---|\n| 1 | 2 |\n\n")).toEqual({ close: "", reopen: "" });
});

it.each([
  ["an escaped dot", String.raw`[bank\.com](https://evil.example/)`],
  ["emphasis", "[bank**.**com](https://evil.example/)"],
  ["an entity", "[bank&#46;com](https://evil.example/)"],
  ["a zero-width space", "[bank\u200B.com](https://evil.example/)"],
  ["a full-width dot", "[bank\uFF0Ecom](https://evil.example/)"],
  ["a line end", "[https://bank.com\n](https://evil.example/)"],
  ["parentheses in the address", "[bank.com](https://evil.example/a_(b))"],
  ["parentheses in the title", '[bank.com](https://evil.example/ "a (b)")'],
  ["a picture in its label", "[![bank.com](https://evil.example/i.png)](https://evil.example/)"],
  ["brackets in its label", "[[bank.com]](https://evil.example/)"],
  ["code", "[`bank.com`](https://evil.example/)"],
  ["code among words", "[see `bank.com` now](https://evil.example/)"],
  ["a token of another scheme", "<slack://evil.example/|https://bank.com>"],
])("shows where a link goes that hides it behind %s", (_how, markdown) => {
  const stream = new StreamDrawing();
  for (let length = 1; length <= markdown.length; length += 1) {
    const shown = stream.draw(markdown.slice(0, length), { final: length === markdown.length, cuts: [] });
    expect(shown).not.toMatch(/\]\(<?https:\/\/evil/);
    expect(shown).not.toContain("|https");
  }
});

it("does not let a reference lead somewhere else than it says", () => {
  const reference = (margin: string): string => `[bank.com][1]\n\n${margin}[1]: https://evil.example/`;
  for (const margin of ["", "> ", "- ", "1. "])
    expect(neutralize(reference(margin))).toBe(reference(margin).replace("]:", "]\\:"));
});

it.each(["bank.com\nx", String.raw`bank.com\]`])(
  "finds the definition of a reference by any label: %j",
  (label) => {
    expect(neutralize(`[${label}]: https://evil.example\n\n[${label}]`)).toBe(
      `[${label}]\\: https://evil.example\n\n[${label}]`,
    );
  },
);

it.each([
  ["？", "？"],
  ["……", "……"],
  ["---", String.raw`\-\-\-`],
  ["##", String.raw`\#\#`],
])("shows an answer of signs only as it is: %j", (text, shown) => {
  const draw = (final: boolean) => renderParts({ answer: answer(text) }, { final, locale: "en" });
  expect(draw(false)).toEqual([]);
  expect(draw(true).map(({ blocks }) => blocks)).toEqual([[{ type: "markdown", text: shown }]]);
});

it.each(["\u200b", " \u2060\n\u200b"])(
  "says that there is no answer where nothing can be seen: %j",
  (text) => {
    const parts = renderParts({ answer: answer(text) }, { final: true, locale: "en" });
    expect(parts.map((part) => part.text)).toEqual(["The bot had nothing to say to this."]);
  },
);

it.each([
  ["in code", "Use `![p](data:image/png;base64,AAAA)` to embed."],
  ["that is short", "see ![a cat](data:image/png;base64,AAAA) there"],
  ["with many words", `see ![${"w".repeat(190)}](data:image/png;base64,${"B".repeat(400)}) end.`],
  ["without an end", `see ![a cat](data:image/png;base64,${"B".repeat(400)} and no end.`],
])("takes nothing back in a stream of a picture that is written into the text, %s", (_what, text) => {
  const stream = new StreamDrawing();
  const whole = new StreamDrawing().draw(text, { final: true, cuts: [] });
  for (let length = 1; length < text.length; length += 1) {
    const shown = stream.draw(text.slice(0, length), { final: false, cuts: [] });
    expect(whole.startsWith(shown)).toBe(true);
  }
});

it("shows its words for a picture that is written into the text, bytes and all", () => {
  const text = `![a cat](data:image/png;base64,${"A".repeat(30_000)}) there`;
  const [part, ...others] = renderParts({ answer: answer(text) }, { final: true, locale: "en" });
  expect([part?.blocks, others]).toEqual([[{ type: "markdown", text: "a cat there" }], []]);
  expect(new StreamDrawing().draw(text, { final: true, cuts: [] })).toBe("a cat there");
});

it("leaves honest links as they are", () => {
  const text =
    '[docs](https://en.wikipedia.org/wiki/Bridge_(card_game) "title") and [x](<https://a.example/b c>), a[0](1)';
  expect(neutralize(text)).toBe(text);
});

it.each([
  ["a[0](1) and b[1](2)", "a[0]\u2060(1) and b[1]\u2060(2)"],
  [
    '[a guide](docs/guide.md "title"), [up](#top), [x]()',
    '[a guide]\u2060(docs/guide.md "title"), [up]\u2060(#top), [x]\u2060()',
  ],
  ["[`run`](javascript:x)", "[`run`]\u2060(javascript:x)"],
  ["![a chart](one.png) ![](two.png)", "![a chart]\u2060(one.png) ![]\u2060(two.png)"],
  [
    "[![b.example](https://b.example/i.png)](one.html)",
    "[![b.example](https://b.example/i.png)]\u2060(one.html)",
  ],
  [
    "![a [bank.example](https://evil.example) b](one.png)",
    "![a bank.example (evil.example) b]\u2060(one.png)",
  ],
  ["[b.example](one.html)", "[b.example]\u2060(one.html)"],
  ["![a chart](file:///one.png)", "![a chart]\u2060(file:///one.png)"],
  ["<urn:isbn:1>", "&lt;urn:isbn:1>"],
  ["[us](mailto:us@a.example) <us@a.example>", "[us](mailto:us@a.example) <us@a.example>"],
  ["[a][1] ![b][1]\n\n[1]: one.md", "[a][1] ![b][1]\n\n[1]\\: one.md"],
])("shows %j as it was written: nobody could go there", (markdown, shown) => {
  expect(drawBlock(markdown, { tables: "any" }).text).toBe(shown);
  // What is drawn and cut is looked at once more.
  expect(drawBlock(shown, { tables: "any" }).text).toBe(shown);
});

it("leaves no live token in a table that is drawn as code", () => {
  const table = "| a | b |\n|---|---|\n| <!here> | <@U1> |\n";
  const parts = renderParts({ answer: answer(`${table}\n${table}`) }, { final: true, locale: "en" });
  expect(JSON.stringify(parts)).toContain("```");
  expect(JSON.stringify(parts)).not.toMatch(LIVE_TOKEN);
});
