import { describe, expect, it } from "vitest";
import { STAND_IN_BOT, STAND_IN_TOKEN, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import type { PlainEvent } from "../../sandbox/coze/sse-bytes.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { CozeError } from "../../src/core/errors.ts";
import { Gates } from "../../src/core/gate.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../src/coze/coze-client.ts";
import { COZE_CODES } from "../../src/coze/error-codes.ts";
import { toRetryAfterMs } from "../../src/coze/open-response.ts";
import {
  aQuestion,
  ask,
  CLOCK,
  type CozePair,
  errorOf,
  KeptLog,
  newConversation,
  noAbort,
  openPair,
} from "./coze-kit.ts";
import {
  CHAT,
  COMPLETED,
  CONVERSATION,
  CREATED,
  chatEvent,
  DONE,
  delta,
  packet,
  whole,
} from "./wire-make.ts";

const JSON_TYPE = { "content-type": "application/json" };
const NO_LOG_ID = { ...JSON_TYPE, "x-tt-logid": "" };
const SSE_TYPE = { "content-type": "text/event-stream" };

describe("§22.27 a refusal in place of a stream", () => {
  it.each([
    [200, JSON_TYPE],
    [200, SSE_TYPE],
    [200, { "content-type": "text/plain" }],
    [400, JSON_TYPE],
  ])("is read with HTTP %i and %j", async (status, headers) => {
    await using pair = await openPair();
    const body = '{"code":4011,"msg":"balance","detail":{"logid":"L1"}}';
    pair.coze.playNext({ status, headers, packets: [body.slice(0, 9), body.slice(9)] });
    const { error, events } = await ask(pair.source, aQuestion());
    expect(events).toEqual([]);
    expect(error).toMatchObject({
      code: "COZE_QUOTA",
      cozeCode: 4011,
      httpStatus: status,
      outcome: "refused",
    });
  });

  it("that accepted the chat after all tells its id", async () => {
    await using pair = await openPair();
    const body = `{"code":0,"data":{"id":"${CHAT}","conversation_id":"${CONVERSATION}","status":"in_progress"}}`;
    pair.coze.playNext({ headers: JSON_TYPE, packets: [body] });
    const { error } = await ask(pair.source, aQuestion());
    expect(error).toMatchObject({ code: "COZE_STREAM_BROKEN", chatId: CHAT, outcome: "unknown" });
  });
});

describe("§22.28 envelopes with gaps", () => {
  it.each([
    ['{"code":"4100","msg":"x"}', { code: "COZE_AUTH", cozeCode: 4100 }],
    ['{"code":4015}', { code: "COZE_BOT_UNPUBLISHED", logId: "20260101120000000000000000000001" }],
    ['{"code":4015,"msg":null,"detail":null}', { code: "COZE_BOT_UNPUBLISHED" }],
    ['{"msg":"no code"}', { code: "COZE_STREAM_BROKEN" }],
  ])("reads %s", async (body, expected) => {
    await using pair = await openPair();
    pair.coze.playNext({ headers: JSON_TYPE, packets: [body] });
    expect((await ask(pair.source, aQuestion())).error).toMatchObject(expected);
  });

  it("takes a missing code for success, and the log id from the header", async () => {
    await using pair = await openPair();
    pair.coze.faults.plan("POST /v1/conversation/create", {
      do: "answer",
      status: 200,
      body: { data: { id: "77" } },
    });
    expect(await newConversation(pair)).toBe("77");
  });
});

describe("§22.29 error events", () => {
  const error = (data: string): PlainEvent => ({ name: "error", data });

  it.each([
    ["{}", 0],
    ['{"code":4013,"msg":"busy"}', 4013],
    ['{"code":"720702204","msg":"x"}', 720702204],
    ["plain text", 0],
  ])("with %s break the stream without proving that the chat failed", async (data, cozeCode) => {
    for (const before of [[], [CREATED, delta("x")]]) {
      await using pair = await openPair();
      pair.coze.playNext({ packets: [packet(...before, error(data))] });
      const asked = await ask(pair.source, aQuestion());
      expect(asked.error).toMatchObject({ code: "COZE_STREAM_BROKEN", cozeCode, outcome: "unknown" });
      expect(asked.events.at(-1)).toMatchObject({ type: "error", error: { code: cozeCode } });
    }
  });

  it("after the chat has completed change nothing", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [packet(CREATED, whole("x"), COMPLETED, error("{}"), DONE)] });
    const asked = await ask(pair.source, aQuestion());
    expect(asked.error).toBeUndefined();
    expect(answerMarkdown(asked.state)).toBe("x");
    expect(asked.state.ended).toBe(true);
  });
});

