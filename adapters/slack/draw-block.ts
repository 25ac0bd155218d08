import { type NativeTables, type SlackMarkdown, toSlackMarkdown } from "./dialect.ts";
import { neutralize } from "./neutralize.ts";

/** Harmless Markdown in Slack's dialect. What is written anew of it is looked at once more: nothing may have become a token. */
export function drawHarmless(markdown: string, options: { tables: NativeTables }): SlackMarkdown {
  const { text, hasTable } = toSlackMarkdown(markdown, options);
  return { text: text === markdown ? text : neutralize(text), hasTable };
}

/** Markdown of the model as Slack is to show it. */
export function drawBlock(markdown: string, options: { tables: NativeTables }): SlackMarkdown {
  return drawHarmless(neutralize(markdown), options);
}
