import type { Blockquote } from "mdast";
import type { Edit } from "./edits.ts";
import { type Range, rangeOf, walk } from "./parse.ts";

/** Stands for each quote mark but the first: chats know quotes, but no quotes inside of quotes. */
const INNER_QUOTE = "│ ";

/** What the lines of a block start with that begins at `start`: flattened quote marks, spaces for list markers. */
export function marginAt(source: string, start: number): string {
  const lead = source.slice(source.lastIndexOf("\n", start - 1) + 1, start);
  const toSpaces = (text: string): string => text.replace(/[^\t]/g, " ");
  const [before = "", ...behind] = lead.split(">");
  const last = behind.at(-1);
  if (last === undefined) return toSpaces(lead);
  return toSpaces(before) + quoteMarks(behind.length) + toSpaces(last).slice(1);
}

function quoteMarks(depth: number): string {
  return `> ${INNER_QUOTE.repeat(depth - 1)}`;
}

/** Quotes inside of quotes as one quote with bars; each mark gets the space behind it that chats want. */
export function flatQuotes(quote: Blockquote, source: string): readonly Edit[] {
  // Nobody begins with a quote in a quote in a quote: this is Python's prompt.
  const isPrompt = source.startsWith(">>>", rangeOf(quote).start);
  const inner = [...walk(quote)].filter(({ type }) => type === "blockquote").map(rangeOf);
  return linesOf(rangeOf(quote), source).flatMap((line) => {
    const depth = inner.filter((range) => isMarked(range, line, source)).length;
    const lead = /^ {0,3}/.exec(source.slice(line.start, line.end))?.[0].length ?? 0;
    const from = line.start + lead;
    const marks = leadingMarks(source.slice(from, line.end), depth);
    const text = isPrompt ? `\\${marks}` : quoteMarks(depth);
    return marks === "" || marks === text ? [] : [{ start: from, end: from + marks.length, text }];
  });
}

/** The quote goes over the line, and does not begin behind its first words or the mark of a list. */
function isMarked({ start, end }: Range, line: Range, source: string): boolean {
  if (end <= line.start || start >= line.end) return false;
  return start < line.start || /^[ \t>]*$/.test(source.slice(line.start, start));
}

/** At most `depth` quote marks at a line's start, each with a space behind it. */
function leadingMarks(line: string, depth: number): string {
  let end = 0;
  for (let count = 0; count < depth; count += 1) {
    const mark = /^ {0,3}> ?/.exec(line.slice(end))?.[0];
    if (mark === undefined) return count === 0 ? "" : line.slice(0, end);
    end += mark.length;
  }
  return line.slice(0, end);
}

function linesOf({ start, end }: Range, source: string): readonly Range[] {
  const lines: Range[] = [];
  for (let at = start; at < end; ) {
    const next = source.indexOf("\n", at);
    const stop = next < 0 || next >= end ? end : next + 1;
    lines.push({ start: at, end: stop });
    at = stop;
  }
  return lines;
}
