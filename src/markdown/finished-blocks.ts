import { parseMarkdown, rangeOf } from "./parse.ts";

/**
 * Cuts a growing text before each top-level block that stands behind a blank line: all stretches but the last are
 * finished, whatever is appended, and can be drawn on their own.
 *
 * Remembers what it cut before: only the last stretch is parsed again while the text goes on.
 */
export class FinishedBlocks {
  #finished = "";
  #stretches: string[] = [];

  /** @returns Stretches that join to the text; none for an empty one. */
  cut(markdown: string): readonly string[] {
    if (!markdown.startsWith(this.#finished)) {
      this.#finished = "";
      this.#stretches = [];
    }
    const open = markdown.slice(this.#finished.length);
    let from = 0;
    for (const start of blockStarts(open)) {
      this.#stretches.push(open.slice(from, start));
      from = start;
    }
    this.#finished += open.slice(0, from);
    const rest = open.slice(from);
    return rest === "" ? [...this.#stretches] : [...this.#stretches, rest];
  }
}

/** Starts of lines on which a later block begins, each one behind a blank line. */
function blockStarts(markdown: string): readonly number[] {
  if (!/\n[ \t]*\r?\n/.test(markdown)) return [];
  const certain = certainStarts(markdown);
  if (certain !== undefined) return certain;
  const [, ...later] = parseMarkdown(markdown).children;
  return later
    .map((node) => markdown.lastIndexOf("\n", rangeOf(node).start - 1) + 1)
    .filter((start) => /\n[ \t]*\r?\n$/.test(markdown.slice(Math.max(0, start - 100), start)));
}

/** The beginning of a text, or a line of HTML or of an indented fence, that only the parser can judge. */
const UNCLEAR_TEXT = /^[\s\uFEFF]|\r/;
const UNCLEAR_LINE = /^(?: {0,3}<| {1,3}(?:`{3}|~{3}))/;
/** At the start of a line that stands behind a blank one: a block begins, whatever is above. */
const BEGINS = /^(?:[^\s\-+*\d]|\*\*)/;
/** A line that may be an item of a list: the next one may be part of the same list. */
const LIKE_ITEM = /^ {0,3}[-+*\d]/;

/** {@link blockStarts} without the parser; `undefined` when it must be asked, as about lists with blank lines in them. */
function certainStarts(markdown: string): readonly number[] | undefined {
  if (UNCLEAR_TEXT.test(markdown)) return undefined;
  const starts: number[] = [];
  let at = 0;
  let fence = "";
  let isBehindBlank = false;
  let hasItems = false;
  for (const line of markdown.split("\n")) {
    if (fence !== "") fence = closes(fence, line) ? "" : fence;
    else if (/^[ \t]*$/.test(line)) isBehindBlank = true;
    else {
      const isLikeItem = LIKE_ITEM.test(line);
      if (isBehindBlank) {
        if (!(BEGINS.test(line) || (isLikeItem && !hasItems && !line.startsWith(" ")))) return undefined;
        starts.push(at);
        hasItems = false;
      }
      if (UNCLEAR_LINE.test(line)) return undefined;
      fence = /^(?:`{3,}(?=[^`]*$)|~{3,})/.exec(line)?.[0] ?? "";
      hasItems ||= isLikeItem;
      isBehindBlank = false;
    }
    at += line.length + 1;
  }
  return starts;
}

function closes(fence: string, line: string): boolean {
  const marker = /^ {0,3}(`{3,}|~{3,})[ \t]*$/.exec(line)?.[1];
  return marker?.startsWith(fence) === true;
}
