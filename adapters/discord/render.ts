import { answerFile, type MessageLimit } from "../../src/core/answer-file.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { Part } from "../../src/core/growing-reply.ts";
import { goesOnAsFile, noticeFor } from "../../src/core/notices.ts";
import type { ReplyContent } from "../../src/core/ports.ts";
import type { Locale } from "../../src/core/turn.ts";
import { codeRanges, neutralizeOutsideCode } from "../../src/markdown/code-ranges.ts";
import { FinishedBlocks } from "../../src/markdown/finished-blocks.ts";
import { closeOpenFence, healMarkdown } from "../../src/markdown/heal.ts";
import { withoutPictureBytes } from "../../src/markdown/picture-bytes.ts";
import { remember } from "../../src/markdown/remember.ts";
import { CutMemory, splitMarkdown } from "../../src/markdown/split.ts";
import { toDiscordMarkdown } from "./dialect.ts";
import { codePoints, discordSize } from "./size.ts";

/** One Discord message. */
export interface DiscordPart extends Part {
  readonly content: string;
  /** It only says that the whole answer comes as a file. */
  readonly last?: true;
  /** What the file says that hangs on it. */
  readonly file?: string;
}

/** Code points of one message (discord.md §2.1). */
export const MAX_CONTENT = 2_000;
const ZERO_WIDTH_SPACE = "\u200b";
/** At least one letter, digit or picture: a lone `##` is not worth a message (pacing.md §4.1). */
const WORTH_SHOWING = /[\p{L}\p{N}\p{Extended_Pictographic}]/u;

/** How far an answer is, and in which language the bridge speaks. */
interface RenderOptions {
  readonly final: boolean;
  readonly locale: Locale;
  /** Default: as many messages as it takes. */
  readonly limit?: MessageLimit;
}

type DiscordRenderer = (content: ReplyContent, options: RenderOptions) => readonly DiscordPart[];

/**
 * Cuts an answer into the messages that show it. Nothing yet to show: none; at the end there is always at least one,
 * because Discord refuses an empty message.
 */
export function renderParts(content: ReplyContent, options: RenderOptions): readonly DiscordPart[] {
  return createRenderer()(content, options);
}

/** {@link renderParts} for one answer that grows: what is finished of it is not worked on again. */
export function createRenderer(): DiscordRenderer {
  const draw = createPencil();
  return (content, { final, locale, limit = ALL }) => {
    const answer = withoutPictureBytes(withoutControls(answerMarkdown(content.answer)), { final });
    const notice = content.notice === undefined ? "" : toSubtext(content.notice);
    if (!final && notice === "" && !WORTH_SHOWING.test(answer)) return [];
    const parts = draw(answer, { final });
    const shown = parts.slice(0, limit.messages);
    if (parts.length > shown.length && limit.rest === "file") {
      // In a message of its own: nothing that stands there already has to make room for it.
      const last = { content: below(toSubtext(goesOnAsFile(locale)), notice), last: true } as const;
      return [...shown.map(toPart), final ? { ...last, file: answerFile(content.answer) } : last];
    }
    const underneath = parts.length > shown.length ? below(toSubtext(CUT[locale]), notice) : notice;
    const texts = underneath === "" ? shown : appendNotice(shown, underneath);
    if (texts.length > 0 || !final) return texts.map(toPart);
    return [toPart(toSubtext(noticeFor("COZE_NO_ANSWER", locale)))];
  };
}

const ALL: MessageLimit = { messages: Number.POSITIVE_INFINITY, rest: "notice" };

const CUT: Readonly<Record<Locale, string>> = {
  en: "The answer is too long for this place; the rest is not shown.",
  zh: "回答太长，这里无法全部显示，后面的内容已省略。",
};

function toPart(content: string): DiscordPart {
  return { content };
}

function below(sentence: string, notice: string): string {
  return notice === "" ? sentence : cut(`${sentence}\n${notice}`);
}

/** Cuts the source, where a longer text leaves the cuts before its end alone, and draws each piece by itself. */
function createPencil(): (markdown: string, options: { final: boolean }) => readonly string[] {
  const memory = new CutMemory();
  const lastPiece = new FinishedBlocks();
  const drawBlock = remember(toHarmlessMarkdown);
  const drawWhole = remember((piece) => new FinishedBlocks().cut(piece).map(drawBlock).join(""));
  const drawLast = (piece: string, final: boolean): string => {
    const blocks = lastPiece.cut(piece);
    const open = blocks.at(-1) ?? "";
    const finished = blocks.slice(0, -1).map(drawBlock).join("");
    return finished + toHarmlessMarkdown(final ? open : closeOpenFence(healMarkdown(open)));
  };
  return (markdown, { final }) => {
    const pieces = splitMarkdown(markdown, { limit: MAX_CONTENT, measure: discordSize, memory });
    const last = pieces.length - 1;
    return pieces
      .map((piece, index) => (index === last ? drawLast(piece, final) : drawWhole(piece)))
      .flatMap((text) => splitMarkdown(text, { limit: MAX_CONTENT, measure: codePoints }));
  };
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
  return toHarmlessMarkdown(notice)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => `-# ${line}`)
    .join("\n");
}

function cut(text: string): string {
  return [...text].slice(0, MAX_CONTENT).join("");
}

/** What the model or the name of a file may hold, so that it neither calls, nor misleads, nor hides anything. */
function toHarmlessMarkdown(markdown: string): string {
  return withoutMentions(toDiscordMarkdown(withoutControls(markdown)));
}

/** Control characters, and those that turn the direction of what follows. */
function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, "");
}

/** Makes mentions plain to see and harmless, outside code and addresses (discord.md §2.4). */
function withoutMentions(markdown: string): string {
  if (!/@(?:everyone|here)|<@[!&]?\d/.test(markdown)) return markdown;
  return neutralizeOutsideCode(markdown, (text) =>
    text
      .replaceAll(/@(?=everyone|here)/g, `@${ZERO_WIDTH_SPACE}`)
      .replaceAll(/<(?=@[!&]?\d)/g, `<${ZERO_WIDTH_SPACE}`),
  );
}
