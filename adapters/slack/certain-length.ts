import type { Nodes, Root } from "mdast";
import { halfUrl } from "../../src/markdown/bare-urls.ts";
import { formulasOf, isHalfFormula } from "../../src/markdown/math.ts";
import { contentOf, parseMarkdown, type Range, rangeOf, walk } from "../../src/markdown/parse.ts";
import { isLineBreak } from "../../src/markdown/table-text.ts";
import { isStuck, type NativeTables, nativeTableOf } from "./dialect.ts";
import { linkAt } from "./inline-links.ts";

/** What nobody closed over so many characters is taken for text: a reply does not stand still for it. */
const MAX_HELD_BACK = 300;

/**
 * How much of the last block of a growing text is drawn the same whatever follows: all but a token, a link, a formula
 * or marks that are not whole yet, a line that may become part of a table, a row that is still written.
 *
 * @param block - From the start of a block that stands by itself, see `FinishedBlocks`.
 */
export function certainLength(block: string, { tables }: { readonly tables: NativeTables }): number {
  const starts = SPECIAL.test(block) ? uncertainStarts(block, tables) : [halfUrlNear(block)];
  const halfCharacter = lastMatch(/[\uD800-\uDBFF]$/, block);
  return Math.min(block.length, ...[...starts, halfCharacter].filter((start) => start !== undefined));
}

/** What else than an address may not be whole begins with one of these, or is a table. Without one the parser need not be asked. */
const SPECIAL = /[>`*_~[<|@!\\$]|:-|-:/;

function halfUrlNear(block: string): number | undefined {
  const start = halfUrl(block);
  return start === undefined || block.length - start > MAX_HELD_BACK ? undefined : start;
}

function uncertainStarts(block: string, tables: NativeTables): readonly (number | undefined)[] {
  const tree = parseMarkdown(block);
  const ends = lastNodes(tree);
  const open = { block, ends, from: openStart(block, ends) };
  const table = ends.find(({ type }) => type === "table");
  const quoteMarks = lastMatch(/(?<=(?:^|\n)[ \t\-+*\d.)]*)>[> \t]*$/, block);
  if (isCode(open)) return [openingLine(open), lastMatch(/<$/, block), quoteMarks];
  return [
    ...(table === undefined ? [tableLine(open)] : [tableStart(open, table, nativeTableOf(tree, tables))]),
    ...unclosed(open),
    ...undecidedMarks(open),
    ...undecidedFormula(open),
    quoteMarks,
  ];
}

/** What may still change. */
interface Open {
  readonly block: string;
  /** The last node of each level, outermost first. */
  readonly ends: readonly Nodes[];
  /** Where the paragraph begins that is being written. */
  readonly from: number;
}

function lastNodes(root: Root): readonly Nodes[] {
  const ends: Nodes[] = [];
  for (let node: Nodes | undefined = root; node !== undefined; ) {
    ends.push(node);
    node = isInline(node) || !("children" in node) ? undefined : node.children.at(-1);
  }
  return ends;
}

/** Holds no blocks. */
function isInline({ type }: Nodes): boolean {
  return type === "paragraph" || type === "heading" || type === "tableCell";
}

/** A blank line ends a paragraph: behind it nothing is open. */
function openStart(block: string, ends: readonly Nodes[]): number {
  const leaf = ends.at(-1);
  if (leaf === undefined || leaf.type === "root") return 0;
  const { start, end } = rangeOf(leaf);
  return /\n[ \t>]*\n/.test(block.slice(end)) ? end : start;
}

function lastMatch(pattern: RegExp, text: string): number | undefined {
  return pattern.exec(text)?.index;
}

function isCode({ block, ends }: Open): boolean {
  const leaf = ends.at(-1);
  return leaf?.type === "code" && /^(?:`{3}|~{3})/.test(block.slice(rangeOf(leaf).start));
}

/** A fence's own line: one more backtick in it, and it is none. */
function openingLine({ block, ends }: Open): number | undefined {
  const { start } = rangeOf(ends.at(-1) ?? { type: "root", children: [] });
  return block.includes("\n", start) ? undefined : start;
}

/** A table that Slack draws grows by rows; another one is drawn when its widths are known, at its end. */
function tableStart({ block, ends }: Open, table: Nodes, native: Nodes | undefined): number | undefined {
  const { start, end } = rangeOf(table);
  if (/\n[ \t>]*\n/.test(block.slice(end))) return undefined;
  const lastLine = block.lastIndexOf("\n") + 1;
  const isHead = "children" in table && table.children.length === 1 && lastLine < block.length;
  return table !== native || isHead || ends[1] !== table ? start : lastLine;
}

/** A line with bars is a table's head if the next one is made of dashes. */
function tableLine({ block, ends, from }: Open): number | undefined {
  if (ends.at(-1)?.type !== "paragraph") return undefined;
  const lastLine = block.lastIndexOf("\n") + 1;
  const previousLine = block.lastIndexOf("\n", lastLine - 2) + 1;
  const mayBeDashes = /^[ \t>]*[|:\-\s]*$/.test(block.slice(lastLine));
  if (mayBeDashes && lastLine > from && block.slice(previousLine, lastLine).includes("|"))
    return Math.max(from, previousLine);
  return block.includes("|", Math.max(from, lastLine)) ? Math.max(from, lastLine) : undefined;
}

