import { describe, expect, it } from "vitest";
import { STAND_IN_BOT, STAND_IN_TOKEN } from "../../sandbox/coze/coze-stand-in.ts";
import type { CozeSwitches } from "../../sandbox/coze/switches.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import { aFile, aQuestion, ask, newConversation, noAbort, openPair } from "./coze-kit.ts";
import { PNG } from "./file-bytes.ts";
import { send } from "./send.ts";

const SAID = { role: "user", type: "question", content: "Hi", content_type: "text" };
const chat = (changes: object = {}): object => ({
  bot_id: STAND_IN_BOT,
  user_id: "u",
  additional_messages: [SAID],
  ...changes,
});
const objects = (...items: object[]): object => ({
  role: "user",
  content: JSON.stringify(items),
  content_type: "object_string",
});

const pairs = (number: number, key = 64, value = 512, character = "k"): object =>
  Object.fromEntries(
    Array.from({ length: number }, (_, index) => [
      String(index).padStart(2, "0") + character.repeat(key - 2),
      "v".repeat(value),
    ]),
  );

describe("§22.43 meta_data", () => {
  it.each([
    [pairs(16), 0],
    [pairs(17), 4003],
    [pairs(1, 65), 4003],
    [pairs(1, 64, 513), 4003],
    [{ "": "v" }, 4003],
    [{ k: 7 }, 4003],
    [{ ["🙂".repeat(32)]: "🙂".repeat(256) }, 0],
    [{ k: "🙂".repeat(257) }, 4003],
  ])("is refused one over its limits (case %#)", async (metaData, code) => {
    await using pair = await openPair();
    expect((await send(pair, "POST", "/v3/chat", chat({ meta_data: metaData }))).code).toBe(code);
    const messages = [{ ...SAID, meta_data: metaData }];
    expect((await send(pair, "POST", "/v3/chat", chat({ additional_messages: messages }))).code).toBe(code);
    expect((await send(pair, "POST", "/v1/conversation/create", { meta_data: metaData })).code).toBe(code);
  });

  it("of ours stays within them, whatever the ids", async () => {
    await using pair = await openPair();
    const long = "🙂".repeat(400);
    const signal = noAbort();
    const conversationId = await pair.source.createConversation({
      botId: STAND_IN_BOT,
      conversation: long,
      signal,
    });
    expect((await ask(pair.source, aQuestion({ conversationId, turnId: long }))).error).toBeUndefined();
  });

  it("carries the turn's id on the chat and on the question", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const { state } = await ask(pair.source, aQuestion({ conversationId, turnId: "discord:a:b:c#r0" }));
    const chatIds = { conversationId, chatId: state.chatId ?? "" };
    const signal = noAbort();
    expect((await pair.client.chats.retrieve(chatIds, { signal })).metaData).toEqual({
      turn_id: "discord:a:b:c#r0",
    });
    const { items: messages } = await pair.client.messages.page({ conversationId, signal });
    const question = messages.find(({ role }) => role === "user");
    expect(question).toMatchObject({ metaData: { turn_id: "discord:a:b:c#r0" }, chatId: state.chatId });
  });
});

