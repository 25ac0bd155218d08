import { pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import type { Dispatcher } from "undici";
import { type CallFacts, toGatewayError } from "./errors.ts";

/** Who we say we are. */
export const USER_AGENT = "coze-bridge";

/** A response whose body is still to be read. */
export interface OpenResponse {
  readonly status: number;
  readonly contentType: string;
  readonly logId: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** Decoded, if it was compressed. */
  readonly body: Readable;
}

export function toOpenResponse(response: Dispatcher.ResponseData, facts: CallFacts): OpenResponse {
  const header = (name: string): string | undefined => headerOf(response, name);
  return {
    status: response.statusCode,
    contentType: header("content-type")?.toLowerCase() ?? "",
    // Hosted and self-hosted name it differently (coze-api.md §1.4).
    logId: header("x-tt-logid") || header("x-log-id") || undefined,
    retryAfterMs: toRetryAfterMs(header("retry-after"), Date.now()),
    body: decompress(response.body, header("content-encoding") ?? "identity", response.statusCode, facts),
  };
}

/** The first header of a name; names are in small letters. */
export function headerOf({ headers }: Dispatcher.ResponseData, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** We do not ask for compression; gateways may still send it (coze-api.md §22.8). */
function decompress(body: Readable, encoding: string, status: number, facts: CallFacts): Readable {
  const decoder = createDecoder(encoding.trim().toLowerCase());
  if (decoder === "none") return body;
  if (decoder === undefined) {
    body.on("error", () => undefined).destroy();
    throw toGatewayError(status, { ...facts, cause: new Error("unknown content encoding") });
  }
  // The reader of the decoder sees the error; the callback only keeps it from being thrown twice.
  return pipeline(body, decoder, () => undefined);
}

function createDecoder(encoding: string): ReturnType<typeof createGunzip> | "none" | undefined {
  switch (encoding) {
    case "":
    case "identity":
      return "none";
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "br":
      return createBrotliDecompress();
    case "deflate":
      return createInflate();
    case "zstd":
      return createZstdDecompress();
    default:
      return undefined;
  }
}

/** Seconds or a date; anything else is ignored. */
export function toRetryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined || value.trim() === "") return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
