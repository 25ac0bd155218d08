import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { BridgeError, type ErrorCode } from "../../src/core/errors.ts";
import { Gate } from "../../src/core/gate.ts";
import { GrowingReply, type Part } from "../../src/core/growing-reply.ts";
import type { Json } from "../../src/core/json.ts";
import type { BucketLimits } from "../../src/core/pacer.ts";
import type { Log } from "../../src/core/ports.ts";
import { aContent, type Fault, TextPlatform } from "./text-platform.ts";
import { VirtualClock } from "./virtual-clock.ts";

let clock: VirtualClock;
let platform: TextPlatform;
let logged: string[];

beforeEach(() => {
  clock = new VirtualClock();
  platform = new TextPlatform(clock);
  logged = [];
});

function aLog(): Log {
  const note = (level: string) => (_: object, message: string) => void logged.push(`${level} ${message}`);
  const log: Log = {
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
    child: () => log,
  };
  return log;
}

function aReply(
  options: {
    saved?: Json;
    continuesAnswer?: boolean;
    onOver?: (error: BridgeError) => void;
    save?: (state: Json) => Promise<void>;
    signal?: AbortSignal;
    onFirst?: () => void;
  } = {},
): GrowingReply {
  return new GrowingReply({
    writer: platform,
    saved: options.saved,
    continuesAnswer: options.continuesAnswer ?? false,
    onOver: options.onOver ?? (() => undefined),
    save: options.save ?? (() => Promise.resolve()),
    signal: options.signal ?? new AbortController().signal,
    log: aLog(),
    now: () => clock.now(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    ...(options.onFirst !== undefined && { onFirst: options.onFirst }),
  });
}

/** A reply whose message is full: the edit that fills it has its permit and waits, 1.2 s after the start, for the next one's. */
async function waitForNextMessage(options: {
  closedMs: number;
  limits?: BucketLimits;
}): Promise<GrowingReply> {
  platform = new TextPlatform(clock, { ...options, maxLength: 10 });
  const reply = aReply();
  reply.show(aContent("a".repeat(8)));
  await clock.advance(200);
  platform.gate("create").refused(options.closedMs);
  reply.show(aContent("a".repeat(15)));
  await clock.advance(1_000);
  return reply;
}

describe("a growing reply", () => {
  it("creates its message at the first text, edits it, and ends with the last", async () => {
    const reply = aReply();
    reply.show(aContent(""));
    await clock.advance(1000);
    expect(platform.calls).toEqual([]);
    reply.show(aContent("H"));
    await clock.advance(80);
    expect(platform.screen).toEqual(["H"]);
    reply.show(aContent("Hello"));
    await clock.advance(1000);
    const finished = await clock.settle(reply.finish(aContent("Hello, world")));
    expect(platform.written).toEqual(["create H", "edit Hello", "edit Hello, world"]);
    expect(finished).toEqual({ messageKeys: ["text:m0"] });
    expect(clock.pending).toBe(0);
  });

  it("takes only text for text that arrives: what Coze says of itself is no pace", async () => {
    const edits = async ({ talks }: { talks: boolean }): Promise<readonly number[]> => {
      clock = new VirtualClock();
      platform = new TextPlatform(clock);
      const reply = aReply();
      for (let said = 0; talks && said < 3; said += 1) {
        reply.show(aContent(""));
        await clock.advance(300);
      }
      const startedAt = clock.now();
      for (let length = 1; length <= 10; length += 1) {
        reply.show(aContent("a".repeat(length)));
        if (talks) reply.show(aContent("a".repeat(length)));
        await clock.advance(200);
      }
      return platform.calls.map(({ at }) => at - startedAt);
    };
    expect((await edits({ talks: false })).length).toBeGreaterThan(2);
    expect(await edits({ talks: true })).toEqual(await edits({ talks: false }));
  });

  it("holds an edit back whose gate closes while it waits for the next message", async () => {
    await waitForNextMessage({ closedMs: 2_000 });
    platform.gate("edit").refused(5_000);
    await clock.advance(8_000);
    const edits = platform.calls.filter(({ kind }) => kind === "edit");
    expect(edits.map(({ at }) => at)).toEqual([6_200]);
    expect(platform.screen).toEqual(["a".repeat(10), "a".repeat(5)]);
  });

  it("gives an edit back that waited for a next message which the end does without", async () => {
    const limits = { burst: 2, tokensPerSecond: 0.01, minGapMs: 0 };
    const reply = await waitForNextMessage({ closedMs: 60_000, limits });
    await clock.settle(reply.finish(aContent("short")));
    expect(platform.calls.map(({ kind, at }) => `${kind} ${at}`)).toEqual(["create 0", "edit 1200"]);
  });

  it("shows what comes in the very moment after there was nothing to show", async () => {
    const ended = aReply();
    ended.show(aContent(""));
    await clock.settle(ended.finish(aContent("the end")));
    expect(platform.screen).toEqual(["the end"]);
  });

  it("gives up a last write after six failures in a row; refusals are counted apart", async () => {
    const refused: Fault = { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: 500 };
    const lost: Fault = { code: "PLATFORM_UNREACHABLE", retryable: true };
    const faults = [...Array.from({ length: 19 }, () => refused), ...Array.from({ length: 5 }, () => lost)];
    platform.faults.push(...faults);
    await clock.settle(aReply().finish(aContent("end")));
    expect(platform.screen).toEqual(["end"]);
    for (const many of [Array.from({ length: 20 }, () => refused), Array.from({ length: 6 }, () => lost)]) {
      platform.faults.push(...many);
      await expect(clock.settle(aReply().finish(aContent("never")))).rejects.toThrow("as the test wants it");
      expect(platform.faults).toEqual([]);
    }
  });

  it("writes each message at its own pace where they count apart, and is counted among those of that place", async () => {
    platform = new TextPlatform(clock, { maxLength: 10 });
    const limits = { burst: 5, tokensPerSecond: 1, minGapMs: 0 };
    const gates = new Map(["m0", "m1"].map((id) => [id, new Gate(limits, clock)]));
    const creates = platform.gate("create");
    platform.gate = (call, id = "m0") => (call === "edit" && gates.get(id)) || creates;
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(100);
    expect([...gates.values()].map(({ idle }) => idle)).toEqual([false, true]);
    reply.show(aContent("a".repeat(11)));
    await clock.advance(1_000);
    expect(platform.screen).toEqual(["a".repeat(10), "a"]);
    // Nothing may be edited any more where the first one stands, also where only drawing shows that it has changed.
    gates.get("m0")?.refused(600_000);
    reply.show(aContent(`${"b".repeat(10)}a`));
    await clock.advance(2_000);
    expect(platform.screen).toEqual(["a".repeat(10), "a"]);
    for (let length = 12; length < 20; length += 1) {
      reply.show(aContent("a".repeat(length)));
      await clock.advance(500);
    }
    await clock.settle(reply.finish(aContent("a".repeat(20))));
    expect(clock.now()).toBeLessThan(10_000);
    expect(platform.screen).toEqual(["a".repeat(10), "a".repeat(10)]);
    const others = aReply();
    others.show(aContent("b"));
    await clock.advance(100);
    await others.abandon();
    await clock.advance(700_000);
    expect([...gates.values()].map(({ idle }) => idle)).toEqual([true, true]);
  });

  it("brings by an edit what a create leaves out, and says so each time it is made again", async () => {
    const whole = platform.render.bind(platform);
    platform.render = (content) => whole(content).map((part) => ({ ...part, file: "f" }));
    Object.assign(platform, { asCreated: ({ text = "" }: Part): Part => ({ text }) });
    platform.faults.push({ code: "PLATFORM_UNKNOWN_OUTCOME", retryable: true, arrives: true });
    await clock.settle(aReply().finish(aContent("end")));
    expect(platform.written).toEqual(["create end", "edit end"]);
  });

  it("asks anew what to show when a call taught its writer what cannot be shown", async () => {
    const whole = platform.render.bind(platform);
    platform.render = (content) => (platform.calls.length === 1 ? whole(aContent("less")) : whole(content));
    platform.faults.push({ code: "PLATFORM_REJECTED", retryable: true, retryAfterMs: 0 });
    await clock.settle(aReply().finish(aContent("more")));
    expect(platform.written).toEqual(["create less"]);
  });

  it("writes the newest text only, one call at a time", async () => {
    const reply = aReply();
    for (let length = 1; length <= 200; length += 1) {
      reply.show(aContent("x".repeat(length)));
      await clock.advance(10);
    }
    expect(platform.mostInFlight).toBe(1);
    const lengths = platform.calls.map(({ text }) => text.length);
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
    // Each call carries what had arrived when it went out: a delta comes every 10 ms.
    for (const { text, at } of platform.calls)
      expect(text.length).toBeGreaterThanOrEqual(Math.floor(at / 10));
    await clock.settle(reply.finish(aContent("done")));
  });

  it("fills a message and begins the next one in the same moment", async () => {
    platform = new TextPlatform(clock, { maxLength: 10 });
    const reply = aReply();
    reply.show(aContent("0123456"));
    await clock.advance(300);
    reply.show(aContent("0123456789ab"));
    await clock.advance(300);
    const [, edited, created] = platform.calls;
    expect([edited, created]).toMatchObject([
      { kind: "edit", text: "0123456789" },
      { kind: "create", text: "ab" },
    ]);
    expect(created?.at).toBe(edited?.at);
    await clock.settle(reply.finish(aContent("0123456789ab")));
    expect(platform.written).toHaveLength(3);
  });

  it.each([
    [undefined, { code: "PLATFORM_UNKNOWN_OUTCOME", retryable: true, arrives: true }],
    [{ code: "PLATFORM_UNREACHABLE", retryable: true }, undefined],
    [
      { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: 700 },
      { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: 300 },
    ],
  ] as const)("repeats of the two what failed (%o, %o)", async (edit, create) => {
    platform = new TextPlatform(clock, { maxLength: 10 });
    const reply = aReply();
    reply.show(aContent("0123456"));
    await clock.advance(300);
    platform.faults.push(edit, create);
    await clock.settle(reply.finish(aContent("0123456789ab")));
    expect(platform.screen).toEqual(["0123456789", "ab"]);
  });

  it("sends nothing when nothing changed", async () => {
    const reply = aReply();
    reply.show(aContent("same"));
    await clock.advance(2000);
    reply.show(aContent("same"));
    await clock.advance(2000);
    await clock.settle(reply.finish(aContent("same", { completed: true })));
    expect(platform.written).toEqual(["create same"]);
  });

  it("shows a text that came in while the write before it ended", async () => {
    const reply = aReply();
    reply.show(aContent("one"));
    const created = Promise.withResolvers<void>();
    platform.edit = async (id, part) => {
      platform.messages.set(id, String(part["text"]));
      created.resolve();
      await Promise.resolve();
    };
    await clock.advance(500);
    reply.show(aContent("two"));
    await clock.settle(created.promise);
    // In each of the next micro-tasks a new text may come; none may be forgotten.
    for (const text of ["3", "4", "5", "6", "7", "8"]) {
      await Promise.resolve();
      reply.show(aContent(text));
    }
    await clock.advance(5000);
    expect(platform.screen).toEqual(["8"]);
    await clock.settle(reply.finish(aContent("8")));
  });

  it("grows into a second message, and calls both its own", async () => {
    platform = new TextPlatform(clock, { maxLength: 4 });
    const reply = aReply();
    reply.show(aContent("abc"));
    await clock.advance(1000);
    const { messageKeys } = await clock.settle(reply.finish(aContent("abcdefghij")));
    expect(platform.screen).toEqual(["abcd", "efgh", "ij"]);
    expect(messageKeys).toEqual(["text:m0", "text:m1", "text:m2"]);
  });

  it("takes messages away that the last state does not need", async () => {
    platform = new TextPlatform(clock, { maxLength: 4 });
    const saves: Json[] = [];
    const reply = aReply({ save: (state) => Promise.resolve(void saves.push(state)) });
    reply.show(aContent("abcdefghij"));
    await clock.advance(3000);
    const { messageKeys } = await clock.settle(reply.finish(aContent("abc")));
    expect(platform.screen).toEqual(["abc"]);
    expect(messageKeys).toEqual(["text:m0"]);
    expect(saves.at(-1)).toEqual({ messages: ["m0"] });
  });

  it("does not mind that a surplus message is gone already", async () => {
    platform = new TextPlatform(clock, { maxLength: 4 });
    platform.faults.push(undefined, undefined, { code: "PLATFORM_GONE" });
    const reply = aReply({ saved: { messages: ["m0", "m1"] } });
    reply.show(aContent("abcd!"));
    await clock.advance(3000);
    await expect(clock.settle(reply.finish(aContent("abcd")))).resolves.toEqual({ messageKeys: ["text:m0"] });
  });

  it("leaves a message that is there when the last state has no text at all", async () => {
    const reply = aReply({ saved: { messages: ["m0"] } });
    await expect(clock.settle(reply.finish(aContent("")))).resolves.toEqual({ messageKeys: ["text:m0"] });
    expect(platform.calls).toEqual([]);
  });

  it("shows nothing after its last state", async () => {
    const reply = aReply();
    const finished = reply.finish(aContent("end"));
    reply.show(aContent("more"));
    await clock.settle(finished);
    reply.show(aContent("even more"));
    await clock.advance(5000);
    expect(platform.screen).toEqual(["end"]);
  });

  it("says once, before its first call, that something will be on screen", async () => {
    let count = 0;
    platform.faults.push({ code: "PLATFORM_UNREACHABLE", retryable: true });
    const onFirst = (): void => {
      count += 1;
    };
    const reply = aReply({ onFirst });
    reply.show(aContent(""));
    await clock.advance(100);
    expect(count).toBe(0);
    await clock.settle(reply.finish(aContent("text")));
    expect(count).toBe(1);
  });
});

describe("the last state", () => {
  it("waits for the call in flight, not for the pace", async () => {
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(80);
    for (let length = 1; length <= 100; length += 1) {
      reply.show(aContent("b".repeat(length)));
      await clock.advance(50);
    }
    const asked = clock.now();
    await clock.settle(reply.finish(aContent("end")));
    // One token less the 0.75 that are kept, the margin, and two round trips at most.
    expect(clock.now() - asked).toBeLessThanOrEqual(310 + 160);
    expect(platform.screen).toEqual(["end"]);
  });

  it("does not wait for the pause after a failed draft", async () => {
    platform.faults.push(...Array<Fault>(4).fill({ code: "PLATFORM_UNREACHABLE", retryable: true }));
    const reply = aReply();
    reply.show(aContent("draft"));
    await clock.advance(4000);
    expect(platform.calls).toHaveLength(4);
    const asked = clock.now();
    await clock.settle(reply.finish(aContent("end")));
    expect(clock.now() - asked).toBeLessThan(1000);
    expect(platform.screen).toEqual(["end"]);
  });

  it("arrives although a draft was turned down", async () => {
    platform.faults.push({ code: "PLATFORM_REJECTED" });
    const reply = aReply();
    reply.show(aContent("half <b"));
    await clock.advance(1000);
    expect(platform.screen).toEqual([]);
    await clock.settle(reply.finish(aContent("whole")));
    expect(platform.screen).toEqual(["whole"]);
  });

  it("arrives although the draft in flight fails after it was given", async () => {
    platform.faults.push(undefined, { code: "PLATFORM_REJECTED" });
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(1000);
    reply.show(aContent("half <b"));
    await clock.advance(10);
    expect(platform.inFlight).toBe(1);
    await clock.settle(reply.finish(aContent("whole")));
    expect(platform.screen).toEqual(["whole"]);
  });

  it.each<ErrorCode>(["PLATFORM_UNREACHABLE", "PLATFORM_UNKNOWN_OUTCOME"])(
    "is repeated after %s, with growing pauses",
    async (code) => {
      platform.faults.push(...Array<Fault>(3).fill({ code, retryable: true, arrives: true }));
      const reply = aReply();
      await clock.settle(reply.finish(aContent("end")));
      expect(platform.screen).toEqual(["end"]);
      expect(platform.calls.map(({ at }) => at)).toEqual([0, 580, 1660, 3740]);
    },
  );

  it("has all its tries, however many drafts failed before", async () => {
    platform.faults.push(...Array<Fault>(9).fill({ code: "PLATFORM_UNREACHABLE", retryable: true }));
    const reply = aReply();
    reply.show(aContent("draft"));
    await clock.advance(4000);
    await clock.settle(reply.finish(aContent("end")));
    expect(platform.screen).toEqual(["end"]);
  });

  it("waits as long as the platform wants when it was too fast", async () => {
    platform.faults.push({ code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: 7000 });
    await clock.settle(aReply().finish(aContent("end")));
    expect(platform.calls.map(({ at }) => at)).toEqual([0, 7080]);
  });

  it("makes everybody in the bucket wait when it was too fast", async () => {
    platform.faults.push({ code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: 7000 });
    const other = aReply();
    const finished = aReply().finish(aContent("end"));
    await clock.advance(100);
    await clock.settle(Promise.all([finished, other.finish(aContent("other"))]));
    expect(Math.min(...platform.calls.slice(1).map(({ at }) => at))).toBeGreaterThanOrEqual(7080);
  });

  it("is tried more often when it was only too fast", async () => {
    const fault: Fault = { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: 0 };
    platform.faults.push(...Array<Fault>(12).fill(fault));
    await clock.settle(aReply().finish(aContent("end")));
    expect(platform.screen).toEqual(["end"]);
    // "At once" is not taken at its word.
    expect(platform.calls.at(-1)?.at).toBeGreaterThanOrEqual(12 * 100);
  });

  it.each<[ErrorCode, boolean, number]>([
    ["PLATFORM_UNREACHABLE", true, 6],
    ["PLATFORM_RATE_LIMITED", true, 20],
    ["PLATFORM_REJECTED", false, 1],
    ["PLATFORM_GONE", true, 1],
  ])("is given up after %s, with that error", async (code, retryable, tries) => {
    platform.faults.push(...Array<Fault>(30).fill({ code, retryable }));
    await expect(clock.settle(aReply().finish(aContent("end")))).rejects.toMatchObject({ code });
    expect(platform.calls).toHaveLength(tries);
    expect(clock.pending).toBe(0);
  });
});

describe("a call whose outcome nobody knows", () => {
  const lost: Fault = { code: "PLATFORM_UNKNOWN_OUTCOME", retryable: true, arrives: true };

  it("is not taken for undone when it was an edit", async () => {
    platform.faults.push(undefined, lost);
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(1000);
    reply.show(aContent("ab"));
    await clock.advance(300);
    expect(platform.screen).toEqual(["ab"]);
    await clock.settle(reply.finish(aContent("a")));
    expect(platform.screen).toEqual(["a"]);
  });

  it("leaves no second message, and not its old text, when it was a create", async () => {
    platform.faults.push(lost);
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(100);
    await clock.settle(reply.finish(aContent("abc")));
    expect(platform.screen).toEqual(["abc"]);
  });

  it("leaves no message behind that the last state does not need", async () => {
    platform = new TextPlatform(clock, { maxLength: 4 });
    platform.faults.push(undefined, lost);
    const reply = aReply();
    reply.show(aContent("abcdefgh"));
    await clock.advance(200);
    expect(platform.screen).toEqual(["abcd", "efgh"]);
    await clock.settle(reply.finish(aContent("abcd")));
    expect(platform.screen).toEqual(["abcd"]);
  });
});

describe("a call that was refused", () => {
  const refused: Fault = { code: "PLATFORM_RATE_LIMITED", retryable: true, retryAfterMs: 1000 };

  it("left the screen as it was: nothing to edit when that is the last state", async () => {
    platform.faults.push(undefined, refused);
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(1000);
    reply.show(aContent("ab"));
    await clock.advance(200);
    await clock.settle(reply.finish(aContent("a")));
    expect(platform.written).toEqual(["create a"]);
  });

  it("made no message: the next create is not doubted", async () => {
    platform.faults.push(refused);
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(200);
    await clock.settle(reply.finish(aContent("ab")));
    expect(platform.written).toEqual(["create ab"]);
  });
});

describe("a draft", () => {
  it("that failed gives way to a newer one", async () => {
    platform.faults.push(undefined, { code: "PLATFORM_UNREACHABLE", retryable: true });
    const reply = aReply();
    reply.show(aContent("one"));
    await clock.advance(1000);
    reply.show(aContent("two"));
    await clock.advance(200);
    reply.show(aContent("three"));
    await clock.advance(5000);
    expect(platform.written).toEqual(["create one", "edit three"]);
    await clock.settle(reply.finish(aContent("three")));
  });

  it("is not sent at all after six in a row were turned down", async () => {
    platform.faults.push(...Array<Fault>(50).fill({ code: "PLATFORM_REJECTED" }));
    const reply = aReply();
    for (let length = 1; length <= 20; length += 1) {
      reply.show(aContent("x".repeat(length)));
      await clock.advance(2000);
    }
    expect(platform.calls).toHaveLength(6);
    platform.faults.length = 0;
    await clock.settle(reply.finish(aContent("end")));
    expect(platform.screen).toEqual(["end"]);
  });

  it.each<ErrorCode>(["PLATFORM_GONE", "PLATFORM_PERMISSION", "PLATFORM_AUTH"])(
    "that met %s is the last, and so is its error",
    async (code) => {
      platform.faults.push(undefined, { code });
      const reply = aReply();
      reply.show(aContent("one"));
      await clock.advance(1000);
      reply.show(aContent("two"));
      await clock.advance(1000);
      reply.show(aContent("three"));
      await clock.advance(5000);
      await expect(clock.settle(reply.finish(aContent("end")))).rejects.toMatchObject({ code });
      expect(platform.calls).toHaveLength(2);
      expect(logged).toEqual(["warn reply stopped growing"]);
    },
  );

  it("that cannot be rendered does not stop the last state, and a last state that cannot ends", async () => {
    const render = platform.render.bind(platform);
    platform.render = (content) => {
      const parts = render(content);
      if (JSON.stringify(parts).includes("bad")) throw new Error("cannot render");
      return parts;
    };
    const reply = aReply();
    reply.show(aContent("bad"));
    await clock.advance(1000);
    await clock.settle(reply.finish(aContent("good")));
    expect(platform.screen).toEqual(["good"]);
    await expect(clock.settle(aReply().finish(aContent("bad")))).rejects.toThrow("cannot render");
  });
});

describe("after a restart", () => {
  it("edits the messages it had, and creates none", async () => {
    platform = new TextPlatform(clock, { maxLength: 4 });
    platform.messages.set("m0", "abcd").set("m1", "e");
    let ended = false;
    const onFirst = (): void => {
      ended = true;
    };
    const reply = aReply({ saved: { messages: ["m0", "m1"] }, onFirst });
    await clock.settle(reply.finish(aContent("ABCDEF")));
    expect(platform.written).toEqual(["edit ABCD", "edit EF"]);
    expect(ended).toBe(true);
  });

  it.each<[string, Json]>([
    ["nothing", null],
    ["a list", ["m0"]],
    ["something else", { messages: "m0" }],
    ["numbers", { messages: [7] }],
    ["text", "m0"],
  ])("starts anew when %s was saved", async (_, saved) => {
    await clock.settle(aReply({ saved }).finish(aContent("text")));
    expect(platform.written).toEqual(["create text"]);
  });
});

describe("a place that is lost", () => {
  const gone: Fault = { code: "PLATFORM_GONE" };

  it("is told once, as soon as a draft finds it out", async () => {
    const told: BridgeError[] = [];
    const reply = aReply({ onOver: (error) => void told.push(error) });
    platform.faults.push(gone);
    reply.show(aContent("Once"));
    await clock.advance(1_000);
    reply.show(aContent("Once upon"));
    await clock.advance(1_000);
    expect(told).toMatchObject([{ code: "PLATFORM_GONE" }]);
    await expect(clock.settle(reply.finish(aContent("Once upon a time")))).rejects.toBe(told[0]);
    expect(told).toHaveLength(1);
  });

  it.each([
    ["the end finds it out", gone, "finish"],
    ["the reply is left", gone, "abandon"],
    ["it is the token that is refused", { code: "PLATFORM_AUTH" } satisfies Fault, "show"],
  ] as const)("is not told where %s", async (_, fault, how) => {
    const told: BridgeError[] = [];
    const reply = aReply({ onOver: (error) => void told.push(error) });
    platform.faults.push(fault);
    if (how === "finish") await clock.settle(reply.finish(aContent("Once")).catch(() => undefined));
    else {
      reply.show(aContent("Once"));
      // In the middle of the call.
      if (how === "abandon") await clock.advance(10);
      if (how === "abandon") await clock.settle(reply.abandon());
      else await clock.advance(1_000);
    }
    expect(told).toEqual([]);
  });
});

describe("a start that has no text of its own", () => {
  /** Two messages of an earlier start. */
  const earlier = async (): Promise<{ saved: Json }> => {
    platform = new TextPlatform(clock, { maxLength: 10 });
    const saved: Json[] = [];
    const reply = aReply({ save: async (state) => void saved.push(state) });
    reply.show(aContent("Half of the answer"));
    await clock.advance(3_000);
    await clock.settle(reply.abandon());
    return { saved: saved.at(-1) ?? {} };
  };
  const failed = aContent("", { notice: "Sorry." });

  it("leaves what stands there, and says below what became of it", async () => {
    const { saved } = await earlier();
    const reply = aReply({ saved, continuesAnswer: true });
    const { messageKeys } = await clock.settle(reply.finish(failed));
    expect(platform.screen).toEqual(["Half of th", "e answer", "Sorry."]);
    expect(messageKeys).toHaveLength(3);
  });

  it("says so once, though a start that had said it did not live to tell", async () => {
    const { saved } = await earlier();
    const states: Json[] = [];
    const killed = aReply({ saved, continuesAnswer: true, save: async (state) => void states.push(state) });
    await clock.settle(killed.finish(failed));
    const reply = aReply({ saved: states.at(-1) ?? {}, continuesAnswer: true });
    await clock.settle(reply.finish(failed));
    expect(platform.screen).toEqual(["Half of th", "e answer", "Sorry."]);
  });

  it("says so once, though a start was killed before it had saved that it had", async () => {
    const { saved } = await earlier();
    const states: Json[] = [];
    const killed = aReply({ saved, continuesAnswer: true, save: async (state) => void states.push(state) });
    await clock.settle(killed.finish(failed));
    // What it saved before it made the message; a platform's history shows that message all the same.
    const [before] = states;
    expect(before).toEqual({ messages: ["m0", "m1"], kept: 2 });
    const { messages } = states.at(-1) as { messages: Json };
    const reply = aReply({ saved: { ...(before as object), messages }, continuesAnswer: true });
    await clock.settle(reply.finish(failed));
    expect(platform.screen).toEqual(["Half of th", "e answer", "Sorry."]);
  });

  it("keeps what a start in between has shown, too, though an earlier one had said so", async () => {
    const states: Json[] = [];
    const save = async (state: Json): Promise<void> => void states.push(state);
    await clock.settle(aReply({ continuesAnswer: true, save }).finish(failed));
    const between = aReply({ saved: states.at(-1) ?? {}, continuesAnswer: true, save });
    between.show(aContent("Half of it"));
    await clock.advance(3_000);
    await clock.settle(between.abandon());
    await clock.settle(aReply({ saved: states.at(-1) ?? {}, continuesAnswer: true }).finish(failed));
    expect(platform.screen).toEqual(["Half of it", "Sorry."]);
  });

  it("changes its own sentence where nothing else stood there", async () => {
    const states: Json[] = [];
    const killed = aReply({ continuesAnswer: true, save: async (state) => void states.push(state) });
    await clock.settle(killed.finish(failed));
    const reply = aReply({ saved: states.at(-1) ?? {}, continuesAnswer: true });
    await clock.settle(reply.finish(aContent("", { notice: "Sorry again." })));
    expect(platform.screen).toEqual(["Sorry again."]);
  });

  it("puts the answer in the same messages once there is one, also where that had been said", async () => {
    const { saved } = await earlier();
    const states: Json[] = [];
    const killed = aReply({ saved, continuesAnswer: true, save: async (state) => void states.push(state) });
    await clock.settle(killed.finish(failed));
    const reply = aReply({ saved: states.at(-1) ?? {}, continuesAnswer: true });
    await clock.settle(reply.finish(aContent("All of it, all")));
    expect(platform.screen).toEqual(["All of it,", " all"]);
  });

  it("replaces what is of an earlier question", async () => {
    const { saved } = await earlier();
    await clock.settle(aReply({ saved }).finish(failed));
    expect(platform.screen).toEqual(["Sorry."]);
  });
});

describe("saving", () => {
  it("happens after each create and before anything else is written", async () => {
    platform = new TextPlatform(clock, { maxLength: 4 });
    const events: string[] = [];
    const create = platform.create.bind(platform);
    platform.create = async (...args) => {
      const id = await create(...args);
      events.push(`create ${id}`);
      return id;
    };
    const save = async (state: Json): Promise<void> => {
      await clock.sleep(50, new AbortController().signal);
      expect(platform.inFlight).toBe(0);
      events.push(`save ${JSON.stringify(state)}`);
    };
    await clock.settle(aReply({ save }).finish(aContent("abcdef")));
    expect(events).toEqual([
      "create m0",
      'save {"messages":["m0"]}',
      "create m1",
      'save {"messages":["m0","m1"]}',
    ]);
  });

  it("that fails for a while is repeated, not forgotten", async () => {
    let tries = 0;
    const save = (): Promise<void> => {
      tries += 1;
      return tries < 3 ? Promise.reject(busy()) : Promise.resolve();
    };
    const reply = aReply({ save });
    reply.show(aContent("a"));
    await clock.advance(5000);
    expect(tries).toBe(3);
    await clock.settle(reply.finish(aContent("a")));
    expect(platform.written).toEqual(["create a"]);
  });

  it("that fails for good ends the reply with its error: the turn is no longer ours", async () => {
    const lost = new Error("run aborted");
    let tries = 0;
    const save = (): Promise<void> => {
      tries += 1;
      return Promise.reject(lost);
    };
    const reply = aReply({ save });
    reply.show(aContent("a"));
    await clock.advance(1000);
    reply.show(aContent("ab"));
    await clock.advance(1000);
    await expect(clock.settle(reply.finish(aContent("abc")))).rejects.toBe(lost);
    expect(platform.written).toEqual(["create a"]);
    expect(tries).toBe(1);
  });

  it("still happens when the reply is abandoned during a create", async () => {
    const saves: Json[] = [];
    const reply = aReply({ save: (state) => Promise.resolve(void saves.push(state)) });
    reply.show(aContent("a"));
    await clock.advance(10);
    await clock.settle(reply.abandon());
    expect(saves).toEqual([{ messages: ["m0"] }]);
  });
});

/** What a queue says that cannot be reached right now. */
function busy(): Error {
  return new BridgeError("QUEUE_UNAVAILABLE", "as the test wants it", { retryable: true });
}

describe("abandoning", () => {
  it("waits for the call in flight and leaves its text", async () => {
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(10);
    const abandoned = reply.abandon();
    reply.show(aContent("ab"));
    await clock.settle(abandoned);
    expect(clock.now()).toBe(80);
    await clock.advance(5000);
    expect(platform.screen).toEqual(["a"]);
  });

  it("writes nothing that was only just allowed", async () => {
    const reply = aReply();
    reply.show(aContent("a"));
    await reply.abandon();
    await clock.advance(1000);
    expect(platform.calls).toEqual([]);
  });

  it("waits neither for the pace nor for a pause", async () => {
    platform.gate("create").refused(60_000);
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(1);
    await reply.abandon();
    expect(clock.pending).toBe(0);

    platform = new TextPlatform(clock);
    platform.faults.push({ code: "PLATFORM_UNREACHABLE", retryable: true, retryAfterMs: 25_000 });
    const other = aReply();
    other.show(aContent("a"));
    await clock.advance(100);
    await other.abandon();
    expect(clock.pending).toBe(0);
  });

  it("does not pause after a call that fails then", async () => {
    platform.faults.push({ code: "PLATFORM_UNREACHABLE", retryable: true, retryAfterMs: 25_000 });
    const reply = aReply();
    reply.show(aContent("a"));
    await clock.advance(10);
    await clock.settle(reply.abandon());
    expect(clock.now()).toBe(80);
  });

  it("makes a last state that is not written yet fail, so that nobody takes it for shown", async () => {
    platform.gate("create").refused(60_000);
    const reply = aReply();
    const finished = reply.finish(aContent("end"));
    await clock.advance(1);
    await reply.abandon();
    await expect(finished).rejects.toThrow("abandoned");
    expect(platform.calls).toEqual([]);
  });
});

it("costs no token when what came shows nothing new", async () => {
  const reply = aReply();
  reply.show(aContent("a"));
  await clock.advance(1_000);
  for (let count = 0; count < 3; count += 1) {
    reply.show(aContent("a"));
    await clock.advance(300);
  }
  await clock.settle(reply.finish(aContent("a")));
  expect(platform.written).toEqual(["create a"]);
  expect(platform.gate("edit").idle).toBe(true);
});

describe("a signal", () => {
  it("ends a reply with its reason, and leaves no timer", async () => {
    platform.gate("create").refused(60_000);
    const controller = new AbortController();
    const reply = aReply({ signal: controller.signal });
    reply.show(aContent("a"));
    await clock.advance(1);
    const reason = new Error("the process stops");
    controller.abort(reason);
    await expect(clock.settle(reply.finish(aContent("end")))).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
    expect(logged).toEqual(["debug reply stopped"]);
  });

  it("ends a call in flight with its reason", async () => {
    const controller = new AbortController();
    const create = platform.create.bind(platform);
    platform.create = (...args) =>
      create(...args).catch((cause: unknown) => {
        throw new BridgeError("PLATFORM_UNREACHABLE", "as clients say it", { cause });
      });
    const reply = aReply({ signal: controller.signal });
    const finished = reply.finish(aContent("end"));
    await clock.advance(10);
    const reason = new Error("the process stops");
    controller.abort(reason);
    await expect(clock.settle(finished)).rejects.toBe(reason);
  });
});

describe("the share of a bucket", () => {
  /** When the second edit of a reply goes out, with others in the same bucket. */
  async function secondEdit(others: readonly GrowingReply[]): Promise<number> {
    const reply = aReply();
    for (let length = 1; platform.calls.filter(({ kind }) => kind === "edit").length < 2; length += 1) {
      reply.show(aContent("x".repeat(length)));
      await clock.advance(10);
    }
    await clock.settle(reply.finish(aContent("end")));
    for (const other of others) await other.abandon();
    return platform.calls.filter(({ kind }) => kind === "edit")[1]?.at ?? Number.NaN;
  }

  it("is taken from the first text on, not before", async () => {
    const alone = await secondEdit([]);
    clock = new VirtualClock();
    platform = new TextPlatform(clock);
    expect(await secondEdit([aReply(), aReply(), aReply()])).toBe(alone);
  });

  it("is given back at the end, whatever the end is", async () => {
    const idle = (): boolean => platform.gate("edit").idle;
    const finished = aReply();
    await clock.settle(finished.finish(aContent("end")));
    const failed = aReply();
    platform.faults.push({ code: "PLATFORM_GONE" });
    await expect(clock.settle(failed.finish(aContent("end")))).rejects.toThrow();
    const abandoned = aReply();
    abandoned.show(aContent("a"));
    await clock.advance(500);
    expect(idle()).toBe(false);
    await abandoned.abandon();
    await clock.advance(60_000);
    expect(idle()).toBe(true);
  });
});

it("whatever happens, ends with the last text on screen, once and whole", async () => {
  const fault: fc.Arbitrary<Fault | undefined> = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    {
      weight: 2,
      arbitrary: fc.record({
        code: fc.constantFrom<ErrorCode>(
          "PLATFORM_UNREACHABLE",
          "PLATFORM_UNKNOWN_OUTCOME",
          "PLATFORM_RATE_LIMITED",
        ),
        retryable: fc.constant(true),
        retryAfterMs: fc.integer({ min: 0, max: 3000 }),
        arrives: fc.boolean(),
      }),
    },
  );
  const step = fc.record({
    length: fc.integer({ min: 0, max: 60 }),
    afterMs: fc.integer({ min: 0, max: 1500 }),
  });
  const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 20 }),
      fc.array(fault, { maxLength: 25 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 1, max: 60 }),
      async (steps, faults, failingSaves, last) => {
        clock = new VirtualClock();
        platform = new TextPlatform(clock, { maxLength: 16 });
        platform.faults.push(...faults);
        let saves = 0;
        let saved: Json = null;
        const save = (state: Json): Promise<void> => {
          saves += 1;
          if (saves <= failingSaves) return Promise.reject(busy());
          saved = state;
          return Promise.resolve();
        };
        const reply = aReply({ save });
        for (const { length, afterMs } of steps) {
          reply.show(aContent(alphabet.slice(0, length)));
          await clock.advance(afterMs);
        }
        // More failures in a row than a last state may have would end it: that is another test.
        platform.faults.splice(5);
        const { messageKeys } = await clock.settle(reply.finish(aContent(alphabet.slice(0, last))));
        expect(platform.screen.join("")).toBe(alphabet.slice(0, last));
        expect(messageKeys).toHaveLength(Math.ceil(last / 16));
        expect(saved).toEqual({ messages: messageKeys.map((key) => key.replace("text:", "")) });
        expect(platform.mostInFlight).toBe(1);
        expect(clock.pending).toBe(0);
      },
    ),
    { numRuns: 150 },
  );
});