describe("§22.44 messages", () => {
  it("100 are accepted, 101 are not", async () => {
    await using pair = await openPair();
    const many = (number: number): object => chat({ additional_messages: Array(number).fill(SAID) });
    expect((await send(pair, "POST", "/v3/chat", many(101))).code).toBe(4004);
    expect((await send(pair, "POST", "/v3/chat", many(100))).code).toBe(0);
  });

  it("of ours are never more: the oldest of the context are left out", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const context = Array.from({ length: 150 }, (_, index) => ({
      role: "asker" as const,
      text: `said ${index}`,
    }));
    expect((await ask(pair.source, aQuestion({ conversationId, context }))).error).toBeUndefined();
    const stored = pair.coze.service.conversations.get(conversationId)?.messages ?? [];
    expect(stored[0]?.content).toBe("said 51");
    expect(stored[99]?.content).toBe("Hello");
  });

  it("with arrays keep the rules of object_string", async () => {
    await using pair = await openPair();
    await using file = await aFile(PNG);
    const { fileId } = await pair.client.files.upload(file, { name: "a.png", signal: noAbort() });
    const text = { type: "text", text: "x" };
    const image = { type: "image", file_id: fileId };
    const code = async (...messages: object[]): Promise<number | undefined> =>
      (await send(pair, "POST", "/v3/chat", chat({ additional_messages: messages }))).code;
    expect(await code(objects(text, image))).toBe(0);
    expect(await code(objects(text, image, image))).toBe(0);
    expect(await code(SAID, objects(image))).toBe(0);
    expect(await code(objects(text, text, image))).toBe(4000);
    expect(await code(objects(text))).toBe(4000);
    expect(await code(objects(image))).toBe(4000);
    expect(await code(objects())).toBe(4000);
    expect(await code(objects(text, { type: "image" }))).toBe(4000);
    expect(await code(objects(text, { type: "image", file_id: "1" }))).toBe(4000);
    expect(await code({ role: "user", content: [text, image], content_type: "object_string" })).toBe(4005);
  });

  it.each([false, true])("a stored text satisfies an image only by the switch (%s)", async (accepted) => {
    await using pair = await openPair({ switches: { storedTextSatisfiesImages: accepted } });
    const conversationId = await newConversation(pair);
    await ask(pair.source, aQuestion({ conversationId }));
    await using file = await aFile(PNG);
    const { fileId } = await pair.client.files.upload(file, { name: "a.png", signal: noAbort() });
    const body = chat({ additional_messages: [objects({ type: "image", file_id: fileId })] });
    const { code } = await send(pair, "POST", `/v3/chat?conversation_id=${conversationId}`, body);
    expect(code).toBe(accepted ? 0 : 4000);
  });
});

describe("the stand-in refuses", () => {
  it.each([
    [{ bot_id: undefined }, 4000],
    [{ user_id: undefined }, 4000],
    [{ stream: "yes" }, 4000],
    [{ stream: false, auto_save_history: false }, 4007],
    [{ additional_messages: [] }, 4000],
    [{ additional_messages: [{ ...SAID, role: "system" }] }, 4000],
    [{ additional_messages: [{ ...SAID, type: "verbose" }] }, 4000],
    [{ additional_messages: [{ ...SAID, role: "assistant" }] }, 4000],
    [{ additional_messages: [{ ...SAID, role: "assistant", type: "answer" }] }, 4000],
    [{ additional_messages: [{ ...SAID, content_type: "markdown" }] }, 4000],
    [{ additional_messages: [{ ...SAID, content: "" }] }, 4005],
    [{ custom_variables: { a: 1 } }, 4000],
    [{ bot_id: "1" }, 4006],
  ])("the chat %j", async (changes, code) => {
    await using pair = await openPair();
    expect((await send(pair, "POST", "/v3/chat", chat(changes))).code).toBe(code);
    expect(pair.coze.chats).toEqual([]);
  });

  it("what is no JSON, has no token, or has no such path", async () => {
    await using pair = await openPair();
    const plain = { method: "POST", body: "hello", headers: { authorization: `Bearer ${STAND_IN_TOKEN}` } };
    const noJson = await fetch(`${pair.coze.url}/v3/chat`, plain);
    expect(await noJson.json()).toMatchObject({ code: 4000 });
    const anonymous = await fetch(`${pair.coze.url}/v3/chat`, { method: "POST" });
    expect(await anonymous.json()).toMatchObject({ code: 4100 });
    expect((await send(pair, "GET", "/v3/chats")).status).toBe(404);
    expect((await send(pair, "POST", "/v3/chat/message/list?conversation_id=1&chat_id=2")).status).toBe(405);
  });

  it.each([true, false])("a look at a chat with POST, by the switch (%s)", async (retrieveByPost) => {
    await using pair = await openPair({ switches: { retrieveByPost } });
    const conversationId = await newConversation(pair);
    const { state } = await ask(pair.source, aQuestion({ conversationId }));
    const query = `conversation_id=${conversationId}&chat_id=${state.chatId}`;
    const { status, body } = await send(pair, "POST", `/v3/chat/retrieve?${query}`);
    expect(status).toBe(retrieveByPost ? 200 : 405);
    if (retrieveByPost) expect(body["data"]).toMatchObject({ status: "completed" });
  });

  it("a conversation with a wrong bot, a long name, or too many messages", async () => {
    await using pair = await openPair();
    const create = async (body: object): Promise<number | undefined> =>
      (await send(pair, "POST", "/v1/conversation/create", body)).code;
    expect(await create({})).toBe(0);
    expect(await create({ bot_id: "1" })).toBe(5000);
    expect(await create({ name: "n".repeat(101) })).toBe(4000);
    expect(await create({ messages: Array(17).fill(SAID) })).toBe(4004);
  });

  it("a second chat while one requires an action, by the switch", async () => {
    for (const blocks of [false, true]) {
      const switches: Partial<CozeSwitches> = {
        requiresActionBlocks: blocks,
        doneAfterRequiresAction: !blocks,
      };
      await using pair = await openPair({ switches });
      const conversationId = await newConversation(pair);
      const first = await ask(pair.source, aQuestion({ conversationId, text: "local plugin" }));
      expect(first.error).toBeUndefined();
      expect(first.state).toMatchObject({ status: "requires_action", interrupted: true, ended: !blocks });
      expect(first.state.pending).toMatchObject([{ kind: "function", name: "get_stock" }]);
      const second = await ask(pair.source, aQuestion({ conversationId }));
      expect(second.error === undefined).toBe(!blocks);
    }
  });
});

