import { extname } from "node:path";
import { refuse } from "../refusal.ts";
import type { CheckedFile } from "./file-kind.ts";

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
export function checkRecording({ name, bytes }: CheckedFile): void {
  if (bytes === 0) refuse(`"${name}" is empty`, "FILE_EMPTY");
  if (bytes > MAX_BYTES)
    refuse(`"${name}" has ${bytes} bytes; Coze listens to ${MAX_BYTES}`, "FILE_TOO_LARGE");
  if (!FORMATS.includes(extname(name).slice(1).toLowerCase())) {
    refuse(`"${name}" is no recording Coze understands; it takes ${FORMATS.join(", ")}`, "FILE_TYPE");
  }
}
