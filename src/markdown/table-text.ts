import type { Nodes, Table, TableCell } from "mdast";
import stringWidth from "string-width";
import { walk } from "./parse.ts";

const GUTTER = "  ";

/** Stands for a line end where there cannot be one. */
export const LINE_END_IN_LINE = " / ";

/** What a table says, one text a cell; rows may be shorter than the header. */
export interface Cells {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The table's cells as `textOf` has them. */
export function cellsOf(table: Table, textOf: (cell: TableCell) => string): Cells {
  const [header = [], ...rows] = table.children.map((row) => row.children.map(textOf));
  return { header, rows };
}

/** Words without HTML's tags and comments, which chats show as they stand. */
export function withoutTags(text: string): string {
  return text.replaceAll(/<\/?[a-z][^<>]*>|<!--[^<>]*-->/gi, "");
}

/** What a person reads of a node, on one line. */
export function plainWords(node: Nodes): string {
  const words = [...walk(node)].map((each) => {
    if (each.type === "break" || (each.type === "html" && isLineBreak(each.value))) return LINE_END_IN_LINE;
    if (each.type === "image") return each.alt ?? "";
    return "value" in each ? each.value : "";
  });
  return words.join("").replaceAll(/\s+/g, " ").trim();
}

/** `<br>` as it is written in cells and between lines. */
export function isLineBreak(html: string): boolean {
  return ["<br>", "<br/>", "<br />"].includes(html.toLowerCase());
}

/** Columns of a terminal that the table takes, side by side; Chinese characters and emoji take two each. */
export function columnsOf({ header, rows }: Cells): number {
  const widths = widthsOf([header, ...rows], stringWidth);
  return sumOf(widths) + GUTTER.length * Math.max(0, widths.length - 1);
}

/** Lines of the table with its columns one below the other, for a font that has one width. */
export function alignedLines({ header, rows }: Cells, align: Table["align"]): readonly string[] {
  const widths = widthsOf([header, ...rows], stringWidth);
  const toLine = (cells: readonly string[]): string =>
    widths
      .map((width, column) => pad(cells[column] ?? "", width, align?.[column]))
      .join(GUTTER)
      .trimEnd();
  return [toLine(header), widths.map((width) => "-".repeat(width)).join(GUTTER), ...rows.map(toLine)];
}

function pad(text: string, width: number, align: "left" | "right" | "center" | null | undefined): string {
  const missing = width - stringWidth(text);
  const before = align === "right" ? missing : align === "center" ? Math.floor(missing / 2) : 0;
  return " ".repeat(before) + text + " ".repeat(missing - before);
}

/** The table as a list: a bullet for each row with its first cell, below it `header: value` for each of the others. */
export function listLines({ header, rows }: Cells): readonly string[] {
  return rows.flatMap(([first = "", ...others]) => [
    `- ${labelled(header[0], first === "" ? "–" : `**${first}**`)}`,
    ...others.flatMap((cell, index) => (cell === "" ? [] : [`  - ${labelled(header[index + 1], cell)}`])),
  ]);
}

const HAN = /\p{Script=Han}/u;

function labelled(label = "", value: string): string {
  if (label === "") return value;
  return HAN.test(label) ? `${label}：${value}` : `${label}: ${value}`;
}

function widthsOf(
  rows: readonly (readonly string[])[],
  widthOf: (text: string) => number,
): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 1, widthOf(cell));
  }
  return widths;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/** What the listed form adds to a cell: indentation, a bullet, a colon, the marks of bold, a line end. */
const LISTED_CELL = 12;
/** Marks of the fence around an aligned table, and its line ends. */
const FENCE_MARKS = 8;

/**
 * How large a text may become when its tables are drawn aligned or as lists, counted by `sizeOf` without them. Never
 * less than the result, never less for a longer text: what a cut between parts must know (a table's width is only
 * known at its end).
 */
export function sizeWithTables(
  text: string,
  sizeOf: (text: string) => number,
  { maxColumns }: { readonly maxColumns: number },
): number {
  if (!/-[ \t]*\|[ \t:]*-|\|[ \t]*:?-|-:?[ \t]*\|/.test(text)) return sizeOf(text);
  const lines = text.split(/(?<=\n)/);
  let size = 0;
  let table: string[] | undefined;
  for (const [index, line] of lines.entries()) {
    const header = lines[index - 1];
    if (table === undefined && header !== undefined && isDelimiter(line)) {
      size -= sizeOf(header);
      table = [header, line];
    } else if (table !== undefined && line.trim() !== "") {
      table.push(line);
    } else {
      if (table !== undefined) size += tableSize(table, sizeOf, maxColumns);
      table = undefined;
      size += sizeOf(line);
    }
  }
  return table === undefined ? size : size + tableSize(table, sizeOf, maxColumns);
}

/** A whole line of the kind `|---|:-:|`, also in a quote. */
function isDelimiter(line: string): boolean {
  return line.includes("|") && line.endsWith("\n") && /^[ \t>]*\|?[ \t]*:?-[-:| \t]*\r?\n$/.test(line);
}

function tableSize(lines: readonly string[], sizeOf: (text: string) => number, maxColumns: number): number {
  const [header = [], , ...rows] = lines.map(roughCells);
  const widths = widthsOf([header, ...rows], (cell) => Math.max(cell.length, stringWidth(cell)));
  const width = sumOf(widths) + GUTTER.length * widths.length;
  const listed = width > maxColumns || lines.some((line) => line.includes("](") || line.includes("://"));
  return lines.reduce((size, line, index) => {
    const row = Math.min(width, maxColumns) + marginOf(line) + 1;
    const list = listed ? listedSize(header, roughCells(line), marginOf(line)) : 0;
    return size + Math.max(sizeOf(line), row, index === 0 ? 0 : list);
  }, FENCE_MARKS);
}

function listedSize(header: readonly string[], cells: readonly string[], margin: number): number {
  return sumOf(
    cells.map((cell, column) => (header[column]?.length ?? 0) + cell.length + margin + LISTED_CELL),
  );
}

function roughCells(line: string): readonly string[] {
  const row = line.trim().replace(/^(?:>[ \t]*)+/, "");
  const inner = row.startsWith("|") ? row.slice(1) : row;
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function marginOf(line: string): number {
  return line.length - line.replace(/^[ \t>]+/, "").length;
}
