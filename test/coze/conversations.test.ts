import { describe, expect, it } from "vitest";
import { STAND_IN_USER } from "../../sandbox/coze/accounts.ts";
import { STAND_IN_BOT, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import { Gates } from "../../src/core/gate.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../src/coze/coze-client.ts";
import {
  aFile,
  aQuestion,
  ask,
  CLOCK,
  type CozePair,
  KeptLog,
  newConversation,
  noAbort,
  openPair,
} from "./coze-kit.ts";
import { PNG } from "./file-bytes.ts";
import { addOther, OTHER_TOKEN, send } from "./send.ts";

const options = { signal: noAbort() };
const LIST = "GET /v1/conversations";

async function createMany({ client }: CozePair, names: readonly string[]): Promise<void> {
  for (const name of names) await client.conversations.create({ botId: STAND_IN_BOT, name }, options);
}

function countOf({ coze }: CozePair, call: string): number {
  return coze.traffic.exchanges.filter(({ name }) => name === call).length;
}

describe("a conversation", () => {
  it("is created with all there is to say, and told again", async () => {
    await using pair = await openPair();
    const { conversations, messages } = pair.client;
    const created = await conversations.create(
      {
        botId: STAND_IN_BOT,
        name: "Trip",
        metaData: { thread: "7" },
        connectorId: "999",
        messages: [
          { role: "user", content: "my name is Ada" },
          { role: "assistant", content: "Hello, Ada" },
        ],
      },
      options,
    );
    expect(created).toMatchObject({ name: "Trip", metaData: { thread: "7" }, connectorId: "999" });
    expect(created).toMatchObject({ sectionId: created.conversationId, creatorId: STAND_IN_USER.id });
    expect(await conversations.retrieve(created.conversationId, options)).toEqual(created);
    const { conversationId } = created;
    const said = await Array.fromAsync(messages.list({ conversationId, order: "asc", ...options }));
    expect(said).toMatchObject([
      { role: "user", kind: "question", text: "my name is Ada", chatId: "" },
      { role: "assistant", kind: "answer", text: "Hello, Ada", chatId: "" },
    ]);
  });

  it("begins with what is put into it, as context for everybody", async () => {
    await using pair = await openPair();
    const messages = [{ role: "user" as const, content: "my name is Ada" }];
    const { conversationId } = await pair.client.conversations.create({ messages }, options);
    for (const userId of ["ada", "bob"]) {
      const { state } = await ask(
        pair.source,
        aQuestion({ conversationId, userId, text: "what is my name?" }),
      );
      expect(answerMarkdown(state)).toBe("Your name is Ada.");
    }
  });

  it("has another name afterwards", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const renamed = await pair.client.conversations.rename(conversationId, "推荐杭州美食", options);
    expect(renamed).toMatchObject({ conversationId, name: "推荐杭州美食" });
    expect(await pair.client.conversations.retrieve(conversationId, options)).toEqual(renamed);
  });

  it("that is cleared keeps its messages, which are no context any more", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    await ask(pair.source, aQuestion({ conversationId, text: "my name is Ada" }));
    const sectionId = await pair.client.conversations.clear(conversationId, options);
    const cleared = await pair.client.conversations.retrieve(conversationId, options);
    expect(cleared.sectionId).toBe(sectionId);
    expect(sectionId).not.toBe(conversationId);
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "what is my name?" }));
    expect(answerMarkdown(state)).toBe("You have not told me your name yet.");
    const all = await Array.fromAsync(pair.client.messages.list({ conversationId, ...options }));
    expect(all.map((message) => message.sectionId)).toEqual([
      sectionId,
      sectionId,
      conversationId,
      conversationId,
    ]);
  });

  it("that is cleared while a chat runs keeps that chat's answer out of the new context", async () => {
    await using pair = await openPair({ pace: { firstDeltaMs: 200 } });
    const conversationId = await newConversation(pair);
    const running = ask(pair.source, aQuestion({ conversationId }));
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    const sectionId = await pair.client.conversations.clear(conversationId, options);
    await running;
    const all = await Array.fromAsync(pair.client.messages.list({ conversationId, ...options }));
    expect(all).toHaveLength(2);
    expect(all.some((message) => message.sectionId === sectionId)).toBe(false);
  });
});

