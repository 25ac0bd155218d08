import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { PlainEvent } from "../../sandbox/coze/sse-bytes.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { CozeTimeouts } from "../../src/coze/http.ts";
import { type Asked, aQuestion, ask, openPair } from "./coze-kit.ts";
import {
  ANSWER,
  CHAT,
  COMPLETED,
  CONVERSATION,
  CREATED,
  chatEvent,
  DONE,
  delta,
  packet,
  plainAnswer,
  verbose,
  whole,
} from "./wire-make.ts";

async function askEvents(
  events: readonly PlainEvent[],
  timeouts: Partial<CozeTimeouts> = {},
): Promise<Asked> {
  await using pair = await openPair({ timeouts });
  pair.coze.playNext({ packets: [packet(...events)] });
  const asked = await ask(pair.source, aQuestion());
  return asked;
}

const FINISH = '{"msg_type":"generate_answer_finish","data":"{\\"finish_reason\\":0}"}';
const INTERRUPTED = '{"msg_type":"generate_answer_finish","data":"{\\"finish_reason\\":1}"}';
const INTERRUPT = '{"msg_type":"interrupt","data":""}';

describe("§22.10 the end mark", () => {
  it.each(['"[DONE]"', "[DONE]", "", "{}", '{"debug_url":"https://www.coze.cn/x"}'])(
    "may be %j",
    async (data) => {
      const asked = await askEvents([CREATED, whole("x"), COMPLETED, { name: "done", data }]);
      expect(asked.error).toBeUndefined();
      expect(asked.state.ended).toBe(true);
    },
  );

  it("hands on the debug address of a workflow", async () => {
    const data = '{"debug_url":"https://www.coze.cn/x"}';
    const asked = await askEvents([CREATED, whole("x"), COMPLETED, { name: "done", data }]);
    expect(asked.events.at(-1)).toEqual({ type: "end", debugUrl: "https://www.coze.cn/x" });
  });

  it("may be the self-hosted one", async () => {
    const asked = await askEvents([
      CREATED,
      whole("x"),
      COMPLETED,
      { name: "conversation.stream.done", data: "" },
    ]);
    expect(asked.error).toBeUndefined();
    expect(asked.state.ended).toBe(true);
  });
});

describe("§22.11 ends that are none", () => {
  it("is content without done once the chat has completed", async () => {
    const asked = await askEvents([CREATED, whole("x"), COMPLETED]);
    expect(asked.error).toBeUndefined();
    expect(answerMarkdown(asked.state)).toBe("x");
  });

  it("waits only a short grace for done", async () => {
    await using pair = await openPair({ timeouts: { graceMs: 30 } });
    pair.coze.playNext({ packets: [packet(CREATED, whole("x"), COMPLETED)], end: "stall" });
    expect((await ask(pair.source, aQuestion())).error).toBeUndefined();
  });

  it.each([
    ["done without completed", [CREATED, delta("x"), DONE]],
    ["the stream's end in an answer", [CREATED, delta("x")]],
  ])("does not take %s for an answer, and tells which chat it was", async (_name, events) => {
    const asked = await askEvents(events);
    expect(asked.error).toMatchObject({
      code: "COZE_STREAM_BROKEN",
      outcome: "unknown",
      chatId: CHAT,
      conversationId: CONVERSATION,
      httpStatus: 200,
      logId: "20260101120000000000000000000001",
    });
  });

  it("does not wait for more once done was said too early", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [packet(CREATED, delta("x"), DONE)], end: "stall" });
    expect((await ask(pair.source, aQuestion())).error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
  });

  it("does not take an empty stream for an answer", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [] });
    const asked = await ask(pair.source, aQuestion());
    expect(asked.events).toEqual([]);
    expect(asked.error).toMatchObject({
      code: "COZE_STREAM_BROKEN",
      chatId: undefined,
      conversationId: CONVERSATION,
    });
  });
});

