import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { renderParts as renderDiscord } from "../../adapters/discord/render.ts";
import { renderParts as renderSlack } from "../../adapters/slack/render.ts";
import { contentOf } from "./written.ts";

/** Answers as bots write them; `half-…` are still being written. Beside each one what Discord and Slack are given. */
const FOLDER = join(import.meta.dirname, "../fixtures/markdown");
const SAMPLES = readdirSync(FOLDER).filter((name) => name.endsWith(".md"));

/** Stands between two messages. */
const BORDER = "\n=== next message ===\n";

// Rewritten by `npx vitest run test/render/golden.test.ts --update`; read what changed before it is committed.
describe.each(SAMPLES)("%s", (name) => {
  const completed = !name.includes("half");
  const content = contentOf(readFileSync(join(FOLDER, name), "utf8"), { completed });
  const options = { final: completed, locale: "en" } as const;

  it("reads well on Discord", async () => {
    const parts = renderDiscord(content, options).map((part) => part.content);
    await expect(`${parts.join(BORDER)}\n`).toMatchFileSnapshot(
      join(FOLDER, name.replace(".md", ".discord.txt")),
    );
  });

  it("reads well on Slack", async () => {
    const parts = renderSlack(content, options).map(({ blocks }) =>
      blocks.map((block) => (block as { readonly text?: string }).text ?? JSON.stringify(block)).join("\n"),
    );
    await expect(`${parts.join(BORDER)}\n`).toMatchFileSnapshot(
      join(FOLDER, name.replace(".md", ".slack.txt")),
    );
  });
});

it("are at least sixty, in English and in Chinese", () => {
  expect(SAMPLES.length).toBeGreaterThanOrEqual(60);
  expect(SAMPLES.filter((name) => name.includes("zh")).length).toBeGreaterThanOrEqual(12);
});
