import { Readable } from "node:stream";
import { type Dispatcher, request } from "undici";
import type { z } from "zod";
import { createAgent, KEPT_OPEN_MS } from "../connections.ts";
import { CozeError } from "../core/errors.ts";
import type { Abortable, HttpProxy } from "../core/ports.ts";
import type { TokenSource } from "./auth/token-source.ts";
import { BodyReader } from "./body-reader.ts";
import { Deadline } from "./deadline.ts";
import {
  type CallFacts,
  streamBroken,
  timedOut,
  toBrokenBody,
  toCozeError,
  toGatewayError,
  toTransportError,
} from "./errors.ts";
import { demandCall, type Flavor, failureInText, unknownCall } from "./flavor.ts";
import { parseJsonObject } from "./json.ts";
import { type OpenResponse, toOpenResponse, USER_AGENT } from "./open-response.ts";
import { chatSchema } from "./wire/chats.ts";
import { envelopeSchema } from "./wire/envelope.ts";

/** How long Coze may take, all in ms. Defaults follow coze-api.md §1.7. */
export interface CozeTimeouts {
  /** Until the connection stands. */
  readonly connectMs: number;
  /** Until the response begins. */
  readonly headersMs: number;
  /** Between two pieces of a response. Reasoning models and plugins are silent for long. */
  readonly idleMs: number;
  /** A whole answer or upload. */
  readonly totalMs: number;
  /** After the chat's end, for `done`, follow-ups and audio. */
  readonly graceMs: number;
}

export const DEFAULT_TIMEOUTS: CozeTimeouts = {
  connectMs: 10_000,
  headersMs: 60_000,
  idleMs: 150_000,
  totalMs: 900_000,
  graceMs: 2_000,
};

/** One call of Coze's HTTP interface. */
export interface CozeCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** What is `undefined` is left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Goes as JSON; what is `undefined` is left out. */
  readonly json?: object;
  /** A body of another kind; opened once for each time the call goes out. */
  readonly upload?: UploadBody;
  readonly signal: AbortSignal;
}

/** A body that is written piece by piece, never held as a whole. */
export interface UploadBody {
  readonly contentType: string;
  /** In bytes. */
  readonly contentLength: number;
  /** Whether {@link open} works more than once. */
  readonly repeatable: boolean;
  open(): Readable;
}

export interface CozeHttpOptions {
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly tokens: TokenSource;
  readonly timeouts: CozeTimeouts;
  readonly flavor: Flavor;
  readonly proxy?: HttpProxy | undefined;
  /** Used instead of connections of our own; not closed by us. */
  readonly dispatcher?: Dispatcher;
}

interface CallOptions {
  /** Read the whole envelope instead of `data`. */
  readonly whole?: boolean;
  /** The answer may take as long as a whole chat: uploads, workflows. */
  readonly patient?: boolean;
}

/** Tokens whose traces are still removed from what Coze says: the one in use, and those it replaced. */
const REMEMBERED_TOKENS = 4;

/** Longest JSON answer we read, in bytes: a page of 50 messages with whole tool outputs fits. */
const MAX_JSON_BYTES = 32 * 1024 * 1024;

/**
 * Speaks HTTP with one Coze under one identity. A call whose token was refused is made once more when there is another
 * token (coze-api.md §22.35); nothing else is ever repeated.
 */
export class CozeHttp implements AsyncDisposable {
  readonly timeouts: CozeTimeouts;
  readonly flavor: Flavor;
  readonly #options: CozeHttpOptions;
  readonly #agent: Dispatcher | undefined;
  /** The last tokens used, as Coze might repeat them in its words. */
  #used: readonly string[] = [];

  constructor(options: CozeHttpOptions) {
    this.#options = options;
    this.timeouts = options.timeouts;
    this.flavor = options.flavor;
    const { proxy, dispatcher, timeouts } = options;
    // A connection that is closed just as it is used again costs the look for the lost chat (`askCoze`).
    const agentOptions = { connectMs: timeouts.connectMs, keepMs: KEPT_OPEN_MS, proxy };
    this.#agent = dispatcher === undefined ? createAgent(agentOptions) : undefined;
  }

