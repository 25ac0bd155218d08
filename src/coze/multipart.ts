import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import type { UploadBody } from "./http.ts";

/** A file to upload: on this machine, or coming from elsewhere with its size told before. */
export type UploadSource = FileSource | StreamSource;

export interface FileSource {
  readonly path: string;
  readonly bytes: number;
}

export interface StreamSource {
  /** Read once, and destroyed afterwards. */
  readonly stream: Readable;
  readonly bytes: number;
}

/** A form with one part named `file` (coze-api.md §10), streamed: memory does not grow with the file. */
export function toUploadBody(source: UploadSource, name: string): UploadBody {
  const boundary = `coze-bridge-${randomUUID()}`;
  const head = Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${escapeName(name)}"\r\n` +
      "Content-Type: application/octet-stream\r\n\r\n",
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* write(): AsyncGenerator<Uint8Array, void, undefined> {
    yield head;
    yield* openSource(source);
    yield tail;
  }
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    contentLength: head.length + source.bytes + tail.length,
    repeatable: "path" in source,
    open: () => Readable.from(write(), { objectMode: false }),
  };
}

function openSource(source: UploadSource): Readable {
  return "path" in source ? createReadStream(source.path) : source.stream;
}

/** As browsers write it: raw UTF-8, with what would end the value escaped (WHATWG HTML, multipart/form-data). */
function escapeName(name: string): string {
  return name.replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");
}