it("§22.12 lets unknown events, types and statuses pass", async () => {
  const asked = await askEvents([
    CREATED,
    { name: "conversation.something.new", data: "not json" },
    whole("?", { id: "1", type: "" }),
    whole("?", { id: "2", type: "brand_new" }),
    chatEvent("in_progress", { status: "thinking_hard" }),
    { name: "conversation.message.delta", data: "not json" },
    whole("x"),
    COMPLETED,
    DONE,
  ]);
  expect(asked.error).toBeUndefined();
  expect(asked.state.unknownEvents).toBe(2);
  expect(answerMarkdown(asked.state)).toBe("x");
});

it("§22.13 reads deltas that are empty, null, or only thought", async () => {
  const thought = { reasoning_content: "hm" };
  const asked = await askEvents([
    CREATED,
    delta(""),
    delta(null),
    delta("", thought),
    delta("x"),
    COMPLETED,
    DONE,
  ]);
  expect(asked.error).toBeUndefined();
  expect(asked.state.answers).toMatchObject([{ text: "x", reasoning: "hm" }]);
});

it.each(["shor", "longer than the deltas", "ed1ted"])(
  "§22.14 believes the completed text %j",
  async (text) => {
    const asked = await askEvents([CREATED, delta("edit"), delta("ed"), whole(text), COMPLETED, DONE]);
    expect(answerMarkdown(asked.state)).toBe(text);
  },
);

it("§22.15 takes answers that come only whole, and the last of two whole ones", async () => {
  const other = { id: "7391000000000000200" };
  const asked = await askEvents([
    CREATED,
    whole("card", other),
    delta("x"),
    whole("y"),
    whole("z"),
    COMPLETED,
    DONE,
  ]);
  expect(asked.error).toBeUndefined();
  expect(answerMarkdown(asked.state)).toBe("card\n\nz");
});

it("§22.16 keeps interleaved answers apart, also after the finish packet", async () => {
  const b = { id: "B" };
  const events = [delta("a1"), delta("b1", b), delta("a2"), delta("b2", b), whole("a1a2"), verbose(FINISH)];
  const asked = await askEvents([CREATED, ...events, whole("b1b2", b), COMPLETED, DONE]);
  expect(asked.state.answers.map(({ text }) => text)).toEqual(["a1a2", "b1b2"]);
  expect(asked.state.answersFinished).toBe(true);
});

it("§22.17 ends normally when the bot says nothing", async () => {
  const asked = await askEvents([CREATED, whole(""), COMPLETED, DONE]);
  expect(asked.error).toBeUndefined();
  expect(asked.state.status).toBe("completed");
  expect(answerMarkdown(asked.state)).toBe("");
});

it("§22.18 hands tool messages on as they are: truncated JSON and long ids", async () => {
  const call = '{"name":"search","plugin_id":7391000000000000009,"arguments":{"q"';
  const asked = await askEvents([
    CREATED,
    whole("one", { id: "A" }),
    whole(call, { id: "T", type: "function_call" }),
    whole("raw result", { id: "R", type: "tool_output" }),
    whole("two", { id: "B" }),
    COMPLETED,
    DONE,
  ]);
  expect(asked.events[2]).toMatchObject({ kind: "function_call", text: call });
  expect(asked.events[3]).toMatchObject({ kind: "tool_response", text: "raw result" });
  expect(answerMarkdown(asked.state)).toBe("one\n\ntwo");
});

it("§22.19 tells cards and object strings from text", async () => {
  const asked = await askEvents([
    CREATED,
    whole("{}", { id: "A", content_type: "card" }),
    whole("[]", { id: "B", content_type: "object_string" }),
    whole("{}", { id: "T", type: "tool_response", content_type: "card" }),
    COMPLETED,
    DONE,
  ]);
  expect(asked.error).toBeUndefined();
  expect(asked.state.answers.map(({ contentType }) => contentType)).toEqual(["card", "object_string"]);
});

