import { describe, expect, it } from "vitest";
import { STAND_IN_BOT, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import type { AnswerEvent } from "../../src/core/answer-state.ts";
import { type AnswerState, answerMarkdown, EMPTY_ANSWER, reduceAnswer } from "../../src/core/answer-state.ts";
import type { ChatsApi, ToolOutput } from "../../src/coze/api/chats.ts";
import type { ChatRequest } from "../../src/coze/chat-request.ts";
import type { ChatIds } from "../../src/coze/stored.ts";
import { type CozePair, errorOf, newConversation, noAbort, openPair } from "./coze-kit.ts";

const signal = noAbort();
const PATIENT = { signal, timeoutMs: 60_000 };
/** Slow enough to be met in the middle. */
const SLOW = { firstDeltaMs: 60_000, deltaMs: 60_000 };

function aChat(changes: Partial<ChatRequest> = {}): ChatRequest {
  return {
    botId: STAND_IN_BOT,
    userId: "user-1",
    messages: [{ role: "user", content: "Hello" }],
    ...changes,
  };
}

const said = (text: string): Pick<ChatRequest, "messages"> => ({
  messages: [{ role: "user", content: text }],
});

async function read(events: AsyncIterable<AnswerEvent>): Promise<AnswerState> {
  let state = EMPTY_ANSWER;
  for await (const event of events) state = reduceAnswer(state, event);
  return state;
}

/** The body of the last request to `call`. */
function sentTo({ coze }: CozePair, call: string): unknown {
  const exchange = coze.traffic.exchanges.findLast(({ name }) => name === call);
  return (exchange?.request as { body?: unknown } | undefined)?.body;
}

function answerOf({ messages }: Awaited<ReturnType<ChatsApi["ask"]>>): string {
  return messages
    .filter(({ kind }) => kind === "answer")
    .map(({ text }) => text)
    .join("\n\n");
}

describe("a blocking chat", () => {
  it("ends with the answer, its usage and the ids to go on with", async () => {
    await using pair = await openPair();
    const result = await pair.client.chats.ask(aChat(), PATIENT);
    expect(result.chat).toMatchObject({ status: "completed", usage: { total: 6, input: 2, output: 4 } });
    expect(answerOf(result)).toBe("You said: Hello");
    const { conversationId } = result.chat;
    await pair.client.chats.ask(aChat({ conversationId, ...said("My name is Tuva") }), PATIENT);
    const again = await pair.client.chats.ask(
      aChat({ conversationId, ...said("What is my name?") }),
      PATIENT,
    );
    expect(answerOf(again)).toBe("Your name is Tuva.");
  });

  it("gets the history of the caller", async () => {
    await using pair = await openPair();
    const messages: ChatRequest["messages"] = [
      { role: "user", content: "My name is Tuva" },
      { role: "assistant", content: "Nice to meet you, Tuva." },
      { role: "user", content: "What is my name?" },
    ];
    expect(answerOf(await pair.client.chats.ask(aChat({ messages }), PATIENT))).toBe("Your name is Tuva.");
    expect(sentTo(pair, "POST /v3/chat")).toMatchObject({
      stream: false,
      additional_messages: [
        { type: "question" },
        { type: "answer", role: "assistant" },
        { type: "question" },
      ],
    });
  });

  it("that fails throws what Coze said", async () => {
    await using pair = await openPair();
    const error = await errorOf(pair.client.chats.ask(aChat(said("chat fail 4011")), PATIENT));
    expect(error).toMatchObject({ code: "COZE_QUOTA", cozeCode: 4011, chatId: pair.coze.chats[0]?.id });
  });

  it("that somebody else cancels ends as canceled", async () => {
    await using pair = await openPair({ pace: SLOW });
    const asked = pair.client.chats.ask(aChat(), PATIENT);
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    pair.coze.chats[0]?.cancel({ tellStream: false });
    expect((await asked).chat.status).toBe("canceled");
  });

  it("that waits for a tool ends as requires_action, with what is wanted", async () => {
    await using pair = await openPair();
    const { chat } = await pair.client.chats.ask(aChat(said("local plugin")), PATIENT);
    expect(chat).toMatchObject({
      status: "requires_action",
      pending: [{ kind: "function", name: "get_stock", input: '{"sku":"A1"}' }],
    });
  });

  it("that takes too long is cancelled", async () => {
    await using pair = await openPair({ pace: SLOW });
    const error = await errorOf(pair.client.chats.ask(aChat(), { signal, timeoutMs: 1 }));
    expect(error).toMatchObject({ code: "COZE_TIMEOUT", chatId: pair.coze.chats[0]?.id });
    expect(pair.coze.chats.map(({ status }) => status)).toEqual(["canceled"]);
  });

  it("§22.34 that ends just when it is given up is told as it ended", async () => {
    await using pair = await openPair({ pace: SLOW });
    pair.coze.faults.plan("POST /v3/chat/cancel", {
      ...{ do: "answer", status: 200 },
      body: { code: 4104, msg: "over", detail: { logid: "1" } },
    });
    const asked = pair.client.chats.ask(aChat(), { signal, timeoutMs: 1 });
    await expect
      .poll(() => pair.coze.traffic.exchanges.some(({ name }) => name.endsWith("/cancel")))
      .toBe(true);
    pair.coze.chats[0]?.cancel({ tellStream: false });
    expect((await asked).chat.status).toBe("canceled");
  });

  it("that nobody waits for any more is cancelled, too", async () => {
    await using pair = await openPair({ pace: SLOW });
    const gone = new AbortController();
    const asked = errorOf(pair.client.chats.ask(aChat(), { signal: gone.signal, timeoutMs: 60_000 }));
    const looked = (): boolean => pair.coze.traffic.exchanges.some(({ name }) => name.endsWith("/retrieve"));
    await expect.poll(looked).toBe(true);
    const reason = new Error("not wanted any more");
    gone.abort(reason);
    expect(await asked).toBe(reason);
    expect(pair.coze.chats.map(({ status }) => status)).toEqual(["canceled"]);
  });
});

describe("a chat's fields", () => {
  it("all arrive as documented", async () => {
    await using pair = await openPair();
    const fields: Partial<ChatRequest> = {
      metaData: { order: "17" },
      customVariables: { city_name: "Grey Point" },
      parameters: { depth: 3, names: ["a"] },
      extraParams: { latitude: "59.9", longitude: "10.7" },
      enableCard: false,
      publishStatus: "published_online",
      botVersion: "1",
    };
    const state = await read(pair.client.chats.stream(aChat(fields), { signal }));
    expect(state.status).toBe("completed");
    expect(sentTo(pair, "POST /v3/chat")).toMatchObject({
      meta_data: { order: "17" },
      custom_variables: { city_name: "Grey Point" },
      parameters: { depth: 3, names: ["a"] },
      extra_params: { latitude: "59.9", longitude: "10.7" },
      enable_card: false,
      publish_status: "published_online",
      bot_version: "1",
    });
    const ids = { conversationId: state.conversationId ?? "", chatId: state.chatId ?? "" };
    expect((await pair.client.chats.retrieve(ids, { signal })).metaData).toEqual({ order: "17" });
  });

  it("a draft is asked without being published", async () => {
    await using pair = await openPair();
    const draft = aChat({ botId: UNPUBLISHED_BOT, publishStatus: "unpublished_draft" });
    expect((await read(pair.client.chats.stream(draft, { signal }))).status).toBe("completed");
  });

  it("a quick command stands for its question", async () => {
    await using pair = await openPair();
    pair.coze.bots.all.get(STAND_IN_BOT)?.shortcuts.set("77", "Translate {{text}}");
    const shortcutCommand = { commandId: "77", parameters: { text: "sea" } };
    const state = await read(pair.client.chats.stream(aChat({ messages: [], shortcutCommand }), { signal }));
    expect(answerMarkdown(state)).toBe("You said: Translate sea");
  });

  it("without saved history nothing can be looked up later", async () => {
    await using pair = await openPair();
    const state = await read(pair.client.chats.stream(aChat({ autoSaveHistory: false }), { signal }));
    expect(answerMarkdown(state)).toBe("You said: Hello");
    const ids = { conversationId: state.conversationId ?? "", chatId: state.chatId ?? "" };
    expect(await errorOf(pair.client.chats.retrieve(ids, { signal }))).toMatchObject({ cozeCode: 4001 });
  });
});

describe("§22.43, §22.44 what Coze would refuse is refused before anything is sent", () => {
  const pairs = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]));
  const TEXT = { type: "text", text: "look" } as const;
  const IMAGE = { type: "image", fileId: "1" } as const;

  it.each<[what: string, changes: Partial<ChatRequest>, words: RegExp]>([
    ["17 pairs of meta data", { metaData: pairs(17) }, /17 pairs/],
    ["a key of 65 characters", { metaData: { ["k".repeat(65)]: "v" } }, /key .* 64/],
    ["a value of 513 characters beyond the BMP", { metaData: { k: "😀".repeat(513) } }, /"k" .* 512/],
    ["an empty value", { metaData: { k: "" } }, /"k"/],
    [
      "meta data of a message",
      { messages: [{ role: "user", content: "x", metaData: pairs(17) }] },
      /17 pairs/,
    ],
    ["101 messages", { messages: Array(101).fill({ role: "user", content: "x" }) }, /101 messages.*100/],
    ["an answer at the end", { messages: [{ role: "assistant", content: "x" }] }, /last message/],
    ["nothing", { messages: [] }, /no question/],
    ["an empty text", said(""), /text or a file/],
    ["two texts", { messages: [{ role: "user", content: [TEXT, TEXT, IMAGE] }] }, /one text/],
    ["a text alone as object", { messages: [{ role: "user", content: [TEXT] }] }, /plain text/],
  ])("%s", async (_what, changes, words) => {
    await using pair = await openPair();
    const error = await errorOf(read(pair.client.chats.stream(aChat(changes), { signal })));
    expect(error).toMatchObject({ code: "COZE_BAD_REQUEST", outcome: "refused" });
    expect(String(error)).toMatch(words);
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it("a blocking chat without history", async () => {
    await using pair = await openPair();
    const error = await errorOf(pair.client.chats.ask(aChat({ autoSaveHistory: false }), PATIENT));
    expect(String(error)).toContain("history");
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it.each<[string, Partial<ChatRequest>]>([
    ["16 pairs, 64 and 512 characters", { metaData: { ...pairs(15), ["k".repeat(64)]: "v".repeat(512) } }],
    ["100 messages", { messages: Array(100).fill({ role: "user", content: "x" }) }],
  ])("%s are taken", async (_what, changes) => {
    await using pair = await openPair();
    expect((await read(pair.client.chats.stream(aChat(changes), { signal }))).status).toBe("completed");
  });

  it("however the service counts, its own refusal is told", async () => {
    await using pair = await openPair();
    // 300 characters, 600 units: the stand-in counts the strict way.
    const strict = aChat({ metaData: { k: "😀".repeat(300) } });
    expect(await errorOf(read(pair.client.chats.stream(strict, { signal })))).toMatchObject({
      cozeCode: 4003,
    });
  });

  it("files without a text beside them are the service's to refuse", async () => {
    await using pair = await openPair();
    const alone = aChat({ messages: [{ role: "user", content: [IMAGE] }] });
    expect(await errorOf(read(pair.client.chats.stream(alone, { signal })))).toMatchObject({
      cozeCode: 4000,
    });
  });
});

describe("local tools", () => {
  async function interrupted(pair: CozePair, text: string): Promise<{ ids: ChatIds; state: AnswerState }> {
    const conversationId = await newConversation(pair);
    const state = await read(pair.client.chats.stream(aChat({ conversationId, ...said(text) }), { signal }));
    expect(state.status).toBe("requires_action");
    return { ids: { conversationId, chatId: state.chatId ?? "" }, state };
  }
  const outputsFor = ({ pending }: Pick<AnswerState, "pending">): readonly ToolOutput[] =>
    pending.map(({ id, name }) => ({ toolCallId: id, output: `${name}: 12` }));

  it("§22.23 the answer goes on, without being created again", async () => {
    await using pair = await openPair();
    const { ids, state } = await interrupted(pair, "local plugin");
    const events = await Array.fromAsync(
      pair.client.chats.submitToolOutputs(ids, outputsFor(state), { signal }),
    );
    expect(events[0]).toMatchObject({ type: "chat", status: "running", chatId: ids.chatId });
    const resumed = events.reduce(reduceAnswer, EMPTY_ANSWER);
    expect(resumed).toMatchObject({ status: "completed", chatId: ids.chatId });
    expect(answerMarkdown(resumed)).toBe("get_stock says get_stock: 12.");
    const names = pair.coze.traffic.exchanges.filter(({ kind }) => kind === "sent").map(({ name }) => name);
    expect(names.filter((name) => name.endsWith("chat.created"))).toHaveLength(1);
  });

  it("§22.22 several wait at once and are answered at once", async () => {
    await using pair = await openPair();
    const { ids, state } = await interrupted(pair, "local plugins");
    expect(state.pending.map(({ name }) => name)).toEqual(["get_stock", "get_price"]);
    const one = outputsFor(state).slice(0, 1);
    expect(await errorOf(read(pair.client.chats.submitToolOutputs(ids, one, { signal })))).toMatchObject({
      cozeCode: 4000,
    });
    const resumed = await read(pair.client.chats.submitToolOutputs(ids, outputsFor(state), { signal }));
    expect(answerMarkdown(resumed)).toBe("get_stock says get_stock: 12. get_price says get_price: 12.");
  });

  it("§22.23 one may lead to the next", async () => {
    await using pair = await openPair();
    const { ids, state } = await interrupted(pair, "local plugin twice");
    const second = await read(pair.client.chats.submitToolOutputs(ids, outputsFor(state), { signal }));
    expect(second).toMatchObject({ status: "requires_action", pending: [{ name: "get_price" }] });
    const end = await read(pair.client.chats.submitToolOutputs(ids, outputsFor(second), { signal }));
    expect(answerMarkdown(end)).toBe("get_price says get_price: 12.");
  });

  it("the whole answer can be waited for", async () => {
    await using pair = await openPair();
    const { chat } = await pair.client.chats.ask(aChat(said("local plugin twice")), PATIENT);
    const second = await pair.client.chats.submitToolOutputsAndWait(chat, outputsFor(chat), PATIENT);
    expect(second.chat).toMatchObject({ status: "requires_action", pending: [{ name: "get_price" }] });
    const end = await pair.client.chats.submitToolOutputsAndWait(chat, outputsFor(second.chat), PATIENT);
    expect(end.chat.status).toBe("completed");
    expect(answerOf(end)).toBe("get_price says get_price: 12.");
  });

  it("a chat without saved history cannot go on", async () => {
    await using pair = await openPair();
    const unsaved = aChat({ autoSaveHistory: false, ...said("local plugin") });
    const state = await read(pair.client.chats.stream(unsaved, { signal }));
    const ids = { conversationId: state.conversationId ?? "", chatId: state.chatId ?? "" };
    const error = await errorOf(
      read(pair.client.chats.submitToolOutputs(ids, outputsFor(state), { signal })),
    );
    expect(error).toMatchObject({ cozeCode: 5000 });
  });

  it("a chat that waits for none refuses", async () => {
    await using pair = await openPair();
    const { chat } = await pair.client.chats.ask(aChat(), PATIENT);
    const outputs = [{ toolCallId: "x", output: "y" }];
    expect(await errorOf(read(pair.client.chats.submitToolOutputs(chat, outputs, { signal })))).toMatchObject(
      {
        cozeCode: 4000,
      },
    );
  });
});
