import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { CozeError } from "../../core/errors.ts";
import type { Abortable } from "../../core/ports.ts";
import type { UploadBody } from "../http.ts";

/** Read at once, in bytes. Freed buffers of this size are collected early: larger ones cost twice the memory. */
const PIECE_BYTES = 16 * 1024;

/** A file to upload: on this machine, or coming from elsewhere with its size told before. */
export type UploadSource = FileSource | StreamSource;

export interface FileSource {
  readonly path: string;
}

export interface StreamSource {
  /** Of bytes. Read once, and destroyed afterwards. */
  readonly stream: Readable;
  readonly bytes: number;
}

/** How a file is uploaded. */
export interface UploadOptions extends Abortable {
  /** With the extension of the content (coze-api.md §10). */
  readonly name: string;
  /** Told how many bytes of the file the connection has taken so far; from 0 again when the call is made twice. */
  readonly onProgress?: ((sentBytes: number) => void) | undefined;
}

interface Sized {
  /** Of the file, in bytes. */
  readonly size: number;
}

/**
 * A form with one part named `file` (coze-api.md §10), streamed: memory does not grow with the file.
 *
 * A source that turns out shorter or longer than `size` fails the upload with `FILE_GONE` before its form is whole:
 * Coze stores nothing then.
 */
export function toUploadBody(
  source: UploadSource,
  { name, size, onProgress }: Omit<UploadOptions, "signal"> & Sized,
): UploadBody {
  const boundary = `coze-bridge-${randomUUID()}`;
  const head = Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${escapeName(name)}"\r\n` +
      "Content-Type: application/octet-stream\r\n\r\n",
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* write(): AsyncGenerator<Uint8Array, void, undefined> {
    yield head;
    for await (const { bytes, sent } of readExactly(source, { name, size })) {
      yield bytes;
      // Whoever reads asks for more when this has been taken.
      onProgress?.(sent);
    }
    yield tail;
  }
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    contentLength: head.length + size + tail.length,
    repeatable: "path" in source,
    // Nothing is read ahead: what was asked for is what the connection took.
    open: () => Readable.from(write(), { objectMode: false, highWaterMark: 1 }),
  };
}

/** A source's pieces, and how many bytes they are together; neither more nor less than were told. */
async function* readExactly(
  source: UploadSource,
  { name, size }: Pick<UploadOptions, "name"> & Sized,
): AsyncGenerator<{ bytes: Uint8Array; sent: number }, void, undefined> {
  let sent = 0;
  try {
    for await (const piece of openSource(source)) {
      const bytes = toBytes(piece);
      sent += bytes.length;
      if (sent > size) throw fileGone(name, `it is longer than the ${size} bytes it had`);
      yield { bytes, sent };
    }
  } catch (error) {
    throw error instanceof CozeError ? error : fileGone(name, "it cannot be read", error);
  }
  if (sent < size) throw fileGone(name, `it ended after ${sent} of ${size} bytes`);
}

function openSource(source: UploadSource): AsyncIterable<unknown> {
  return "path" in source ? createReadStream(source.path, { highWaterMark: PIECE_BYTES }) : source.stream;
}

function toBytes(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  if (typeof piece === "string") return Buffer.from(piece);
  throw new Error("the stream is not one of bytes");
}

/** The file is not (any more) what it was said to be; nothing was stored, since its form was not whole. */
export function fileGone(name: string, what: string, cause?: unknown): CozeError {
  return new CozeError("FILE_GONE", `The upload of "${name}" was stopped: ${what}`, { cause });
}

/** As browsers write it: raw UTF-8, with what would end the value escaped (WHATWG HTML, multipart/form-data). */
function escapeName(name: string): string {
  return name.replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");
}