describe("§22.36 a conversation that is gone", () => {
  const calls = (pair: CozePair, conversationId: string, messageId: string, chatId: string) => {
    const { conversations, messages, feedback, chats } = pair.client;
    const message = { conversationId, messageId };
    const chat = { conversationId, chatId };
    const said = { role: "user" as const, content: "Hi" };
    return [
      conversations.retrieve(conversationId, options),
      conversations.rename(conversationId, "Name", options),
      conversations.clear(conversationId, options),
      conversations.delete(conversationId, options),
      messages.page({ conversationId, ...options }),
      Array.fromAsync(messages.list({ conversationId, ...options })),
      messages.create(conversationId, said, options),
      messages.retrieve(message, options),
      messages.update(message, { content: "x" }, options),
      messages.delete(message, options),
      feedback.create(message, { type: "like" }, options),
      feedback.delete(message, options),
      Array.fromAsync(
        chats.stream({ botId: STAND_IN_BOT, userId: "u", conversationId, messages: [said] }, options),
      ),
      ...(chatId === ""
        ? []
        : [
            chats.retrieve(chat, options),
            chats.listMessages(chat, options),
            chats.cancel(chat, options),
            chats.submitToolOutputsAndWait(chat, [{ toolCallId: "1", output: "" }], {
              ...options,
              timeoutMs: 1_000,
            }),
          ]),
    ];
  };

  it("because it was deleted is 4002 for every call, and in no list", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const { state } = await ask(pair.source, aQuestion({ conversationId }));
    await pair.client.conversations.delete(conversationId, options);
    const messageId = state.answers[0]?.messageId ?? "";
    const results = await Promise.allSettled(calls(pair, conversationId, messageId, state.chatId ?? ""));
    expect(results).toHaveLength(17);
    for (const result of results) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: { code: "COZE_CONVERSATION_GONE", cozeCode: 4002 },
      });
    }
    const listed = pair.client.conversations.list({ botId: STAND_IN_BOT, ...options });
    expect(await Array.fromAsync(listed)).toEqual([]);
  });

  it("because another account created it is 4002, too", async () => {
    await using pair = await openPair();
    addOther(pair);
    const conversationId = await newConversation(pair);
    const { state } = await ask(pair.source, aQuestion({ conversationId }));
    await using other = createCozeClient({
      baseUrl: pair.coze.url,
      tokens: staticToken(OTHER_TOKEN),
      log: new KeptLog(),
      gates: new Gates(CLOCK),
      chatsPerSecond: 20,
    });
    const messageId = state.answers[0]?.messageId ?? "";
    const results = await Promise.allSettled(
      calls({ ...pair, client: other }, conversationId, messageId, ""),
    );
    for (const result of results) {
      expect(result).toMatchObject({ status: "rejected", reason: { cozeCode: 4002 } });
    }
  });
});

