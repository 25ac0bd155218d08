import type { Heading, Html, Paragraph, Table, TableCell } from "mdast";
import { applyEdits, type Edit } from "./edits.ts";
import { marginAt } from "./margin.ts";
import { formulasOf } from "./math.ts";
import { contentOf, rangeOf, walk } from "./parse.ts";
import {
  alignedLines,
  cellsOf,
  columnsOf,
  isLineBreak,
  LINE_END_IN_LINE,
  listLines,
  plainWords,
} from "./table-text.ts";

const ZERO_WIDTH_SPACE = "\u200b";

export interface TableForm {
  /** A wider table becomes a list. */
  readonly maxColumns: number;
  /** What has to be changed inside of a cell of the list; `bold`: the cell is bold already, or must not be. */
  readonly editsIn: (cell: TableCell, options: { bold: boolean }) => readonly Edit[];
}

/** A table for a chat without tables: side by side in a fence where that fits and nothing can be clicked, else a list. */
export function tableForm(table: Table, source: string, { maxColumns, editsIn }: TableForm): Edit {
  const range = rangeOf(table);
  const lineEnd = `\n${marginAt(source, range.start)}`;
  const words = cellsOf(table, (cell) => withoutFence(plainWords(cell)));
  const clickable = [...walk(table)].some(({ type }) => type === "link" || type === "image");
  if (!clickable && columnsOf(words) <= maxColumns) {
    return { ...range, text: ["```", ...alignedLines(words, table.align), "```"].join(lineEnd) };
  }
  const heads = new Set(
    table.children.flatMap((row, index) => row.children.slice(0, index === 0 ? undefined : 1)),
  );
  const cells = cellsOf(table, (cell) => {
    const content = contentOf(cell);
    if (content === undefined) return "";
    const edits = editsIn(cell, { bold: heads.has(cell) });
    return applyEdits(source, [...edits, ...barsInCode(cell, source)], content);
  });
  return { ...range, text: listLines(cells).join(lineEnd) };
}

/** Three backticks would end the fence that they stand in. */
function withoutFence(text: string): string {
  return text.replaceAll("```", `\`\`${ZERO_WIDTH_SPACE}\``);
}

/** Outside of a table, code is what it says: `a \| b` was `a | b`. */
function barsInCode(cell: TableCell, source: string): readonly Edit[] {
  return [...walk(cell)].flatMap((node): readonly Edit[] => {
    const range = rangeOf(node);
    const code = source.slice(range.start, range.end);
    return node.type === "inlineCode" && code.includes("\\|")
      ? [{ ...range, text: code.replaceAll("\\|", "|") }]
      : [];
  });
}

/** Formulas as code, so that nothing of them is taken for marks; other edits inside of them do not count. */
export function formulaForms(
  paragraph: Paragraph | Heading,
  source: string,
  others: readonly Edit[],
): readonly Edit[] {
  const formulas = formulasOf(paragraph, source);
  const lineEnd = `\n${marginAt(source, rangeOf(paragraph).start)}`;
  const edits = formulas.map(({ start, end, tex, display }) => ({
    start,
    end,
    text: display ? ["```latex", tex, "```"].join(lineEnd) : `\`${tex.replaceAll(/\s+/g, " ")}\``,
  }));
  const outside = others.filter(
    (edit) => !formulas.some(({ start, end }) => edit.start < end && edit.end > start),
  );
  return [...edits, ...outside];
}

/** `<br>` as the line end that it means; other tags are shown as they are. */
export function lineBreakForm(
  html: Html,
  source: string,
  { margin, oneLine }: { readonly margin: string; readonly oneLine: boolean },
): readonly Edit[] {
  if (!isLineBreak(html.value)) return [];
  const range = rangeOf(html);
  if (oneLine) return [{ ...range, text: LINE_END_IN_LINE }];
  const goesOn = range.end === source.length || source[range.end] === "\n";
  return [{ ...range, text: goesOn ? "" : `\n${margin}` }];
}
