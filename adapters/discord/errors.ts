import { DiscordAPIError, HTTPError, RateLimitError } from "discord.js";
import { neverConnected } from "../../src/connections.ts";
import { BridgeError, type ErrorCode, PlatformError } from "../../src/core/errors.ts";

interface Reaction {
  readonly code: ErrorCode;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
}

/** A 429 that does not say how long: Cloudflare's (discord.md §1.2, §1.3). */
const UNTOLD_WAIT_MS = 10_000;
/** Discord's edge has had enough of us (discord.md §6.3, 403 HTML). */
const BANNED_WAIT_MS = 300_000;
/** Old messages: three edits per 6 s (discord.md §1.1). */
const OLD_MESSAGE_WAIT_MS = 6_000;
const OVERLOADED_WAIT_MS = 2_000;

/** Discord's codes by the reaction they ask for (discord.md §6.3); what is not here follows the HTTP status. */
const REACTIONS: Readonly<Record<number, Reaction>> = {
  10003: { code: "PLATFORM_GONE" },
  10004: { code: "PLATFORM_GONE" },
  10008: { code: "PLATFORM_GONE" },
  10013: { code: "PLATFORM_GONE" },
  10015: { code: "PLATFORM_GONE" },
  10062: { code: "PLATFORM_GONE" },
  50027: { code: "PLATFORM_GONE" },
  40007: { code: "PLATFORM_PERMISSION" },
  50001: { code: "PLATFORM_PERMISSION" },
  50005: { code: "PLATFORM_PERMISSION" },
  50007: { code: "PLATFORM_PERMISSION" },
  50013: { code: "PLATFORM_PERMISSION" },
  50278: { code: "PLATFORM_PERMISSION" },
  160002: { code: "PLATFORM_PERMISSION" },
  160005: { code: "PLATFORM_PERMISSION" },
  30046: { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: OLD_MESSAGE_WAIT_MS },
  40062: { code: "PLATFORM_UNREACHABLE", retryable: true, retryAfterMs: OVERLOADED_WAIT_MS },
  130000: { code: "PLATFORM_UNREACHABLE", retryable: true, retryAfterMs: OVERLOADED_WAIT_MS },
  40333: { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: BANNED_WAIT_MS },
};

/** What `@discordjs/rest` says once it has thrown its token away after a 401 (discord.md §1.3). */
const TOKEN_DROPPED = "Expected token to be set";

/**
 * Translates what discord.js throws. Addresses and bodies never come along: they hold interaction tokens and the
 * answer's text (discord.md §9.1).
 *
 * @param call - What was tried, in words for the operator, e.g. `create message`.
 */
export function toPlatformError(error: unknown, call: string): BridgeError {
  if (error instanceof BridgeError) return error;
  if (error instanceof RateLimitError) {
    const retryAfterMs = error.retryAfter > 0 ? error.retryAfter : UNTOLD_WAIT_MS;
    return platformError(`Discord limits "${call}" (${error.scope})`, error, {
      code: "PLATFORM_RATE_LIMITED",
      retryable: true,
      retryAfterMs,
    });
  }
  if (error instanceof DiscordAPIError) return refused(error, call);
  if (error instanceof HTTPError) {
    // A 5xx says nothing about whether the effect happened (discord.md §6.3, last row).
    const reaction: Reaction = { code: "PLATFORM_UNKNOWN_OUTCOME", retryable: true };
    return platformError(`Discord failed at "${call}" with ${error.status}`, error, reaction, {
      httpStatus: error.status,
    });
  }
  return unanswered(error, call);
}

function refused(error: DiscordAPIError, call: string): PlatformError {
  const code = Number(error.code);
  const message = `Discord refused "${call}": ${error.code} (HTTP ${error.status})`;
  const reaction = REACTIONS[code] ?? reactionToStatus(error.status, Number.isNaN(code));
  return platformError(message, error, reaction, {
    httpStatus: error.status,
    platformCode: String(error.code),
  });
}

function reactionToStatus(status: number, withoutCode: boolean): Reaction {
  if (status === 401) return { code: "PLATFORM_AUTH" };
  if (status === 403 && withoutCode) {
    return { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: BANNED_WAIT_MS };
  }
  if (status === 403) return { code: "PLATFORM_PERMISSION" };
  if (status === 404) return { code: "PLATFORM_GONE" };
  return { code: "PLATFORM_REJECTED" };
}

