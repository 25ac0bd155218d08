import type { MessageLimit } from "../../src/core/answer-file.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { Part } from "../../src/core/growing-reply.ts";
import type { Json } from "../../src/core/json.ts";
import { goesOnAsFile, noticeFor } from "../../src/core/notices.ts";
import type { ReplyContent } from "../../src/core/ports.ts";
import type { Locale } from "../../src/core/turn.ts";
import { FinishedBlocks } from "../../src/markdown/finished-blocks.ts";
import { closeOpenFence, healMarkdown } from "../../src/markdown/heal.ts";
import { withoutPictureBytes } from "../../src/markdown/picture-bytes.ts";
import { remember } from "../../src/markdown/remember.ts";
import { CutMemory, splitMarkdown } from "../../src/markdown/split.ts";
import type { SlackMarkdown } from "./dialect.ts";
import { drawHarmless } from "./draw-block.ts";
import { neutralize, stableLength, toInertText } from "./neutralize.ts";
import { borderOf, fullTableEnd } from "./segments.ts";
import { slackSize } from "./size.ts";
import { StreamDrawing } from "./stream-drawing.ts";

/** Markdown blocks of one payload may hold 12,000 characters in sum (slack.md §1.5, §1.8); 10 % margin (§9.2). */
const PART_LIMIT = 10_800;
/** Notification and screen-reader text of a message with blocks (slack.md §9.2). */
const FALLBACK_LIMIT = 200;
/** Messages of one answer where no file may go, and the note when that is not enough (slack.md §1.5). */
export const MAX_PARTS = 20;
/** A section's text (slack.md §1.8). */
const SECTION_LIMIT = 2_900;

/** One message as `chat.postMessage` and `chat.update` take it. */
export interface SlackPart extends Part {
  readonly text: string;
  readonly blocks: readonly Json[];
  /** It says that the whole answer comes as a file. */
  readonly goesOn?: true;
}

/** The answer, without half of anything that could become something else. */
function stableMarkdown({ answer }: ReplyContent, { final }: { final: boolean }): string {
  const markdown = withoutPictureBytes(answerMarkdown(answer), { final });
  return final ? markdown : markdown.slice(0, stableLength(markdown));
}

interface RenderOptions {
  readonly final: boolean;
  readonly locale: Locale;
  /** Where the messages are cut that were streams, in characters of what is drawn, ascending. */
  readonly cuts?: readonly number[];
  /** Default {@link MAX_PARTS}. */
  readonly limit?: MessageLimit;
}

type SlackRenderer = (content: ReplyContent, options: RenderOptions) => readonly SlackPart[];

/** Cuts the content into messages; none when there is nothing to show yet. */
export function renderParts(content: ReplyContent, options: RenderOptions): readonly SlackPart[] {
  return createRenderer()(content, options);
}

/** {@link renderParts} for one answer that grows: what is finished of it is not worked on again. */
export function createRenderer(): SlackRenderer {
  const blocks = new FinishedBlocks();
  const neutralizeBlock = remember(neutralize);
  const memory = new CutMemory();
  const draw = createPencil();
  const stream = new StreamDrawing();
  return (content, { cuts = [], ...options }) => {
    const { final } = options;
    if (cuts.length > 0) {
      const drawn = stream.draw(answerMarkdown(content.answer), { final, cuts });
      // More than that stands there already.
      if (!final && drawn.length <= (cuts.at(-1) ?? 0)) return [];
      const texts = slicesOf(drawn, cuts, { final });
      // Another text than the one that was cut may leave nothing visible in a slice, or more than a message takes.
      const isShowable = texts.every((text) => hasLetter(text) && text.length <= BLOCK_LIMIT);
      if (isShowable) return toParts(texts, content, options);
    }
    const stretches = blocks.cut(stableMarkdown(content, { final }));
    const finished = stretches.slice(0, -1).map(neutralizeBlock).join("");
    const markdown = finished + neutralize(stretches.at(-1) ?? "");
    const ofSigns = final ? signsOnly(markdown) : [];
    const pieces = hasLetter(markdown) ? splitMarkdown(markdown, { ...PIECES, memory }) : ofSigns;
    return toParts(draw(pieces, { final }).flatMap(withinBlock), content, options);
  };
}

