import { WebClient, type WebClientOptions } from "@slack/web-api";
import { request } from "undici";
import { z } from "zod";
import type { Log } from "../../src/core/ports.ts";
import { untilAborted } from "../../src/core/until-aborted.ts";
import { retryAfterOf, toPlatformError, toPlatformFailure } from "./errors.ts";
import { toSdkLogger } from "./sdk-logger.ts";

/** A call that has not answered by then is given up, in ms (slack.md §8.3). */
export const CALL_TIMEOUT_MS = 10_000;

/**
 * Options of a Slack client, fresh on each call: the SDK writes into what it is given, and would hand one client's
 * token to the next (slack.md §6.5).
 */
export function webClientOptions(apiUrl: string, log: Log): WebClientOptions {
  return {
    slackApiUrl: apiUrl,
    logger: toSdkLogger(log),
    // Repeats are the reply's business: an SDK that repeats a post makes a second message (slack.md §8.3).
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: CALL_TIMEOUT_MS,
    allowAbsoluteUrls: false,
  };
}

export interface WebApiOptions {
  readonly apiUrl: string;
  readonly token: string;
  readonly log: Log;
  /** Default {@link CALL_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
}

const envelope = z.object({
  ok: z.boolean(),
  error: z.string().optional(),
  needed: z.string().optional(),
});

/** The schema of an answer that says no more than that it worked. */
export const anything: z.ZodType<object> = z.object({});

/** Slack's Web API with one token: the official client for everything, plain calls for streams. */
export class SlackWebApi {
  readonly #client: WebClient;
  readonly #options: WebApiOptions;

  constructor(options: WebApiOptions) {
    this.#options = options;
    this.#client = new WebClient(options.token, {
      ...webClientOptions(options.apiUrl, options.log),
      ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs }),
    });
  }

  /** The client knows no signal: on abort its result is ignored, and its own time-out ends it. */
  async call<T>(
    method: string,
    schema: z.ZodType<T>,
    args: Record<string, unknown>,
    { signal }: { signal: AbortSignal },
  ): Promise<T> {
    signal.throwIfAborted();
    const running = this.#client.apiCall(method, args);
    const answer = await untilAborted(running, signal).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : toPlatformError(method, error);
    });
    const parsed = schema.safeParse(answer);
    if (!parsed.success) throw toPlatformFailure(method, { error: "unreadable_answer", cause: parsed.error });
    return parsed.data;
  }

  /**
   * One call without the SDK: with a signal, on its own connection, as JSON.
   *
   * @throws {PlatformError}
   */
  async stream<T>(
    method: "chat.startStream" | "chat.appendStream" | "chat.stopStream",
    schema: z.ZodType<T>,
    args: Record<string, unknown>,
    { signal }: { signal: AbortSignal },
  ): Promise<T> {
    const body = await this.#post(method, JSON.stringify(args), signal);
    const head = envelope.safeParse(body.json);
    if (!head.success)
      throw toPlatformFailure(method, { httpStatus: body.status >= 400 ? body.status : 502 });
    if (!head.data.ok) throw toPlatformFailure(method, { ...body.limit, ...withoutUndefined(head.data) });
    const parsed = schema.safeParse(body.json);
    if (!parsed.success) throw toPlatformFailure(method, { error: "unreadable_answer", cause: parsed.error });
    return parsed.data;
  }

  async #post(method: string, body: string, signal: AbortSignal): Promise<StreamAnswer> {
    const timeoutMs = this.#options.timeoutMs ?? CALL_TIMEOUT_MS;
    try {
      const answer = await request(new URL(method, this.#options.apiUrl), {
        method: "POST",
        headers: {
          authorization: `Bearer ${this.#options.token}`,
          "content-type": "application/json; charset=utf-8",
        },
        body,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      const limit = retryAfterOf(answer.headers);
      const json = parseJson(await answer.body.text());
      if (answer.statusCode === 429) throw toPlatformFailure(method, { httpStatus: 429, ...limit });
      return { status: answer.statusCode, limit, json };
    } catch (error) {
      throw signal.aborted ? signal.reason : toPlatformError(method, error);
    }
  }
}

interface StreamAnswer {
  readonly status: number;
  readonly limit: { readonly retryAfterMs?: number };
  readonly json: unknown;
}

function withoutUndefined(head: z.infer<typeof envelope>): { error: string; needed?: string } {
  return { error: head.error ?? "unknown_error", ...(head.needed !== undefined && { needed: head.needed }) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's or Slack's error page: whoever looks at the value sees that it is no answer.
    return undefined;
  }
}
