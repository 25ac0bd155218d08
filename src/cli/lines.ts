import stringWidth from "string-width";
import { toPlainLine } from "../core/plain-line.ts";

/** One line of JSON. */
export function toLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/**
 * Columns side by side, two spaces between them; the last one as long as it is. Each row stays one line, whatever is in
 * it. Empty without rows.
 */
export function toTable(rows: readonly (readonly string[])[]): string {
  const plain = rows.map((row) => row.map(toPlainLine));
  const widths = (plain[0] ?? []).map((_, column) =>
    plain.reduce((widest, row) => Math.max(widest, stringWidth(row[column] ?? "")), 0),
  );
  const lines = plain.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[column] ?? 0))).join("  "),
  );
  return lines.map((line) => `${line}\n`).join("");
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - stringWidth(text)));
}

/** The last second of the year 9999, since the epoch: what is later was no date. */
const LAST_SECOND = 253_402_300_799;

/** @param seconds - Since the epoch; a dash when unknown, or no date. */
export function toDate(seconds: number | undefined): string {
  if (seconds === undefined || !(Math.abs(seconds) <= LAST_SECOND)) return "-";
  return new Date(seconds * 1_000).toISOString().slice(0, 16).replace("T", " ");
}
