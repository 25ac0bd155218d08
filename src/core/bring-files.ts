import { BridgeError } from "./errors.ts";
import { fileNotice } from "./notices.ts";
import type { Adapter, AnswerSource, BroughtFile, Log } from "./ports.ts";
import type { Attachment, Turn } from "./turn.ts";

/** Files of one turn that go to Coze; the rest is named in a notice. */
const MAX_FILES = 10;
/** Largest attachment we carry. Coze takes up to 512 MB (coze-api.md §10), small machines do not. */
const MAX_FILE_BYTES = 50 * 1024 * 1024;
/** Files of one turn under way at once. */
const AT_ONCE = 3;
/** Before each further try where another one may help, in ms: what is left out is not asked about again. */
const PAUSES_MS = [500, 3_000];
/** Whoever wants to be left alone for longer gets no further try: the question waits. */
const LONGEST_PAUSE_MS = 10_000;

export interface BroughtFiles {
  readonly files: readonly BroughtFile[];
  /** One sentence per file that does not go along. */
  readonly notices: readonly string[];
}

interface BringParts {
  readonly adapter: Pick<Adapter, "fetchAttachment">;
  readonly source: Pick<AnswerSource, "upload">;
  readonly log: Log;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Brings a turn's attachments to Coze. One that fails does not stop the others; order is kept. */
export async function bringFiles(turn: Turn, parts: BringParts, signal: AbortSignal): Promise<BroughtFiles> {
  const results: (BroughtFile | string)[] = [];
  const taken = turn.attachments.slice(0, MAX_FILES);
  for (let start = 0; start < taken.length; start += AT_ONCE) {
    const batch = taken.slice(start, start + AT_ONCE);
    results.push(...(await Promise.all(batch.map((file) => bringFile(turn, file, parts, signal)))));
  }
  const leftOut = turn.attachments
    .slice(MAX_FILES)
    .map(({ name }) => fileNotice(name, "FILE_TOO_MANY", turn.locale));
  return {
    files: results.filter((result) => typeof result !== "string"),
    notices: [...results.filter((result) => typeof result === "string"), ...leftOut],
  };
}

/** @returns The uploaded file, or the sentence that says why not. */
async function bringFile(
  turn: Turn,
  attachment: Attachment,
  parts: BringParts,
  signal: AbortSignal,
): Promise<BroughtFile | string> {
  const { name, id: attachmentId } = attachment;
  const { log, sleep } = parts;
  for (let tries = 0; ; tries += 1) {
    try {
      return await carry(turn, attachment, parts, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const pauseMs = pauseBefore(error, tries);
      if (pauseMs === undefined) {
        log.warn({ err: error, attachmentId }, "attachment left out");
        return fileNotice(name, error instanceof BridgeError ? error.code : "INTERNAL", turn.locale);
      }
      log.debug({ err: error, attachmentId, pauseMs }, "attachment is tried again");
      await sleep(pauseMs, signal);
    }
  }
}

/** @returns `undefined` where no further try is made. */
function pauseBefore(error: unknown, tries: number): number | undefined {
  const pauseMs = PAUSES_MS[tries];
  if (pauseMs === undefined || !(error instanceof BridgeError) || !error.retryable) return undefined;
  const wantedMs = Math.max(pauseMs, error.retryAfterMs ?? 0);
  return wantedMs <= LONGEST_PAUSE_MS ? wantedMs : undefined;
}

async function carry(
  turn: Turn,
  attachment: Attachment,
  { adapter, source }: BringParts,
  signal: AbortSignal,
): Promise<BroughtFile> {
  await using file = await adapter.fetchAttachment(turn, attachment, { maxBytes: MAX_FILE_BYTES, signal });
  return await source.upload(file, { name: attachment.name, signal });
}
