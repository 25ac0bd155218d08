import fc from "fast-check";
import { expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { RetryLater } from "../../src/core/ports.ts";
import { parseTurn, toPayload } from "../../src/queue/turn-payload.ts";
import { aTurn } from "../make.ts";

it("brings a turn through the queue unchanged", () => {
  const turn = aTurn({
    quote: { author: "Bo", text: "界" },
    attachments: [
      { id: "1", name: "a.png", size: 3, contentType: "image/png", url: "https://x.test/a" },
      { id: "2", name: "b", url: "https://x.test/b" },
    ],
    late: true,
    address: { channel: "5", nested: [1, null, { deep: true }] },
  });
  expect(parseTurn(toPayload(turn))).toEqual(turn);
  expect(parseTurn(toPayload(aTurn()))).toEqual(aTurn());
});

it("reads a turn that has fields of a later minor version", () => {
  const payload = { ...(toPayload(aTurn()) as Record<string, Json>), mood: "good" };
  expect(parseTurn(payload)).toEqual(aTurn());
});

it("leaves a turn of a newer version for a bridge that knows it, however strange it looks", () => {
  const read = (): unknown => parseTurn({ v: 2, everything: "else" });
  expect(read).toThrow(RetryLater);
  expect(read).toThrow(expect.objectContaining({ counts: false, afterMs: undefined }) as Error);
});

it("names what is wrong with a turn, without repeating what it holds", () => {
  const payload = { ...(toPayload(aTurn()) as Record<string, Json>), text: 5, asker: "Ada Secret" };
  expect(() => parseTurn(payload)).toThrow(/bad at: asker, text/);
  expect(() => parseTurn(payload)).not.toThrow(/Secret/);
});

it("calls garbage unreadable, whatever it is", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      // fast-check's values are JSON; its type is only spelled otherwise.
      const read = (): unknown => parseTurn(value as Json);
      expect(read).toThrow(expect.objectContaining({ code: "TURN_UNREADABLE" }) as Error);
    }),
  );
});
