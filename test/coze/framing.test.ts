import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { RawResponse } from "../../sandbox/coze/coze-stand-in.ts";
import { type Framing, frameEvents, splitEvery, splitInside } from "../../sandbox/coze/sse-bytes.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { CozeTimeouts } from "../../src/coze/http.ts";
import { type Asked, aQuestion, ask, newConversation, openPair } from "./coze-kit.ts";
import { COMPLETED, CREATED, DONE, delta, packet, plainAnswer, whole } from "./wire-make.ts";

/** Asks once; the stand-in answers with these bytes. */
async function askRaw(raw: RawResponse, timeouts: Partial<CozeTimeouts> = {}): Promise<Asked> {
  await using pair = await openPair({ timeouts });
  pair.coze.playNext(raw);
  const asked = await ask(pair.source, aQuestion());
  return asked;
}

/** What the deltas alone said. */
function deltaText({ events }: Asked): string {
  return events.map((event) => (event.type === "delta" ? event.text : "")).join("");
}

const HARD = "界🙂👩‍👩‍👧é";

describe("§22.1 characters cut by packets", () => {
  it.each([
    ["界", 1],
    ["界", 2],
    ["🙂", 1],
    ["🙂", 3],
    ["👩‍👩‍👧", 5],
  ])("joins %s cut after %i of its bytes", async (character, offset) => {
    const bytes = packet(CREATED, delta(`a${character}b`), COMPLETED, DONE);
    const asked = await askRaw({ packets: splitInside(bytes, character, offset) });
    expect(asked.error).toBeUndefined();
    expect(deltaText(asked)).toBe(`a${character}b`);
  });
});

describe("§22.2 packets and events do not match", () => {
  it("reads an answer that arrives byte by byte", async () => {
    const bytes = packet(CREATED, delta(HARD), COMPLETED, DONE);
    const asked = await askRaw({ packets: splitEvery(bytes, 1) });
    expect(asked.error).toBeUndefined();
    expect(deltaText(asked)).toBe(HARD);
  });

  it("reads many events in one packet", async () => {
    const asked = await askRaw({ packets: [packet(...plainAnswer("a", "b", "c"))] });
    expect(asked.error).toBeUndefined();
    expect(deltaText(asked)).toBe("abc");
  });

  it("reads an event whose two closing line ends come apart", async () => {
    const bytes = packet(CREATED, delta("x"), COMPLETED, DONE);
    const end = Buffer.from(bytes).indexOf("\n\n") + 1;
    const asked = await askRaw({ packets: [bytes.subarray(0, end), bytes.subarray(end)] });
    expect(asked.error).toBeUndefined();
    expect(asked.events).toHaveLength(4);
  });
});

describe("§22.3 and §22.4 line ends, spaces, marks and comments", () => {
  const cases: [string, Framing][] = [
    ["LF without a space", {}],
    ["a space after the colon", { spaceAfterColon: true }],
    ["CRLF", { newline: "\r\n" }],
    ["lone CR", { newline: "\r" }],
    ["a byte order mark", { bom: true }],
    ["comments", { extraLines: [": ping", ":"] }],
    ["id and retry fields", { extraLines: ["id: 7", "retry: 10", "other: x"] }],
  ];

  it.each(cases)("reads events written with %s", async (_name, framing) => {
    const bytes = frameEvents(plainAnswer("Hello ", HARD), framing);
    for (const packets of [[bytes], splitEvery(bytes, 7)]) {
      const asked = await askRaw({ packets });
      expect(asked.error).toBeUndefined();
      expect(asked.state.unknownEvents).toBe(0);
      expect(answerMarkdown(asked.state)).toBe(`Hello ${HARD}`);
      expect(deltaText(asked)).toBe(`Hello ${HARD}`);
    }
  });

  it("lets PING events and keep-alive comments pass", async () => {
    const ping = { name: "PING", data: '{"content":"{}"}' };
    const packets = [packet(CREATED, ping), ": keep-alive\n\n", packet(delta("x"), COMPLETED, DONE)];
    const asked = await askRaw({ packets });
    expect(asked.error).toBeUndefined();
    expect(answerMarkdown(asked.state)).toBe("x");
    expect(asked.state.unknownEvents).toBe(1);
  });

  it("takes comments for life: they keep a slow answer from timing out", async () => {
    await using pair = await openPair({
      switches: { keepAliveMs: 20 },
      pace: { firstDeltaMs: 400 },
      timeouts: { idleMs: 200 },
    });
    const asked = await ask(pair.source, aQuestion({ conversationId: await newConversation(pair) }));
    expect(asked.error).toBeUndefined();
    expect(answerMarkdown(asked.state)).toBe("You said: Hello");
  });
});

