import {
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebAPIRequestError,
} from "@slack/web-api";
import { neverConnected } from "../../src/connections.ts";
import { type ErrorCode, PlatformError } from "../../src/core/errors.ts";

/** What Slack, or the way to it, said to one call. */
export interface SlackFailure {
  /** Slack's error name, e.g. `msg_too_long`. */
  readonly error?: string;
  readonly httpStatus?: number;
  readonly retryAfterMs?: number;
  /** The scope that is missing (slack.md §10). */
  readonly needed?: string;
  readonly cause?: unknown;
}

/** Wait after a refusal that does not say how long (slack.md §14 case 40), in ms. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

// slack.md §1.2, §6.2, §8.2
const CODES: readonly (readonly [ErrorCode, RegExp])[] = [
  ["PLATFORM_RATE_LIMITED", /^(ratelimited|rate_limited)$/],
  [
    "PLATFORM_AUTH",
    /^(invalid_auth|not_authed|account_inactive|token_(revoked|expired)|user_removed_from_team|team_disabled)$/,
  ],
  ["PLATFORM_GONE", /^(channel_not_found|message_not_found|is_archived|thread_not_found|no_such_file)$/],
  [
    "PLATFORM_PERMISSION",
    /^(missing_scope|not_in_channel|no_permission|access_denied|ekm_access_denied|messages_tab_disabled|cant_update_message|edit_window_closed|message_not_owned_by_app|not_allowed_token_type|restricted_action.*|slack_connect_.*)$/,
  ],
  ["PLATFORM_UNREACHABLE", /^(team_added_to_org|accesslimited)$/],
  // Part of the work may have been done when Slack ran into trouble.
  [
    "PLATFORM_UNKNOWN_OUTCOME",
    /^(internal_error|fatal_error|service_unavailable|request_timeout|messaging_processing_failed)$/,
  ],
];

const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  "PLATFORM_RATE_LIMITED",
  "PLATFORM_UNREACHABLE",
  "PLATFORM_UNKNOWN_OUTCOME",
]);

/** When to come back, if the answer says so. */
export function retryAfterOf(headers: Readonly<Record<string, string | string[] | undefined>>): {
  readonly retryAfterMs?: number;
} {
  const seconds = Number.parseInt(String(headers["retry-after"] ?? ""), 10);
  return Number.isNaN(seconds) ? {} : { retryAfterMs: seconds * 1000 };
}

/** Names the reaction a failed call asks for. The message holds no text, token or URL. */
export function toPlatformFailure(method: string, failure: SlackFailure): PlatformError {
  const code = codeOf(failure);
  const said =
    failure.error ?? (failure.httpStatus === undefined ? "no answer" : `HTTP ${failure.httpStatus}`);
  const needed = failure.needed === undefined ? "" : `, the app lacks the scope ${failure.needed}`;
  return new PlatformError(code, `Slack ${method}: ${said}${needed}`, {
    platform: "slack",
    ...(failure.error !== undefined && { platformCode: failure.error }),
    ...(failure.httpStatus !== undefined && { httpStatus: failure.httpStatus }),
    ...(code === "PLATFORM_RATE_LIMITED" && {
      retryAfterMs: failure.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS,
    }),
    retryable: RETRYABLE.has(code),
    cause: failure.cause,
  });
}

function codeOf({ error, httpStatus, cause }: SlackFailure): ErrorCode {
  if (httpStatus === 429) return "PLATFORM_RATE_LIMITED";
  if (error !== undefined) return CODES.find(([, names]) => names.test(error))?.[0] ?? "PLATFORM_REJECTED";
  if (httpStatus !== undefined && httpStatus < 500) return "PLATFORM_REJECTED";
  if (httpStatus !== undefined) return "PLATFORM_UNKNOWN_OUTCOME";
  // Without a connection nothing can have happened; after one, anything can.
  return neverConnected(cause) ? "PLATFORM_UNREACHABLE" : "PLATFORM_UNKNOWN_OUTCOME";
}

/** Turns what a WebClient call threw into our error. @see docs/reference/slack.md §8.3 */
export function toPlatformError(method: string, error: unknown): PlatformError {
  if (error instanceof PlatformError) return error;
  if (error instanceof WebAPIRateLimitedError) {
    return toPlatformFailure(method, {
      httpStatus: 429,
      retryAfterMs: error.retryAfter * 1000,
      cause: error,
    });
  }
  if (error instanceof WebAPIPlatformError) return platformAnswer(method, error);
  if (error instanceof WebAPIHTTPError) {
    return toPlatformFailure(method, { httpStatus: error.statusCode, cause: error });
  }
  if (error instanceof WebAPIRequestError) return toPlatformFailure(method, { cause: error.original });
  // The client words a 429 without a usable Retry-After as a plain error.
  const noRetryAfter = error instanceof Error && error.message.includes("Retry header");
  return toPlatformFailure(method, noRetryAfter ? { httpStatus: 429, cause: error } : { cause: error });
}

function platformAnswer(method: string, error: WebAPIPlatformError): PlatformError {
  const { data } = error;
  const retryAfter = data.response_metadata?.["retryAfter"];
  const needed: unknown = "needed" in data ? data.needed : undefined;
  // A page of HTML comes as an error name as long as the page (slack.md §8.3).
  if (!/^[\w.:-]{1,100}$/.test(data.error)) return toPlatformFailure(method, { httpStatus: 502 });
  return toPlatformFailure(method, {
    error: data.error,
    ...(typeof retryAfter === "number" && { retryAfterMs: retryAfter * 1000 }),
    ...(typeof needed === "string" && { needed }),
    cause: error,
  });
}
