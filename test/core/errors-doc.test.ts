import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../src/core/errors.ts";

/** Cells of the table's rows: code, meaning, what to do. */
function rows(page: string): string[][] {
  const text = readFileSync(join(import.meta.dirname, "../../docs", page), "utf8");
  const lines = text.split("\n").filter((line) => line.startsWith("| `"));
  return lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe.each(["errors.md", "errors.zh-CN.md"])("docs/%s", (page) => {
  it("has a row for each error code, in the code's order, and no other", () => {
    expect(rows(page).map(([code]) => code)).toEqual(ERROR_CODES.map((code) => `\`${code}\``));
  });

  it("says what each code means and what to do", () => {
    for (const row of rows(page)) {
      expect(row).toHaveLength(3);
      expect(row.every((cell) => cell.length > 4)).toBe(true);
    }
  });
});