/** Draws each piece of an answer by itself, the last one as half-written while more may come. */
function createPencil(): (pieces: readonly string[], options: { final: boolean }) => readonly string[] {
  const lastPiece = new FinishedBlocks();
  const withTable = remember((block) => drawHarmless(block, { tables: "small" }));
  const withoutTable = remember((block) => drawHarmless(block, { tables: "none" }));
  const drawBlocks = (blocks: readonly string[]): SlackMarkdown => {
    let text = "";
    let hasTable = false;
    for (const block of blocks) {
      const drawn: SlackMarkdown = hasTable ? withoutTable(block) : withTable(block);
      text += drawn.text;
      hasTable ||= drawn.hasTable;
    }
    return { text, hasTable };
  };
  const drawWhole = remember((piece) => drawBlocks(new FinishedBlocks().cut(piece)).text);
  const drawLast = (piece: string, final: boolean): string => {
    const blocks = lastPiece.cut(piece);
    const open = blocks.at(-1) ?? "";
    const { text, hasTable } = drawBlocks(blocks.slice(0, -1));
    const healed = final ? open : closeOpenFence(healMarkdown(open));
    return text + drawHarmless(healed, { tables: hasTable ? "none" : "small" }).text;
  };
  return (pieces, { final }) =>
    pieces.map((piece, index) => (index === pieces.length - 1 ? drawLast(piece, final) : drawWhole(piece)));
}

function withinBlock(text: string): readonly string[] {
  return text.length <= BLOCK_LIMIT ? [text] : splitMarkdown(text, { limit: PART_LIMIT, measure: lengthOf });
}

function lengthOf(text: string): number {
  return text.length;
}

/** Pieces are chosen in the source, what is drawn of them must fit. */
const PIECES = { limit: PART_LIMIT, measure: slackSize };

/** Pieces of an answer that was shown as streams: cut where these were cut, the rest into further ones. */
function slicesOf(drawn: string, cuts: readonly number[], { final }: { final: boolean }): readonly string[] {
  const slices: string[] = [];
  let from = 0;
  let reopen = "";
  for (const cut of cuts.map((at) => wordBorder(drawn, at))) {
    if (cut <= from || cut >= drawn.length) continue;
    const shown = reopen + drawn.slice(from, cut);
    const border = borderOf(shown);
    slices.push(shown + border.close);
    reopen = border.reopen;
    from = cut;
  }
  const rest = splitMarkdown(reopen + drawn.slice(from), { limit: PART_LIMIT, measure: sizeOfDrawn });
  const last = rest.at(-1) ?? "";
  return [...slices, ...rest.slice(0, -1), final ? last : closeOpenFence(healMarkdown(last))];
}

/** What is drawn already grows no more; a table that is full ends the message. */
function sizeOfDrawn(text: string): number {
  return fullTableEnd(text) === undefined ? text.length : Math.max(text.length, PART_LIMIT + 1);
}

/** What one markdown block takes (slack.md §1.8). */
const BLOCK_LIMIT = 12_000;
/** How far back a cut looks for a better place. */
const BORDER_REACH = 200;

function wordBorder(text: string, at: number): number {
  const near = text.slice(Math.max(0, at - BORDER_REACH), at);
  const found = /\S*$/.exec(near)?.[0].length ?? 0;
  if (/\s/.test(text.slice(at, at + 1)) || found === near.length) return safe(text, at);
  return at - found;
}

/** Not between the two halves of a character. */
function safe(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc_00 && code <= 0xdf_ff ? at - 1 : at;
}

