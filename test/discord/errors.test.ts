import { DiscordAPIError, HTTPError, RateLimitError } from "discord.js";
import { describe, expect, it } from "vitest";
import { isBan, toLoginError, toPlatformError, withoutTokens } from "../../adapters/discord/errors.ts";
import { BridgeError } from "../../src/core/errors.ts";

const URL_WITH_TOKEN = "https://discord.com/api/v10/webhooks/123/s3cret/messages/@original";

function refusal(code: number | undefined, status: number): DiscordAPIError {
  const raw = { code: code as number, message: "words" };
  return new DiscordAPIError(raw, code as number, status, "PATCH", URL_WITH_TOKEN, {
    files: [],
    body: { content: "x" },
  });
}

function rateLimit(retryAfter: number): RateLimitError {
  return new RateLimitError({
    global: false,
    hash: "h",
    limit: 5,
    majorParameter: "1",
    method: "POST",
    retryAfter,
    route: "/channels/:id/messages",
    scope: "user",
    sublimitTimeout: 0,
    timeToReset: 0,
    url: URL_WITH_TOKEN,
  });
}

it("knows a ban of the address by Discord's edge, and no limit for one, however long it lasts", () => {
  expect(isBan(toPlatformError(refusal(undefined, 403), "edit"))).toBe(true);
  expect(isBan(toPlatformError(refusal(40333, 403), "edit"))).toBe(true);
  expect(isBan(toPlatformError(rateLimit(300_000), "edit"))).toBe(false);
  expect(isBan(toPlatformError(refusal(50013, 403), "edit"))).toBe(false);
});

describe("what Discord says", () => {
  it.each([
    [10003, 404, "PLATFORM_GONE", false],
    [10008, 404, "PLATFORM_GONE", false],
    [10062, 404, "PLATFORM_GONE", false],
    [50027, 401, "PLATFORM_GONE", false],
    [50001, 403, "PLATFORM_PERMISSION", false],
    [50013, 403, "PLATFORM_PERMISSION", false],
    [160002, 400, "PLATFORM_PERMISSION", false],
    [50035, 400, "PLATFORM_REJECTED", false],
    [200000, 400, "PLATFORM_REJECTED", false],
    [30046, 400, "PLATFORM_RATE_LIMITED", true],
    [130000, 503, "PLATFORM_UNREACHABLE", true],
    [0, 401, "PLATFORM_AUTH", false],
    [undefined, 403, "PLATFORM_RATE_LIMITED", true],
  ])("code %s with HTTP %i is %s", (code, status, expected, retryable) => {
    expect(toPlatformError(refusal(code, status), "edit message")).toMatchObject({
      code: expected,
      retryable,
    });
  });

  it("§11.26 a 429 without Retry-After waits long", () => {
    expect(toPlatformError(rateLimit(0), "create").retryAfterMs).toBe(10_000);
    expect(toPlatformError(rateLimit(700), "create").retryAfterMs).toBe(700);
  });

  it("a 5xx and a time-out leave the outcome open, a refused connection does not", () => {
    const failed = new HTTPError(502, "Bad Gateway", "POST", URL_WITH_TOKEN, {});
    expect(toPlatformError(failed, "create")).toMatchObject({
      code: "PLATFORM_UNKNOWN_OUTCOME",
      retryable: true,
    });
    const timeout = new DOMException("This operation was aborted", "AbortError");
    expect(toPlatformError(timeout, "create").code).toBe("PLATFORM_UNKNOWN_OUTCOME");
    const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
    const wrapped = new TypeError("fetch failed", { cause: refused });
    expect(toPlatformError(wrapped, "create").code).toBe("PLATFORM_UNREACHABLE");
  });

  it("passes our own errors on", () => {
    const ours = new BridgeError("INTERNAL", "x");
    expect(toPlatformError(ours, "create")).toBe(ours);
  });
});

it("never tells an address or a body", () => {
  const errors = [
    refusal(50035, 400),
    rateLimit(1),
    new HTTPError(500, `at ${URL_WITH_TOKEN}`, "POST", URL_WITH_TOKEN, {}),
  ];
  for (const error of errors) {
    const told = toPlatformError(error, "edit message");
    const cause = told.cause as Error;
    const everything = `${told.message}${told.stack}${JSON.stringify(cause)}${cause.message}${cause.stack}`;
    expect(everything).not.toContain("s3cret");
  }
  expect(withoutTokens(URL_WITH_TOKEN)).toBe(
    "https://discord.com/api/v10/webhooks/123/(token)/messages/@original",
  );
});

describe("a login that fails", () => {
  it.each([
    [Object.assign(new Error("An invalid token was provided."), { code: "TokenInvalid" }), "Reset Token"],
    [new Error("Authentication failed"), "Reset Token"],
    [new Error("Used disallowed intents"), "Privileged Gateway Intents"],
  ])("says what to click: %s", (error, words) => {
    expect(toLoginError(error)).toMatchObject({
      code: "PLATFORM_AUTH",
      message: expect.stringContaining(words) as string,
    });
  });
});
