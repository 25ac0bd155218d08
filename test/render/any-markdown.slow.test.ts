import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toDiscordMarkdown } from "../../adapters/discord/dialect.ts";
import {
  createRenderer as createDiscordRenderer,
  MAX_CONTENT,
  renderParts as renderDiscord,
} from "../../adapters/discord/render.ts";
import { codePoints, discordSize } from "../../adapters/discord/size.ts";
import { toSlackMarkdown } from "../../adapters/slack/dialect.ts";
import {
  createRenderer as createSlackRenderer,
  renderParts as renderSlack,
} from "../../adapters/slack/render.ts";
import { slackSize } from "../../adapters/slack/size.ts";
import { StreamDrawing } from "../../adapters/slack/stream-drawing.ts";
import { blocksError } from "../../sandbox/slack/blocks.ts";
import { codeRanges } from "../../src/markdown/code-ranges.ts";
import { FinishedBlocks } from "../../src/markdown/finished-blocks.ts";
import { isHonest } from "../../src/markdown/honest-links.ts";
import { parseMarkdown, rangeOf, walk } from "../../src/markdown/parse.ts";
import { plainWords } from "../../src/markdown/table-text.ts";
import { anyDocument, contentOf, documentWithoutTables, lettersOf, pieces } from "./written.ts";

/** Each run draws whole answers; hundreds were run when this was written. */
const RUNS = { numRuns: 25 };

function discordTexts(markdown: string): readonly string[] {
  return renderDiscord(contentOf(markdown, { completed: true }), { final: true, locale: "en" }).map(
    ({ content }) => content,
  );
}

function slackTexts(markdown: string): readonly string[] {
  const parts = renderSlack(contentOf(markdown, { completed: true }), { final: true, locale: "en" });
  return parts.map(({ blocks: [first] }) => {
    const { type, text } = first as { readonly type: string; readonly text?: string };
    return type === "markdown" ? String(text) : "";
  });
}

/** What Discord could take for a mention (discord.md §2.4). */
function liveMentions(text: string): readonly string[] {
  let rest = text;
  for (const { start, end } of [...codeRanges(text)].reverse()) rest = rest.slice(0, start) + rest.slice(end);
  return rest.match(/@everyone|@here|<@[!&]?\d+>/g) ?? [];
}

describe("any Markdown on Discord", () => {
  it("fits its messages and calls nobody", () => {
    fc.assert(
      fc.property(anyDocument, (markdown) => {
        for (const text of discordTexts(markdown)) {
          expect(codePoints(text)).toBeLessThanOrEqual(MAX_CONTENT);
          expect(text.isWellFormed()).toBe(true);
          expect(liveMentions(text)).toEqual([]);
        }
      }),
      RUNS,
    );
  });

  it("calls nobody and disguises no link, whatever it is made of", () => {
    fc.assert(
      fc.property(pieces, (markdown) => {
        for (const text of discordTexts(markdown)) {
          expect(liveMentions(text)).toEqual([]);
          expect(disguises(text)).toEqual([]);
        }
      }),
      { numRuns: 400 },
    );
  });

  it("says what was written", () => {
    fc.assert(
      fc.property(documentWithoutTables, (markdown) => {
        expect(lettersOf(discordTexts(markdown).join("\n"))).toBe(lettersOf(asDiscordSays(markdown)));
      }),
      RUNS,
    );
  });

  it("never takes more room than was reckoned with, and more text never less", () => {
    fc.assert(
      fc.property(anyDocument, fc.double({ min: 0, max: 1, noNaN: true }), (markdown, share) => {
        const text = markdown.slice(0, 1_500);
        expect(codePoints(toDiscordMarkdown(text))).toBeLessThanOrEqual(discordSize(text));
        expect(discordSize(text.slice(0, Math.floor(text.length * share)))).toBeLessThanOrEqual(
          discordSize(text),
        );
      }),
      RUNS,
    );
  });
});

/** Boxes and titles of links are no letters any more. */
function asDiscordSays(markdown: string): string {
  return markdown.replaceAll("- [x] ", "- ").replaceAll(' "title")', ")").replaceAll("![](", "(");
}

