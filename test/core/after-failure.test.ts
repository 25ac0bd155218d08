import { describe, expect, it } from "vitest";
import { afterFailure } from "../../src/core/after-failure.ts";
import { BridgeError, CozeError, PlatformError } from "../../src/core/errors.ts";

const HOUR_MS = 3_600_000;
const busy = (retryAfterMs?: number): CozeError =>
  new CozeError("COZE_BUSY", "busy", {
    retryable: true,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
const unseen = { textShown: false };

describe("after a failure", () => {
  it("waits longer each time, and as long as it was told", () => {
    expect(afterFailure(busy(), 1, unseen)).toEqual({ do: "retry", afterMs: 2_000 });
    expect(afterFailure(busy(), 2, unseen)).toEqual({ do: "retry", afterMs: 4_000 });
    expect(afterFailure(busy(60_000), 1, unseen)).toEqual({ do: "retry", afterMs: 60_000 });
  });

  it.each([HOUR_MS, 1e300, Number.POSITIVE_INFINITY])(
    "tells the asker instead of coming back in %d ms",
    (retryAfterMs) => {
      expect(afterFailure(busy(retryAfterMs), 1, unseen)).toEqual({ do: "tell", code: "COZE_BUSY" });
    },
  );

  it("tells after the last attempt, after shown text, and when the question may have arrived", () => {
    const tell = { do: "tell", code: "COZE_BUSY" };
    const arrived = new CozeError("COZE_BUSY", "busy", { retryable: true, outcome: "unknown" });
    expect(afterFailure(busy(), 3, unseen)).toEqual(tell);
    expect(afterFailure(busy(), 1, { textShown: true })).toEqual(tell);
    expect(afterFailure(arrived, 1, unseen)).toEqual(tell);
  });

  it("has more patience while another chat occupies the conversation", () => {
    const occupied = new CozeError("COZE_OCCUPIED", "occupied", { retryable: true });
    expect(afterFailure(occupied, 8, unseen)).toEqual({ do: "retry", afterMs: 30_000 });
    expect(afterFailure(occupied, 9, unseen)).toEqual({ do: "tell", code: "COZE_OCCUPIED" });
  });

  it("tells nobody where the platform itself refuses", () => {
    const gone = new PlatformError("PLATFORM_GONE", "gone", { platform: "slack" });
    const away = new PlatformError("PLATFORM_UNREACHABLE", "away", { platform: "slack", retryable: true });
    expect(afterFailure(gone, 1, unseen)).toEqual({ do: "give-up" });
    expect(afterFailure(away, 1, { textShown: true })).toEqual({ do: "retry", afterMs: 2_000 });
    expect(afterFailure(away, 3, unseen)).toEqual({ do: "give-up" });
  });

  it("calls what nobody foresaw an internal error", () => {
    expect(afterFailure(new TypeError("x"), 1, unseen)).toEqual({ do: "tell", code: "INTERNAL" });
    expect(afterFailure(new BridgeError("FILE_GONE", "x"), 1, unseen)).toEqual({
      do: "tell",
      code: "FILE_GONE",
    });
  });
});
