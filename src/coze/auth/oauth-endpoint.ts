import { type Dispatcher, request } from "undici";
import type { z } from "zod";
import { createAgent } from "../../connections.ts";
import { CozeError } from "../../core/errors.ts";
import type { Abortable, HttpProxy } from "../../core/ports.ts";
import { Deadline } from "../deadline.ts";
import { type CallFacts, timedOut, toGatewayError, toTransportError } from "../errors.ts";
import { headerOf, USER_AGENT } from "../open-response.ts";
import {
  type OAuthAnswer,
  type OAuthRefusal,
  parseOAuthAnswer,
  skewSentence,
  toOAuthError,
} from "./oauth-answer.ts";
import { type OAuthTokens, tokensSchema, toTokens } from "./tokens.ts";

export interface OAuthEndpointOptions {
  /** The API's host, without a trailing slash. */
  readonly baseUrl: string;
  readonly timeouts?: Partial<OAuthTimeouts>;
  readonly proxy?: HttpProxy | undefined;
  /** Ms since the epoch, default the machine's clock. */
  readonly now?: () => number;
}

/** All in ms. */
export interface OAuthTimeouts {
  readonly connectMs: number;
  /** Until the answer is here, whole. */
  readonly totalMs: number;
}

const DEFAULT_TIMEOUTS: OAuthTimeouts = { connectMs: 10_000, totalMs: 30_000 };

/** One request for a token or a code. */
export interface OAuthRequest {
  readonly path: string;
  readonly json: Readonly<Record<string, unknown>>;
  /** A signed JWT or a client secret. */
  readonly bearer?: string;
}

/** An answer, and what the clocks said when it came. */
export interface TimedAnswer<T> {
  readonly answer: OAuthAnswer<T>;
  readonly facts: CallFacts;
  /** This machine's clock, in ms since the epoch. */
  readonly now: number;
  /** Coze's, by its `Date`; ours when it sent none. */
  readonly serverNow: number;
}

export const TOKEN_PATH = "/api/permission/oauth2/token";

/** Answers are a few hundred bytes. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Fields of a request that must not come back in an error. */
const SECRET_FIELDS = ["refresh_token", "code", "code_verifier", "device_code"] as const;

/** Coze's endpoints for tokens and codes: JSON without an envelope. Never repeats a request. */
export class OAuthEndpoint implements AsyncDisposable {
  readonly baseUrl: string;
  readonly now: () => number;
  readonly #timeouts: OAuthTimeouts;
  readonly #agent: Dispatcher;

  constructor(options: OAuthEndpointOptions) {
    this.baseUrl = options.baseUrl.replace(/\/+$/, "");
    this.now = options.now ?? Date.now;
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    const { connectMs } = this.#timeouts;
    this.#agent = createAgent({ connectMs, proxy: options.proxy });
  }

  /** Asks for tokens. @throws {CozeError} also when they are refused. */
  async tokens(asked: OAuthRequest, options: Abortable): Promise<OAuthTokens> {
    const timed = await this.ask(asked, tokensSchema, options);
    return toTokens(demandGranted(timed), timed);
  }

  /**
   * Makes one request; a refusal is an answer, too.
   *
   * @throws {CozeError} when there was no answer, or none that an OAuth endpoint gives.
   */
  async ask<T>(asked: OAuthRequest, schema: z.ZodType<T>, { signal }: Abortable): Promise<TimedAnswer<T>> {
    using deadline = new Deadline(signal);
    const { totalMs } = this.#timeouts;
    const call: CallFacts = { call: `POST ${asked.path}`, baseUrl: this.baseUrl };
    deadline.limit(totalMs, () => timedOut("no complete answer", totalMs, call));
    try {
      const response = await this.#send(asked, deadline);
      const facts = { ...call, httpStatus: response.statusCode, logId: headerOf(response, "x-tt-logid") };
      const answer = parseOAuthAnswer(await readBounded(response, facts), response.statusCode, schema);
      if (answer === undefined) throw unreadable(facts);
      const now = this.now();
      const serverNow = Date.parse(headerOf(response, "date") ?? "");
      return {
        answer: answer.kind === "refused" ? { ...answer, refusal: redact(answer.refusal, asked) } : answer,
        facts,
        now,
        serverNow: Number.isNaN(serverNow) ? now : serverNow,
      };
    } catch (error) {
      if (deadline.signal.aborted) throw deadline.signal.reason;
      throw error instanceof CozeError ? error : toTransportError(error, call);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #send(asked: OAuthRequest, deadline: Deadline): Promise<Dispatcher.ResponseData> {
    return request(`${this.baseUrl}${asked.path}`, {
      method: "POST",
      dispatcher: this.#agent,
      headers: {
        "user-agent": USER_AGENT,
        "accept-encoding": "identity",
        "content-type": "application/json",
        ...(asked.bearer !== undefined && { authorization: `Bearer ${asked.bearer}` }),
      },
      body: JSON.stringify(asked.json),
      signal: deadline.signal,
    });
  }
}

/** @throws {CozeError} for a refusal; names a wrong clock, if there is one. */
export function demandGranted<T>({ answer, facts, now, serverNow }: TimedAnswer<T>): T {
  if (answer.kind === "granted") return answer.value;
  throw toOAuthError(answer.refusal, facts, skewSentence({ now, serverNow }));
}

function unreadable(facts: CallFacts & { readonly httpStatus: number }): CozeError {
  if (facts.httpStatus >= 400) return toGatewayError(facts.httpStatus, facts);
  const { httpStatus, logId } = facts;
  return new CozeError(
    "COZE_FAILED",
    `Coze ${facts.call}: an answer we cannot read; is COZE_API_BASE Coze's?`,
    {
      httpStatus,
      ...(logId !== undefined && { logId }),
      outcome: "unknown",
    },
  );
}

async function readBounded(
  { body }: Dispatcher.ResponseData,
  facts: CallFacts & { readonly httpStatus: number },
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Bytes, since no encoding was set; leaving the loop early ends the connection.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw unreadable(facts);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** Coze's words, without our secrets should it repeat them. */
function redact(refusal: OAuthRefusal, { bearer, json }: OAuthRequest): OAuthRefusal {
  const secrets = [bearer, ...SECRET_FIELDS.map((name) => json[name])];
  const hide = (text: string): string =>
    secrets.reduce<string>(
      (hidden, secret) =>
        typeof secret === "string" && secret !== "" ? hidden.replaceAll(secret, "[secret]") : hidden,
      text,
    );
  return { ...refusal, name: hide(refusal.name), text: hide(refusal.text) };
}
