import { expect, it } from "vitest";
import type { BotQuestion } from "../../sandbox/coze/bot.ts";
import { type CozeStandInOptions, STAND_IN_BOT, STAND_IN_TOKEN } from "../../sandbox/coze/coze-stand-in.ts";
import { aFile, type CozePair, errorOf, newConversation, noAbort, openPair } from "./coze-kit.ts";
import { PNG } from "./file-bytes.ts";
import { addOther, OTHER_TOKEN, send } from "./send.ts";

// What the client never sends, a stand-in has to answer as the server does all the same (coze-api.md §18).

const CHAT = "/v3/chat";
const ASK = { bot_id: STAND_IN_BOT, user_id: "u" };

function openStudio(settings: CozeStandInOptions = {}): Promise<CozePair> {
  return openPair({ ...settings, flavor: "studio" });
}

function question(content: string, contentType = "text"): object {
  return { additional_messages: [{ role: "user", content, content_type: contentType }] };
}

function eventNames({ coze }: CozePair): readonly string[] {
  return coze.traffic.exchanges.filter(({ kind }) => kind === "sent").map(({ name }) => name);
}

/** Lets the bot tell what it was asked. */
function heard({ coze }: CozePair): BotQuestion[] {
  const questions: BotQuestion[] = [];
  coze.service.script((asked) => {
    questions.push(asked);
    return { steps: [{ do: "answer", answer: 0, text: "yes" }] };
  });
  return questions;
}

it("streams where nobody says anything about it", async () => {
  await using pair = await openStudio();
  await send(pair, "POST", CHAT, { ...ASK, ...question("hello") });
  expect(eventNames(pair).at(-1)).toBe("conversation.stream.done");
});

it.each<[string, object]>([
  ["no bot", { bot_id: "" }],
  ["a bot that is no number", { bot_id: "mine" }],
  ["no user", { user_id: undefined }],
  ["a stream that is no bool", { stream: "yes" }],
  ["extra_params that are no texts", { extra_params: { a: 1 } }],
  ["a message of the system's", { additional_messages: [{ role: "system", content: "x" }] }],
  ["a message of another type", { additional_messages: [{ role: "user", type: "verbose", content: "x" }] }],
])("refuses %s with HTTP 400 and the same code", async (_, change) => {
  await using pair = await openStudio();
  const { status, code, body } = await send(pair, "POST", CHAT, { ...ASK, ...question("x"), ...change });
  expect([status, code]).toEqual([400, 400]);
  expect(Object.keys(body).toSorted()).toEqual(["code", "msg"]);
});

it("refuses what can't begin with HTTP 400 where nobody streams", async () => {
  await using pair = await openStudio();
  const { status, body } = await send(pair, "POST", CHAT, { ...ASK, stream: false, bot_id: "1" });
  expect([status, body["code"]]).toEqual([400, 400]);
  expect(body["msg"]).toContain("code=103100002 ");
});

it("saves every chat, and remembers no meta_data", async () => {
  await using pair = await openStudio();
  const conversationId = await newConversation(pair);
  const path = `${CHAT}?conversation_id=${conversationId}`;
  const lost = { meta_data: { a: "b" }, auto_save_history: false };
  await send(pair, "POST", path, { ...ASK, ...question("hello"), ...lost, extra_params: { kept: "yes" } });
  const { items: messages } = await pair.client.messages.page({ conversationId, signal: noAbort() });
  expect(messages.map(({ text }) => text)).toContain("hello");
  for (const { metaData } of messages) expect(metaData).toMatchObject({ kept: "yes", token: "0" });
  for (const { metaData } of messages) expect(metaData).not.toHaveProperty("a");
});

it("skips recordings, and drops an object_string that is none, without a word", async () => {
  await using pair = await openStudio();
  const questions = heard(pair);
  await using file = await aFile(PNG);
  const { fileId } = await pair.client.files.upload(file, { name: "a.png", signal: noAbort() });
  const items = [
    { type: "text", text: "listen" },
    { type: "audio", file_id: fileId },
    { type: "image", file_id: fileId },
  ];
  await send(pair, "POST", CHAT, { ...ASK, ...question(JSON.stringify(items), "object_string") });
  await send(pair, "POST", CHAT, { ...ASK, ...question("{no json", "object_string") });
  expect(questions).toMatchObject([
    { text: "listen", files: [{ kind: "image" }] },
    { text: "", files: [] },
  ]);
});