describe("§22.30 a failed chat", () => {
  it.each([
    [
      "with last_error",
      chatEvent("failed", { last_error: { code: 4008, msg: "limit" } }),
      "COZE_USER_QUOTA",
      4008,
    ],
    [
      "as a bare code",
      { name: "conversation.chat.failed", data: '{"code":701231,"msg":"e"}' },
      "COZE_FAILED",
      701231,
    ],
    [
      "with a string code",
      { name: "conversation.chat.failed", data: '{"code":"4010"}' },
      "COZE_PROMPT_TOO_LONG",
      4010,
    ],
    ["without a word", { name: "conversation.chat.failed", data: "" }, "COZE_FAILED", 0],
  ])("%s is yielded, then thrown, also as the first event", async (_name, failed, code, cozeCode) => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [packet(failed, DONE)] });
    const asked = await ask(pair.source, aQuestion());
    expect(asked.state.status).toBe("failed");
    expect(asked.error).toMatchObject({ code, cozeCode });
  });

  it("after some of the answer keeps it, and is not tried again by itself", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const early = await ask(pair.source, aQuestion({ conversationId, text: "chat fail 5000" }));
    expect(early.error).toMatchObject({ code: "COZE_FAILED", retryable: true });
    const late = await ask(pair.source, aQuestion({ conversationId, text: "late fail" }));
    expect(late.error).toMatchObject({ code: "COZE_FAILED", retryable: false });
    expect(answerMarkdown(late.state)).toBe("This answer starts well, and then ");
  });
});

describe("§22.31 broken connections", () => {
  const stages: [string, PlainEvent[], object][] = [
    ["before created", [], { chatId: undefined }],
    ["after created", [CREATED], { chatId: CHAT }],
    ["in the middle of an answer", [CREATED, delta("x")], { chatId: CHAT }],
    ["after all answers", [CREATED, whole("x")], { chatId: CHAT }],
  ];

  it.each(stages)("reset %s: a broken stream", async (_name, events, known) => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [packet(...events)], end: "reset" });
    const asked = await ask(pair.source, aQuestion());
    expect(asked.error).toMatchObject({ code: "COZE_STREAM_BROKEN", outcome: "unknown", ...known });
    expect(asked.events).toHaveLength(events.length);
  });

  it.each(stages)("silent %s: a time-out", async (_name, events, known) => {
    await using pair = await openPair({ timeouts: { idleMs: 50 } });
    pair.coze.playNext({ packets: [packet(...events)], end: "stall" });
    const asked = await ask(pair.source, aQuestion());
    expect(asked.error).toMatchObject({ code: "COZE_TIMEOUT", outcome: "unknown", ...known });
  });

  it("reset after the chat has completed: an answer", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [packet(CREATED, whole("x"), COMPLETED)], end: "reset" });
    expect((await ask(pair.source, aQuestion())).error).toBeUndefined();
  });

  it("tells a server that is not there from one that may have heard us", async () => {
    await using pair = await openPair({ timeouts: { headersMs: 50 } });
    pair.coze.faults.plan("POST /v3/chat", { do: "reset" });
    const reset = await ask(pair.source, aQuestion());
    expect(reset.error).toMatchObject({ code: "COZE_UNREACHABLE", outcome: "unknown", retryable: true });
    pair.coze.faults.plan("POST /v3/chat", { do: "hang" });
    expect((await ask(pair.source, aQuestion())).error).toMatchObject({
      code: "COZE_TIMEOUT",
      outcome: "unknown",
    });
    await pair.coze[Symbol.asyncDispose]();
    const gone = await ask(pair.source, aQuestion());
    expect(gone.error).toMatchObject({ code: "COZE_UNREACHABLE", outcome: "refused", retryable: true });
  });

  it("gives up an answer that never ends, however lively it is", async () => {
    await using pair = await openPair({ pace: { deltaMs: 5 }, timeouts: { totalMs: 100 } });
    const conversationId = await newConversation(pair);
    const asked = await ask(pair.source, aQuestion({ conversationId, text: "story" }));
    expect(asked.error).toMatchObject({ code: "COZE_TIMEOUT", conversationId });
    expect(asked.state.answers[0]?.text).not.toBe("");
  });
});

