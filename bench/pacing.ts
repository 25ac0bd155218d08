/**
 * How fast answers grow on the screen, against the best that the platforms' limits allow: `npm run bench`, some eight
 * minutes. The real bridge, the stand-ins with their limits on, a round trip of 80 ms, the machine's clock; measured on
 * what stands on the screen. What each figure means is in docs/reference/pacing.md §2, §3 and §6, the last results are
 * in docs/performance.md.
 *
 * Parts alone: `npm run bench -- rows sharing crowd`.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { measureCrowd } from "./pacing/crowd.ts";
import { toTable } from "./pacing/numbers.ts";
import { measureRows, openBeds } from "./pacing/rows.ts";
import { measureSharing } from "./pacing/sharing.ts";

const PARTS = ["rows", "sharing", "crowd"];
/** Answers at once: below Discord's limit of the whole bot, over it, and far over it. */
const CROWDS = [25, 100, 1_000];
const { positionals } = parseArgs({ allowPositionals: true });
const parts = new Set(positionals.length > 0 ? positionals : PARTS);
const startedAt = performance.now();

function say(text: string): void {
  console.log(text);
}

say(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`);
if (parts.has("rows") || parts.has("sharing")) {
  await using beds = await openBeds();
  say("bridges are up and warm");
  if (parts.has("rows")) await measureRows(beds, say);
  if (parts.has("sharing")) await measureSharing(beds, say);
}
if (parts.has("crowd")) {
  const rows = [];
  for (const answers of CROWDS) {
    rows.push(await measureCrowd(answers));
    say(`${answers} answers at once: done`);
  }
  say(`\n${toTable(rows)}`);
}
say(`\n${((performance.now() - startedAt) / 1_000).toFixed(0)} s in all`);
