import type { Code, Nodes, Table } from "mdast";
import { type Range, rangeOf } from "./parse.ts";

/** What a cut leaves open, and how the next part takes it up. */
export interface Reopening {
  /** Text to put before the rest of the source. */
  readonly before: string;
  /** Columns that the rest of the list is moved to the left. */
  readonly dedent: number;
  readonly fence: OpenFence | undefined;
}

/** What tells a fence's closing line from its content. */
export interface OpenFence {
  /** E.g. four backticks. */
  readonly marker: string;
  /** Columns that the opening line is indented, behind quote marks. */
  readonly indent: number;
}

export const NOTHING_OPEN: Reopening = { before: "", dedent: 0, fence: undefined };

/** Indented this far, a line outside its list would be code (CommonMark §4.4). */
const CODE_INDENT = 4;
/** Longer info strings are not repeated: they are attributes for some web page, not a language. */
const MAX_INFO_LENGTH = 40;
/** A header longer than this is not repeated; the rows then go on as text. */
const MAX_HEADER_LENGTH = 500;

/** A fence as it stands in the source. */
export interface Fence extends Range, OpenFence {
  readonly info: string;
  /** Quote marks and indentation in front of it, list markers as spaces. */
  readonly margin: string;
  /** Where its content starts. */
  readonly content: number;
}

/** Reads a code block's fence; `undefined` for indented code. */
export function toFence(node: Code, text: string): Fence | undefined {
  const { start, end } = rangeOf(node);
  const opening = /^(`{3,}|~{3,})([^\r\n]*)(?:\r?\n|$)/.exec(text.slice(start, end));
  if (opening === null) return undefined;
  const [line, marker = "", info = ""] = opening;
  const margin = text.slice(lineStart(text, start), start).replace(/[^>\t]/g, " ");
  const indent = width(margin.replace(QUOTES, ""));
  const lastLine = lineStart(text, end);
  const closed = lastLine > start && closingLength(text.slice(lastLine, end), { marker, indent }) > 0;
  return {
    start,
    end: closed ? end : Number.POSITIVE_INFINITY,
    marker,
    info: info.trim(),
    margin,
    indent,
    content: start + line.length,
  };
}

/** Quote marks at the start of a line. */
const QUOTES = /^ {0,3}(?:> ?)+/;

/** Length of the closing line of a fence at the text's start, 0 when it does not start with one. */
export function closingLength(text: string, { marker, indent }: OpenFence): number {
  const line = /^((?: {0,3}(?:> ?)+)?)([ \t]*)(`{3,}|~{3,})[ \t]*(?:\r?\n|$)/.exec(text);
  if (line === null) return 0;
  const [all, , margin = "", found = ""] = line;
  const closes =
    found[0] === marker[0] && found.length >= marker.length && width(margin) - indent < CODE_INDENT;
  return closes ? all.length : 0;
}

export function lineStart(text: string, index: number): number {
  return text.lastIndexOf("\n", index - 1) + 1;
}

/** What is open at a cut, outermost first. */
export interface Context {
  readonly ancestors: readonly Nodes[];
  readonly fence: Fence | undefined;
  /** What comes next in the source, to see how it is indented. */
  readonly following: string;
  /** The cut is at the start of a line. */
  readonly atLineStart: boolean;
}

/** How the part after a cut takes up what the cut left open. */
export function reopen(context: Context, text: string): Reopening {
  const { ancestors, fence, following } = context;
  const quotes = "> ".repeat(ancestors.filter(({ type }) => type === "blockquote").length);
  const inList = ancestors.some(({ type }) => type === "list");
  const lineMargin = context.atLineStart && following.startsWith(">") ? "" : quotes;
  if (fence !== undefined) {
    const dedent = inList && fence.indent >= CODE_INDENT ? fence.indent : 0;
    const margin = dedent > 0 ? quotes : fence.margin;
    const info = fence.info.length > MAX_INFO_LENGTH ? "" : fence.info;
    return {
      before: `${margin}${fence.marker}${info}\n${lineMargin}`,
      dedent,
      fence: { marker: fence.marker, indent: dedent > 0 ? 0 : fence.indent },
    };
  }
  const dedent = inList && context.atLineStart ? deepIndent(following) : 0;
  const table = ancestors.find((node) => node.type === "table");
  const header = table === undefined ? "" : headerOf(table, text, quotes);
  return { before: header + lineMargin, dedent, fence: undefined };
}

/** Header and delimiter row, each on a line of its own behind the quote marks. */
function headerOf(table: Table, text: string, quotes: string): string {
  const { start, end } = rangeOf(table);
  const [header = "", delimiter = ""] = text.slice(start, end).split("\n", 2);
  const lines = [header, delimiter]
    .map((line) => `${quotes}${line.trim().replace(/^(?:> ?)+/, "")}\n`)
    .join("");
  return lines.length > MAX_HEADER_LENGTH ? "" : lines;
}

function deepIndent(following: string): number {
  const [, indent = ""] = /^(?: {0,3}(?:> ?)+)?([ \t]*)/.exec(following) ?? [];
  const columns = width(indent);
  return columns >= CODE_INDENT ? columns : 0;
}

function width(indent: string): number {
  return [...indent].reduce(
    (columns, char) => (char === "\t" ? columns + 4 - (columns % 4) : columns + 1),
    0,
  );
}

/** Moves the lines of a list to the left, up to the first line that is not part of it. */
export function dedentList(rest: string, columns: number): string {
  const lines = rest.split("\n");
  const outside = lines.findIndex((line, index) => index > 0 && /^(?: {0,3}(?:> ?)+)?[ ]?[^\s>]/.test(line));
  const count = outside < 0 ? lines.length : outside;
  return lines.map((line, index) => (index < count ? dedentLine(line, columns) : line)).join("\n");
}

function dedentLine(line: string, columns: number): string {
  const [all = "", quotes = "", indent = ""] = /^((?: {0,3}(?:> ?)+)?)([ \t]*)/.exec(line) ?? [];
  const kept = Math.max(0, width(indent) - columns);
  return quotes + " ".repeat(kept) + line.slice(all.length);
}