describe("§22.41 the list of conversations", () => {
  it.each([
    ["desc", ["e", "d", "c", "b", "a"]],
    ["asc", ["a", "b", "c", "d", "e"]],
  ] as const)("is read page by page, %s", async (order, expected) => {
    await using pair = await openPair();
    await createMany(pair, ["a", "b", "c", "d", "e"]);
    const list = pair.client.conversations.list({ botId: STAND_IN_BOT, order, pageSize: 2, ...options });
    const names: string[] = [];
    const pages: number[] = [];
    for await (const { name } of list) {
      names.push(name);
      pages.push(countOf(pair, LIST));
    }
    expect(names).toEqual(expected);
    // No page before it is asked for, and none after the last.
    expect(pages).toEqual([1, 1, 2, 2, 3]);
    expect(countOf(pair, LIST)).toBe(3);
  });

  it("always says how long a page is, and can be left early", async () => {
    await using pair = await openPair();
    await createMany(pair, ["a", "b"]);
    for await (const { name } of pair.client.conversations.list({ botId: STAND_IN_BOT, ...options })) {
      expect(name).toBe("b");
      break;
    }
    const [request] = pair.coze.traffic.exchanges.filter(({ name }) => name === LIST);
    expect(request?.request).toMatchObject({ query: { page_num: "1", page_size: "50" } });
    expect(countOf(pair, LIST)).toBe(1);
  });

  it("tells a page by its number", async () => {
    await using pair = await openPair();
    await createMany(pair, ["a", "b", "c"]);
    const asked = { botId: STAND_IN_BOT, pageSize: 2, ...options };
    const second = await pair.client.conversations.page({ ...asked, pageNumber: 2 });
    expect(second).toMatchObject({ items: [{ name: "a" }], hasMore: false });
    expect(await pair.client.conversations.page({ ...asked, pageNumber: 9 })).toEqual({
      items: [],
      hasMore: false,
    });
  });

  it("holds each once, though others were created while it was read", async () => {
    await using pair = await openPair();
    await createMany(pair, ["a", "b", "c"]);
    const names: string[] = [];
    const list = pair.client.conversations.list({ botId: STAND_IN_BOT, pageSize: 2, ...options });
    for await (const { name } of list) {
      names.push(name);
      if (name === "b") await createMany(pair, ["d", "e"]);
    }
    expect(names).toEqual(["c", "b", "a"]);
  });

  it("is given up when the server sends the same page for ever", async () => {
    await using pair = await openPair();
    const data = { has_more: true, conversations: [{ id: "1" }, { id: "2" }] };
    pair.coze.faults.plan(LIST, { do: "answer", status: 200, body: { code: 0, data } }, 100);
    const ids: string[] = [];
    const read = async (): Promise<void> => {
      const list = pair.client.conversations.list({ botId: STAND_IN_BOT, ...options });
      for await (const { conversationId } of list) ids.push(conversationId);
    };
    await expect(read()).rejects.toMatchObject({ code: "COZE_FAILED" });
    expect(ids).toEqual(["1", "2"]);
    expect(countOf(pair, LIST)).toBe(4);
  });

  it("holds what the caller created with this bot in this channel, and nothing else", async () => {
    await using pair = await openPair();
    addOther(pair);
    const { conversations } = pair.client;
    await createMany(pair, ["mine"]);
    await conversations.create({ name: "without bot" }, options);
    await conversations.create({ botId: UNPUBLISHED_BOT, name: "another bot" }, options);
    await conversations.create({ botId: STAND_IN_BOT, name: "chat sdk", connectorId: "999" }, options);
    const body = { bot_id: STAND_IN_BOT, name: "theirs" };
    await send(pair, "POST", "/v1/conversation/create", body, { token: OTHER_TOKEN });
    const namesOf = async (asked: { botId: string; connectorId?: string }): Promise<string[]> =>
      (await Array.fromAsync(conversations.list({ ...asked, ...options }))).map(({ name }) => name);
    expect(await namesOf({ botId: STAND_IN_BOT })).toEqual(["mine"]);
    expect(await namesOf({ botId: UNPUBLISHED_BOT })).toEqual(["another bot"]);
    expect(await namesOf({ botId: STAND_IN_BOT, connectorId: "999" })).toEqual(["chat sdk"]);
  });

  it("is how a lost conversation is found again (§16.2)", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const list = pair.client.conversations.list({ botId: STAND_IN_BOT, ...options });
    const found = (await Array.fromAsync(list)).find(
      ({ metaData }) => metaData["conversation_key"] === "test:key",
    );
    expect(found?.conversationId).toBe(conversationId);
  });

  it("§22.42 is read with times as text, long numbers for ids, and nothing for lists", async () => {
    await using pair = await openPair();
    const answer = (body: string | object): void =>
      pair.coze.faults.plan(LIST, { do: "answer", status: 200, body });
    const asked = { botId: STAND_IN_BOT, ...options };
    answer(
      '{"code":0,"data":{"has_more":false,"conversations":[{"id":7391000000000000101,"name":null,"meta_data":null,"created_at":"1767225600"}]}}',
    );
    expect((await pair.client.conversations.page(asked)).items).toEqual([
      {
        conversationId: "7391000000000000101",
        name: "",
        metaData: {},
        createdAt: 1_767_225_600,
        creatorId: undefined,
        connectorId: undefined,
        sectionId: undefined,
        updatedAt: undefined,
      },
    ]);
    answer({ code: 0, data: { conversations: null } });
    expect(await pair.client.conversations.page(asked)).toEqual({ items: [], hasMore: false });
  });
});