describe("§22.32 the server goes on without us", () => {
  it("and keeps the answer for retrieve and list", async () => {
    await using pair = await openPair({ pace: { deltaMs: 20 } });
    const conversationId = await newConversation(pair);
    const { state, error } = await ask(pair.source, aQuestion({ conversationId, text: "break" }));
    expect(error).toMatchObject({ code: "COZE_STREAM_BROKEN", conversationId });
    const chat = { conversationId, chatId: state.chatId ?? "" };
    const signal = noAbort();
    expect(await pair.client.chats.retrieve(chat, { signal })).toMatchObject({ status: "running" });
    await expect
      .poll(async () => (await pair.client.chats.retrieve(chat, { signal })).status)
      .toBe("completed");
    const messages = await pair.client.chats.listMessages(chat, { signal });
    expect(messages.find(({ kind }) => kind === "answer")?.text).toBe(
      "This answer starts well, and then it is whole after all.",
    );
  });
});

describe("§22.33 one running chat per conversation", () => {
  it("refuses the second one until the first is cancelled", async () => {
    await using pair = await openPair({ pace: { deltaMs: 1_000 } });
    const conversationId = await newConversation(pair);
    const stop = new AbortController();
    const first = ask(pair.source, aQuestion({ conversationId, text: "story" }), stop.signal);
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    const second = await ask(pair.source, aQuestion({ conversationId }));
    expect(second.error).toMatchObject({ code: "COZE_OCCUPIED", outcome: "refused", retryable: true });
    stop.abort(new Error("stopped"));
    await first;
    expect((await ask(pair.source, aQuestion({ conversationId }))).error).toMatchObject({
      code: "COZE_OCCUPIED",
    });
    const chatId = pair.coze.chats[0]?.id ?? "";
    expect(await pair.client.chats.cancel({ conversationId, chatId }, { signal: noAbort() })).toBe(true);
    pair.coze.setPace({ deltaMs: 0 });
    expect((await ask(pair.source, aQuestion({ conversationId }))).error).toBeUndefined();
  });
});

describe("§22.34 cancel", () => {
  it.each([false, true])(
    "of a chat that is over is no error (bare answers: %s)",
    async (cancelWithoutCode) => {
      await using pair = await openPair({ switches: { cancelWithoutCode }, pace: { firstDeltaMs: 400 } });
      const conversationId = await newConversation(pair);
      const running = ask(pair.source, aQuestion({ conversationId }));
      await expect.poll(() => pair.coze.chats.length).toBe(1);
      const chat = { conversationId, chatId: pair.coze.chats[0]?.id ?? "" };
      const signal = noAbort();
      expect(await pair.client.chats.cancel(chat, { signal })).toBe(true);
      expect(await pair.client.chats.cancel(chat, { signal })).toBe(false);
      await pair.source.cancel(chat, { signal });
      expect(await pair.client.chats.retrieve(chat, { signal })).toMatchObject({ status: "canceled" });
      // The open stream goes on to its end (coze-api.md §7.6).
      expect(answerMarkdown((await running).state)).toBe("You said: Hello");
    },
  );

  it.each([4104, 103_200_005])("of a chat that is over is none: %i", async (code) => {
    await using pair = await openPair();
    const packets = [JSON.stringify({ code, msg: "over" })];
    pair.coze.playNext({ status: 400, headers: JSON_TYPE, packets }, "POST /v3/chat/cancel");
    const chat = { conversationId: "1", chatId: "2" };
    expect(await pair.client.chats.cancel(chat, { signal: noAbort() })).toBe(false);
  });

  it("of a chat that does not exist is one", async () => {
    await using pair = await openPair();
    const chat = { conversationId: "1", chatId: "2" };
    const error = await errorOf(pair.source.cancel(chat, { signal: noAbort() }));
    expect(error).toMatchObject({ code: "COZE_NOT_FOUND", cozeCode: 4001 });
  });
});

