import { z } from "zod";
import type { QueueRecord, StoreRecord } from "../core/ports.ts";

/** Of the file that `export` writes and `import` reads: JSON lines, a head, the records, an end. */
const FORMAT = "coze-bridge export";
const VERSION = 1;

/** Longest line, in characters; a checkpoint of a long answer is far below. */
export const MAX_LINE_CHARACTERS = 16_777_216;

export type ExportRecord = { readonly queue: QueueRecord } | { readonly store: StoreRecord };

export type ExportLine =
  | { readonly format: typeof FORMAT; readonly version: number; readonly from: string; readonly at: string }
  | ExportRecord
  /** Proves that the file is whole. */
  | { readonly end: { readonly records: number } };

export function headLine(from: string, now: Date): ExportLine {
  return { format: FORMAT, version: VERSION, from, at: now.toISOString() };
}

const MERGE = z.object({ group: z.string(), at: z.number() });
const FACTS = {
  id: z.int().min(1),
  key: z.string(),
  conversation: z.string(),
  payload: z.json(),
  merge: z.exactOptional(MERGE),
};
const COUNT = z.int().min(0);

const QUEUE_RECORD: z.ZodType<QueueRecord> = z.discriminatedUnion("kind", [
  z.object({
    ...FACTS,
    kind: z.literal("turn"),
    at: z.number(),
    cancelled: z.boolean(),
    batch: COUNT,
    starts: COUNT,
    tries: COUNT,
    crashes: COUNT,
    state: z.exactOptional(z.json()),
  }),
  z.object({ ...FACTS, kind: z.literal("dead"), error: z.string(), at: z.number() }),
  z.object({ kind: z.literal("seen"), key: z.string(), id: z.int().min(1), until: z.number() }),
  z.object({ kind: z.literal("paused") }),
]);

const STORE_RECORD: z.ZodType<StoreRecord> = z.object({
  space: z.string(),
  key: z.string(),
  value: z.json(),
  until: z.exactOptional(z.number()),
});

const LINE: z.ZodType<ExportLine> = z.union([
  z.object({ queue: QUEUE_RECORD }),
  z.object({ store: STORE_RECORD }),
  z.object({ format: z.literal(FORMAT), version: z.int(), from: z.string(), at: z.string() }),
  z.object({ end: z.object({ records: COUNT }) }),
]);

/**
 * Reads the records of an exported file, in bounded memory.
 *
 * @throws {Error} in words, when it is no such file, of a newer version, or ends too early; what was yielded before
 * is good.
 */
export async function* readExport(lines: AsyncIterable<string>): AsyncGenerator<ExportRecord> {
  let records = -1;
  for await (const text of lines) {
    const line = parseLine(text, records + 2);
    if (records === -1) checkHead(line);
    else if ("queue" in line || "store" in line) yield line;
    else if ("end" in line && line.end.records === records) return;
    else throw new Error(`line ${records + 2} does not belong there`);
    records += 1;
  }
  throw new Error(records === -1 ? "it is empty" : `it ends after ${records} records, cut off`);
}

function checkHead(line: ExportLine): void {
  if (!("format" in line)) throw new Error("it was not made by coze-bridge export");
  if (line.version > VERSION) {
    throw new Error(`it has version ${line.version}, this bridge reads up to ${VERSION}: use the newer one`);
  }
}

function parseLine(text: string, number: number): ExportLine {
  try {
    return LINE.parse(JSON.parse(text));
  } catch {
    // The cause would quote what people wrote.
    throw new Error(
      number === 1 ? "it was not made by coze-bridge export" : `line ${number} can't be understood`,
    );
  }
}
