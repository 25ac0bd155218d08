import type { IncomingMessage, ServerResponse } from "node:http";
import { withoutTokens } from "./oauth.ts";
import type { RouteRequest } from "./routes.ts";
import { type Fields, isFields, type Refusal, refuse } from "./rules.ts";
import type { UploadPart } from "./upload-rules.ts";

/** A request being answered. */
export class OpenExchange {
  readonly name: string;
  readonly url: URL;
  readonly response: ServerResponse;
  readonly #request: IncomingMessage;
  #body: Buffer<ArrayBuffer> = Buffer.alloc(0);
  #parts: readonly UploadPart[] | undefined;

  constructor(name: string, url: URL, request: IncomingMessage, response: ServerResponse) {
    this.name = name;
    this.url = url;
    this.#request = request;
    this.response = response;
  }

  get logId(): string {
    return String(this.response.getHeader("x-tt-logid"));
  }

  get bearer(): string {
    return /^Bearer (\S+)$/.exec(this.#request.headers.authorization ?? "")?.[1] ?? "";
  }

  toRouteRequest(params: RouteRequest["params"]): RouteRequest {
    return {
      params,
      query: (name) => this.url.searchParams.get(name) ?? "",
      json: () => this.json(),
      parts: () => this.parts(),
      bearer: this.bearer,
    };
  }

  /** @throws when the body is longer than the service reads; the connection is cut then. */
  async readBody(limit: number): Promise<void> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    // A request without an encoding set yields buffers.
    for await (const chunk of this.#request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > limit) throw new Error("request body over the limit");
      chunks.push(chunk);
    }
    this.#body = Buffer.concat(chunks);
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

  async parts(): Promise<readonly UploadPart[] | Refusal> {
    const contentType = this.#contentType();
    if (!contentType.startsWith("multipart/form-data")) return refuse(4300, "no multipart body");
    try {
      const form = await new Response(this.#body, { headers: { "content-type": contentType } }).formData();
      const files = [...form].filter((entry): entry is [string, File] => typeof entry[1] !== "string");
      this.#parts = await Promise.all(
        files.map(async ([field, file]) => ({ field, name: file.name, bytes: await file.bytes() })),
      );
      return this.#parts;
    } catch {
      // Whatever is wrong with the form, the service says this much.
      return refuse(4304, "the file is invalid");
    }
  }

  /** What the record keeps: everything but file contents and tokens. */
  describe(): object {
    const query = Object.fromEntries(this.url.searchParams);
    if (this.#parts !== undefined) {
      return {
        query,
        parts: this.#parts.map(({ field, name, bytes }) => ({ field, name, bytes: bytes.length })),
      };
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