describe("the stand-in remembers", () => {
  it("by asker inside a conversation, unless the switch says otherwise", async () => {
    for (const contextByUser of [true, false]) {
      await using pair = await openPair({ switches: { contextByUser } });
      const conversationId = await newConversation(pair);
      const says = async (userId: string, text: string): Promise<string> =>
        answerMarkdown((await ask(pair.source, aQuestion({ conversationId, userId, text }))).state);
      await says("ada", "my name is Ada");
      expect(await says("ada", "what is my name?")).toBe("Your name is Ada.");
      const stranger = contextByUser ? "You have not told me your name yet." : "Your name is Ada.";
      expect(await says("bob", "what is my name?")).toBe(stranger);
      expect(await says("bob", "我叫小明")).toBe("很高兴认识你，小明。");
      expect(await says("bob", "我叫什么名字？")).toBe("你叫小明。");
    }
  });

  it("what came along as context, and nothing of another conversation", async () => {
    await using pair = await openPair();
    const text = "what is my name?";
    const context = [{ role: "asker" as const, text: "my name is Eve" }];
    const first = aQuestion({ conversationId: await newConversation(pair), text, context });
    expect(answerMarkdown((await ask(pair.source, first)).state)).toBe("Your name is Eve.");
    const other = aQuestion({ conversationId: await newConversation(pair), text });
    expect(answerMarkdown((await ask(pair.source, other)).state)).toBe("You have not told me your name yet.");
  });

  it("nothing of a cancelled turn", async () => {
    await using pair = await openPair({ pace: { firstDeltaMs: 300 } });
    const conversationId = await newConversation(pair);
    const running = ask(pair.source, aQuestion({ conversationId, text: "my name is Ada" }));
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    const signal = noAbort();
    await pair.source.cancel({ conversationId, chatId: pair.coze.chats[0]?.id ?? "" }, { signal });
    await running;
    const { items: messages } = await pair.client.messages.page({ conversationId, signal });
    expect(messages).toEqual([]);
    const again = await ask(pair.source, aQuestion({ conversationId, text: "what is my name?" }));
    expect(answerMarkdown(again.state)).toBe("You have not told me your name yet.");
  });

  it("tells a cancelled stream so, and lists the turn, by the switches", async () => {
    const switches = { canceledEventInStream: true, cancelledTurnsListed: true };
    await using pair = await openPair({ switches, pace: { firstDeltaMs: 300 } });
    const conversationId = await newConversation(pair);
    const running = ask(pair.source, aQuestion({ conversationId }));
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    const signal = noAbort();
    await pair.source.cancel({ conversationId, chatId: pair.coze.chats[0]?.id ?? "" }, { signal });
    const { events } = await running;
    expect(events).toContainEqual(expect.objectContaining({ type: "chat", status: "canceled" }));
    const list = async (): Promise<number> =>
      (await pair.client.messages.page({ conversationId, signal })).items.length;
    await expect.poll(list).toBe(2);
  });
});

it("an address that cannot be decoded is none", async () => {
  await using pair = await openPair();
  const headers = { authorization: `Bearer ${STAND_IN_TOKEN}` };
  const { status } = await fetch(`${pair.coze.url}/v1/bots/%E0%A4%A`, { headers });
  expect(status).toBe(404);
});
