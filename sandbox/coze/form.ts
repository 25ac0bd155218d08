import type { UploadPart } from "./upload-rules.ts";

/** How much of a file is kept: what its kind is told by. */
const HEAD_BYTES = 4 * 1024;
/** Longest block of a part's headers. */
const MAX_HEADER_BYTES = 16 * 1024;

type Phase = "start" | "headers" | "content" | "after" | "end";

/**
 * Reads a multipart form as it comes in, strictly as RFC 7578 writes it. Keeps each file's head and counts the rest:
 * memory does not grow with the file.
 */
export class FormReader {
  readonly #delimiter: Buffer;
  readonly #parts: { field: string; name: string | undefined; head: Buffer; size: number }[] = [];
  #phase: Phase = "start";
  /** Bytes that nothing can be said about yet. A form's first boundary has no line end before it. */
  #pending: Buffer = Buffer.from("\r\n");

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`);
  }

  /** @throws {Error} what is no form. */
  push(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#step());
  }

  /** The files of the form; fields without a file name are none. @throws {Error} when the form is not over. */
  end(): readonly UploadPart[] {
    if (this.#phase !== "end" || !["", "\r\n"].includes(this.#pending.toString("latin1"))) {
      throw new Error("the form does not end");
    }
    return this.#parts.flatMap(({ name, ...part }) => (name === undefined ? [] : [{ ...part, name }]));
  }

  /** @returns True when there may be more to do with what is there. */
  #step(): boolean {
    switch (this.#phase) {
      case "start":
        return this.#start();
      case "headers":
        return this.#readHeaders();
      case "content":
        return this.#readContent();
      case "after":
        return this.#readAfter();
      case "end":
        if (this.#pending.length > 2) throw new Error("bytes after the form");
        return false;
    }
  }

  #start(): boolean {
    if (this.#pending.length < this.#delimiter.length) return false;
    if (this.#pending.indexOf(this.#delimiter) !== 0) throw new Error("no boundary at the start");
    return this.#goOn(this.#delimiter.length, "after");
  }

  #readAfter(): boolean {
    if (this.#pending.length < 2) return false;
    const mark = this.#pending.toString("latin1", 0, 2);
    if (mark !== "\r\n" && mark !== "--") throw new Error("no line end after a boundary");
    return this.#goOn(2, mark === "--" ? "end" : "headers");
  }

  #readHeaders(): boolean {
    const end = this.#pending.indexOf("\r\n\r\n");
    if ((end === -1 ? this.#pending.length : end) > MAX_HEADER_BYTES) throw new Error("headers too long");
    if (end === -1) return false;
    this.#parts.push({ ...toNames(this.#pending.toString("utf8", 0, end)), head: Buffer.alloc(0), size: 0 });
    return this.#goOn(end + 4, "content");
  }

  #readContent(): boolean {
    const end = this.#pending.indexOf(this.#delimiter);
    // The rest may be the beginning of a boundary.
    const sure = end === -1 ? this.#pending.length - this.#delimiter.length + 1 : end;
    if (sure > 0) this.#keep(this.#pending.subarray(0, sure));
    return end === -1 ? this.#wait(sure) : this.#goOn(end + this.#delimiter.length, "after");
  }

  #keep(bytes: Buffer): void {
    const part = this.#parts.at(-1);
    if (part === undefined) return;
    const missing = HEAD_BYTES - part.head.length;
    if (missing > 0) part.head = Buffer.concat([part.head, bytes.subarray(0, missing)]);
    part.size += bytes.length;
  }

  #wait(used: number): false {
    if (used > 0) this.#pending = this.#pending.subarray(used);
    return false;
  }

  #goOn(used: number, phase: Phase): true {
    this.#pending = this.#pending.subarray(used);
    this.#phase = phase;
    return true;
  }
}

/** `name` and `filename` of a part, with what browsers escape in them (WHATWG HTML, multipart/form-data). */
function toNames(headers: string): { field: string; name: string | undefined } {
  const line = headers.split("\r\n").find((header) => /^content-disposition: *form-data *;/i.test(header));
  const field = /; *name="([^"]*)"/.exec(line ?? "")?.[1];
  if (field === undefined) throw new Error("a part without a name");
  const name = /; *filename="([^"]*)"/.exec(line ?? "")?.[1];
  return { field: unescapeName(field), name: name === undefined ? undefined : unescapeName(name) };
}

function unescapeName(name: string): string {
  return name.replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%22", '"');
}