describe("nothing is sent", () => {
  const many = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, "value"]));
  const said = { role: "user" as const, content: "Hi" };
  const text = { type: "text", text: "x" } as const;

  it.each([
    ["a long name", { name: "n".repeat(101) }],
    ["17 messages", { messages: Array.from({ length: 17 }, () => said) }],
    ["§22.43 17 pairs", { metaData: many(17) }],
    ["§22.43 a long key", { metaData: { ["🙂".repeat(65)]: "v" } }],
    ["§22.43 an empty key", { metaData: { "": "v" } }],
    ["§22.43 a long value", { metaData: { k: "🙂".repeat(513) } }],
    ["§22.43 a long value of a message", { messages: [{ ...said, metaData: { k: "v".repeat(513) } }] }],
    ["§22.44 two texts in one message", { messages: [{ role: "user" as const, content: [text, text] }] }],
    ["§22.44 a text without a file", { messages: [{ role: "user" as const, content: [text] }] }],
    ["an empty message", { messages: [{ role: "user" as const, content: "" }] }],
  ])("with %s", async (_, conversation) => {
    await using pair = await openPair();
    const created = pair.client.conversations.create(conversation, options);
    await expect(created).rejects.toMatchObject({ code: "COZE_BAD_REQUEST", outcome: "refused" });
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it("with a name that is none, a page that is none, or an id that is a path", async () => {
    await using pair = await openPair();
    const { conversations } = pair.client;
    const asked = { botId: STAND_IN_BOT, ...options };
    const refused = (call: Promise<unknown>): Promise<void> =>
      expect(call).rejects.toMatchObject({ code: "COZE_BAD_REQUEST" });
    await refused(conversations.rename("1", "", options));
    await refused(conversations.rename("1", "n".repeat(101), options));
    for (const pageSize of [0, 51, 1.5]) await refused(conversations.page({ ...asked, pageSize }));
    for (const pageNumber of [0, -1, 1.5]) await refused(conversations.page({ ...asked, pageNumber }));
    await refused(Array.fromAsync(conversations.list({ ...asked, pageSize: 51 })));
    for (const id of ["", ".", ".."]) await refused(conversations.delete(id, options));
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });
});

describe("§22.43 what only the service can count", () => {
  it("is refused by it: 512 characters of two units each", async () => {
    await using pair = await openPair();
    const refused = pair.client.conversations.create({ metaData: { k: "🙂".repeat(512) } }, options);
    await expect(refused).rejects.toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: 4003 });
  });

  it("is taken at its limit", async () => {
    await using pair = await openPair();
    const metaData = Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [
        `${String(index).padStart(2, "0")}${"🙂".repeat(31)}`,
        "🙂".repeat(256),
      ]),
    );
    const name = "🙂".repeat(50);
    expect(await pair.client.conversations.create({ name, metaData }, options)).toMatchObject({
      name,
      metaData,
    });
  });
});

describe("the stand-in refuses", () => {
  it.each([
    ["GET", "/v1/conversations", undefined, 4000],
    ["GET", "/v1/conversations?bot_id=1", undefined, 4006],
    ["GET", `/v1/conversations?bot_id=${STAND_IN_BOT}&page_size=51`, undefined, 4000],
    ["GET", `/v1/conversations?bot_id=${STAND_IN_BOT}&page_num=0`, undefined, 4000],
    ["GET", `/v1/conversations?bot_id=${STAND_IN_BOT}&sort_order=asc`, undefined, 4000],
    ["POST", "/v1/conversation/create", { connector_id: 1024 }, 4000],
    ["PUT", "/v1/conversations/1", { name: "x" }, 4002],
    ["DELETE", "/v1/conversations/1", undefined, 4002],
    ["POST", "/v1/conversations/1/clear", {}, 4002],
  ] as const)("%s %s %j", async (method, path, body, code) => {
    await using pair = await openPair();
    expect((await send(pair, method, path, body)).code).toBe(code);
  });

  it("names that are none", async () => {
    await using pair = await openPair();
    const path = `/v1/conversations/${await newConversation(pair)}`;
    for (const name of [undefined, "", "n".repeat(101), 7]) {
      expect((await send(pair, "PUT", path, { name })).code).toBe(4000);
    }
    expect((await send(pair, "PUT", path, { name: "n".repeat(100) })).code).toBe(0);
  });

  it("§22.44 messages to begin with that break the rules of files", async () => {
    await using pair = await openPair();
    await using file = await aFile(PNG);
    const { fileId } = await pair.client.files.upload(file, { name: "a.png", ...options });
    const said = { role: "user", content: "Look", content_type: "text" };
    const objects = (...items: object[]): object => ({
      role: "user",
      content: JSON.stringify(items),
      content_type: "object_string",
    });
    const text = { type: "text", text: "x" };
    const image = { type: "image", file_id: fileId };
    const code = async (...messages: object[]): Promise<number | undefined> =>
      (await send(pair, "POST", "/v1/conversation/create", { messages })).code;
    expect(await code(objects(text, image))).toBe(0);
    expect(await code(said, objects(image))).toBe(0);
    expect(await code(objects(image))).toBe(4000);
    expect(await code(objects(text, text, image))).toBe(4000);
    expect(await code(objects(text))).toBe(4000);
    expect(await code(objects(text, { type: "image", file_id: "1" }))).toBe(4000);
  });
});
