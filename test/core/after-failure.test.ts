import { describe, expect, it } from "vitest";
import { afterFailure } from "../../src/core/after-failure.ts";
import { BridgeError, CozeError, PlatformError } from "../../src/core/errors.ts";

const HOUR_MS = 3_600_000;
const busy = (retryAfterMs?: number): CozeError =>
  new CozeError("COZE_BUSY", "busy", {
    retryable: true,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
const repeatable = { repeatable: true, isFollowed: false, inTime: true };
const followed = { repeatable: true, isFollowed: true, inTime: true };
const late = { repeatable: true, isFollowed: true, inTime: false };
const unrepeatable = { repeatable: false, isFollowed: false, inTime: true };

describe("after a failure", () => {
  it("waits longer each time, and as long as it was told", () => {
    expect(afterFailure(busy(), 1, repeatable)).toEqual({ do: "retry", afterMs: 2_000 });
    expect(afterFailure(busy(), 2, repeatable)).toEqual({ do: "retry", afterMs: 4_000 });
    expect(afterFailure(busy(60_000), 1, repeatable)).toEqual({ do: "retry", afterMs: 60_000 });
  });

  it.each([HOUR_MS, 1e300, Number.POSITIVE_INFINITY])(
    "tells the asker instead of coming back in %d ms",
    (retryAfterMs) => {
      expect(afterFailure(busy(retryAfterMs), 1, repeatable)).toEqual({
        do: "tell",
        code: "COZE_BUSY",
        bury: true,
      });
    },
  );

  it("tells after the last attempt, and where another one would show something twice", () => {
    const tell = { do: "tell", code: "COZE_BUSY", bury: true };
    const arrived = new CozeError("COZE_BUSY", "busy", { retryable: true, outcome: "unknown" });
    expect(afterFailure(busy(), 3, repeatable)).toEqual(tell);
    expect(afterFailure(busy(), 1, unrepeatable)).toEqual(tell);
    // The next attempt looks for it before it asks again.
    expect(afterFailure(arrived, 1, repeatable).do).toBe("retry");
  });

  it("tries no more often than makes sense, as the error says", () => {
    const options = { retryable: true, maxAttempts: 2 };
    const silent = new CozeError("COZE_STREAM_BROKEN", "not a word", options);
    expect(afterFailure(silent, 1, repeatable).do).toBe("retry");
    expect(afterFailure(silent, 2, repeatable).do).toBe("tell");
  });

  it("has more patience while another chat occupies the conversation, and never speaks of it", () => {
    const occupied = new CozeError("COZE_OCCUPIED", "occupied", { retryable: true });
    expect(afterFailure(occupied, 29, repeatable)).toEqual({ do: "retry", afterMs: 30_000 });
    expect(afterFailure(occupied, 30, repeatable)).toEqual({ do: "tell", code: "COZE_BUSY", bury: true });
  });

  it("keeps for the operator only what an operator can mend", () => {
    const refused = afterFailure(new CozeError("COZE_REFUSED", "4014"), 1, repeatable);
    const unpublished = afterFailure(new CozeError("COZE_BOT_UNPUBLISHED", "4015"), 1, repeatable);
    expect([refused, unpublished]).toMatchObject([{ bury: false }, { bury: true }]);
  });

  it("tells nobody where the platform itself refuses", () => {
    const gone = new PlatformError("PLATFORM_GONE", "gone", { platform: "slack" });
    const away = new PlatformError("PLATFORM_UNREACHABLE", "away", { platform: "slack", retryable: true });
    expect(afterFailure(gone, 1, repeatable)).toEqual({ do: "give-up" });
    expect(afterFailure(away, 1, unrepeatable)).toEqual({ do: "retry", afterMs: 2_000 });
  });

  it("waits for a platform that is away as for an answer, but not for hours", () => {
    const away = new PlatformError("PLATFORM_UNREACHABLE", "away", { platform: "slack", retryable: true });
    expect(afterFailure(away, 29, repeatable)).toEqual({ do: "retry", afterMs: 30_000 });
    expect(afterFailure(away, 30, repeatable)).toEqual({ do: "give-up" });
    expect(afterFailure(away, 2, late).do).toBe("retry");
    expect(afterFailure(away, 3, late).do).toBe("give-up");
    const options = { platform: "slack" as const, retryable: true, retryAfterMs: HOUR_MS };
    const banned = new PlatformError("PLATFORM_RATE_LIMITED", "banned", options);
    expect(afterFailure(banned, 1, repeatable)).toEqual({ do: "give-up" });
  });

  it("takes one refused token for a mistake, and not several", () => {
    const refused = new PlatformError("PLATFORM_AUTH", "401", { platform: "discord" });
    expect(afterFailure(refused, 1, repeatable)).toEqual({ do: "retry", afterMs: 2_000 });
    expect(afterFailure(refused, 3, repeatable)).toEqual({ do: "give-up" });
  });

  it("waits for a Coze that is away where it has the answer", () => {
    const away = new CozeError("COZE_UNREACHABLE", "away", { retryable: true });
    expect(afterFailure(away, 3, repeatable)).toEqual({ do: "tell", code: "COZE_UNREACHABLE", bury: true });
    expect(afterFailure(away, 29, followed)).toEqual({ do: "retry", afterMs: 30_000 });
    expect(afterFailure(away, 30, followed).do).toBe("tell");
    expect(afterFailure(away, 3, late).do).toBe("tell");
  });

  it("calls what nobody foresaw an internal error", () => {
    expect(afterFailure(new TypeError("x"), 1, repeatable)).toEqual({
      do: "tell",
      code: "INTERNAL",
      bury: true,
    });
    expect(afterFailure(new BridgeError("FILE_GONE", "x"), 1, repeatable)).toEqual({
      do: "tell",
      code: "FILE_GONE",
      bury: true,
    });
  });
});
