import { gunzipSync } from "node:zlib";
import type { HttpHandler, Log } from "../../src/core/ports.ts";
import type { AckResponse, SlackDelivery } from "./receiver.ts";
import { isSignedBySlack } from "./signature.ts";

export interface HttpEventsOptions {
  readonly signingSecret: string;
  readonly log: Log;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Rejects when the payload could not be stored. `undefined` while nothing takes payloads. */
  readonly deliver: () => ((delivery: SlackDelivery) => Promise<AckResponse>) | undefined;
}

/** Slack's payloads are far smaller; Bolt's limit is the same (slack.md §6.3). */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** Answers Slack's requests: events, commands and interactivity at one path. @see docs/reference/slack.md §6.3 */
export function createHttpEvents(options: HttpEventsOptions): HttpHandler {
  return async (request) => {
    if (request.method !== "POST") return new Response(null, { status: 405, headers: { allow: "POST" } });
    const body = await readBody(request);
    if (body === undefined) return new Response(null, { status: 413 });
    const form = isForm(request) ? new URLSearchParams(Buffer.from(body).toString("utf8")) : undefined;
    // Slack's own certificate check is the one unsigned request; it learns nothing.
    if (form?.get("ssl_check") === "1") return new Response(null, { status: 200 });
    const headers = {
      timestamp: request.headers.get("x-slack-request-timestamp"),
      signature: request.headers.get("x-slack-signature"),
    };
    const check = { secret: options.signingSecret, now: options.now() };
    if (!isSignedBySlack(body, headers, check)) return new Response(null, { status: 401 });
    const payload = form === undefined ? parseJson(decode(request, body)) : parseForm(form);
    if (payload === undefined) return new Response(null, { status: 400 });
    return answer(payload, request, options);
  };
}

async function answer(
  body: Readonly<Record<string, unknown>>,
  request: Request,
  { deliver, log }: HttpEventsOptions,
): Promise<Response> {
  if (body["type"] === "url_verification" && typeof body["challenge"] === "string") {
    return Response.json({ challenge: body["challenge"] });
  }
  if (body["type"] === "app_rate_limited") {
    log.warn({ team: body["team_id"], minute: body["minute_rate_limited"] }, "slack limits our events");
    return new Response(null, { status: 200 });
  }
  const take = deliver();
  if (take === undefined) return new Response(null, { status: 503 });
  const retryNum = Number.parseInt(request.headers.get("x-slack-retry-num") ?? "", 10);
  const retryReason = request.headers.get("x-slack-retry-reason");
  try {
    const response = await take({
      body,
      ...(!Number.isNaN(retryNum) && { retryNum }),
      ...(retryReason !== null && { retryReason }),
    });
    if (response === undefined || response === "") return new Response(null, { status: 200 });
    return typeof response === "string" ? new Response(response) : Response.json(response);
  } catch (error) {
    // Slack delivers again (slack.md §3.4).
    log.warn({ err: error }, "slack payload not taken");
    return new Response(null, { status: 500 });
  }
}

/** Exact by media type; parameters such as a charset may follow (slack.md §6.3). */
function isForm(request: Request): boolean {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  return type === "application/x-www-form-urlencoded";
}

/** @returns `undefined` when it is too large: reading stops there. */
async function readBody(request: Request): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Slack does not compress, but a proxy in between may; the signature is checked on what arrived. */
function decode(request: Request, body: Uint8Array): string {
  if (request.headers.get("content-encoding") !== "gzip") return Buffer.from(body).toString("utf8");
  try {
    return gunzipSync(body, { maxOutputLength: MAX_BODY_BYTES }).toString("utf8");
  } catch {
    // Not gzip, or a bomb: the caller says 400.
    return "";
  }
}

function parseForm(form: URLSearchParams): Readonly<Record<string, unknown>> | undefined {
  const payload = form.get("payload");
  if (payload !== null) return parseJson(payload);
  return form.has("command") ? Object.fromEntries(form) : undefined;
}

function parseJson(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    // Signed, but not JSON: the caller says 400.
    return undefined;
  }
}
