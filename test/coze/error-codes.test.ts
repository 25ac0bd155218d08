import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fileNotice, noticeFor } from "../../src/core/notices.ts";
import { COZE_CODES, type CozeCode } from "../../src/coze/error-codes.ts";

const DOCS = join(import.meta.dirname, "../../docs");
const read = (page: string): string => readFileSync(join(DOCS, page), "utf8");

/** The cells of each row of the tables in a text. */
function rowsOf(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** One section of the reference, without those after it. */
function section(number: number): string {
  const [, text = ""] = read("reference/coze-api.md").split(`\n## ${number}. `);
  return text.split("\n## ")[0] ?? "";
}

/** `4000`, `4027, 4028`, `4300–4304` as numbers; other cells hold none. */
function codesIn(cell: string): number[] {
  if (!/^\d/.test(cell)) return [];
  return [...cell.matchAll(/(\d+)(?:–(\d+))?/g)].flatMap(([, first, last = first]) => {
    const from = Number(first);
    return Array.from({ length: Number(last) - from + 1 }, (_, index) => from + index);
  });
}

describe("coze-api.md §15 and §18", () => {
  it("name the codes that are known, in their order, and no other", () => {
    const hosted = rowsOf(section(15)).flatMap(([cell = ""]) => codesIn(cell));
    const selfHosted = [...section(18).matchAll(/\b\d{9}\b/g)]
      .map(([digits]) => Number(digits))
      .filter((code) => !hosted.includes(code));
    expect(hosted.length).toBeGreaterThan(50);
    expect([...COZE_CODES.keys()]).toEqual([...hosted, ...selfHosted]);
  });
});

/** Codes that only an upload brings: what the asker reads is about the file. */
function isUpload(code: number): boolean {
  return (code >= 4300 && code <= 4304) || Math.trunc(code / 1_000_000) === 104;
}

function askerReads(cozeCode: number, { code }: CozeCode): string {
  const read = isUpload(cozeCode) ? fileNotice.bind(undefined, "report.pdf") : noticeFor;
  return `${read(code, "en")}<br>${read(code, "zh")}`;
}

/** The rows of a page's table of Coze's codes. */
function rowsOfPage(page: string): string[][] {
  return rowsOf(read(page)).filter(([cell = ""]) => /^\d+$/.test(cell));
}

describe("docs/errors.md", () => {
  it("says of every code of Coze what the code itself says", () => {
    const rows = [...COZE_CODES].map(([number, code]) => [
      String(number),
      code.meaning,
      askerReads(number, code),
      code.operator,
    ]);
    expect(rowsOfPage("errors.md")).toEqual(rows);
  });
});

describe("docs/errors.zh-CN.md", () => {
  it("has the same codes and sentences, and names the same settings", () => {
    const names = (text = ""): string[] => [...text.matchAll(/`[^`]+`/g)].map(([name]) => name).toSorted();
    const rows = rowsOfPage("errors.zh-CN.md");
    expect(rows.map(([number, , sentences]) => [number, sentences])).toEqual(
      [...COZE_CODES].map(([number, code]) => [String(number), askerReads(number, code)]),
    );
    for (const [number, meaning = "", , operator = ""] of rows) {
      const code = COZE_CODES.get(Number(number));
      expect(names(operator), number).toEqual(names(code?.operator));
      expect(names(meaning), number).toEqual(names(code?.meaning));
      for (const text of [meaning, operator]) expect(text, number).toMatch(/\p{Script=Han}/u);
    }
  });
});
