import type { IncomingMessage } from "node:http";

/** Larger requests are refused. */
const MAX_BODY_BYTES = 30 * 1024 * 1024;

export type Arguments = Readonly<Record<string, unknown>>;

export async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) throw new Error("request too large for the stand-in");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Arguments of a Web API call, from JSON, form or multipart; `undefined` when the body is none of them. */
export async function parseArguments(type: string, body: Buffer): Promise<Arguments | undefined> {
  if (type.startsWith("application/json")) return parseObject(body.toString("utf8"));
  if (type.startsWith("multipart/form-data")) {
    const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
    return Object.fromEntries(form);
  }
  if (type.startsWith("application/x-www-form-urlencoded") || type === "") {
    return fromForm(new URLSearchParams(body.toString("utf8")));
  }
  return undefined;
}

/** Nested values come as JSON strings in forms, truth values and numbers as words. */
function fromForm(form: URLSearchParams): Arguments {
  const nested = new Set([
    "blocks",
    "chunks",
    "metadata",
    "files",
    "attachments",
    "prompts",
    "loading_messages",
  ]);
  return Object.fromEntries(
    [...form].map(([key, value]) => [key, nested.has(key) ? (parseJson(value) ?? value) : value]),
  );
}

export function parseObject(text: string): Arguments | undefined {
  const value = parseJson(text);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Arguments) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller answers as Slack does.
    return undefined;
  }
}

export function textOf(args: Arguments, name: string): string {
  const value = args[name];
  return typeof value === "string" ? value : "";
}

export function isTrue(value: unknown): boolean {
  return value === true || value === "true" || value === "1" || value === 1;
}
