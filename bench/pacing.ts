/**
 * How fast answers grow on the screen, against the best that the platforms' limits allow: `npm run bench`, some fourteen
 * minutes. The real bridge, the stand-ins with their limits on, a round trip of 80 ms, the machine's clock; measured on
 * what stands on the screen. What each figure means is in docs/reference/pacing.md §2, §3 and §6, the last results are
 * in docs/performance.md.
 *
 * Parts alone: `npm run bench -- policy rows sharing crowd`. With `--compare` a peer, Vercel's Chat SDK, is measured beside the
 * bridge, in turn with it: some seventeen minutes. With `--least` it is the least program that shows text as it comes, which says
 * what reading and calling cost by themselves.
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import type { AskedBy } from "./pacing/bed.ts";
import { measureCrowd } from "./pacing/crowd.ts";
import { toTable } from "./pacing/numbers.ts";
import { installPeer, peerVersions } from "./pacing/peer-packages.ts";
import { measurePolicy } from "./pacing/policy.ts";
import { BRIDGE, LEAST, PEER } from "./pacing/programs.ts";
import { Beds, measureRows } from "./pacing/rows.ts";
import { measureSharing } from "./pacing/sharing.ts";

const PARTS = ["policy", "rows", "sharing", "crowd"];
/** Answers at once: below Discord's limit of the whole bot, over it, and far over it; by its command, which has no such limit. */
const CROWDS: readonly { answers: number; by: AskedBy }[] = [
  { answers: 25, by: "message" },
  { answers: 100, by: "message" },
  { answers: 1_000, by: "message" },
  { answers: 100, by: "command" },
  { answers: 1_000, by: "command" },
];
/** For comparing, where it starts to matter. */
const COMPARED_CROWDS: typeof CROWDS = [{ answers: 100, by: "message" }];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { compare: { type: "boolean", default: false }, least: { type: "boolean", default: false } },
});
const parts = new Set(positionals.length > 0 ? positionals : PARTS);
const { compare, least } = values;
const startedAt = performance.now();

function say(text: string): void {
  console.log(text);
}

say(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, load ${load()}`);
if (compare) {
  await installPeer(say);
  say(
    `${PEER.name}: ${Object.entries(peerVersions())
      .map((each) => each.join(" "))
      .join(", ")}`,
  );
}
if (parts.has("policy") && !compare) measurePolicy(say);
const programs = [BRIDGE, ...(compare ? [PEER] : []), ...(least ? [LEAST] : [])];
if (parts.has("rows") || parts.has("sharing")) {
  await using stack = new AsyncDisposableStack();
  const beds: Beds[] = [];
  for (const program of programs) beds.push(stack.use(await Beds.open(program)));
  say(`${programs.map(({ name }) => name).join(" and ")}: up and warm`);
  if (parts.has("rows")) await measureRows(beds, say);
  if (parts.has("sharing")) await measureSharing(beds, { rounds: compare ? 2 : 3, say });
}
if (parts.has("crowd")) {
  const rows = [];
  for (const crowd of compare ? COMPARED_CROWDS : CROWDS) {
    for (const program of programs) {
      rows.push(await measureCrowd(program, crowd));
      say(`${program.name}, ${crowd.answers} answers at once, asked by ${crowd.by}: done`);
    }
  }
  say(`\n${toTable(rows)}`);
}
say(`\n${((performance.now() - startedAt) / 1_000).toFixed(0)} s in all, load ${load()}`);

/** How busy the machine is: processes that want to run, mean of 1, 5 and 15 minutes. */
function load(): string {
  return loadavg()
    .map((each) => each.toFixed(1))
    .join(", ");
}