describe("§22.35 credentials", () => {
  it.each(["ok", "matching"] as const)(
    "an expired token is COZE_AUTH (status: %s)",
    async (refusalStatus) => {
      await using pair = await openPair({ switches: { refusalStatus } });
      pair.coze.tokens.clear();
      const asked = await ask(pair.source, aQuestion());
      expect(asked.error).toMatchObject({
        code: "COZE_AUTH",
        cozeCode: 4100,
        retryable: false,
        outcome: "refused",
      });
    },
  );

  it("so is the self-hosted code", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ headers: JSON_TYPE, packets: ['{"code":700012006,"msg":"access token invalid"}'] });
    expect((await ask(pair.source, aQuestion())).error).toMatchObject({ code: "COZE_AUTH" });
  });

  it("the token stays out of every message and log line, even if the server repeats it", async () => {
    await using pair = await openPair();
    const body = JSON.stringify({ code: 5000, msg: `bad token ${STAND_IN_TOKEN}` });
    pair.coze.playNext({ headers: JSON_TYPE, packets: [body] });
    const { error } = await ask(pair.source, aQuestion());
    expect(String(error)).toContain("[token]");
    expect(JSON.stringify([String(error), error, pair.log.lines])).not.toContain(STAND_IN_TOKEN);
  });

  it("and so it does in a chat that failed, listened to or looked up", async () => {
    await using pair = await openPair();
    const failed = { last_error: { code: 5000, msg: `bad token ${STAND_IN_TOKEN}` } };
    pair.coze.playNext({ packets: [packet(CREATED, chatEvent("failed", failed))] });
    const { error, events } = await ask(pair.source, aQuestion());
    const chat = { ...failed, id: CHAT, conversation_id: CONVERSATION, status: "failed" };
    const looked = { headers: JSON_TYPE, packets: [JSON.stringify({ code: 0, data: chat })] };
    pair.coze.playNext(looked, "GET /v3/chat/retrieve");
    const none = { headers: JSON_TYPE, packets: ['{"code":0,"data":[]}'] };
    pair.coze.playNext(none, "GET /v3/chat/message/list");
    const told: unknown[] = [String(error), events];
    const ids = { conversationId: CONVERSATION, chatId: CHAT };
    const follow = async (): Promise<void> => {
      for await (const event of pair.source.follow(ids, { signal: noAbort(), timeoutMs: 20_000 })) {
        told.push(event);
      }
    };
    told.push(String(await errorOf(follow())));
    const text = JSON.stringify(told);
    expect(text.match(/\[token\]/g)).toHaveLength(4);
    expect(text).not.toContain(STAND_IN_TOKEN);
  });
});

describe("§22.35 credentials in workflows", () => {
  it("stay out of what a run that failed says, listened to or looked up", async () => {
    await using pair = await openPair();
    const failed = { error_code: 5000, error_message: `bad token ${STAND_IN_TOKEN}` };
    const event = { name: "Error", data: JSON.stringify(failed) };
    pair.coze.playNext({ packets: [packet(event)] }, "POST /v1/workflow/stream_run");
    const record = { ...failed, execute_id: "2", execute_status: "Fail" };
    const looked = { headers: JSON_TYPE, packets: [JSON.stringify({ code: 0, data: [record] })] };
    pair.coze.playNext(looked, "GET /v1/workflows/:workflow_id/run_histories/:execute_id");
    const { workflows } = pair.client;
    const signal = noAbort();
    const told: unknown[] = [];
    const run = async (): Promise<void> => {
      for await (const said of workflows.stream({ workflowId: "1" }, { signal })) told.push(said);
    };
    told.push(String(await errorOf(run())));
    told.push(await workflows.history({ workflowId: "1", executeId: "2" }, { signal }));
    const text = JSON.stringify(told);
    expect(text.match(/\[token\]/g)).toHaveLength(3);
    expect(text).not.toContain(STAND_IN_TOKEN);
  });
});

describe("§22.36 a stored conversation that is gone", () => {
  it("is told apart, nothing was asked", async () => {
    await using pair = await openPair();
    const asked = await ask(pair.source, aQuestion({ conversationId: "999" }));
    expect(asked.error).toMatchObject({ code: "COZE_CONVERSATION_GONE", outcome: "refused" });
    expect(pair.coze.chats).toEqual([]);
  });

  it("may also be replaced in silence: then the answer tells the new one", async () => {
    await using pair = await openPair({ switches: { unknownConversation: "create" } });
    const asked = await ask(pair.source, aQuestion({ conversationId: "999" }));
    expect(asked.error).toBeUndefined();
    expect(asked.state.conversationId).not.toBe("999");
  });
});