it("lists newest first whatever is asked for, and nothing without a limit", async () => {
  await using pair = await openStudio();
  const conversationId = await newConversation(pair);
  for (const text of ["one", "two"]) {
    await send(pair, "POST", `${CHAT}?conversation_id=${conversationId}`, { ...ASK, ...question(text) });
  }
  const path = `/v1/conversation/message/list?conversation_id=${conversationId}`;
  const asked = await send(pair, "POST", path, { order: "asc", limit: 50 });
  expect(asked.body).toMatchObject({
    data: [{}, { content: "two" }, {}, { content: "one" }],
    has_more: false,
  });
  expect((await send(pair, "POST", path, {})).body).toMatchObject({ data: [], has_more: true });
  expect(await send(pair, "POST", path, { limit: 50, before_id: "x" })).toMatchObject({ status: 400 });
});

it("lets nobody into the conversations of another account", async () => {
  await using pair = await openStudio();
  addOther(pair);
  const conversationId = await newConversation(pair);
  const theirs = { token: OTHER_TOKEN };
  const list = `/v1/conversation/message/list?conversation_id=${conversationId}`;
  expect(await send(pair, "POST", list, { limit: 1 }, theirs)).toMatchObject({
    status: 200,
    code: 103000001,
  });
  const chat = { ...ASK, ...question("x"), stream: false };
  const asked = await send(pair, "POST", `${CHAT}?conversation_id=${conversationId}`, chat, theirs);
  expect(asked.body["msg"]).toContain("code=103000001 ");
});

it.each<[string, number[], number]>([
  ["too large", [PNG.length], 104000004],
  ["empty", [0], 104000006],
  ["two files", [1, 1], 104000007],
])("refuses an upload that is %s with a code of its own", async (_, sizes, expected) => {
  await using pair = await openStudio({ switches: { maxUploadBytes: PNG.length - 1 } });
  const form = new FormData();
  for (const size of sizes) form.append("file", new Blob([new Uint8Array(size)]), "a.png");
  const headers = { authorization: `Bearer ${STAND_IN_TOKEN}` };
  const url = `${pair.coze.url}/v1/files/upload`;
  const response = await fetch(url, { method: "POST", headers, body: form });
  expect(await response.json()).toMatchObject({ code: expected });
});

it("tells where an uploaded file is", async () => {
  await using pair = await openStudio();
  await using file = await aFile(PNG);
  await pair.client.files.upload(file, { name: "a.png", signal: noAbort() });
  const upload = pair.coze.traffic.exchanges.find(({ name }) => name === "POST /v1/files/upload");
  expect(upload).toHaveProperty("response.data.uri");
  expect(upload).toHaveProperty("response.data.url");
});

it("is not counted by anybody", async () => {
  await using pair = await openStudio();
  const chat = { ...ASK, ...question("x"), stream: false };
  const chats = Array.from({ length: 30 }, () => send(pair, "POST", CHAT, chat));
  expect(new Set((await Promise.all(chats)).map(({ code }) => code))).toEqual(new Set([0]));
  // Calls that are answered as the hosted service does, too; each says at least what it lacks.
  const runs = Array.from({ length: 60 }, () => send(pair, "POST", "/v1/workflow/run", {}));
  expect(new Set((await Promise.all(runs)).map(({ code }) => code))).toEqual(new Set([400]));
});

it("has no OAuth: a token is one that was made by hand", async () => {
  await using pair = await openStudio();
  pair.coze.tokens.clear();
  const created = pair.client.conversations.create({ botId: STAND_IN_BOT }, { signal: noAbort() });
  expect(await errorOf(created)).toMatchObject({ cozeCode: 700012006 });
});
