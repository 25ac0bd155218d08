import { describe, expect, it } from "vitest";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { MessageIds } from "../../src/coze/api/messages.ts";
import type { StoredMessage } from "../../src/coze/stored.ts";
import { aFile, aQuestion, ask, type CozePair, newConversation, noAbort, openPair } from "./coze-kit.ts";
import { PNG } from "./file-bytes.ts";
import { send } from "./send.ts";

const options = { signal: noAbort() };
const LIST = "POST /v1/conversation/message/list";

function listPages({ coze }: CozePair): number {
  return coze.traffic.exchanges.filter(({ name }) => name === LIST).length;
}

/** What was said, oldest first. */
async function said(pair: CozePair, conversationId: string): Promise<string[]> {
  const list = pair.client.messages.list({ conversationId, order: "asc", ...options });
  return (await Array.fromAsync(list)).map(({ text }) => text);
}

async function insert({ client }: CozePair, conversationId: string, content: string): Promise<MessageIds> {
  const { messageId } = await client.messages.create(conversationId, { role: "user", content }, options);
  return { conversationId, messageId };
}

describe("a message", () => {
  it("is put into a conversation, told again, and belongs to no chat", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const message = { role: "assistant", content: "Hello", metaData: { source: "7" } } as const;
    const created = await pair.client.messages.create(conversationId, message, options);
    expect(created).toMatchObject({
      role: "assistant",
      kind: "answer",
      text: "Hello",
      contentType: "text",
      chatId: "",
      sectionId: conversationId,
      metaData: { source: "7" },
    });
    const ids = { conversationId, messageId: created.messageId };
    expect(await pair.client.messages.retrieve(ids, options)).toEqual(created);
  });

  it("with files goes as text that holds JSON (§3.6)", async () => {
    await using pair = await openPair();
    await using file = await aFile(PNG);
    const { fileId } = await pair.client.files.upload(file, { name: "a.png", ...options });
    const conversationId = await newConversation(pair);
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image", fileId },
    ] as const;
    const created = await pair.client.messages.create(conversationId, { role: "user", content }, options);
    expect(created.contentType).toBe("object_string");
    expect(JSON.parse(created.text)).toEqual([
      { type: "text", text: "What is this?" },
      { type: "image", file_id: fileId },
    ]);
  });

  it("is changed in its text or in its meta data, and keeps the rest", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const ids = await insert(pair, conversationId, "frist");
    const reworded = await pair.client.messages.update(ids, { content: "first" }, options);
    expect(reworded).toMatchObject({ messageId: ids.messageId, text: "first", metaData: {} });
    const marked = await pair.client.messages.update(ids, { metaData: { a: "b" } }, options);
    expect(marked).toMatchObject({ text: "first", metaData: { a: "b" } });
    expect(await pair.client.messages.retrieve(ids, options)).toEqual(marked);
  });

  it("that is deleted is told once more, and is gone from the list and from the context", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const ids = await insert(pair, conversationId, "my name is Ada");
    expect(await pair.client.messages.delete(ids, options)).toMatchObject({ text: "my name is Ada" });
    expect(await said(pair, conversationId)).toEqual([]);
    await expect(pair.client.messages.retrieve(ids, options)).rejects.toMatchObject({
      code: "COZE_BAD_REQUEST",
      cozeCode: 4005,
    });
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "what is my name?" }));
    expect(answerMarkdown(state)).toBe("You have not told me your name yet.");
  });

  it("that is an answer goes with what led to it, which cannot go alone; both lists lose them", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    await ask(pair.source, aQuestion({ conversationId, text: "weather" }));
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "weather" }));
    const chat = { conversationId, chatId: state.chatId ?? "" };
    const inChat = await pair.client.chats.listMessages(chat, options);
    const call = inChat.find(({ kind }) => kind === "function_call");
    const alone = { conversationId, messageId: call?.messageId ?? "" };
    await expect(pair.client.messages.delete(alone, options)).rejects.toMatchObject({ cozeCode: 4005 });
    await expect(pair.client.messages.update(alone, { content: "x" }, options)).rejects.toMatchObject({
      cozeCode: 4005,
    });
    const answer = { conversationId, messageId: state.answers[0]?.messageId ?? "" };
    await pair.client.messages.delete(answer, options);
    expect(await pair.client.chats.listMessages(chat, options)).toEqual([]);
    const left = await Array.fromAsync(
      pair.client.messages.list({ conversationId, includeMiddle: true, order: "asc", ...options }),
    );
    expect(left.filter(({ chatId }) => chatId === chat.chatId).map(({ kind }) => kind)).toEqual(["question"]);
    expect(left.filter(({ chatId }) => chatId !== chat.chatId).length).toBeGreaterThan(4);
  });
});

