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
  const [, ...later] = parseMarkdown(markdown).children;
  return later
    .map((node) => markdown.lastIndexOf("\n", rangeOf(node).start - 1) + 1)
    .filter((start) => /\n[ \t]*\r?\n$/.test(markdown.slice(Math.max(0, start - 100), start)));
}
