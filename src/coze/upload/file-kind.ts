import { open } from "node:fs/promises";
import { basename, extname } from "node:path";
import { fileTypeFromFile } from "file-type";
import { toPlainFileName } from "../../core/file-name.ts";
import type { Abortable, BroughtFile, LocalFile } from "../../core/ports.ts";
import { refuse } from "../refusal.ts";

/** Largest text that is written into a question instead, in bytes; a model's context is the real limit. */
const MAX_INLINE_BYTES = 64 * 1024;
/** Longest file name we send, in characters, without extension. */
const MAX_NAME = 80;

/** What Coze takes of a file with this content. */
export type FileKind =
  | { readonly kind: "image" | "file"; readonly extension: string }
  /** Coze refuses its kind, but it reads as text. */
  | { readonly kind: "text" }
  /** Coze refuses it. */
  | { readonly kind: "refused"; readonly found: string };

/** Extensions by detected content, as Coze lists them (coze-api.md §10); `png` for `apng`, `ogg` for opus. */
const IMAGES: ReadonlyMap<string, string> = new Map([
  ["jpg", "jpg"],
  ["jp2", "jp2"],
  ["png", "png"],
  ["apng", "png"],
  ["gif", "gif"],
  ["webp", "webp"],
  ["heic", "heic"],
  ["bmp", "bmp"],
  ["tif", "tiff"],
]);

const FILES: ReadonlyMap<string, string> = new Map([
  ...["pdf", "docx", "xlsx", "pptx", "numbers"].map(same),
  ...["wav", "mp3", "flac", "m4a", "aac", "ogg"].map(same),
  ["oga", "ogg"],
  ["opus", "ogg"],
  ["spx", "ogg"],
  ["mid", "midi"],
  ...["mp4", "avi", "mov", "3gp", "flv", "webm", "m4v", "mkv"].map(same),
  ...["rar", "zip", "7z", "gz", "bz2"].map(same),
  ["tar.gz", "gz"],
]);

/** Containers whose content does not tell which; the uploader's extension decides, within these. */
const CONTAINERS: ReadonlyMap<string, readonly string[]> = new Map([
  ["cfb", ["doc", "xls", "ppt"]],
  ["asf", ["wma", "wmv"]],
  ["rm", ["rmvb"]],
]);

/** Text formats that Coze takes as files (coze-api.md §10); every other text goes into the question. */
const TEXT_FILES: ReadonlySet<string> = new Set(["csv", "cpp", "py", "java", "c"]);

/** One container, whose first bytes name one of several brands, not always the one of the extension. */
const BRANDS = ["mp4", "m4v", "m4a", "mov", "3gp", "3gpp"];

/** Extensions that content of a kind may carry besides its own: other spellings, and kinds told apart by a brand only. */
const SPELLINGS: ReadonlyMap<string, readonly string[]> = new Map([
  ["jpg", ["jpeg"]],
  ["jp2", ["jpg2"]],
  ["tiff", ["tif"]],
  ["heic", ["heif"]],
  ["midi", ["mid"]],
  ["gz", ["gzip"]],
  ["zip", ["docx", "xlsx", "pptx", "numbers"]],
  ...["mp4", "m4v", "m4a", "mov", "3gp"].map((brand): [string, string[]] => [brand, BRANDS]),
]);

/** All extensions Coze takes (coze-api.md §10). */
const ACCEPTED: ReadonlySet<string> = new Set([
  ...IMAGES.values(),
  ...FILES.values(),
  ...TEXT_FILES,
  ...[...CONTAINERS.values()].flat(),
  ...[...SPELLINGS.values()].flat(),
  "pcd",
]);

/** Text formats that `file-type` recognizes although they are just text. */
const MARKUP: ReadonlySet<string> = new Set(["xml", "vcf", "ics", "vtt"]);

/**
 * Decides by content; a name is only asked where content can't tell.
 *
 * @param found - What `file-type` recognized, e.g. `png`; `undefined` when nothing.
 * @param isText - Whether the head of the file reads as text.
 * @param name - As the uploader named it.
 */
export function toFileKind(found: string | undefined, isText: boolean, name: string): FileKind {
  const given = extensionOf(name);
  if (found === undefined || MARKUP.has(found)) {
    if (!isText) return { kind: "refused", found: found ?? "unknown" };
    return TEXT_FILES.has(given) ? { kind: "file", extension: given } : { kind: "text" };
  }
  const image = IMAGES.get(found);
  if (image !== undefined) return { kind: "image", extension: image };
  const file = FILES.get(found);
  if (file !== undefined) return { kind: "file", extension: file };
  return CONTAINERS.get(found)?.includes(given) === true
    ? { kind: "file", extension: given }
    : { kind: "refused", found };
}