describe("§22.41 the list of a conversation's messages", () => {
  const five = ["one", "two", "three", "four", "five"];

  it.each([
    ["asc", five],
    ["desc", five.toReversed()],
  ] as const)("is read page by page, %s, though all were said in one second", async (order, expected) => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    for (const text of five) await insert(pair, conversationId, text);
    const texts: string[] = [];
    const pages: number[] = [];
    for await (const { text } of pair.client.messages.list({
      conversationId,
      order,
      pageSize: 2,
      ...options,
    })) {
      texts.push(text);
      pages.push(listPages(pair));
    }
    expect(texts).toEqual(expected);
    expect(pages).toEqual([1, 1, 2, 2, 3]);
    expect(listPages(pair)).toBe(3);
  });

  it("begins after a message, and can be left early", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const ids: MessageIds[] = [];
    for (const text of five) ids.push(await insert(pair, conversationId, text));
    const afterId = ids[1]?.messageId ?? "";
    const list = pair.client.messages.list({
      conversationId,
      order: "asc",
      pageSize: 2,
      afterId,
      ...options,
    });
    const texts: string[] = [];
    for await (const { text } of list) {
      texts.push(text);
      if (text === "four") break;
    }
    expect(texts).toEqual(["three", "four"]);
    expect(listPages(pair)).toBe(1);
  });

  it("holds how answers came about only when asked to", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    await ask(pair.source, aQuestion({ conversationId, text: "weather" }));
    const kinds = async (asked: object): Promise<string[]> =>
      (
        await Array.fromAsync(
          pair.client.messages.list({ conversationId, order: "asc", pageSize: 3, ...asked, ...options }),
        )
      ).map(({ kind }) => kind);
    expect(await kinds({})).toEqual(["question", "answer"]);
    expect(await kinds({ includeMiddle: true })).toEqual([
      "question",
      "function_call",
      "tool_response",
      "answer",
      "verbose",
      "follow_up",
      "follow_up",
    ]);
  });

  it("goes on when it grows while it is read", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    for (const text of ["one", "two"]) await insert(pair, conversationId, text);
    const texts: string[] = [];
    const list = pair.client.messages.list({ conversationId, order: "asc", pageSize: 1, ...options });
    for await (const { text } of list) {
      texts.push(text);
      if (text === "one") await insert(pair, conversationId, "three");
    }
    expect(texts).toEqual(["one", "two", "three"]);
  });

  const page = (id: string, changes: object = {}): object => ({
    code: 0,
    data: [{ id, content: id }],
    first_id: id,
    last_id: id,
    has_more: true,
    ...changes,
  });

  async function readPages(
    pages: readonly object[],
    asked: { afterId?: string } = {},
  ): Promise<{ read: string[]; error: unknown; requests: readonly unknown[] }> {
    await using pair = await openPair();
    for (const body of pages) pair.coze.faults.plan(LIST, { do: "answer", status: 200, body });
    const read: string[] = [];
    let error: unknown;
    try {
      const list = pair.client.messages.list({ conversationId: "1", ...asked, ...options });
      for await (const { messageId } of list) read.push(messageId);
    } catch (caught) {
      error = caught;
    }
    return { read, error, requests: pair.coze.traffic.exchanges.map(({ request }) => request) };
  }

  it("is given up when a cursor comes again, at once", async () => {
    const { read, error, requests } = await readPages([page("1"), page("2"), page("1"), page("2")]);
    expect(read).toEqual(["1", "2"]);
    expect(error).toMatchObject({ code: "COZE_FAILED", outcome: "refused" });
    expect(requests).toHaveLength(3);
    const leadsBack = await readPages([page("1", { last_id: "9" })], { afterId: "9" });
    expect(leadsBack).toMatchObject({ read: ["1"], error: { code: "COZE_FAILED" } });
  });

  it("is given up when new cursors bring nothing new", async () => {
    const pages = ["7", "8", "9", "10", "11"].map((last) => page("1", { last_id: last }));
    const { read, error, requests } = await readPages(pages);
    expect(read).toEqual(["1"]);
    expect(error).toMatchObject({ code: "COZE_FAILED" });
    expect(requests).toHaveLength(4);
  });

  it("goes by its last message when there is no cursor, and is given up when there is neither", async () => {
    const { read, error, requests } = await readPages([
      page("5", { last_id: "" }),
      page("6", { data: [], last_id: "" }),
    ]);
    expect(requests[1]).toMatchObject({ body: { after_id: "5" } });
    expect(read).toEqual(["5"]);
    expect(error).toMatchObject({ code: "COZE_FAILED" });
  });

  it("leaves out what comes a second time", async () => {
    const both = { data: [{ id: "1" }, { id: "2" }] };
    const { read, error } = await readPages([page("1"), page("2", { ...both, has_more: false })]);
    expect(error).toBeUndefined();
    expect(read).toEqual(["1", "2"]);
  });
});

