import { describe, expect, it } from "vitest";
import { hasExpired } from "../../adapters/discord/fetch-attachment.ts";
import { nonceOf } from "../../adapters/discord/nonce.ts";
import { timeOfId } from "../../adapters/discord/normalize.ts";
import { TypingSign } from "../../adapters/discord/typing-sign.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import { BridgeError } from "../../src/core/errors.ts";

describe("a nonce", () => {
  it("§11.22 always fits", () => {
    expect(nonceOf("x".repeat(500), 12, "answer")).toMatch(/^[\w-]{22}$/);
  });

  it("§11.21 is the same for the same message, and another for another", () => {
    const nonces = [
      nonceOf("t", 0, "answer"),
      nonceOf("t", 1, "answer"),
      nonceOf("t", 0, "notice"),
      nonceOf("u", 0, "answer"),
    ];
    expect(new Set(nonces).size).toBe(4);
    expect(nonceOf("t", 0, "answer")).toBe(nonces[0]);
  });
});

describe("typing", () => {
  const start = (fails = false): { clock: VirtualClock; sent: AbortSignal[]; sign: TypingSign } => {
    const clock = new VirtualClock(0);
    const sent: AbortSignal[] = [];
    const sign = new TypingSign((signal) => {
      sent.push(signal);
      return fails ? Promise.reject(new Error("no")) : Promise.resolve();
    }, clock);
    return { clock, sent, sign };
  };

  it("is said at once and every eight seconds", () => {
    const { clock, sent } = start();
    expect(sent).toHaveLength(1);
    clock.advance(16_000);
    expect(sent).toHaveLength(3);
  });

  it("ends when it is stopped, and calls back one under way", () => {
    const { clock, sent, sign } = start();
    sign.stop();
    expect(sent[0]?.aborted).toBe(true);
    clock.advance(60_000);
    expect(sent).toHaveLength(1);
  });

  it("ends by itself after two minutes", () => {
    const { clock, sent } = start();
    clock.advance(600_000);
    expect(sent).toHaveLength(16);
  });

  it("is not repeated where it is forbidden", async () => {
    const clock = new VirtualClock(0);
    let sent = 0;
    const sign = new TypingSign(() => {
      sent += 1;
      return Promise.reject(new BridgeError("PLATFORM_PERMISSION", "no"));
    }, clock);
    await sign.settled();
    clock.advance(60_000);
    expect(sent).toBe(1);
  });

  it("may fail without anybody noticing", async () => {
    await expect(start(true).sign.settled()).resolves.toBeUndefined();
  });
});

it("a file's address expires at the second it names", () => {
  const url = "https://cdn.discordapp.com/attachments/1/2/a.png?ex=10&is=1&hm=x";
  expect([hasExpired(url, 15_999), hasExpired(url, 16_000)]).toEqual([false, true]);
  expect(hasExpired("https://cdn.discordapp.com/a.png", 1e15)).toBe(false);
});

it("an id tells its time", () => {
  // The example of Discord's own documentation (reference, "Snowflakes").
  expect(timeOfId("175928847299117063")).toBe(1_462_015_105_796);
});