/** Starts of what is not closed in the text of a paragraph. */
function unclosed(open: Open): readonly (number | undefined)[] {
  const { block, from } = open;
  const text = block.slice(from);
  const near = Math.max(0, text.length - MAX_HELD_BACK);
  const recent = (start: number | undefined): number | undefined =>
    start === undefined || start < near ? undefined : from + start;
  return [
    recent(lastMatch(/<(?:[@#!/a-z][^<>\n]*)?$/i, text)),
    recent(lineBreakAlone(text)),
    recent(callAtEnd(text)),
    recent(lastMatch(/(?:!|\\|[*_~]+)$/, text)),
    recent(halfUrl(text)),
    recent(inHalfCode(open)),
    halfLink(open),
  ];
}

/** It is a line end, or the beginning of a block of HTML. */
function lineBreakAlone(text: string): number | undefined {
  return isLineBreak(text.trim()) ? 0 : undefined;
}

/** One of the words that call everybody, or the beginning of one. */
function callAtEnd(text: string): number | undefined {
  const [call = "", word = ""] = /@([a-z]*)$/i.exec(text) ?? [];
  const isBegun = ["here", "channel", "everyone"].some((name) => name.startsWith(word.toLowerCase()));
  return call !== "" && isBegun ? text.length - call.length : undefined;
}

/** The first link that is not whole, with the sign that makes it a picture. */
function halfLink({ block, from }: Open): number | undefined {
  for (let start = block.indexOf("[", from); start >= 0; start = block.indexOf("[", start + 1)) {
    if (linkAt(block, start) !== "open") continue;
    // A label alone is not waited for as long as for an address.
    if (block.length - start > MAX_HELD_BACK && !block.includes("](", start)) continue;
    return block[start - 1] === "!" ? start - 1 : start;
  }
  return undefined;
}

/** Between backticks that are not closed: what looks otherwise in code than in text. */
function inHalfCode({ block, from, ends }: Open): number | undefined {
  const spans = codeSpans(ends);
  const atEnd = spans.find(({ end }) => end === block.length);
  if (atEnd !== undefined) return atEnd.start - from;
  for (const { index } of block.slice(from).matchAll(/(?<!\\)`+/g)) {
    if (spans.some(({ start, end }) => start <= from + index && from + index < end)) continue;
    if (block.length - from - index > MAX_HELD_BACK) continue;
    const special = /[<@[\\$*_~]|https?:/i.exec(block.slice(from + index));
    return special === null ? undefined : index + special.index;
  }
  return undefined;
}

function codeSpans(ends: readonly Nodes[]): readonly Range[] {
  const leaf = ends.at(-1);
  return leaf === undefined ? [] : [...walk(leaf)].filter(({ type }) => type === "inlineCode").map(rangeOf);
}

/** Marks that get room beside them once they are closed: from where they open. */
function undecidedMarks({ block, ends, from }: Open): readonly (number | undefined)[] {
  const leaf = ends.at(-1);
  if (leaf === undefined || rangeOf(leaf).start < from) return [];
  return [...walk(leaf)].map((node) => {
    const { start, end } = rangeOf(node);
    if (node.type === "text") return openMark(block, { start, end });
    const isClosed = node.type === "strong" || node.type === "emphasis" || node.type === "delete";
    const content = isClosed ? contentOf(node) : undefined;
    // What comes next tells whether this closes it.
    return content !== undefined && end === block.length && getsRoom(block, start, content.start)
      ? start
      : undefined;
  });
}

function openMark(block: string, { start, end }: Range): number | undefined {
  for (const { index, 0: run } of block.slice(start, end).matchAll(/(?<!\\)[*_~]+/g)) {
    const at = start + index;
    if (block.length - at <= MAX_HELD_BACK && getsRoom(block, at, at + run.length)) return at;
  }
  return undefined;
}

function getsRoom(block: string, start: number, contentStart: number): boolean {
  const inside = [...block.slice(contentStart, contentStart + 2)][0] ?? "";
  const outside = [...block.slice(Math.max(0, start - 2), start)].at(-1) ?? "";
  return isStuck(inside, outside);
}

/** A formula that is not closed, or of which it is not known whether it stands alone. */
function undecidedFormula({ block, ends, from }: Open): readonly (number | undefined)[] {
  const leaf = ends.at(-1);
  if (leaf === undefined || (leaf.type !== "paragraph" && leaf.type !== "heading")) return [];
  if (rangeOf(leaf).start < from) return [];
  const whole = formulasOf(leaf, block);
  const textEnd = block.trimEnd().length;
  const last = whole.find(({ display, end }) => (display ? end >= textEnd : end === block.length));
  const skipped = [...whole, ...codeSpans(ends)];
  const half = [...block.slice(from).matchAll(/\$\$?|\\[[(\\]/g)]
    .map(({ index }) => from + index)
    .find((at) => !skipped.some(({ start, end }) => start <= at && at < end) && isHalfFormula(block, at));
  return [last?.start, half];
}