describe("§22.20 follow-ups", () => {
  const followUp = (text: string): PlainEvent => whole(text, { id: text.slice(0, 8), type: "follow_up" });

  it.each([0, 1, 3, 5])("may be %i", async (number) => {
    const list = Array.from({ length: number }, (_, index) => followUp(`q${index}`));
    const asked = await askEvents([CREATED, whole("x"), ...list, COMPLETED, DONE]);
    expect(asked.state.followUps).toHaveLength(Math.min(3, number));
  });

  it("may come after the chat has completed, and be very long", async () => {
    const asked = await askEvents([CREATED, whole("x"), COMPLETED, followUp("q".repeat(500)), DONE]);
    expect(asked.error).toBeUndefined();
    expect(asked.state.followUps[0]).toHaveLength(500);
  });
});

describe("§22.21 the finish packet", () => {
  it.each(["", "not json"])("may hold %j", async (data) => {
    const content = JSON.stringify({ msg_type: "generate_answer_finish", data });
    const asked = await askEvents([CREATED, whole("x"), verbose(content), COMPLETED, DONE]);
    expect(asked.error).toBeUndefined();
    expect(asked.state.answersFinished).toBe(true);
  });

  it.each([INTERRUPTED, INTERRUPT])("with an interrupt, done alone ends the turn: %s", async (content) => {
    const asked = await askEvents([CREATED, whole("Which city?"), verbose(content), DONE]);
    expect(asked.error).toBeUndefined();
    expect(asked.state.answersFinished).toBe(false);
  });

  it("with an interrupt, a cut stream is still a cut stream", async () => {
    const asked = await askEvents([CREATED, whole("Which city?"), verbose(INTERRUPTED)]);
    expect(asked.error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
  });
});

describe("§22.22 required actions", () => {
  const required = (toolCalls: unknown): PlainEvent =>
    chatEvent("requires_action", {
      required_action: { type: "submit_tool_outputs", submit_tool_outputs: { tool_calls: toolCalls } },
    });
  const call = {
    id: "QUI=",
    type: "function",
    function: { name: "stock", arguments: "" },
    require_info: null,
  };

  it("hands on every pending call and ends", async () => {
    const asked = await askEvents([CREATED, required([call, { ...call, id: "Qkc=" }]), DONE]);
    expect(asked.error).toBeUndefined();
    expect(asked.state.status).toBe("requires_action");
    expect(asked.state.pending).toEqual([
      { id: "QUI=", kind: "function", name: "stock", input: "" },
      { id: "Qkc=", kind: "function", name: "stock", input: "" },
    ]);
  });

  it("reads a workflow's question and an empty list", async () => {
    const asked = await askEvents([
      CREATED,
      required([{ id: "", type: "reply_message", function: null }]),
      DONE,
    ]);
    expect(asked.state.pending).toEqual([{ id: "", kind: "reply_message", name: "", input: "" }]);
    expect((await askEvents([CREATED, required([]), DONE])).state.pending).toEqual([]);
  });

  it("is not confused by an empty action on a normal chat", async () => {
    const empty = { required_action: { type: "", submit_tool_outputs: { tool_calls: [] } } };
    const asked = await askEvents([
      chatEvent("created", empty),
      whole("x"),
      chatEvent("completed", empty),
      DONE,
    ]);
    expect(asked.error).toBeUndefined();
    expect(asked.state.pending).toEqual([]);
  });

  it("ends without done too", async () => {
    expect((await askEvents([CREATED, required([call])])).error).toBeUndefined();
  });
});

it("§22.23 accepts a stream that starts with in_progress", async () => {
  const asked = await askEvents(plainAnswer("x").slice(1));
  expect(asked.error).toBeUndefined();
  expect(asked.state.chatId).toBe(CHAT);
});

it("§22.24 keeps reading audio after the chat has completed", async () => {
  const audio = (content: string): PlainEvent => ({
    name: "conversation.audio.delta",
    data: JSON.stringify({ id: ANSWER, type: "answer", content, content_type: "audio" }),
  });
  const asked = await askEvents([CREATED, audio("QUJD"), whole("x"), COMPLETED, audio("REVG"), DONE]);
  expect(asked.error).toBeUndefined();
  expect(asked.state.audioLength).toBe(8);
});

it.each(["canceled", "cancelled"])("§22.25 knows %s and reads on", async (status) => {
  const asked = await askEvents([CREATED, delta("x"), chatEvent(status), delta("y"), DONE]);
  expect(asked.error).toBeUndefined();
  expect(asked.state.status).toBe("canceled");
  expect(answerMarkdown(asked.state)).toBe("xy");
});

it.each([
  [{ token_count: 0, output_count: 0, input_count: 0 }, undefined],
  [null, undefined],
  [{}, undefined],
  [
    { output_tokens: 4, input_tokens: 27 },
    { input: 27, output: 4, total: 31 },
  ],
  [
    { token_count: 31, output_count: 4, input_count: 27 },
    { input: 27, output: 4, total: 31 },
  ],
])("§22.26 reads the usage %j", async (usage, expected) => {
  const asked = await askEvents([CREATED, whole("x"), chatEvent("completed", { usage }), DONE]);
  expect(asked.error).toBeUndefined();
  expect(asked.state.usage).toEqual(expected);
});

it("§22.42 keeps ids exact that come as numbers, and takes null for missing", async () => {
  const data = `{"id":7391000000000000017,"conversation_id":7390000000000000013,"meta_data":null,"created_at":"1767225600","last_error":null}`;
  const message = `{"id":7391000000000000123,"type":"answer","content":"x","meta_data":null,"created_at":"1767225600"}`;
  const asked = await askEvents([
    { name: "conversation.chat.created", data },
    { name: "conversation.message.completed", data: message },
    COMPLETED,
    DONE,
  ]);
  expect(asked.events[0]).toMatchObject({
    chatId: "7391000000000000017",
    conversationId: "7390000000000000013",
  });
  expect(asked.events[1]).toMatchObject({ messageId: "7391000000000000123" });
});

describe("recorded streams", () => {
  const recorded = async (name: string): Promise<Asked> => {
    const file = join(import.meta.dirname, "../fixtures/specs/coze-sse", name);
    await using pair = await openPair();
    pair.coze.playNext({ packets: [readFileSync(file)] });
    const asked = await ask(pair.source, aQuestion());
    return asked;
  };

  it("of a chat is an answer", async () => {
    const asked = await recorded("chat_text_stream_resp.txt");
    expect(asked.error).toBeUndefined();
    expect(asked.state).toMatchObject({ status: "completed", ended: true, unknownEvents: 0 });
    expect(answerMarkdown(asked.state)).not.toBe("");
  });

  it("of a workflow chat is an answer", async () => {
    const asked = await recorded("workflows_chat_stream_resp.txt");
    expect(asked.error).toBeUndefined();
    expect(asked.state).toMatchObject({ status: "completed", ended: true, unknownEvents: 0 });
  });

  it("of a failed chat is its failure, once the state has seen it", async () => {
    const asked = await recorded("chat_failed_resp.txt");
    expect(asked.state).toMatchObject({
      status: "failed",
      failure: { code: 5000, text: "event interval error" },
    });
    expect(asked.error).toMatchObject({ code: "COZE_FAILED", cozeCode: 5000, chatId: "7390342853760696354" });
  });

  it.each(["chat_error_resp.txt", "chat_invalid_resp.txt"])("in %s is no answer", async (name) => {
    expect((await recorded(name)).error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
  });

  it("of a workflow run ends as no chat, every event unknown", async () => {
    const asked = await recorded("workflow_run_stream_resp.txt");
    expect(asked.error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
    expect(asked.events.every(({ type }) => type === "unknown")).toBe(true);
  });
});
