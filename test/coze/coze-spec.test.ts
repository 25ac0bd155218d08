import { expect, it } from "vitest";
import { STAND_IN_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import type { Exchange } from "../../sandbox/stand-in.ts";
import type { PendingAction } from "../../src/core/answer-state.ts";
import type { ToolOutput } from "../../src/coze/api/chats.ts";
import type { ChatRequest } from "../../src/coze/chat-request.ts";
import type { CozeClient } from "../../src/coze/coze-client.ts";
import { aFile, aQuestion, ask, newConversation, noAbort, openPair } from "./coze-kit.ts";
import { cozeViolations, EXCEPTIONS, rawViolations, SPECIFIED_CALLS } from "./coze-spec.ts";
import { PNG } from "./file-bytes.ts";
import { callBots, callConversations } from "./specs/calls.ts";
import { callAudio, callWorkflows } from "./specs/workflow-calls.ts";

/** Every field of a chat, and what its tools gave back, with and without a stream. */
async function blockingTraffic({ chats }: CozeClient): Promise<void> {
  const options = { signal: noAbort(), timeoutMs: 60_000 };
  const request: ChatRequest = {
    ...{ botId: STAND_IN_BOT, userId: "u", messages: [{ role: "user", content: "local plugin twice" }] },
    ...{ metaData: { a: "b" }, customVariables: { name: "x" }, parameters: { depth: 1 } },
    ...{ extraParams: { latitude: "1", longitude: "2" }, enableCard: false, botVersion: "3" },
    publishStatus: "published_online",
  };
  const { chat } = await chats.ask(request, options);
  const outputs = (pending: readonly PendingAction[]): readonly ToolOutput[] =>
    pending.map(({ id }) => ({ toolCallId: id, output: "12" }));
  const second = await chats.submitToolOutputsAndWait(chat, outputs(chat.pending), options);
  await Array.fromAsync(chats.submitToolOutputs(chat, outputs(second.chat.pending), options));
}

/** Everything the client can say, and most of what the service answers. */
async function allTraffic(): Promise<readonly Exchange[]> {
  await using pair = await openPair({ switches: { asyncWorkflows: true } });
  const { client, source, coze } = pair;
  const signal = noAbort();
  const conversationId = await newConversation(pair);
  await using file = await aFile(PNG);
  const files = [await source.upload(file, { name: "a.png", signal })];
  const context = [
    { role: "asker" as const, text: "before" },
    { role: "bot" as const, text: "an answer" },
  ];
  await ask(source, aQuestion({ conversationId, files, context }));
  for (const text of [
    "故事",
    "weather",
    "twice",
    "think",
    "ask back",
    "late fail",
    "fail 4011",
    "local plugin",
  ]) {
    await ask(source, aQuestion({ conversationId, text }));
  }
  const chat = { conversationId, chatId: coze.chats[1]?.id ?? "" };
  await client.chats.retrieve(chat, { signal });
  await client.chats.listMessages(chat, { signal });
  const { lastId } = await client.messages.page({ conversationId, pageSize: 2, order: "desc", signal });
  await client.messages.page({
    conversationId,
    chatId: chat.chatId,
    signal,
    ...(lastId && { afterId: lastId }),
  });
  await client.chats.cancel(chat, { signal });
  await blockingTraffic(client);
  await callConversations(pair);
  await callBots(pair);
  await callWorkflows(pair);
  await callAudio(pair);
  return coze.traffic.exchanges;
}

const traffic = await allTraffic();

it("nothing either side says violates the specifications", () => {
  expect(traffic.length).toBeGreaterThan(100);
  expect(cozeViolations(traffic)).toEqual([]);
});

it("every specified call was made", () => {
  const made = new Set(traffic.filter(({ kind }) => kind === "http").map(({ name }) => name));
  expect(SPECIFIED_CALLS.filter((name) => !made.has(name))).toEqual([]);
});

it("every exception is still needed", () => {
  const raw = rawViolations(traffic);
  for (const { matches, source } of EXCEPTIONS) {
    expect(
      raw.some((line) => matches.test(line)),
      source,
    ).toBe(true);
  }
});

/** The first exchange of this name, changed. */
function changed(name: string, kind: Exchange["kind"], change: (text: string) => string): Exchange {
  const found = traffic.find((exchange) => exchange.name === name && exchange.kind === kind);
  if (found === undefined) throw new Error(`no traffic of ${name}`);
  // A copy of an exchange, changed in its text only.
  return JSON.parse(change(JSON.stringify(found))) as Exchange;
}

it.each([
  ["POST /v3/chat", "http", (text: string) => text.replace('"stream":true', '"stream":"true"')],
  ["POST /v3/chat", "http", (text: string) => text.replace('"user_id"', '"user"')],
  ["POST /v3/chat", "http", (text: string) => text.replace('"role":"user"', '"role":"system"')],
  ["POST /v3/chat", "http", (text: string) => text.replace('"conversation_id"', '"conversation"')],
  ["POST /v3/chat/cancel", "http", (text: string) => text.replace('"chat_id"', '"chatId"')],
  [
    "POST /v1/conversation/create",
    "http",
    (text: string) => text.replace('"logid"', '"log"').replace('"data"', '"d"'),
  ],
  ["POST /v1/files/upload", "http", (text: string) => text.replace('"field":"file"', '"field":"data"')],
  [
    "GET /v3/chat/retrieve",
    "http",
    (text: string) => text.replace('"status":"completed"', '"status":"done"'),
  ],
  ["GET /v3/chat/message/list", "http", (text: string) => text.replace('"type":"verbose"', '"type":7')],
  ["GET /v1/conversations", "http", (text: string) => text.replace('"page_size"', '"size"')],
  ["POST /v1/workflows/chat", "http", (text: string) => text.replace(/"bot_id":"\d+",/, "")],
  ["POST /v1/workflows/chat", "http", (text: string) => text.replace('"bot_id"', '"app_id":"7","bot_id"')],
  [
    "POST /v1/workflows/chat",
    "http",
    (text: string) => text.replace('"content_type":"text"', '"content_type":"object_string"'),
  ],
  ["POST /v1/workflow/run", "http", (text: string) => text.replace('"execute_id"', '"id"')],
  [
    "POST /v1/workflow/stream_run",
    "http",
    (text: string) => text.replace('"bot_id"', '"app_id":"7","bot_id"'),
  ],
  ["POST /v1/workflow/stream_resume", "http", (text: string) => text.replace('"event_id"', '"interrupt_id"')],
  ["POST /v1/audio/speech", "http", (text: string) => text.replace('"speed":1.5', '"speed":9')],
  [
    "POST /v1/audio/transcriptions",
    "http",
    (text: string) => text.replace('"field":"file"', '"field":"data"'),
  ],
  ["Message", "sent", (text: string) => text.replace("node_seq_id", "sequence")],
  ["Error", "sent", (text: string) => text.replace("error_code", "code")],
  ["Interrupt", "sent", (text: string) => text.replace("event_id", "id")],
  ["GET /v1/conversations", "http", (text: string) => text.replace('"has_more":', '"more":')],
  [
    "POST /v1/conversation/message/modify",
    "http",
    (text: string) => text.replace('"content_type":"text"', '"kind":"text"'),
  ],
  ["POST /v1/conversation/message/modify", "http", (text: string) => text.replace('"message":', '"data":')],
  [
    "POST /v1/conversations/:conversation_id/messages/:message_id/feedback",
    "http",
    (text: string) => text.replace('"unlike"', '"dislike"'),
  ],
  [
    "DELETE /v1/conversations/:conversation_id",
    "http",
    (text: string) => text.replace('"code":0', '"code":0,"data":{}'),
  ],
  ["POST /v1/bot/create", "http", (text: string) => text.replace('"space_id"', '"workspace_id"')],
  ["GET /v1/workspaces", "http", (text: string) => text.replace('"total_count"', '"total"')],
  [
    "conversation.chat.created",
    "sent",
    (text: string) => text.replace('\\"status\\":\\"created\\"', '\\"status\\":1'),
  ],
  ["conversation.message.delta", "sent", (text: string) => text.replace('\\"content\\":', '\\"text\\":')],
  ["conversation.message.delta", "sent", (text: string) => text.replace("message.delta", "message.changed")],
] as const)("a changed %s is noticed (case %#)", (name, kind, change) => {
  const exchange = changed(name, kind, change);
  expect(cozeViolations([exchange])).not.toEqual([]);
});