function toParts(
  texts: readonly string[],
  content: ReplyContent,
  { final, locale, limit = { messages: MAX_PARTS, rest: "notice" } }: RenderOptions,
): readonly SlackPart[] {
  const kept = texts.slice(0, limit.messages);
  const goesOn = texts.length > kept.length && limit.rest === "file";
  const cut = goesOn ? goesOnAsFile(locale) : texts.length > kept.length ? CUT[locale] : undefined;
  const notice = noticeOf(content, { final, locale, shown: texts.length, ...(cut !== undefined && { cut }) });
  const parts = kept.map((text, index) => toPart(text, index === kept.length - 1 ? notice : undefined));
  const last = parts.at(-1);
  if (goesOn && last !== undefined) return [...parts.slice(0, -1), { ...last, goesOn }];
  return parts.length === 0 && notice !== undefined ? [toPart("", notice)] : parts;
}

/** An answer of signs only, each of which shows itself: a bare `---` would be a line, a bare `##` nothing at all. */
function signsOnly(markdown: string): readonly string[] {
  const text = markdown.trim();
  return /^[\s\p{Cf}]*$/u.test(text) ? [] : [text.replaceAll(/[!-/:-@[-`{-~]/g, String.raw`\$&`)];
}

/** A bare `##` or `**` renders to nothing, which Slack refuses. */
export function hasLetter(markdown: string): boolean {
  return /[\p{L}\p{N}\p{S}\p{Extended_Pictographic}]/u.test(markdown.replaceAll("`", ""));
}

/**
 * What stands below the answer, which may have been cut. An end without any text still says something (slack.md §9.4
 * rule 10).
 */
export function noticeOf(
  { notice }: ReplyContent,
  { final, locale, shown, cut }: { final: boolean; locale: Locale; shown: number; cut?: string },
): string | undefined {
  if (cut !== undefined) return notice === undefined ? cut : `${cut} ${notice}`;
  return notice ?? (final && shown === 0 ? noticeFor("COZE_NO_ANSWER", locale) : undefined);
}

const CUT: Readonly<Record<Locale, string>> = {
  en: "The answer is too long for Slack; the rest is not shown.",
  zh: "回答太长，Slack 无法全部显示，后面的内容已省略。",
};

function toPart(markdown: string, notice: string | undefined): SlackPart {
  const blocks: Json[] = [];
  if (markdown !== "") blocks.push({ type: "markdown", text: markdown });
  if (notice !== undefined) blocks.push(noticeBlock(notice));
  return { text: fallbackText(markdown === "" ? (notice ?? "") : markdown), blocks };
}

/** A sentence of ours, small and set apart. */
export function noticeBlock(notice: string): Json {
  return {
    type: "context",
    elements: [{ type: "mrkdwn", text: `_${toInertText(notice).replaceAll("_", "‗")}_` }],
  };
}

function fallbackText(markdown: string): string {
  const plain = markdown
    .replace(/&lt;|&gt;/g, " ")
    .replace(/[`*_~#>|]+/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  const short = [...plain].slice(0, FALLBACK_LIMIT).join("");
  return toInertText(short === "" ? "…" : short);
}

/** The same message without Markdown, for when Slack cannot digest a block (slack.md §1.10, §14 case 43). */
export function toPlainBlocks(part: SlackPart): SlackPart {
  const blocks = part.blocks.flatMap((block): readonly Json[] => {
    const text = markdownOf(block);
    if (text === undefined) return [block];
    return splitMarkdown(text, { limit: SECTION_LIMIT, measure: (piece) => piece.length }).map((piece) => ({
      type: "section",
      text: { type: "plain_text", text: piece, emoji: false },
    }));
  });
  return { ...part, blocks };
}

function markdownOf(block: Json): string | undefined {
  if (typeof block !== "object" || block === null || !("type" in block) || !("text" in block))
    return undefined;
  const { type, text } = block as { readonly type: Json; readonly text: Json };
  return type === "markdown" && typeof text === "string" ? text : undefined;
}