describe("§22.37 gateways", () => {
  it.each([
    [502, "<html>bad gateway</html>", "text/html", "COZE_UNREACHABLE", "unknown"],
    [504, "<html></html>", "text/html", "COZE_UNREACHABLE", "unknown"],
    [500, "", "text/plain", "COZE_UNREACHABLE", "unknown"],
    [500, "record not found", "text/plain", "COZE_UNREACHABLE", "unknown"],
    [200, "<html>sign in</html>", "text/html", "COZE_FAILED", "unknown"],
    [404, "404 page not found", "text/plain", "COZE_NOT_FOUND", "refused"],
    [302, "", "text/plain", "COZE_NOT_FOUND", "refused"],
    [413, "too large", "text/plain", "COZE_PROMPT_TOO_LONG", "refused"],
    [429, "slow down", "text/plain", "COZE_BUSY", "refused"],
    [500, '{"code":500,"msg":"internal server error"}', "application/json", "COZE_UNREACHABLE", "unknown"],
    [400, '{"code":400,"msg":"parameter"}', "application/json", "COZE_BAD_REQUEST", "refused"],
  ])("HTTP %i with %j (%s) is %s", async (status, body, type, code, outcome) => {
    await using pair = await openPair();
    for (const call of ["POST /v3/chat", "GET /v3/chat/retrieve"]) {
      pair.coze.playNext({ status, headers: { "content-type": type }, packets: [body] }, call);
    }
    const asked = await ask(pair.source, aQuestion());
    expect(asked.error).toMatchObject({ code, outcome, httpStatus: status });
    const chat = { conversationId: CONVERSATION, chatId: CHAT };
    const retrieved = await errorOf(pair.client.chats.retrieve(chat, { signal: noAbort() }));
    expect(retrieved).toMatchObject({ code, outcome, httpStatus: status });
  });

  it("says where a redirect comes from, and does not follow it", async () => {
    await using pair = await openPair();
    await using elsewhere = await openPair();
    pair.coze.playNext({ status: 307, headers: { location: `${elsewhere.coze.url}/v3/chat` }, packets: [] });
    const { error } = await ask(pair.source, aQuestion());
    expect(String(error)).toMatch(/HTTP 307 .*COZE_API_BASE/);
    expect(error).toMatchObject({ retryable: false });
    expect(elsewhere.coze.traffic.exchanges).toEqual([]);
  });

  it("says when to come back, if it was told", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ status: 429, headers: { "retry-after": "3" }, packets: [] });
    expect((await ask(pair.source, aQuestion())).error).toMatchObject({
      code: "COZE_BUSY",
      retryAfterMs: 3_000,
    });
  });

  it.each([
    ["3", 3_000],
    ["Thu, 01 Jan 1970 00:00:10 GMT", 9_000],
    ["soon", undefined],
    [undefined, undefined],
  ])("reads Retry-After %j", (value, expected) => {
    expect(toRetryAfterMs(value, 1_000)).toBe(expected);
  });

  it("rate limits come as a code of their own", async () => {
    const limits = { chatPerSecond: 1, uploadPerSecond: 1, pollPerSecond: 1 };
    await using pair = await openPair({
      switches: { limits, refusalStatus: "matching", retryAfterSeconds: 1 },
    });
    const conversationId = await newConversation(pair);
    await ask(pair.source, aQuestion({ conversationId }));
    const asked = await ask(pair.source, aQuestion({ conversationId }));
    expect(asked.error).toMatchObject({ code: "COZE_BUSY", cozeCode: 710005002, retryAfterMs: 1_000 });
  });
});

it("§22.40 tells the conversation that was really used", async () => {
  await using pair = await openPair({ switches: { conversationIdChanges: true } });
  const conversationId = await newConversation(pair);
  const asked = await ask(pair.source, aQuestion({ conversationId }));
  expect(asked.error).toBeUndefined();
  expect(asked.state.conversationId).not.toBe(conversationId);
  expect(pair.log.lines).toContainEqual({
    level: "warn",
    fields: { asked: conversationId, answered: asked.state.conversationId },
    message: "coze answered in another conversation",
  });
});

