import { sizeWithTables } from "../../src/markdown/table-text.ts";
import { TABLE_COLUMNS } from "./dialect.ts";

/** What becomes longer in Discord's dialect, each with the most that is added. */
const GROWING: readonly (readonly [pattern: RegExp, more: number])[] = [
  // Marks that get an escape or a space, mentions that get a space of no width.
  [/[_@>[]|```|~~~/g, 1],
  [/\|\|/g, 2],
  // Links and addresses that get angle brackets.
  [/\]\(|:\/\//g, 3],
  // Formulas that get a fence.
  [/\$\$|\\[[\]]/g, 6],
];

/**
 * The most code points that a text takes once it is in Discord's dialect: a cut between parts is chosen in the source,
 * and what stands before it must fit.
 */
export function discordSize(markdown: string): number {
  return sizeWithTables(markdown, sizeWithoutTables, { maxColumns: TABLE_COLUMNS });
}

function sizeWithoutTables(text: string): number {
  return GROWING.reduce(
    (size, [pattern, more]) => size + more * (text.match(pattern)?.length ?? 0),
    codePoints(text) + marksBehindLinks(text),
  );
}

/** Marks that show themselves if what is before them in their line only looks like a link. */
function marksBehindLinks(text: string): number {
  const behind = text.match(/(?:\]\(|!\[)[^\n]*/g)?.join("") ?? "";
  return behind.match(/[*~`|]/g)?.length ?? 0;
}

/** Discord counts code points, JavaScript UTF-16 units (discord.md §2.1). */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
