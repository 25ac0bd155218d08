import { describe, expect, it } from "vitest";
import type { CozeStandIn } from "../../sandbox/coze/coze-stand-in.ts";
import type { MessagePage } from "../../src/coze/stored.ts";
import { aQuestion, ask, type CozePair, newConversation, noAbort, openPair } from "./coze-kit.ts";
import { CHAT, CONVERSATION } from "./wire-make.ts";

const IDS = { conversationId: CONVERSATION, chatId: CHAT };
const signal = noAbort();

function answerNext(coze: CozeStandIn, call: string, body: object | string): void {
  coze.faults.plan(call, { do: "answer", status: 200, body });
}

describe("§22.39 two places for errors of a stored chat", () => {
  const retrieve = async (data: object): Promise<unknown> => {
    await using pair = await openPair();
    answerNext(pair.coze, "GET /v3/chat/retrieve", { code: 0, msg: "", data });
    const chat = await pair.client.chats.retrieve(IDS, { signal });
    return chat;
  };

  it("the chat's own is a fact about it, not a failure of the call", async () => {
    expect(
      await retrieve({ id: CHAT, status: "failed", last_error: { code: 4011, msg: "no" } }),
    ).toMatchObject({
      status: "failed",
      failure: { code: 4011, text: "no" },
    });
  });

  it.each([null, { code: 0, msg: "" }, undefined])("none is none: %j", async (lastError) => {
    const chat = await retrieve({ id: CHAT, status: "completed", last_error: lastError, meta_data: null });
    expect(chat).toEqual({ ...IDS, status: "completed", pending: [], metaData: {} });
  });

  it.each([
    ["compleated", "completed"],
    ["cancelled", "canceled"],
    ["required_action", "requires_action"],
    ["in_progress", "running"],
    ["created", "running"],
    ["something_new", "running"],
    ["", "running"],
  ])("the status %j is %s", async (status, expected) => {
    expect(await retrieve({ id: CHAT, status })).toMatchObject({ status: expected });
  });
});

it("§22.26 reads usage that only retrieve tells", async () => {
  await using pair = await openPair();
  const conversationId = await newConversation(pair);
  const { state } = await ask(pair.source, aQuestion({ conversationId }));
  const chat = await pair.client.chats.retrieve({ conversationId, chatId: state.chatId ?? "" }, { signal });
  expect(chat.usage).toEqual(state.usage);
});

describe("§22.41 lists", () => {
  it("of a chat are unordered and hold control packets", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "weather" }));
    const chat = { conversationId, chatId: state.chatId ?? "" };
    const kinds = (await pair.client.chats.listMessages(chat, { signal })).map(({ kind }) => kind);
    // By the second in which they were said, and the list may cross one.
    const all = ["answer", "follow_up", "follow_up", "function_call", "tool_response", "verbose"];
    expect(kinds.toSorted()).toEqual(all);
  });

  it("of a chat hold the packets of an interrupt", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "local plugin" }));
    const chat = { conversationId, chatId: state.chatId ?? "" };
    const texts = (await pair.client.chats.listMessages(chat, { signal })).map(({ text }) => text);
    expect(texts.some((text) => text.includes('"interrupt"'))).toBe(true);
    expect(texts.some((text) => text.includes('\\"finish_reason\\":1'))).toBe(true);
  });

  it("of a conversation are read page by page, in both directions, though all were said in one second", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    for (const text of ["one", "two", "three"]) await ask(pair.source, aQuestion({ conversationId, text }));
    const page = (options: object): Promise<MessagePage> =>
      pair.client.messages.page({ conversationId, pageSize: 2, signal, ...options });
    const first = await page({});
    expect(first).toMatchObject({
      hasMore: true,
      items: [{ text: "You said: three" }, { text: "three" }],
    });
    const second = await page({ afterId: first.lastId });
    expect(second.items.map(({ text }) => text)).toEqual(["You said: two", "two"]);
    const third = await page({ afterId: second.lastId });
    expect(third).toMatchObject({ hasMore: false, items: [{ text: "You said: one" }, { text: "one" }] });
    expect((await page({ beforeId: second.firstId })).items).toEqual(first.items);
    const oldest = await page({ order: "asc" });
    expect(oldest.items.map(({ text }) => text)).toEqual(["one", "You said: one"]);
  });

  it("of a conversation can be narrowed to a chat", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    await ask(pair.source, aQuestion({ conversationId, text: "one" }));
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "two" }));
    const page = await pair.client.messages.page({
      conversationId,
      signal,
      ...(state.chatId && { chatId: state.chatId }),
    });
    expect(page.items.map(({ text }) => text)).toEqual(["You said: two", "two"]);
  });

  it("show a running question and its chat, or not, by the switches", async () => {
    for (const on of [true, false]) {
      const switches = { runningQuestionListed: on, questionHasChatId: on };
      await using pair = await openPair({ switches, pace: { firstDeltaMs: 200 } });
      const conversationId = await newConversation(pair);
      const running = ask(pair.source, aQuestion({ conversationId, turnId: "t" }));
      await expect.poll(() => pair.coze.chats.length).toBe(1);
      const during = await pair.client.messages.page({ conversationId, signal });
      expect(during.items).toHaveLength(on ? 1 : 0);
      await running;
      const { items: messages } = await pair.client.messages.page({ conversationId, signal });
      expect(messages).toMatchObject([{ role: "assistant" }, { role: "user", metaData: { turn_id: "t" } }]);
      expect(messages[1]?.chatId === messages[0]?.chatId).toBe(on);
    }
  });
});

