import { open, rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { StorageConfig } from "../config.ts";
import { hasStorage, openStorageArchive, type StorageArchive } from "../open-storage.ts";
import { CommandError } from "./command-error.ts";
import type { CommandTools } from "./command-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { type ExportLine, headLine } from "./export-format.ts";

/** Characters handed to the stream at once. */
const CHUNK_CHARACTERS = 65_536;

export interface ExportTools extends CommandTools {
  readonly stdout: NodeJS.WritableStream;
}

/**
 * Writes all that the bridge has stored to a file, or to stdout. The bridge must be stopped: what it answered meanwhile
 * would be answered again elsewhere.
 *
 * @throws {BridgeError} `QUEUE_OWNED` while a bridge runs on the folder; what opening it throws.
 */
export async function exportAll(
  to: string | undefined,
  config: StorageConfig,
  { log, signal, say, stdout }: ExportTools,
): Promise<ExitCode> {
  if (!hasStorage(config)) {
    throw new CommandError(
      EXIT.notFound,
      `There is no queue in ${config.dataDir}: set DATA_DIR or REDIS_URL.`,
    );
  }
  await using archive = await openStorageArchive(config, { log, signal, lockWaitMs: 0 });
  const counts = { turns: 0, dead: 0, keys: 0, values: 0 };
  const text = Readable.from(chunks(dump(archive, counts)));
  if (to === undefined) await pipeline(text, stdout, { end: false, signal });
  else await writeWhole(to, text, signal);
  const { turns, dead, keys, values } = counts;
  say(
    `Exported ${turns} waiting turns, ${dead} dead letters, ${keys} keys of turns and ${values} stored values. ` +
      "They hold what people wrote: keep the file safe, and delete it when it is imported.",
  );
  return EXIT.ok;
}

async function* dump(
  { driver, queue, store }: StorageArchive,
  counts: { turns: number; dead: number; keys: number; values: number },
): AsyncGenerator<ExportLine> {
  yield headLine(driver, new Date());
  let records = 0;
  for await (const record of queue.dump()) {
    records += 1;
    if (record.kind === "turn") counts.turns += 1;
    else if (record.kind === "dead") counts.dead += 1;
    else if (record.kind === "seen") counts.keys += 1;
    yield { queue: record };
  }
  for await (const record of store.dump()) {
    records += 1;
    counts.values += 1;
    yield { store: record };
  }
  yield { end: { records } };
}

async function* chunks(lines: AsyncIterable<ExportLine>): AsyncGenerator<string> {
  let text = "";
  for await (const line of lines) {
    text += `${JSON.stringify(line)}\n`;
    if (text.length < CHUNK_CHARACTERS) continue;
    yield text;
    text = "";
  }
  yield text;
}

/** Under its name there is never half a file. */
async function writeWhole(path: string, text: Readable, signal: AbortSignal): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  const file = await open(part, "wx", 0o600).catch((cause: unknown) => {
    throw new CommandError(EXIT.notFound, `${path} can't be written`, { cause });
  });
  try {
    await pipeline(text, file.createWriteStream({ flush: true }), { signal });
    await rename(part, path);
  } finally {
    await rm(part, { force: true });
  }
}