/** A name Coze accepts: no path, no control characters, the extension of the content (coze-api.md §10). */
export function toUploadName(name: string, extension: string): string {
  const file = basename(name.replaceAll("\\", "/"));
  const stem = file.slice(0, file.length - extname(file).length);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to go.
  const clean = stem.replace(/[\u0000-\u001f\u007f"<>|:*?]/g, "_").trim();
  return `${clean === "" || clean === "." || clean === ".." ? "file" : sliceWhole(clean, MAX_NAME)}.${extension}`;
}

/** A file of which at least name and size are known. */
export interface CheckedFile {
  /** Without one nothing is known of the content. */
  readonly path?: string;
  readonly name: string;
  readonly bytes: number;
}

/**
 * Throws for what Coze would refuse to store, in words that say what to change (coze-api.md §10, §22.38).
 *
 * @throws {CozeError} `FILE_EMPTY`, `FILE_TOO_LARGE`, `FILE_TYPE`.
 */
export async function checkUpload(
  file: CheckedFile,
  { signal, maxBytes }: Abortable & { maxBytes: number },
): Promise<void> {
  const { path, name, bytes } = file;
  const given = extensionOf(name);
  checkSize(file, maxBytes);
  if (!ACCEPTED.has(given)) {
    refuse(
      `Coze takes no files named like "${name}"; the extension must be that of the content`,
      "FILE_TYPE",
    );
  }
  if (path === undefined) return;
  const kind = await readFileKind({ path, bytes }, { name, signal });
  if (kind.kind === "refused") refuse(`Coze takes no ${kind.found} files, whatever their name`, "FILE_TYPE");
  if (kind.kind === "text")
    refuse(`"${name}" holds plain text; name it .csv, or ask with the text`, "FILE_TYPE");
  const fitting = [kind.extension, ...(SPELLINGS.get(kind.extension) ?? [])];
  if (!fitting.includes(given)) {
    refuse(
      `"${name}" holds ${kind.extension}; upload it as "${toUploadName(name, kind.extension)}"`,
      "FILE_TYPE",
    );
  }
}

/** @throws {CozeError} `FILE_EMPTY`, `FILE_TOO_LARGE`. */
function checkSize({ name, bytes }: CheckedFile, maxBytes: number): void {
  if (bytes === 0) refuse(`"${name}" is empty`, "FILE_EMPTY");
  if (bytes > maxBytes) {
    refuse(`"${name}" has ${bytes} bytes; Coze takes ${maxBytes}`, "FILE_TOO_LARGE");
  }
}

/**
 * Brings a file to Coze: uploaded, or as text where Coze takes no such file.
 *
 * @param maxBytes - Largest file this Coze takes.
 * @param upload - Does the upload under the given name and answers with Coze's file id.
 * @throws {CozeError} `FILE_EMPTY`, `FILE_TOO_LARGE`, `FILE_TYPE` before anything is sent.
 */
export async function toBroughtFile(
  file: LocalFile,
  {
    name,
    signal,
    maxBytes,
    upload,
  }: {
    name: string;
    signal: AbortSignal;
    maxBytes: number;
    upload: (options: { name: string; signal: AbortSignal }) => Promise<string>;
  },
): Promise<BroughtFile> {
  checkSize({ name, bytes: file.bytes }, maxBytes);
  const kind = await readFileKind(file, { name, signal });
  switch (kind.kind) {
    case "refused":
      return refuse(`Coze takes no ${kind.found} files`, "FILE_TYPE");
    case "text": {
      if (file.bytes > MAX_INLINE_BYTES) {
        refuse(`${file.bytes} bytes of text do not fit into a question`, "FILE_TOO_LARGE");
      }
      const text = await readAsText(file);
      if (text === undefined) return refuse("Coze takes no files of this kind", "FILE_TYPE");
      return { kind: "text", name: toPlainFileName(basename(name)), text };
    }
    case "image":
    case "file": {
      const fileId = await upload({ name: toUploadName(name, kind.extension), signal });
      return { fileId, kind: kind.kind };
    }
  }
}

/** Looks into a file. @throws the signal's reason. */
async function readFileKind(
  file: { path: string; bytes: number },
  { name, signal }: { name: string } & Abortable,
): Promise<FileKind> {
  signal.throwIfAborted();
  const found = (await fileTypeFromFile(file.path, { signal }))?.ext;
  signal.throwIfAborted();
  const head = await readHead(file.path);
  return toFileKind(found, decodeText(head, { whole: file.bytes <= head.length }) !== undefined, name);
}

/**
 * A small text file's text: UTF-8, else GB 18030; without BOM.
 *
 * @returns `undefined` when it is larger than 64 KiB, or no text.
 */
export async function readAsText(file: LocalFile): Promise<string | undefined> {
  return file.bytes > MAX_INLINE_BYTES ? undefined : decodeText(await readHead(file.path), { whole: true });
}

async function readHead(path: string): Promise<Uint8Array> {
  await using handle = await open(path, "r");
  const buffer = new Uint8Array(MAX_INLINE_BYTES);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  return buffer.subarray(0, bytesRead);
}

function decodeText(bytes: Uint8Array, { whole }: { whole: boolean }): string | undefined {
  if (bytes.some(isBinary)) return undefined;
  for (const encoding of ["utf-8", "gb18030"]) {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: !whole });
    } catch {
      // Not this encoding; the next one decides.
    }
  }
  return undefined;
}

/** Control characters that no text has; tab, line ends, form feed and escape are text. */
function isBinary(byte: number): boolean {
  return byte < 9 || (byte > 13 && byte < 32 && byte !== 27);
}

function extensionOf(name: string): string {
  return extname(name).slice(1).toLowerCase();
}

/** Cuts between characters, never inside one. */
function sliceWhole(text: string, length: number): string {
  return Array.from(text).slice(0, length).join("");
}

function same(extension: string): [string, string] {
  return [extension, extension];
}