it("§22.42 reads string timestamps, long numbers for ids, and null for lists", async () => {
  await using pair = await openPair();
  const call = "POST /v1/conversation/message/list";
  const raw = `{"code":0,"first_id":7391000000000000101,"last_id":"7391000000000000100","has_more":true,"data":[{"id":7391000000000000101,"created_at":"1767225600","meta_data":null,"type":"","role":"user","content":null}]}`;
  answerNext(pair.coze, call, raw);
  const page = await pair.client.messages.page({ conversationId: "1", signal });
  expect(page).toMatchObject({
    firstId: "7391000000000000101",
    lastId: "7391000000000000100",
    hasMore: true,
  });
  expect(page.items).toMatchObject([
    { messageId: "7391000000000000101", createdAt: 1_767_225_600, kind: "unknown", text: "", metaData: {} },
  ]);
  answerNext(pair.coze, call, { code: 0, data: null });
  expect((await pair.client.messages.page({ conversationId: "1", signal })).items).toEqual([]);
});

it.each([
  ["POST /v1/conversation/create", { code: 0, data: {} }],
  ["POST /v1/conversation/create", { code: 0 }],
])("an answer to %s without what was asked for is an error: %j", async (call, body) => {
  await using pair = await openPair();
  answerNext(pair.coze, call, body);
  await expect(newConversation(pair)).rejects.toMatchObject({ code: "COZE_FAILED", outcome: "unknown" });
});

it("a conversation carries its key, so that it can be found again", async () => {
  await using pair = await openPair();
  const created = await newConversation(pair);
  expect(pair.coze.service.conversations.get(created)).toMatchObject({
    name: "test:key",
    metaData: { conversation_key: "test:key" },
  });
});

it("every call passes on the reason it was stopped for", async () => {
  await using pair = await openPair();
  const reason = new Error("enough");
  const options = { signal: AbortSignal.abort(reason) };
  const stopped = (call: Promise<unknown>): Promise<void> => expect(call).rejects.toBe(reason);
  await stopped(pair.client.chats.retrieve(IDS, options));
  await stopped(pair.client.chats.listMessages(IDS, options));
  await stopped(pair.client.messages.page({ conversationId: "1", ...options }));
  await stopped(pair.source.cancel(IDS, options));
  await stopped(Array.fromAsync(pair.client.conversations.list({ botId: "1", ...options })));
  await stopped(Array.fromAsync(pair.client.messages.list({ conversationId: "1", ...options })));
  await stopped(pair.client.feedback.delete({ conversationId: "1", messageId: "2" }, options));
  await stopped(pair.client.bots.publish("1", options));
  await stopped(Array.fromAsync(pair.client.workspaces.list(options)));
  await stopped(pair.client.users.me(options));
  await stopped(pair.source.createConversation({ botId: "1", conversation: "k", ...options }));
});

it("a call that gets no answer in time is a time-out", async () => {
  await using pair: CozePair = await openPair({ timeouts: { headersMs: 50 } });
  pair.coze.faults.plan("GET /v3/chat/retrieve", { do: "hang" });
  await expect(pair.client.chats.retrieve(IDS, { signal })).rejects.toMatchObject({ code: "COZE_TIMEOUT" });
});