describe("nothing is sent", () => {
  it.each([
    ["a change of nothing", {}],
    ["an empty text", { content: "" }],
    ["§22.44 a text in a list", { content: [{ type: "text", text: "x" } as const] }],
    ["§22.43 long meta data", { metaData: { k: "v".repeat(513) } }],
  ])("with %s", async (_, change) => {
    await using pair = await openPair();
    const ids = { conversationId: "1", messageId: "2" };
    await expect(pair.client.messages.update(ids, change, options)).rejects.toMatchObject({
      code: "COZE_BAD_REQUEST",
    });
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it("with a page that is too long or none", async () => {
    await using pair = await openPair();
    for (const pageSize of [0, 51, 2.5]) {
      const asked = { conversationId: "1", pageSize, ...options };
      await expect(pair.client.messages.page(asked)).rejects.toMatchObject({ code: "COZE_BAD_REQUEST" });
    }
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });
});

it("§22.42 a changed message is read from where it stands, with times as text", async () => {
  await using pair = await openPair();
  const message =
    '{"code":0,"message":{"id":7391000000000000101,"role":"user","type":"","content":"x","meta_data":null,"created_at":"1718595518"}}';
  const call = "POST /v1/conversation/message/modify";
  pair.coze.faults.plan(call, { do: "answer", status: 200, body: message });
  const ids = { conversationId: "1", messageId: "2" };
  const changed: StoredMessage = await pair.client.messages.update(ids, { content: "x" }, options);
  expect(changed).toMatchObject({
    messageId: "7391000000000000101",
    kind: "unknown",
    metaData: {},
    createdAt: 1_718_595_518,
  });
});

describe("the stand-in refuses", () => {
  const SAID = { role: "user", content: "Hi", content_type: "text" };

  it.each([
    ["create", { ...SAID, role: "system" }, 4000],
    ["create", { ...SAID, type: "verbose" }, 4000],
    ["create", { ...SAID, content: "" }, 4005],
    ["create", { role: "user", content: "Hi" }, 4000],
    ["create", { ...SAID, meta_data: { "": "v" } }, 4003],
    ["create", { ...SAID, content_type: "object_string", content: '[{"type":"text","text":"x"}]' }, 4000],
    ["create", SAID, 0],
    ["create", { ...SAID, role: "assistant" }, 0],
    ["list", { after_id: "1" }, 4005],
    ["list", { before_id: "1" }, 4005],
    ["list", { limit: 51 }, 4000],
    ["list", { order: "DESC" }, 4000],
  ])("%s %j", async (call, body, code) => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const path = `/v1/conversation/message/${call}?conversation_id=${conversationId}`;
    expect((await send(pair, "POST", path, body)).code).toBe(code);
    expect((await send(pair, "POST", `/v1/conversation/message/${call}?conversation_id=1`, body)).code).toBe(
      4002,
    );
  });

  it.each([
    [{}, 4000],
    [{ content: "x" }, 4000],
    [{ content_type: "text" }, 4000],
    [{ content: "", content_type: "text" }, 4005],
    [{ meta_data: { k: 7 } }, 4003],
    [{ content: "x", content_type: "object_string" }, 4000],
    [{ meta_data: {} }, 0],
  ])("the change %j", async (body, code) => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const { messageId } = await insert(pair, conversationId, "Hi");
    const query = `conversation_id=${conversationId}&message_id=${messageId}`;
    expect((await send(pair, "POST", `/v1/conversation/message/modify?${query}`, body)).code).toBe(code);
  });

  it("no message without a type, which then has none, as documented", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const path = `/v1/conversation/message/create?conversation_id=${conversationId}`;
    const { body } = await send(pair, "POST", path, SAID);
    expect(body["data"]).toMatchObject({ type: "", bot_id: "", chat_id: "", role: "user" });
    expect(await said(pair, conversationId)).toEqual(["Hi"]);
  });

  it.each([false, true])("a picture without a text beside it, by the switch (%s)", async (accepted) => {
    await using pair = await openPair({ switches: { storedTextSatisfiesImages: accepted } });
    const conversationId = await newConversation(pair);
    await insert(pair, conversationId, "Look at this");
    await using file = await aFile(PNG);
    const { fileId } = await pair.client.files.upload(file, { name: "a.png", ...options });
    const content = [{ type: "image", fileId } as const];
    const created = pair.client.messages.create(conversationId, { role: "user", content }, options);
    if (accepted) await expect(created).resolves.toMatchObject({ contentType: "object_string" });
    else await expect(created).rejects.toMatchObject({ cozeCode: 4000 });
  });
});
