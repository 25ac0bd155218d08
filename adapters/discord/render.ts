import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { Part } from "../../src/core/growing-reply.ts";
import { noticeFor } from "../../src/core/notices.ts";
import type { ReplyContent } from "../../src/core/ports.ts";
import type { Locale } from "../../src/core/turn.ts";
import { codeRanges, neutralizeOutsideCode } from "../../src/markdown/code-ranges.ts";
import { healMarkdown } from "../../src/markdown/heal.ts";
import { splitMarkdown } from "../../src/markdown/split.ts";
import { withHonestLinks } from "./honest-links.ts";

/** One Discord message. */
export interface DiscordPart extends Part {
  readonly content: string;
}

/** Code points of one message (discord.md §2.1). */
export const MAX_CONTENT = 2_000;
const ZERO_WIDTH_SPACE = "\u200b";
/** At least one letter, digit or picture: a lone `##` is not worth a message (pacing.md §4.1). */
const WORTH_SHOWING = /[\p{L}\p{N}\p{Extended_Pictographic}]/u;

/**
 * Cuts an answer into the messages that show it. Nothing yet to show: none; at the end there is always at least one,
 * because Discord refuses an empty message.
 */
export function renderParts(
  content: ReplyContent,
  { final, locale }: { readonly final: boolean; readonly locale: Locale },
): readonly DiscordPart[] {
  const answer = harmless(answerMarkdown(content.answer));
  const notice = content.notice === undefined ? "" : toSubtext(content.notice);
  if (!final && notice === "" && !WORTH_SHOWING.test(answer)) return [];
  const shown = final ? answer : healMarkdown(answer);
  const parts = splitMarkdown(shown, { limit: MAX_CONTENT, measure: codePoints });
  const texts = notice === "" ? parts : appendNotice(parts, notice);
  if (texts.length > 0 || !final) return texts.map((text) => ({ content: text }));
  return [{ content: toSubtext(noticeFor("COZE_NO_ANSWER", locale)) }];
}

/** Discord counts code points, JavaScript UTF-16 units (discord.md §2.1). */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The notice stands below the answer: in the last message if there is room, else in one of its own. */
function appendNotice(parts: readonly string[], notice: string): readonly string[] {
  const last = parts.at(-1);
  if (last === undefined) return [cut(notice)];
  const together = `${last}\n${notice}`;
  // In a fence that the bot left open it would be read as code.
  const isCode = codeRanges(together).some(({ end }) => end > last.length);
  const fits = codePoints(together) <= MAX_CONTENT && !isCode;
  return fits ? parts.with(-1, together) : [...parts, cut(notice)];
}

/** Small grey lines, one per line; names of files in it may hold mentions. */
function toSubtext(notice: string): string {
  return harmless(notice)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => `-# ${line}`)
    .join("\n");
}

function cut(text: string): string {
  return [...text].slice(0, MAX_CONTENT).join("");
}

/** What the model or the name of a file may hold, so that it neither calls, nor misleads, nor hides anything. */
function harmless(markdown: string): string {
  return withoutMentions(withHonestLinks(withoutControls(markdown)));
}

/** Control characters, and those that turn the direction of what follows. */
function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, "");
}

/** Makes mentions plain to see and harmless, outside code and addresses (discord.md §2.4). */
function withoutMentions(markdown: string): string {
  return neutralizeOutsideCode(markdown, (text) =>
    text
      .replaceAll(/@(?=everyone|here)/g, `@${ZERO_WIDTH_SPACE}`)
      .replaceAll(/<(?=@[!&]?\d)/g, `<${ZERO_WIDTH_SPACE}`),
  );
}
