import { sizeWithTables } from "../../src/markdown/table-text.ts";
import { TABLE_COLUMNS } from "./dialect.ts";

/** What becomes longer in Slack's dialect, each with the most that is added. */
const GROWING: readonly (readonly [pattern: RegExp, more: number])[] = [
  // Marks that get room beside them, quotes, tokens that are made harmless.
  [/[*_~>@]/g, 1],
  // What only looks like a link.
  [/\]\(/g, 1],
  // Cells that are written anew, perhaps with a dash in them.
  [/\|/g, 3],
  [/<|:\/\//g, 3],
  // Formulas that get a fence.
  [/\$\$|\\[[\]]/g, 6],
];

/** The most characters that a text takes once it is in the dialect of Slack's markdown blocks. */
export function slackSize(markdown: string): number {
  return sizeWithTables(markdown, sizeWithoutTables, { maxColumns: TABLE_COLUMNS });
}

function sizeWithoutTables(text: string): number {
  return GROWING.reduce(
    (size, [pattern, more]) => size + more * (text.match(pattern)?.length ?? 0),
    text.length,
  );
}
