import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { VARIABLE_NAMES } from "../src/variables.ts";

const ROOT = join(import.meta.dirname, "..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(read("package.json")));
const pages = [
  "README.md",
  "README.zh-CN.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "adapters/discord/README.md",
  "adapters/slack/README.md",
  ...readdirSync(join(ROOT, "docs"), { encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(ROOT, "docs/decisions"), { encoding: "utf8" }).map((name) => `docs/decisions/${name}`),
];

describe.each(pages)("%s", (page) => {
  it("links only to files and headings that are there", () => {
    for (const [, link = ""] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [path = "", heading] = link.split("#");
      const target = join(dirname(page), path);
      expect(existsSync(join(ROOT, target)), `${page} -> ${link}`).toBe(true);
      if (heading === undefined) continue;
      const headings = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => toAnchor(text));
      expect(headings, `${page} -> ${link}`).toContain(heading);
    }
  });

  it("names only scripts that exist", () => {
    for (const [, script = ""] of read(page).matchAll(/npm run (?:--\S+ )*([a-z:-]+)/g)) {
      expect(scripts, `${page}: npm run ${script}`).toHaveProperty([script]);
    }
  });
});

describe.each(["README.md", "README.zh-CN.md"])("%s", (page) => {
  it("explains every variable and no other", () => {
    const rows = [...read(page).matchAll(/^\| (`[A-Z_`、, ]+) \|/gm)].map(([, cell = ""]) => cell);
    const names = rows.flatMap((cell) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name));
    expect(names.toSorted()).toEqual([...VARIABLE_NAMES].toSorted());
  });

  it("shows the two commands", () => {
    for (const command of ["npm ci && npm start", "npm ci && npm test"])
      expect(read(page)).toContain(command);
  });
});

function toAnchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s-]/gu, "")
    .trim()
    .replaceAll(" ", "-");
}