  /**
   * A call that answers with Coze's envelope.
   *
   * @returns What `schema` reads of `data`, or of the whole envelope with `whole`.
   * @throws {CozeError}
   */
  async call<T>(
    call: CozeCall,
    schema: z.ZodType<T>,
    { whole = false, patient = call.upload !== undefined }: CallOptions = {},
  ): Promise<T> {
    return this.authorized(call, (token) => this.#callOnce(call, token, { schema, whole, patient }));
  }

  /**
   * Runs a call under the current token, and once more under the next one if Coze refuses the first.
   *
   * @throws {CozeError}
   */
  async authorized<T>(
    call: Pick<CozeCall, "method" | "path" | "signal" | "upload">,
    run: (token: string) => Promise<T>,
  ): Promise<T> {
    const { signal, upload } = call;
    demandCall(this.flavor, callName(call));
    const token = await this.#token({ signal });
    try {
      return await run(token);
    } catch (error) {
      const repeatable = isTokenRefused(error) && upload?.repeatable !== false;
      if (!repeatable || !(await this.#options.tokens.renew(token, { signal }))) throw error;
      return run(await this.#token({ signal }));
    }
  }

  async #callOnce<T>(
    call: CozeCall,
    token: string,
    { schema, whole, patient }: { schema: z.ZodType<T>; whole: boolean; patient: boolean },
  ): Promise<T> {
    const name = callName(call);
    using deadline = new Deadline(call.signal);
    const totalMs = patient ? this.timeouts.totalMs : this.timeouts.headersMs;
    deadline.limit(totalMs, () => timedOut("no complete answer", totalMs, { call: name }));
    const response = await this.open(call, { token, deadline, headersMs: totalMs });
    const facts = { call: name, httpStatus: response.status, ...ids(response) };
    const text = await this.readText(response, deadline, facts);
    const envelope = this.#unwrap(text, response.status, facts);
    const parsed = schema.safeParse(whole ? envelope : envelope["data"]);
    if (parsed.success) return parsed.data;
    throw new CozeError("COZE_FAILED", `Coze ${name}: an answer we cannot read`, {
      httpStatus: response.status,
      ...(response.logId !== undefined && { logId: response.logId }),
      cause: parsed.error,
      outcome: "unknown",
    });
  }

  /**
   * A call that answers with bytes of another kind than JSON, which is what failures come as (coze-api.md §22.47).
   *
   * @returns A body to be read or destroyed; whatever breaks it is a {@link CozeError}.
   * @throws {CozeError}
   */
  async download(call: CozeCall): Promise<{ contentType: string; body: Readable }> {
    return this.authorized(call, (token) => this.#downloadOnce(call, token));
  }

  async #downloadOnce(call: CozeCall, token: string): Promise<{ contentType: string; body: Readable }> {
    const { totalMs } = this.timeouts;
    const deadline = new Deadline(call.signal);
    let facts: CallFacts = { call: callName(call) };
    deadline.limit(totalMs, () => timedOut("no complete answer", totalMs, facts));
    try {
      const response = await this.open(call, { token, deadline });
      facts = { ...facts, httpStatus: response.status, ...ids(response) };
      if (response.status !== 200 || /json|text\//.test(response.contentType)) {
        throw this.toRejection(await this.readText(response, deadline, facts), response.status, facts);
      }
      return { contentType: response.contentType, body: this.#toBody(response, deadline, facts) };
    } catch (error) {
      deadline[Symbol.dispose]();
      throw error;
    }
  }

  /** The rest of a response for somebody else to read; its deadline ends with it, and the other way round. */
  #toBody(response: OpenResponse, deadline: Deadline, facts: CallFacts): Readable {
    const body = Readable.from(this.#readAll(response, deadline, facts), { objectMode: false });
    const onAbort = (): void => void body.destroy(toError(deadline.signal.reason));
    deadline.signal.addEventListener("abort", onAbort, { once: true });
    body.once("close", () => {
      deadline.signal.removeEventListener("abort", onAbort);
      deadline[Symbol.dispose]();
      // It may never have been read.
      response.body.on("error", () => undefined).destroy();
    });
    // Who reads it is told; while nobody does, it is nobody's failure.
    return body.on("error", () => undefined);
  }

  async *#readAll(
    response: OpenResponse,
    deadline: Deadline,
    facts: CallFacts,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let bytes = 0;
    using reader = this.reader(response, deadline, () => facts);
    try {
      for await (const chunk of reader) {
        bytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      if (deadline.signal.aborted) throw deadline.signal.reason;
      throw toBrokenBody(error, facts);
    }
    if (bytes === 0) throw streamBroken("an empty answer", facts);
  }

  /** Sends a call and waits for the response's head. @throws {CozeError} */
  async open(
    call: CozeCall,
    {
      token,
      deadline,
      headersMs = this.timeouts.headersMs,
    }: { token: string; deadline: Deadline; headersMs?: number },
  ): Promise<OpenResponse> {
    const { baseUrl } = this.#options;
    const facts: CallFacts = { call: callName(call) };
    const dispatcher = this.#options.dispatcher ?? this.#agent;
    try {
      const response = await deadline.within(
        headersMs,
        () => timedOut("no response", headersMs, facts),
        () =>
          request(`${baseUrl}${call.path}`, {
            method: call.method,
            ...(dispatcher !== undefined && { dispatcher }),
            ...(call.query !== undefined && { query: withoutAbsent(call.query) }),
            headers: {
              authorization: `Bearer ${token}`,
              "user-agent": USER_AGENT,
              "accept-encoding": "identity",
              ...bodyHeaders(call),
            },
            body: call.json === undefined ? (call.upload?.open() ?? null) : JSON.stringify(call.json),
            signal: deadline.signal,
          }),
      );
      const opened = toOpenResponse(response, facts);
      return { ...opened, logId: this.#redactFact(opened.logId) };
    } catch (error) {
      throw this.explain(error, deadline, facts);
    }
  }

  /** Reads a body of limited size. @throws {CozeError} */
  async readText(response: OpenResponse, deadline: Deadline, facts: CallFacts): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    using reader = this.reader(response, deadline, () => facts);
    try {
      for await (const chunk of reader) {
        bytes += chunk.length;
        if (bytes > MAX_JSON_BYTES) throw toGatewayError(response.status, facts);
        chunks.push(chunk);
      }
    } catch (error) {
      throw this.explain(error, deadline, facts);
    }
    return new TextDecoder().decode(Buffer.concat(chunks));
  }

  /** A reader of the body's bytes, who waits for each piece at most `idleMs`. */
  reader(
    response: OpenResponse,
    deadline: Deadline,
    facts: () => CallFacts,
    idleMs: () => number = () => this.timeouts.idleMs,
  ): BodyReader {
    return new BodyReader(response.body, {
      deadline,
      idleMs,
      toError: (ms) => timedOut("silence", ms, facts()),
    });
  }

  /** What a failed call throws: the abort's own reason, ours, or the transport's failure in our words. */
  explain(error: unknown, deadline: Deadline, facts: CallFacts): unknown {
    if (deadline.signal.aborted) return deadline.signal.reason;
    return error instanceof CozeError ? error : toTransportError(error, facts);
  }

  /** The error that a response is which should have been a stream. */
  toRejection(text: string, status: number, facts: CallFacts): CozeError {
    try {
      const chat = chatSchema.safeParse(this.#unwrap(text, status, facts)["data"]);
      // Accepted, but not as a stream: the chat runs.
      return streamBroken("JSON in place of a stream", {
        ...facts,
        chatId: chat.data?.id,
        conversationId: chat.data?.conversation_id,
      });
    } catch (error) {
      if (error instanceof CozeError) return error;
      throw error;
    }
  }

  /** Coze's words, without our token should they repeat it. */
  redact(text: string): string {
    return this.#used.reduce((clean, token) => clean.replaceAll(token, "[token]"), text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.destroy();
  }

  #redactFact(text: string | undefined): string | undefined {
    return text === undefined ? undefined : this.redact(text);
  }

  async #token(options: Abortable): Promise<string> {
    const token = await this.#options.tokens.token(options);
    if (token !== "" && !this.#used.includes(token)) {
      this.#used = [token, ...this.#used].slice(0, REMEMBERED_TOKENS);
    }
    return token;
  }

  #unwrap(text: string, status: number, facts: CallFacts): Readonly<Record<string, unknown>> {
    const body = parseJsonObject(text);
    const envelope = envelopeSchema.safeParse(body);
    const { baseUrl } = this.#options;
    if (body === undefined || !envelope.success) {
      const told = failureInText(this.flavor, text);
      if (told === undefined) throw toGatewayError(status, { ...facts, baseUrl });
      throw toCozeError({ ...told, text: this.redact(told.text) }, { ...facts, baseUrl });
    }
    const { code, msg, detail, error, debug_url } = envelope.data;
    const logId = facts.logId ?? this.#redactFact(detail?.logid ?? error?.logid);
    const debugUrl = this.#redactFact(debug_url);
    if (code !== 0) {
      const told = failureInText(this.flavor, msg) ?? { code, text: msg };
      const failure = { ...told, text: this.redact(told.text) };
      throw (
        unknownCall(this.flavor, facts.call, msg) ??
        toCozeError(failure, { ...facts, logId, debugUrl, baseUrl })
      );
    }
    if (status >= 400) throw toGatewayError(status, { ...facts, logId, baseUrl });
    return body;
  }
}

/** Nothing was done: Coze did not know who asked. */
function isTokenRefused(error: unknown): boolean {
  return error instanceof CozeError && error.code === "COZE_AUTH";
}

function bodyHeaders({ json, upload }: CozeCall): Record<string, string> {
  if (json !== undefined) return { "content-type": "application/json" };
  if (upload === undefined) return {};
  return { "content-type": upload.contentType, "content-length": String(upload.contentLength) };
}

function withoutAbsent(query: NonNullable<CozeCall["query"]>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

/** Method and path with ids left out of neither: they are what the log needs. */
function callName(call: Pick<CozeCall, "method" | "path">): string {
  return `${call.method} ${call.path}`;
}

function ids(response: OpenResponse): Pick<CallFacts, "logId" | "retryAfterMs"> {
  return { logId: response.logId, retryAfterMs: response.retryAfterMs };
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("aborted", { cause: reason });
}