describe("any Markdown on Slack", () => {
  it("is taken by Slack and calls nobody", () => {
    fc.assert(
      fc.property(anyDocument, (markdown) => {
        const parts = renderSlack(contentOf(markdown, { completed: true }), { final: true, locale: "en" });
        for (const { blocks, text } of parts) {
          expect(blocksError(blocks)).toBe(undefined);
          expect(JSON.stringify(blocks)).not.toMatch(/<[@#!]/);
          expect(text).not.toMatch(/<[@#!]/);
        }
      }),
      RUNS,
    );
  });

  it("says what was written", () => {
    fc.assert(
      fc.property(documentWithoutTables, (markdown) => {
        expect(lettersOf(slackTexts(markdown).join("\n"))).toBe(lettersOf(asSlackSays(markdown)));
      }),
      RUNS,
    );
  });

  it("never takes more room than was reckoned with, and more text never less", () => {
    fc.assert(
      fc.property(anyDocument, fc.double({ min: 0, max: 1, noNaN: true }), (markdown, share) => {
        expect(toSlackMarkdown(markdown, { tables: "small" }).text.length).toBeLessThanOrEqual(
          slackSize(markdown),
        );
        expect(toSlackMarkdown(markdown, { tables: "none" }).text.length).toBeLessThanOrEqual(
          slackSize(markdown),
        );
        const early = markdown.slice(0, Math.floor(markdown.length * share));
        expect(slackSize(early)).toBeLessThanOrEqual(slackSize(markdown));
      }),
      RUNS,
    );
  });
});

function asSlackSays(markdown: string): string {
  return markdown
    .replaceAll("![](", "(")
    .replaceAll("[bank.example](https://evil.example)", "bank.example (evil.example)");
}

describe.each([
  ["Discord", createDiscordRenderer],
  ["Slack", createSlackRenderer],
])("an answer that grows on %s", (_, createRenderer) => {
  it("keeps all messages but the last, and ends as if it had been there at once", () => {
    fc.assert(
      fc.property(
        anyDocument,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
        (markdown, shares) => {
          const draw = createRenderer();
          let before: readonly unknown[] = [];
          for (const share of shares.toSorted((a, b) => a - b)) {
            const early = contentOf(markdown.slice(0, Math.floor(markdown.length * share)), {
              completed: false,
            });
            const shown = draw(early, { final: false, locale: "en" });
            expect(shown).toEqual(createRenderer()(early, { final: false, locale: "en" }));
            expect(shown.slice(0, Math.max(0, before.length - 1))).toEqual(before.slice(0, -1));
            before = shown;
          }
          const whole = contentOf(markdown, { completed: true });
          const end = draw(whole, { final: true, locale: "en" });
          expect(end).toEqual(createRenderer()(whole, { final: true, locale: "en" }));
          expect(end.slice(0, Math.max(0, before.length - 1))).toEqual(before.slice(0, -1));
        },
      ),
      RUNS,
    );
  });
});

/** Answers as bots write them. */
const SAMPLES = join(import.meta.dirname, "../fixtures/markdown");

describe.each(readdirSync(SAMPLES).filter((name) => name.endsWith(".md")))("%s", (name) => {
  const markdown = readFileSync(join(SAMPLES, name), "utf8");

  it("is drawn at every length as if it had never been shorter", () => {
    const [discord, slack, stream] = [createDiscordRenderer(), createSlackRenderer(), new StreamDrawing()];
    const options = { final: false, locale: "en" } as const;
    for (let length = 1; length <= markdown.length; length += 1) {
      const written = markdown.slice(0, length);
      const content = contentOf(written, { completed: false });
      expect(discord(content, options)).toEqual(createDiscordRenderer()(content, options));
      expect(slack(content, options)).toEqual(createSlackRenderer()(content, options));
      const appended = { final: false, cuts: [] };
      expect(stream.draw(written, appended)).toBe(new StreamDrawing().draw(written, appended));
    }
  });
});

/** Where a growing text is looked at, in shares of its length. */
const someShares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 60 });

/** What is drawn of a text at each of these lengths, by one reply. */
function* appended(markdown: string, shares: readonly number[]): Generator<string> {
  const stream = new StreamDrawing();
  for (const share of shares.toSorted((a, b) => a - b))
    yield stream.draw(markdown.slice(0, Math.floor(markdown.length * share)), { final: false, cuts: [] });
}

/** Links whose words are another host than they lead to. */
function disguises(markdown: string): readonly string[] {
  return [...walk(parseMarkdown(markdown))].flatMap((node) =>
    node.type === "link" &&
    markdown[rangeOf(node).start] === "[" &&
    /^https?:/.test(node.url) &&
    !isHonest(plainWords(node), node.url)
      ? [node.url]
      : [],
  );
}

describe("an answer that is appended to", () => {
  it("shows nothing early that the whole does not begin with", () => {
    fc.assert(
      fc.property(anyDocument, someShares, (markdown, shares) => {
        const text = markdown.slice(0, 2_000);
        const whole = new StreamDrawing().draw(text, { final: true, cuts: [] });
        for (const drawn of appended(text, shares)) expect(whole.slice(0, drawn.length)).toBe(drawn);
      }),
      RUNS,
    );
  });

  it("never calls anybody and never disguises a link, whatever it is made of", () => {
    fc.assert(
      fc.property(pieces, someShares, (markdown, shares) => {
        for (const drawn of [...appended(markdown, shares), ...appended(`${markdown}\n\nend`, [1])]) {
          expect(drawn).not.toMatch(/<[@#!]/);
          expect(disguises(drawn)).toEqual([]);
        }
      }),
      { numRuns: 400 },
    );
  });
});

it("cuts finished blocks where the whole text would be cut", () => {
  fc.assert(
    fc.property(anyDocument, fc.double({ min: 0, max: 1, noNaN: true }), (markdown, share) => {
      const growing = new FinishedBlocks();
      growing.cut(markdown.slice(0, Math.floor(markdown.length * share)));
      expect(growing.cut(markdown).join("")).toBe(markdown);
      expect(growing.cut(markdown)).toEqual(
        expect.arrayContaining([...new FinishedBlocks().cut(markdown)].slice(-1)),
      );
    }),
    RUNS,
  );
});