describe("codes", () => {
  const refuseNext = (pair: CozePair, code: number): void =>
    pair.coze.playNext({ headers: JSON_TYPE, packets: [JSON.stringify({ code, msg: "x" })] });

  it("all mean what the table says, and say what to do where nothing gets better before it is done", async () => {
    await using pair = await openPair({ chatsPerSecond: 1_000 });
    for (const [cozeCode, { code, retryable, outcome, operator, mustAct }] of COZE_CODES) {
      refuseNext(pair, cozeCode);
      const { error } = await ask(pair.source, aQuestion());
      expect(error).toMatchObject({ cozeCode, code, retryable, outcome });
      const [, hint] = /: x \(log id \d+\)(.*)$/.exec(String(error)) ?? [];
      expect(hint, String(error)).toBe(mustAct ? `. ${operator}` : "");
    }
  });

  it("say what to do in a stream, too", async () => {
    await using pair = await openPair();
    const data = '{"code":4011,"msg":"no"}';
    pair.coze.playNext({ packets: [packet(CREATED, { name: "error", data })] });
    const { error } = await ask(pair.source, aQuestion());
    expect(String(error)).toContain(COZE_CODES.get(4011)?.operator);
  });

  it("that come without words get ours", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ headers: JSON_TYPE, packets: ['{"code":4009,"msg":""}'] });
    const { error } = await ask(pair.source, aQuestion());
    expect(String(error)).toContain("code 4009: Coze's system is busy (log id ");
  });

  it("leave nothing open where nothing can have started", () => {
    // coze-api.md §7.1
    for (const code of [4000, 4001, 4002, 4003, 4004, 4005, 4006, 4007, 4012, 4015, 4016, 4100, 4101, 4200]) {
      expect(COZE_CODES.get(code)?.outcome).toBe("refused");
    }
    for (const code of [5000, 4009, 4013]) expect(COZE_CODES.get(code)?.outcome).toBe("unknown");
  });

  it("that nobody has documented may be tried again after a look", async () => {
    await using pair = await openPair();
    refuseNext(pair, 701_231);
    const { error } = await ask(pair.source, aQuestion());
    expect(error).toMatchObject({
      code: "COZE_FAILED",
      retryable: true,
      outcome: "unknown",
    });
  });

  it("of a bot that is missing or unpublished name it so", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const unpublished = await ask(pair.source, aQuestion({ conversationId, botId: UNPUBLISHED_BOT }));
    expect(unpublished.error).toMatchObject({ code: "COZE_BOT_UNPUBLISHED" });
    const missing = await ask(pair.source, aQuestion({ conversationId, botId: "1" }));
    expect(missing.error).toMatchObject({ code: "COZE_NOT_FOUND", cozeCode: 4006 });
  });

  it("the scripted bot refuses with the code it is asked for", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const asked = await ask(pair.source, aQuestion({ conversationId, text: "fail 4011" }));
    expect(asked.error).toMatchObject({ code: "COZE_QUOTA", cozeCode: 4011 });
  });
});

describe("stopping", () => {
  it("passes the reason on as it is: before, while waiting for the response, and in the answer", async () => {
    await using pair = await openPair({ pace: { deltaMs: 1_000 } });
    const conversationId = await newConversation(pair);
    const reason = new Error("the asker has stopped");
    expect((await ask(pair.source, aQuestion(), AbortSignal.abort(reason))).error).toBe(reason);
    pair.coze.faults.plan("POST /v3/chat", { do: "hang" });
    const waiting = new AbortController();
    const first = ask(pair.source, aQuestion({ conversationId }), waiting.signal);
    await expect.poll(() => pair.coze.traffic.exchanges.length).toBe(2);
    waiting.abort(reason);
    expect((await first).error).toBe(reason);
    const writing = new AbortController();
    const second = ask(pair.source, aQuestion({ conversationId }), writing.signal);
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    writing.abort(reason);
    expect((await second).error).toBe(reason);
  });

  it("closes the connection when the reader leaves", async () => {
    await using pair = await openPair({ pace: { deltaMs: 1_000 } });
    const conversationId = await newConversation(pair);
    for await (const event of pair.source.ask(aQuestion({ conversationId }), { signal: noAbort() })) {
      expect(event.type).toBe("chat");
      break;
    }
    expect(pair.coze.chats[0]?.running).toBe(true);
    await expect.poll(() => pair.coze.chats[0]?.listeners).toBe(0);
  });

  it("a client disposed twice is disposed once", async () => {
    await using pair = await openPair();
    await pair.client[Symbol.asyncDispose]();
    await expect(pair.client[Symbol.asyncDispose]()).resolves.toBeUndefined();
  });

  it("does not time out while its reader is slow", async () => {
    await using pair = await openPair({ timeouts: { idleMs: 60 } });
    const text = "x".repeat(40_000);
    const deltas = Array.from({ length: 200 }, () => delta(text));
    pair.coze.playNext({ packets: [packet(CREATED, ...deltas, COMPLETED, DONE)] });
    let first = true;
    let length = 0;
    for await (const event of pair.source.ask(aQuestion(), { signal: noAbort() })) {
      if (event.type === "delta") length += event.text.length;
      // Longer than the idle time-out: only waiting for Coze counts.
      if (first) await new Promise((resolve) => setTimeout(resolve, 150));
      first = false;
    }
    expect(length).toBe(200 * 40_000);
  });
});

