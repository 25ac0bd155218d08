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

export interface BroughtFiles {
  readonly files: readonly BroughtFile[];
  /** One sentence per file that does not go along. */
  readonly notices: readonly string[];
}

interface BringParts {
  readonly adapter: Pick<Adapter, "fetchAttachment">;
  readonly source: Pick<AnswerSource, "upload">;
  readonly log: Log;
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
  { adapter, source, log }: BringParts,
  signal: AbortSignal,
): Promise<BroughtFile | string> {
  const { name } = attachment;
  try {
    await using file = await adapter.fetchAttachment(turn, attachment, { maxBytes: MAX_FILE_BYTES, signal });
    return await source.upload(file, { name, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    log.warn({ err: error, attachmentId: attachment.id }, "attachment left out");
    return fileNotice(name, error instanceof BridgeError ? error.code : "INTERNAL", turn.locale);
  }
}
