import { expectedAnswer } from "./coze/bot.ts";
import { samplePicture } from "./sample-picture.ts";
import type { Stage } from "./stage.ts";

/** One thing that somebody does, and the answer that has to come of it. */
export interface Scene {
  readonly stage: Stage;
  readonly about: string;
  /** @returns The place to watch. */
  readonly act: () => string;
  readonly expected: string;
}

/** What the sandbox plays: a mention, a command, and a direct message with a picture on each platform. */
export function scenes(discord: Stage, slack: Stage): readonly Scene[] {
  const bytes = samplePicture();
  const picture = { name: "sunset.png", bytes };
  const withPicture = (text: string): string =>
    expectedAnswer({ text, files: [{ name: picture.name, bytes: bytes.length, kind: "image" }] });
  return [
    {
      stage: discord,
      about: "Ada mentions the bot in a Discord channel · 在 Discord 频道里 @ 智能体",
      act: () => discord.mention("tell me a story"),
      expected: expectedAnswer({ text: "tell me a story" }),
    },
    {
      stage: slack,
      about: "Ada uses /coze in a Slack channel · 在 Slack 频道里输入 /coze",
      act: () => slack.command("今天天气怎么样？"),
      expected: expectedAnswer({ text: "今天天气怎么样？" }),
    },
    {
      stage: discord,
      about: "Ada sends the bot a picture in Discord · 在 Discord 私信里发图片",
      act: () => discord.dm("What is in this picture?", [picture]),
      expected: withPicture("What is in this picture?"),
    },
    {
      stage: slack,
      about: "Ada sends the bot a picture in Slack · 在 Slack 私信里发图片",
      act: () => slack.dm("这张图片里有什么？", [picture]),
      expected: withPicture("这张图片里有什么？"),
    },
  ];
}
