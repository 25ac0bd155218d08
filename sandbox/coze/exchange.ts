import type { IncomingMessage, ServerResponse } from "node:http";
import { FormReader } from "./form.ts";
import { withoutTokens } from "./oauth.ts";
import type { RouteRequest } from "./routes.ts";
import { type Fields, isFields, isRefusal, type Refusal, refuse } from "./rules.ts";
import type { UploadPart } from "./upload-rules.ts";

/** Longest body of a call that should have brought a form, in bytes. */
const MAX_FORMLESS_BYTES = 15 * 1024 * 1024;

/** A request being answered. */
export class OpenExchange {
  readonly name: string;
  readonly url: URL;
  readonly response: ServerResponse;
  readonly #request: IncomingMessage;
  #body: Buffer<ArrayBuffer> = Buffer.alloc(0);
  #parts: readonly UploadPart[] | Refusal = refuse(4300, "no multipart body");

  constructor(name: string, url: URL, request: IncomingMessage, response: ServerResponse) {
    this.name = name;
    this.url = url;
    this.#request = request;
    this.response = response;
  }

  get logId(): string {
    return String(this.response.getHeader("x-tt-logid") ?? this.response.getHeader("x-log-id"));
  }

  get bearer(): string {
    return /^Bearer (\S+)$/.exec(this.#request.headers.authorization ?? "")?.[1] ?? "";
  }

  toRouteRequest(params: RouteRequest["params"]): RouteRequest {
    return {
      params,
      query: (name) => this.url.searchParams.get(name) ?? "",
      // Whatever its type: the vendor's clients send none at all where every field is optional (coze-api.md §9.1, §9.2).
      json: () => (this.#body.length === 0 ? {} : this.json()),
      parts: () => this.#parts,
      bearer: this.bearer,
    };
  }

  /** @throws when the body is longer than the service reads; the connection is cut then. */
  async readBody(limit: number): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.#read(limit)) chunks.push(chunk);
    this.#body = Buffer.concat(chunks);
  }

  /** Reads a form without keeping its files. @throws as {@link readBody}. */
  async readForm(limit: number): Promise<void> {
    const boundary = /^multipart\/form-data;.*\bboundary="?([^";]{1,70})"?/.exec(this.#contentType())?.[1];
    if (boundary === undefined) return this.readBody(MAX_FORMLESS_BYTES);
    const form = new FormReader(boundary);
    let isForm = true;
    for await (const chunk of this.#read(limit)) {
      try {
        if (isForm) form.push(chunk);
      } catch {
        // Whatever is wrong with the form, it is read to its end and refused then.
        isForm = false;
      }
    }
    this.#parts = toParts(form, isForm);
  }

  async *#read(limit: number): AsyncGenerator<Buffer, void, undefined> {
    let bytes = 0;
    // A request without an encoding set yields buffers.
    for await (const chunk of this.#request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > limit) throw new Error("request body over the limit");
      yield chunk;
    }
  }

  /** An empty body is an empty object. */
  json(): Fields | undefined {
    if (!this.#contentType().startsWith("application/json")) return undefined;
    try {
      const value: unknown = JSON.parse(this.#body.toString("utf8") || "{}");
      return isFields(value) ? value : undefined;
    } catch {
      // Not JSON: refused by the caller.
      return undefined;
    }
  }

  /** What the record keeps: everything but file contents and tokens. */
  describe(): object {
    const query = Object.fromEntries(this.url.searchParams);
    if (!isRefusal(this.#parts)) {
      return { query, parts: this.#parts.map(({ field, name, size }) => ({ field, name, bytes: size })) };
    }
    const body = this.json();
    return body === undefined
      ? { query }
      : { query, body: "grant_type" in body ? withoutTokens(body) : body };
  }

  headers(): Record<string, string> {
    const names = ["content-type", "user-agent", "accept-encoding", "content-length"];
    return Object.fromEntries(
      names.flatMap((name) => {
        const value = this.#request.headers[name];
        return typeof value === "string" ? [[name, value]] : [];
      }),
    );
  }

  #contentType(): string {
    return this.#request.headers["content-type"] ?? "";
  }
}

function toParts(form: FormReader, isForm: boolean): readonly UploadPart[] | Refusal {
  try {
    if (isForm) return form.end();
  } catch {
    // A form that is cut off is as invalid as any other.
  }
  return refuse(4304, "the file is invalid");
}
