/**
 * What it costs to draw a growing answer again and again: `npm run bench:render`. An answer of 8 KB, and one long table
 * of 100 KB, are drawn 100 times while they grow, as one reply draws them, once as a draft each time and once at the end.
 */
import { performance } from "node:perf_hooks";
import { createRenderer as createDiscordRenderer } from "../adapters/discord/render.ts";
import { createRenderer as createSlackRenderer } from "../adapters/slack/render.ts";
import { StreamDrawing } from "../adapters/slack/stream-drawing.ts";
import { type AnswerState, answerMarkdown, EMPTY_ANSWER } from "../src/core/answer-state.ts";
import type { ReplyContent } from "../src/core/ports.ts";

const SIZE = 8_192;
const TABLE_SIZE = 100_000;
const STEPS = 100;

/** Headings, lists, a table, code, quotes, links, in English and Chinese. */
const CHAPTER = [
  "## Step one: 准备环境",
  "First install the package, then **read the notes** and `run` it; see [the guide](https://docs.example/guide).",
  "1. 打开终端\n2. 输入 `npm ci`，等待完成\n   - 如果失败，**注意：**请检查网络\n   - otherwise go on\n3. Done",
  "| Name | Use | 说明 |\n|---|---|---|\n| alpha | reads | 读取文件 |\n| beta | writes | 写入文件 |",
  "```ts\nconst value: number = 1;\nexport function twice(n: number): number {\n  return n * 2;\n}\n```",
  "> A quote that says something _important_ about it.",
  "A longer paragraph follows here so that there is something to read as well. 这一段是中文内容，用来模拟真实的回答。",
].join("\n\n");
const ANSWER = `${CHAPTER}\n\n`.repeat(Math.ceil(SIZE / CHAPTER.length)).slice(0, SIZE);

const HEAD = "| Name | Use | 说明 | link |\n|---|---|---|---|\n";
const ROW = "| row | some words here | 读取文件 | [x](https://a.example/page) |\n";
const TABLE = HEAD + ROW.repeat(Math.ceil(TABLE_SIZE / ROW.length));

function contentOf(text: string, completed: boolean): ReplyContent {
  const answer: AnswerState = {
    ...EMPTY_ANSWER,
    status: completed ? "completed" : "running",
    answers: [{ messageId: "1", text, reasoning: "", contentType: "text", completed }],
  };
  return { answer };
}

type Draw = (content: ReplyContent, options: { final: boolean; locale: "en" }) => unknown;

function createStream(): Draw {
  const drawing = new StreamDrawing();
  return ({ answer }, { final }) => drawing.draw(answerMarkdown(answer), { final, cuts: [] });
}

/** Milliseconds for all drafts of one answer, and for the dearest of them. */
function grow(
  answer: string,
  createRenderer: () => Draw,
): { readonly all: number; readonly dearest: number } {
  const draw = createRenderer();
  let all = 0;
  let dearest = 0;
  for (let step = 1; step <= STEPS; step += 1) {
    const text = answer.slice(0, Math.ceil((answer.length * step) / STEPS));
    const from = performance.now();
    draw(contentOf(text, step === STEPS), { final: step === STEPS, locale: "en" });
    const took = performance.now() - from;
    all += took;
    dearest = Math.max(dearest, took);
  }
  return { all, dearest };
}

for (const [what, answer, rounds] of [
  ["an answer", ANSWER, 5],
  ["a table", TABLE, 3],
] as const) {
  for (const [platform, createRenderer] of [
    ["discord", createDiscordRenderer],
    ["slack", createSlackRenderer],
    ["slack stream", createStream],
  ] as const) {
    grow(answer, createRenderer);
    const runs = Array.from({ length: rounds }, () => grow(answer, createRenderer));
    const median = runs.sort((a, b) => a.all - b.all)[Math.floor(rounds / 2)];
    console.log(
      `${platform}: ${median?.all.toFixed(0)} ms for ${STEPS} growing renders of ${what} of ${answer.length} ` +
        `characters, the dearest ${median?.dearest.toFixed(1)} ms (median of ${rounds})`,
    );
  }
}