describe("§22.5 unusual blocks", () => {
  it("reads data lines before the event line", async () => {
    const bytes = frameEvents(plainAnswer("x"), { dataFirst: true });
    const asked = await askRaw({ packets: [bytes] });
    expect(asked.error).toBeUndefined();
    expect(answerMarkdown(asked.state)).toBe("x");
  });

  it("joins several data lines", async () => {
    const { name = "", data } = delta("two lines");
    const pretty = { name, data: JSON.stringify(JSON.parse(data), null, 2) };
    const asked = await askRaw({ packets: [packet(CREATED, pretty, COMPLETED, DONE)] });
    expect(asked.error).toBeUndefined();
    expect(deltaText(asked)).toBe("two lines");
  });

  it("does not let a nameless event inherit the name before it", async () => {
    const nameless = { data: delta("twice").data };
    const asked = await askRaw({ packets: [packet(CREATED, delta("once"), nameless, COMPLETED, DONE)] });
    expect(asked.error).toBeUndefined();
    expect(deltaText(asked)).toBe("once");
  });

  it("takes a nameless [DONE] for the end and a nameless error envelope for an error", async () => {
    const done = await askRaw({ packets: [packet(CREATED, delta("x"), COMPLETED, { data: "[DONE]" })] });
    expect(done.error).toBeUndefined();
    expect(done.state.ended).toBe(true);
    const failed = await askRaw({ packets: [packet(CREATED, { data: '{"code":5000,"msg":"no"}' })] });
    expect(failed.error).toMatchObject({ code: "COZE_STREAM_BROKEN", cozeCode: 5000 });
  });
});

describe("§22.6 the last event", () => {
  it("counts without its blank line", async () => {
    const bytes = frameEvents([CREATED, delta("x"), COMPLETED], { unfinished: true });
    const asked = await askRaw({ packets: [bytes] });
    expect(asked.error).toBeUndefined();
    expect(asked.state.status).toBe("completed");
  });

  it.each(["\n", "\r\n", "\r"] as const)(
    "is an error when it is a JSON object without a field name, after lines that end in %j",
    async (newline) => {
      const bytes = frameEvents([CREATED, delta("x")], { newline });
      for (const end of ['{"code":4013,"msg":"no"}', `event:x${newline}{"code":4013,"msg":"no"}`]) {
        const asked = await askRaw({ packets: [bytes, end] });
        expect(asked.error).toMatchObject({ code: "COZE_STREAM_BROKEN", cozeCode: 4013 });
      }
    },
  );
});

describe("§22.7 long lines", () => {
  it("reads a line of over 1 MiB", async () => {
    const text = "界".repeat(700_000);
    const bytes = packet(CREATED, delta("x"), whole(text), COMPLETED, DONE);
    const asked = await askRaw({ packets: splitEvery(bytes, 60_000) });
    expect(asked.error).toBeUndefined();
    expect(asked.events.find(({ type }) => type === "message")).toMatchObject({ text });
  });

  it("gives up on a line longer than 16 MiB", async () => {
    const packets = [
      packet(CREATED),
      "event:x\ndata:",
      ..."a"
        .repeat(17)
        .split("")
        .map((a) => a.repeat(1024 * 1024)),
    ];
    const asked = await askRaw({ packets, end: "stall" });
    expect(asked.error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
  });
});

describe("§22.8 compression", () => {
  const bytes = packet(...plainAnswer("compressed"));
  const sse = { "content-type": "text/event-stream", "content-encoding": "gzip" };

  it("is not asked for", async () => {
    await using pair = await openPair();
    await ask(pair.source, aQuestion());
    expect(pair.coze.traffic.exchanges[0]?.headers?.["accept-encoding"]).toBe("identity");
  });

  it("is decoded when sent anyway, in a stream and in an envelope", async () => {
    const stream = await askRaw({ headers: sse, packets: splitEvery(gzipSync(bytes), 50) });
    expect(stream.error).toBeUndefined();
    expect(answerMarkdown(stream.state)).toBe("compressed");
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const refused = await askRaw({ headers, packets: [gzipSync('{"code":4011,"msg":"no"}')] });
    expect(refused.error).toMatchObject({ code: "COZE_QUOTA", cozeCode: 4011 });
  });

  it("that is damaged or unknown is a clean error", async () => {
    const cut = await askRaw({ headers: sse, packets: [gzipSync(bytes).subarray(0, 60)] });
    expect(cut.error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
    const unknown = await askRaw({ headers: { ...sse, "content-encoding": "rot13" }, packets: [bytes] });
    expect(unknown.error).toMatchObject({ name: "CozeError", outcome: "unknown" });
  });
});

describe("§22.9 JSON spelled in other ways", () => {
  it("does not depend on key order or escapes", async () => {
    const data = `{"content":"a\\u0026b\\u003cc","type":"answer","id":"${"7"}","role":"assistant"}`;
    const events = [CREATED, { name: "conversation.message.delta", data }, COMPLETED, DONE];
    const asked = await askRaw({ packets: [packet(...events)] });
    expect(deltaText(asked)).toBe("a&b<c");
  });

  it("joins a surrogate pair that is split between two deltas", async () => {
    const half = (unit: string) => ({
      name: "conversation.message.delta",
      data: `{"id":"7","type":"answer","content":"${unit}"}`,
    });
    const asked = await askRaw({
      packets: [packet(CREATED, half("\\ud83d"), half("\\ude42"), COMPLETED, DONE)],
    });
    expect(deltaText(asked)).toBe("🙂");
  });
});
