import fc from "fast-check";
import { expect, it } from "vitest";
import { toDiscordMarkdown } from "../../adapters/discord/dialect.ts";
import { toSlackMarkdown } from "../../adapters/slack/dialect.ts";
import { oddLines } from "../markdown/documents.ts";

/** Something that has to be looked at, and stays as it is, behind a text that opens nothing. */
const DISCORD_TAIL = "\n\n#5";
const SLACK_TAIL = "\n\n$5";
/** Reaches over a blank line. */
const REACHES_ON = /```|~~~|<|^[^\S\n]/m;

it.each([
  ["Discord", toDiscordMarkdown, DISCORD_TAIL],
  ["Slack", (text: string) => toSlackMarkdown(text, { tables: "any" }).text, SLACK_TAIL],
])("changes text for %s in the same way, whether the parser has to be asked or not", (_, draw, tail) => {
  fc.assert(
    fc.property(oddLines, (markdown) => {
      const text = markdown.trimEnd();
      fc.pre(text !== "" && !REACHES_ON.test(text));
      expect(draw(text + tail)).toBe(draw(text) + tail);
    }),
    { numRuns: 1_000 },
  );
});

it.each([
  ["#### a", "**a**", "#### a"],
  ["a<br>b", "a\nb", "a\nb"],
  ["a\n:-\n1", "```\na\n-\n1\n```", "| a |\n| :-- |\n| 1 |"],
  ["a\n-:\n1", "```\na\n-\n1\n```", "| a |\n| --: |\n| 1 |"],
  ["a\n---", "## a", "a\n---"],
  ["+ a\n+ b", "- a\n- b", "+ a\n+ b"],
  ["1) a", "1. a", "1) a"],
  ["````\na\n````", "```\na\n```", "````\na\n````"],
  ["看https://a.example/b。好", "看<https://a.example/b>。好", "看<https://a.example/b>。好"],
  ["Python的__init__方法", String.raw`Python的\_\_init\_\_方法`, "Python的__init__方法"],
  ["销售_数据_最终版.xlsx", String.raw`销售_数据\_最终版.xlsx`, "销售_数据_最终版.xlsx"],
  ["姓名：____", String.raw`姓名：\_\_\_\_`, "姓名：____"],
  ["snake_case_name ok", "snake_case_name ok", "snake_case_name ok"],
])("changes %j, which has one special character", (markdown, discord, slack) => {
  expect(toDiscordMarkdown(markdown)).toBe(discord);
  expect(toSlackMarkdown(markdown, { tables: "any" }).text).toBe(slack);
});
