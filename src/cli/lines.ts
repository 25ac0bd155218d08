import stringWidth from "string-width";

/** One line of JSON. */
export function toLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** Columns side by side, two spaces between them; the last one as long as it is. Empty without rows. */
export function toTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => stringWidth(row[column] ?? ""))),
  );
  const lines = rows.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[column] ?? 0))).join("  "),
  );
  return lines.map((line) => `${line.replaceAll("\n", " ")}\n`).join("");
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - stringWidth(text)));
}

/** @param seconds - Since the epoch; a dash when unknown. */
export function toDate(seconds: number | undefined): string {
  return seconds === undefined ? "-" : new Date(seconds * 1_000).toISOString().slice(0, 16).replace("T", " ");
}
