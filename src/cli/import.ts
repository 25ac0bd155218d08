import { createReadStream } from "node:fs";
import type { StorageConfig } from "../config.ts";
import type { QueueRecord, StoreRecord } from "../core/ports.ts";
import { linesOf } from "../lines.ts";
import { openStorageArchive, type StorageArchive } from "../open-storage.ts";
import { CommandError } from "./command-error.ts";
import type { CommandTools } from "./command-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { type ExportRecord, MAX_LINE_CHARACTERS, readExport } from "./export-format.ts";

/** Records per transaction. */
const BATCH = 500;

export interface ImportTools extends CommandTools {
  readonly stdin: NodeJS.ReadableStream;
}

/**
 * Adds what `export` wrote, from a file or stdin. Only to what is empty, unless `merge`: then what is there stays, and
 * what has the same key is left out.
 *
 * @throws {CommandError} when the file is not whole or the target is not empty.
 * @throws {BridgeError} `QUEUE_OWNED` while a bridge runs on the folder; what opening it throws.
 */
export async function importAll(
  { from, merge }: { readonly from?: string; readonly merge: boolean },
  config: StorageConfig,
  { log, signal, say, stdin }: ImportTools,
): Promise<ExitCode> {
  // A file is read once before, so that nothing of a broken one is taken.
  if (from !== undefined) for await (const _record of recordsOf(from, signal));
  await using archive = await openStorageArchive(config, { log, signal, lockWaitMs: 0 });
  if (!merge && !((await archive.queue.isEmpty()) && (await archive.store.isEmpty()))) {
    throw new CommandError(
      EXIT.usage,
      `${config.redisUrl === undefined ? config.dataDir : "This Redis"} holds turns or values already. ` +
        "Import into an empty place, or add --merge: what is there stays, what has the same key is left out.",
    );
  }
  const records = from === undefined ? readWhole(stdin, "stdin") : recordsOf(from, signal);
  const { taken, all } = await loadAll(archive, records);
  say(
    `Imported ${taken} of ${all} records${taken === all ? "" : "; the rest was there already or has expired"}.`,
  );
  return EXIT.ok;
}

function recordsOf(path: string, signal: AbortSignal): AsyncGenerator<ExportRecord> {
  return readWhole(createReadStream(path, { signal }), path);
}

async function* readWhole(stream: NodeJS.ReadableStream, name: string): AsyncGenerator<ExportRecord> {
  try {
    yield* readExport(linesOf(stream.setEncoding("utf8"), MAX_LINE_CHARACTERS));
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    if ("code" in cause && cause.code === "ENOENT") {
      throw new CommandError(EXIT.notFound, `There is no file ${name}.`, { cause });
    }
    const again = name === "stdin" ? " What came before it was taken: import the whole with --merge." : "";
    throw new CommandError(EXIT.badData, `${name} can't be imported: ${cause.message}.${again}`, { cause });
  }
}

async function loadAll(
  { queue, store }: StorageArchive,
  records: AsyncIterable<ExportRecord>,
): Promise<{ taken: number; all: number }> {
  let [turns, values]: [QueueRecord[], StoreRecord[]] = [[], []];
  let [taken, all] = [0, 0];
  const flush = async (): Promise<void> => {
    if (turns.length > 0) taken += await queue.load(turns);
    if (values.length > 0) taken += await store.load(values);
    [turns, values] = [[], []];
  };
  for await (const record of records) {
    all += 1;
    if ("queue" in record) turns.push(record.queue);
    else values.push(record.store);
    if (turns.length + values.length >= BATCH) await flush();
  }
  await flush();
  return { taken, all };
}