it("uses its connections again for answers in a row", async () => {
  await using pair = await openPair();
  const conversationId = await newConversation(pair);
  for (const text of ["1", "2", "3", "4", "5", "6"])
    await ask(pair.source, aQuestion({ conversationId, text }));
  // Two, since the pool may not have the first one back yet when the second call follows at once.
  expect(pair.coze.connections).toBeLessThanOrEqual(2);
});

it("refuses a question without text and files before it asks", async () => {
  await using pair = await openPair();
  expect((await ask(pair.source, aQuestion({ text: " " }))).error).toMatchObject({
    code: "COZE_BAD_REQUEST",
  });
  expect(pair.coze.traffic.exchanges).toEqual([]);
});

it("works with a base URL with and without a slash at its end", async () => {
  await using pair = await openPair();
  for (const baseUrl of [pair.coze.url, `${pair.coze.url}//`]) {
    await using client = createCozeClient({
      ...{ baseUrl, tokens: staticToken(STAND_IN_TOKEN), log: new KeptLog() },
      ...{ gates: new Gates(CLOCK), chatsPerSecond: 20 },
    });
    const created = client.conversations.create({ botId: STAND_IN_BOT }, { signal: noAbort() });
    expect((await created).conversationId).toMatch(/^\d+$/);
  }
});

describe("what Coze says beside the failure itself", () => {
  const logId = `20260101${STAND_IN_TOKEN}`;
  const debugUrl = `https://www.coze.cn/run?t=${STAND_IN_TOKEN}`;

  it.each([
    ["in the body", NO_LOG_ID, { detail: { logid: logId } }],
    ["in the body of an old server", NO_LOG_ID, { error: { logid: logId } }],
    ["in a header", { ...JSON_TYPE, "x-tt-logid": logId }, {}],
  ])("never tells our token: a log id %s", async (_, headers, more) => {
    await using pair = await openPair();
    const body = JSON.stringify({ code: 4011, msg: "no", debug_url: debugUrl, ...more });
    pair.coze.playNext({ headers, packets: [body] });
    const { error } = await ask(pair.source, aQuestion());
    expect(error).toMatchObject({ cozeCode: 4011 });
    expect(error).toMatchObject({ message: expect.stringContaining("[token]") as string });
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain(STAND_IN_TOKEN);
  });

  it("never tells our token: the failure as an event", async () => {
    await using pair = await openPair();
    const failed = chatEvent("failed", { last_error: { code: 5000, msg: `of ${STAND_IN_TOKEN}` } });
    pair.coze.playNext({ headers: SSE_TYPE, packets: [packet(CREATED, failed)] });
    const { events } = await ask(pair.source, aQuestion());
    expect(events.at(-1)).toMatchObject({ type: "chat", error: { text: "of [token]" } });
    const error = { name: "error", data: JSON.stringify({ code: 5000, msg: `of ${STAND_IN_TOKEN}` }) };
    pair.coze.playNext({ headers: SSE_TYPE, packets: [packet(CREATED, error)] });
    const broken = await ask(pair.source, aQuestion());
    expect(broken.events.at(-1)).toEqual({ type: "error", error: { code: 5000, text: "of [token]" } });
  });

  it("is one line of bearable length, and steers no terminal", async () => {
    await using pair = await openPair();
    const evil = `\u001B[31mred\u0007\r\n\u2028\u202Egnp${"x".repeat(10_000)}`;
    const body = JSON.stringify({ code: 4011, msg: evil, detail: { logid: evil } });
    pair.coze.playNext({ headers: NO_LOG_ID, packets: [body] });
    const { error } = await ask(pair.source, aQuestion());
    const { message, logId: told = "" } = error as CozeError;
    for (const text of [message, told]) {
      expect(text).toContain("red");
      expect(text).not.toMatch(/[\p{Cc}\u2028\u202E]/u);
      expect(text.length).toBeLessThan(2_000);
    }
  });
});
