import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { STAND_IN_TOKEN, startCoze } from "../sandbox/coze/coze-stand-in.ts";

const ROOT = join(import.meta.dirname, "..");
/** What a command of the page may need of the project's folder. */
const PARTS = ["package.json", "node_modules", "src", "adapters", "docs"];

/** The commands of a page as one script; what was installed for the tests is not installed again. */
async function scriptOf(page: string): Promise<string> {
  const text = await readFile(join(ROOT, page), "utf8");
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  const lines = blocks.join("").split("\n");
  expect(lines).toContain("npm ci");
  return ["set -euo pipefail; shopt -s expand_aliases", ...lines.filter((line) => line !== "npm ci")].join(
    "\n",
  );
}

it.each([
  ["docs/quickstart.md", "Your name is Tuva."],
  ["docs/quickstart.zh-CN.md", "你叫图娃。"],
])("%s: every command does what it says", async (page, recalled) => {
  await using coze = await startCoze({ pace: { firstDeltaMs: 0, deltaMs: 0, toolMs: 0 } });
  const folder = await mkdtemp(join(tmpdir(), "coze-quickstart-"));
  await using _gone = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
  for (const part of PARTS) await symlink(join(ROOT, part), join(folder, part));
  const env = {
    ...process.env,
    COZE_API_TOKEN: STAND_IN_TOKEN,
    COZE_API_BASE: coze.url,
    COZE_BOT_ID: "",
    PATH: `${join(ROOT, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`,
  };
  const { stdout, stderr } = await promisify(execFile)("bash", ["-c", await scriptOf(page)], {
    cwd: folder,
    env,
  });
  // Both modes answered, the second one with what the first question had told, and the files arrived.
  expect(stdout).toContain(recalled);
  expect(stdout).toMatch(/^\d{19} {2}sandbox\.png$/m);
  expect(stderr).toMatch(/^\d+ tokens: \d+ in, \d+ out$/m);
  expect(coze.chats.map(({ status }) => status)).toEqual(Array(5).fill("completed"));
  expect(new Set(coze.chats.map(({ conversationId }) => conversationId)).size).toBe(4);
});
