/**
 * A process to be killed: delivers the turns that its predecessors could not, answers, and writes what the outside
 * world would have seen into a journal. Arguments: folder, journal file, number of turns.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { RetryLater, type Run } from "../../src/core/ports.ts";
import { openSqliteQueue } from "../../src/queue/sqlite-queue.ts";
import { openSqliteFile } from "../../src/store/sqlite-file.ts";
import { makeTestLog } from "./embedded.ts";
import { aKilledTurn, parseJournal } from "./journal.ts";

const [folder = "", journal = "", turns = "0"] = process.argv.slice(2);
const signal = AbortSignal.timeout(60_000);

/** On disk as far as a kill can tell, and a sign to the parent that something moved. */
function note(what: string, key: string, step: number): void {
  appendFileSync(journal, `${process.pid} ${what} ${key} ${step}\n`);
  process.stdout.write(".");
}

async function answer(run: Run): Promise<void> {
  const key = run.turns[0]?.key ?? "";
  const from = typeof run.state === "number" ? run.state : 0;
  note("start", key, from);
  for (let step = from + 1; step <= from + 3; step += 1) {
    await run.save(step);
    note("saved", key, step);
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Every seventh turn wants another try.
  if (Number(key.split(":")[1]) % 7 === 3 && run.attempt === 1) {
    note("retry", key, 0);
    throw new RetryLater({ afterMs: 2 });
  }
  note("done", key, 0);
}

await using file = await openSqliteFile(folder, { log: makeTestLog(), signal });
await using queue = await openSqliteQueue({ file, log: makeTestLog() });
await queue.work(answer, { concurrency: 8 });

const accepted = new Set(
  parseJournal(readFileSync(journal, "utf8"))
    .filter(({ what }) => what === "accepted")
    .map(({ key }) => key),
);
for (let index = 0; index < Number(turns); index += 1) {
  const turn = aKilledTurn(index);
  if (accepted.has(turn.key)) continue;
  await queue.enqueue(turn);
  note("accepted", turn.key, 0);
}
while ((await queue.stats()).depth > 0) await new Promise((resolve) => setTimeout(resolve, 5));
