import { expect, it } from "vitest";
import { toDate, toTable } from "../../src/cli/lines.ts";
import { printable } from "../../src/cli/printable.ts";

it("stands columns side by side, however wide their characters are", () => {
  const rows = [
    ["1", "界", "a"],
    ["22", "abc", "b"],
  ];
  expect(toTable(rows)).toBe("1   界   a\n22  abc  b\n");
});

it("keeps each row of a table on one line, whatever others wrote into it", () => {
  expect(toTable([["a\r\nb", "\u202Egnp.exe\u2028\u001B[31m"]])).toBe("a b   gnp.exe [31m\n");
});

it("makes tables of any length", () => {
  const rows = Array.from({ length: 200_000 }, (_, row) => [String(row), "x"]);
  expect(toTable(rows)).toHaveLength(200_000 * "123456  x\n".length);
});

it.each([
  [undefined, "-"],
  [0, "1970-01-01 00:00"],
  [253_402_300_799, "9999-12-31 23:59"],
  [253_402_300_800, "-"],
  [1e300, "-"],
  [-1e300, "-"],
  [Number.NaN, "-"],
])("a date of %d seconds is %s", (seconds, shown) => {
  expect(toDate(seconds)).toBe(shown);
});

it("lets nobody turn the direction of what a terminal shows", () => {
  expect(printable("a\u202Egnp.exe\u2066b\u2028c\nd\te")).toBe("a gnp.exe b c\nd\te");
});
