import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const TESTS = join(import.meta.dirname, "..");
const REFERENCE = join(TESTS, "../docs/reference/coze-api.md");

/** Numbers of the wire cases that the reference lists. */
function listedCases(): number[] {
  const [, section = ""] = /^## 22\. [^\n]+\n([\s\S]*?)^## 23\./m.exec(readFileSync(REFERENCE, "utf8")) ?? [];
  return [...section.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
}

/** Numbers that titles of tests name. */
function namedCases(): Set<number> {
  const files = readdirSync(TESTS, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".test.ts"),
  );
  const texts = files.map((name) => readFileSync(join(TESTS, name), "utf8"));
  // A title is a string that a comment can't be: it stands on a line with a quotation mark before it.
  const titles = texts.flatMap((text) => text.split("\n").filter((line) => /["`].*§22\.\d/.test(line)));
  return new Set(
    titles.flatMap((line) => [...line.matchAll(/§22\.(\d+)/g)].map(([, number]) => Number(number))),
  );
}

it("every wire case of the reference is named by a test", () => {
  const listed = listedCases();
  expect(listed).toEqual(Array.from({ length: 47 }, (_, index) => index + 1));
  const named = namedCases();
  expect(listed.filter((number) => !named.has(number))).toEqual([]);
});