/** Whether Discord's edge refused the address itself, not the call. */
export function isBan(error: BridgeError): boolean {
  return error instanceof PlatformError && error.code === "PLATFORM_RATE_LIMITED" && error.httpStatus === 403;
}

/** No answer came: time-out, lost connection, or never sent. */
function unanswered(error: unknown, call: string): PlatformError {
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith(TOKEN_DROPPED)) {
    const text = `Discord refused the bot token before "${call}"; restart with a valid DISCORD_BOT_TOKEN`;
    return platformError(text, error, { code: "PLATFORM_AUTH" });
  }
  if (neverConnected(error)) {
    const reaction: Reaction = { code: "PLATFORM_UNREACHABLE", retryable: true };
    return platformError(`Discord cannot be reached for "${call}"`, error, reaction);
  }
  return platformError(`Discord did not answer "${call}"`, error, {
    code: "PLATFORM_UNKNOWN_OUTCOME",
    retryable: true,
  });
}

function platformError(
  message: string,
  cause: unknown,
  reaction: Reaction,
  details: { readonly httpStatus?: number; readonly platformCode?: string } = {},
): PlatformError {
  return new PlatformError(reaction.code, message, {
    platform: "discord",
    cause: withoutSecrets(cause),
    retryable: reaction.retryable ?? false,
    ...(reaction.retryAfterMs !== undefined && { retryAfterMs: reaction.retryAfterMs }),
    ...details,
  });
}

/** discord.js' errors carry `url` and `requestBody`; only the words and the stack go on. */
function withoutSecrets(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const copy = new Error(`${error.name}: ${withoutTokens(error.message)}`);
  copy.stack = withoutTokens(error.stack ?? "");
  return copy;
}

/** Blanks the token part of webhook and interaction addresses. */
export function withoutTokens(text: string): string {
  return text.replaceAll(/\/(webhooks|interactions)\/(\d+)\/[^/\s"']+/g, "/$1/$2/(token)");
}

/** What `@discordjs/ws` says instead of logging in once too often. */
const NO_LOGIN_LEFT = /^Not enough sessions remaining.* resets at (\d[\dT:.-]+Z)$/;

/**
 * The logins of the day are used up; one more would cost the token (discord.md §3.4).
 *
 * @param resetAfterMs - Until there are new ones.
 */
export function noLoginLeft(resetAfterMs: number, cause?: unknown): PlatformError {
  const retryAfterMs = Math.max(0, resetAfterMs);
  const backAt = `${new Date(Date.now() + retryAfterMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const text =
    "Discord lets a bot log in 1,000 times a day, and this one has used them up: something starts it again and " +
    `again, and the log says why. It logs in again at ${backAt}`;
  return platformError(text, cause, { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs });
}

/** With what to click. */
export function refusedToken(cause: unknown): PlatformError {
  const text =
    "Discord refused the bot token. Open https://discord.com/developers/applications, your application, " +
    '"Bot", press "Reset Token" and put the new one into DISCORD_BOT_TOKEN';
  return platformError(text, cause, { code: "PLATFORM_AUTH" });
}

/**
 * Why a login failed, with what to click or until when to wait.
 *
 * @see docs/reference/discord.md §3.3, §3.4
 */
export function toLoginError(error: unknown): BridgeError {
  const message = error instanceof Error ? error.message : String(error);
  const { code } = error instanceof Error ? (error as { readonly code?: unknown }) : {};
  const refused = error instanceof DiscordAPIError && error.status === 401;
  if (refused || code === "TokenInvalid" || /authentication failed|invalid token/i.test(message)) {
    return refusedToken(error);
  }
  const [, backAt] = NO_LOGIN_LEFT.exec(message) ?? [];
  if (backAt !== undefined) return noLoginLeft(Date.parse(backAt) - Date.now(), error);
  if (/disallowed intents/i.test(message)) {
    const text =
      "Discord refused the intents. Open https://discord.com/developers/applications, your application, " +
      '"Bot", "Privileged Gateway Intents", switch on what you configured, save, start again';
    return platformError(text, error, { code: "PLATFORM_AUTH" });
  }
  return toPlatformError(error, "login");
}
