import { extname } from "node:path";
import { CozeError, type ErrorCode } from "../../core/errors.ts";

/** Largest recording Coze listens to, in bytes; it may also be no longer than 30 minutes (coze-api.md §11). */
const MAX_BYTES = 10 * 1024 * 1024;

/** Extensions of what the larger of Coze's two models understands; the smaller one takes some of them (coze-api.md §11). */
const FORMATS: readonly string[] = [
  "opus",
  "ogg",
  "mp3",
  "wav",
  "m4a",
  "mp4",
  "pcm",
  "raw",
  "spx",
  "aac",
  "amr",
];

/** Throws for what Coze would not listen to. @throws {CozeError} `FILE_EMPTY`, `FILE_TOO_LARGE`, `FILE_TYPE` */
export function checkRecording({ name, bytes }: { name: string; bytes: number }): void {
  if (bytes === 0) refuse("FILE_EMPTY", `"${name}" is empty`);
  if (bytes > MAX_BYTES)
    refuse("FILE_TOO_LARGE", `"${name}" has ${bytes} bytes; Coze listens to ${MAX_BYTES}`);
  if (!FORMATS.includes(extname(name).slice(1).toLowerCase())) {
    refuse("FILE_TYPE", `"${name}" is no recording Coze understands; it takes ${FORMATS.join(", ")}`);
  }
}

function refuse(code: ErrorCode, what: string): never {
  throw new CozeError(code, `Nothing was sent to Coze: ${what}`);
}
