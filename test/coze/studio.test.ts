import { describe, expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import type { CozeStandInOptions } from "../../sandbox/coze/coze-stand-in.ts";
import { STAND_IN_BOT, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import type { CozeSwitches } from "../../sandbox/coze/switches.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { CozeError } from "../../src/core/errors.ts";
import {
  type Asked,
  aFile,
  aQuestion,
  ask,
  type CozePair,
  errorOf,
  newConversation,
  noAbort,
  openPair,
} from "./coze-kit.ts";
import { PNG } from "./file-bytes.ts";
import { send } from "./send.ts";
import { studioViolations } from "./specs/studio.ts";

const signal = noAbort();
const options = { signal };
/** Slow enough to be met in the middle, short enough for a test. */
const SLOW = { firstDeltaMs: 30, deltaMs: 30 };

function openStudio(settings: CozeStandInOptions = {}): Promise<CozePair> {
  return openPair({ ...settings, flavor: "studio" });
}

async function askIn(pair: CozePair, text: string): Promise<Asked & { readonly conversationId: string }> {
  const conversationId = await newConversation(pair);
  return { ...(await ask(pair.source, aQuestion({ conversationId, text }))), conversationId };
}

/** Calls that reached the stand-in. */
function calls({ coze }: CozePair): readonly string[] {
  return coze.traffic.exchanges.filter(({ kind }) => kind === "http").map(({ name }) => name);
}

function sentEvents({ coze }: CozePair): readonly (readonly [string, unknown])[] {
  return coze.traffic.exchanges
    .filter(({ kind }) => kind === "sent")
    .map(({ name, response }) => [name, response]);
}

describe("an answer of a self-hosted Coze Studio", () => {
  it("§22.10 is whole at conversation.stream.done without data; only a look at the chat tells the usage (§22.26)", async () => {
    await using pair = await openStudio();
    const { state, error, conversationId } = await askIn(pair, "hello");
    expect(error).toBeUndefined();
    expect(answerMarkdown(state)).toBe(expectedAnswer({ text: "hello" }));
    expect(state).toMatchObject({ status: "completed", ended: true });
    expect(sentEvents(pair).at(-1)).toEqual(["conversation.stream.done", ""]);
    expect(state.usage).toBeUndefined();
    const stored = await pair.client.chats.retrieve({ conversationId, chatId: state.chatId ?? "" }, options);
    expect(stored.usage?.total).toBeGreaterThan(0);
  });

  it("§22.26 tells the usage where the server has it in the last event", async () => {
    await using pair = await openStudio({ switches: { studioUsageInCompleted: true } });
    expect((await askIn(pair, "hello")).state.usage?.total).toBeGreaterThan(0);
  });

  it("can be waited for without a stream, and its question is no part of it", async () => {
    await using pair = await openStudio();
    const { chat, messages } = await pair.client.chats.ask(
      { botId: STAND_IN_BOT, userId: "u", messages: [{ role: "user", content: "hello" }] },
      { signal, timeoutMs: 20_000 },
    );
    expect(chat.status).toBe("completed");
    expect(chat.usage?.total).toBeGreaterThan(0);
    expect(messages.map(({ role }) => role)).not.toContain("user");
    expect(messages.map(({ text }) => text)).toContain(expectedAnswer({ text: "hello" }));
  });

  it.each(["local plugin", "ask back"])("to %j ends the chat like any other", async (text) => {
    await using pair = await openStudio();
    const { state, error, conversationId } = await askIn(pair, text);
    expect(error).toBeUndefined();
    expect(state).toMatchObject({ status: "completed", pending: [] });
    const stored = await pair.client.chats.retrieve({ conversationId, chatId: state.chatId ?? "" }, options);
    expect(stored).toMatchObject({ status: "completed", pending: [] });
  });

  it("knows what others said in the conversation, without being told again", async () => {
    await using pair = await openStudio();
    const { conversationId } = await askIn(pair, "my name is Ada");
    const context = [{ role: "asker" as const, text: "Ada: my name is Ada" }];
    const question = aQuestion({ conversationId, userId: "somebody else", text: "what is my name", context });
    expect(answerMarkdown((await ask(pair.source, question)).state)).toBe("Your name is Ada.");
    const asked = pair.coze.traffic.exchanges.findLast(({ name }) => name === "POST /v3/chat");
    expect(asked?.request).toMatchObject({ body: { additional_messages: [{ content: "what is my name" }] } });
  });

  it("may come in another conversation than asked, which the server makes without a word (§22.40)", async () => {
    await using pair = await openStudio();
    const { state, error } = await ask(pair.source, aQuestion({ conversationId: "7399999999999999999" }));
    expect(error).toBeUndefined();
    expect(state.conversationId).not.toBe("7399999999999999999");
  });

  it("does not keep another question in the same conversation waiting (no §22.33)", async () => {
    await using pair = await openStudio({ pace: SLOW });
    const conversationId = await newConversation(pair);
    const both = ["one", "two"].map((text) => ask(pair.source, aQuestion({ conversationId, text })));
    expect((await Promise.all(both)).map(({ error }) => error)).toEqual([undefined, undefined]);
  });
});

describe("a failure of a self-hosted Coze Studio", () => {
  it.each([false, true])(
    "in the middle is one, whether chat.completed follows (%j) or not (§22.29)",
    async (follows) => {
      await using pair = await openStudio({ switches: { studioErrorThenCompleted: follows } });
      const { state, error } = await askIn(pair, "late fail");
      expect(state.status).toBe("failed");
      expect(state.answers[0]?.completed).toBe(false);
      // What stands there is not asked for again.
      expect(error).toMatchObject({ code: "COZE_FAILED", cozeCode: 5000, retryable: false });
      const names = sentEvents(pair).map(([name]) => name);
      expect(names).toContain("error");
      expect(names).not.toContain("conversation.chat.failed");
      expect(names.includes("conversation.chat.completed")).toBe(follows);
    },
  );

  it("before the answer tells its code from within the words", async () => {
    await using pair = await openStudio();
    const { error } = await ask(pair.source, aQuestion({ botId: UNPUBLISHED_BOT }));
    expect(error).toMatchObject({ code: "COZE_NOT_FOUND", cozeCode: 103100002, retryable: false });
    // Not where in the server it was.
    expect(String(error)).not.toContain("stack");
  });

  it("before the answer is the run's own where the words tell none", async () => {
    await using pair = await openStudio({ switches: { studioErrorsTellCode: false } });
    const { error } = await ask(pair.source, aQuestion({ botId: UNPUBLISHED_BOT }));
    expect(error).toMatchObject({ code: "COZE_FAILED", cozeCode: 103100001, retryable: true });
  });

  it("§22.11 without a single event is a broken stream, tried twice at most", async () => {
    await using pair = await openStudio({ switches: { studioSetUpFailure: "silent" } });
    const { events, error } = await ask(pair.source, aQuestion({ botId: UNPUBLISHED_BOT }));
    expect(events).toEqual([]);
    const broken = { code: "COZE_STREAM_BROKEN", outcome: "unknown", retryable: true, maxAttempts: 2 };
    expect(error).toMatchObject(broken);
    expect(String(error)).toContain("a chat can't begin");
  });

  it.each(["fail 4011", "chat fail 4011"])("to %j is the error of its code", async (text) => {
    await using pair = await openStudio();
    const { error } = await askIn(pair, text);
    expect(error).toMatchObject({ code: "COZE_QUOTA", cozeCode: 4011 });
  });

  it("§22.35 of the token is HTTP 200 with a code of its own", async () => {
    await using pair = await openStudio();
    pair.coze.tokens.clear();
    expect(await errorOf(newConversation(pair))).toMatchObject({ code: "COZE_AUTH", httpStatus: 200 });
  });

  it("tells its log id in a header of another name, and in no body", async () => {
    await using pair = await openStudio();
    const { body } = await send(pair, "GET", "/v1/conversation/retrieve?conversation_id=1");
    expect(body).not.toHaveProperty("detail");
    const error = await errorOf(pair.client.conversations.retrieve("1", options));
    expect(error).toMatchObject({ code: "COZE_CONVERSATION_GONE", cozeCode: 103000002 });
    expect((error as CozeError).logId).toMatch(/^\d+$/);
  });
});

describe("looking at chats of a self-hosted Coze Studio", () => {
  const unknown = { conversationId: "1", chatId: "2" };

  it("§22.37 fails as plain text, whose code is read", async () => {
    await using pair = await openStudio();
    expect(await errorOf(pair.client.chats.retrieve(unknown, options))).toMatchObject({
      code: "COZE_NOT_FOUND",
      cozeCode: 103200003,
      httpStatus: 500,
    });
  });

  it("§22.37 fails as plain text that tells nothing", async () => {
    await using pair = await openStudio({ switches: { studioErrorsTellCode: false } });
    expect(await errorOf(pair.client.chats.retrieve(unknown, options))).toMatchObject({
      code: "COZE_UNREACHABLE",
      httpStatus: 500,
    });
  });

  it.each([
    ["conversation.chat.cancelled", "canceled"],
    ["cancelled", "canceled"],
    ["required_action", "requires_action"],
    ["expired", "failed"],
    ["completed", "completed"],
  ])("knows the status %s", async (status, expected) => {
    await using pair = await openStudio();
    const body = { code: 0, msg: "", data: { id: "2", conversation_id: "1", status } };
    pair.coze.faults.plan("GET /v3/chat/retrieve", { do: "answer", status: 200, body });
    expect((await pair.client.chats.retrieve(unknown, options)).status).toBe(expected);
  });

  it.each<[Partial<CozeSwitches>, string]>([
    [{}, "canceled"],
    [{ studioCancelOverwritten: true }, "completed"],
  ])("finds a cancelled chat whose run went on, with %j, %s", async (switches, expected) => {
    await using pair = await openStudio({ pace: SLOW, switches });
    const conversationId = await newConversation(pair);
    const asked = ask(pair.source, aQuestion({ conversationId }));
    await expect.poll(() => pair.coze.chats.length, { interval: 2 }).toBe(1);
    const chat = { conversationId, chatId: pair.coze.chats[0]?.id ?? "" };
    expect(await pair.client.chats.cancel(chat, options)).toBe(true);
    expect((await pair.client.chats.retrieve(chat, options)).status).toBe("canceled");
    await asked;
    expect((await pair.client.chats.retrieve(chat, options)).status).toBe(expected);
  });

  it("§22.34 says that a chat is over already, which comes as HTTP 400", async () => {
    await using pair = await openStudio();
    const { state, conversationId } = await askIn(pair, "hello");
    const chat = { conversationId, chatId: state.chatId ?? "" };
    expect(await pair.client.chats.cancel(chat, options)).toBe(false);
    expect(pair.coze.traffic.exchanges.findLast(({ name }) => name === "POST /v3/chat/cancel")).toMatchObject(
      {
        status: 400,
        response: { code: 400 },
      },
    );
  });

  it("§22.34 throws where the words do not tell why a cancel was refused", async () => {
    await using pair = await openStudio({ switches: { studioErrorsTellCode: false } });
    expect(await errorOf(pair.client.chats.cancel(unknown, options))).toMatchObject({
      code: "COZE_BAD_REQUEST",
      httpStatus: 400,
    });
  });
});

describe("messages of a self-hosted Coze Studio", () => {
  async function threeTurns(pair: CozePair): Promise<string> {
    const conversationId = await newConversation(pair);
    for (const text of ["one", "two", "three"]) await ask(pair.source, aQuestion({ conversationId, text }));
    return conversationId;
  }

  it("are read page by page from the newest on, with cursors of time (§22.41)", async () => {
    await using pair = await openStudio();
    const conversationId = await threeTurns(pair);
    const list = await Array.fromAsync(
      pair.client.messages.list({ conversationId, pageSize: 1, ...options }),
    );
    const questions = list.filter(({ role }) => role === "user");
    expect(questions.map(({ text }) => text)).toEqual(["three", "two", "one"]);
    expect(questions.map(({ chatId }) => chatId)).toEqual(pair.coze.chats.map(({ id }) => id).reverse());
    expect(list).toHaveLength(6);
  });

  it("are paged towards the front, too", async () => {
    await using pair = await openStudio();
    const conversationId = await threeTurns(pair);
    const first = await pair.client.messages.page({ conversationId, pageSize: 1, ...options });
    const at = { conversationId, pageSize: 1, ...options };
    const second = await pair.client.messages.page({ ...at, afterId: first.lastId ?? "" });
    expect(second.items.map(({ text }) => text)).toContain("two");
    const back = await pair.client.messages.page({ ...at, beforeId: second.firstId ?? "" });
    expect(back.items.map(({ text }) => text)).toContain("three");
  });

  it.each([{ order: "asc" }, { chatId: "1" }] as const)(
    "are not asked for with %j, which nobody heeds",
    async (asked) => {
      await using pair = await openStudio();
      const page = pair.client.messages.page({ conversationId: "1", ...asked, ...options });
      expect(await errorOf(page)).toMatchObject({ code: "COZE_BAD_REQUEST", outcome: "refused" });
      expect(calls(pair)).toEqual([]);
    },
  );

  it("carry the marks of their question, beside what the server adds", async () => {
    await using pair = await openStudio();
    const { conversationId } = await askIn(pair, "hello");
    const { items: messages } = await pair.client.messages.page({ conversationId, ...options });
    const question = messages.find(({ role }) => role === "user");
    expect(question?.metaData).toMatchObject({ turn_id: aQuestion().turnId, bot_state: "{}" });
  });
});

describe("files for a self-hosted Coze Studio", () => {
  it("go along with a question", async () => {
    await using pair = await openStudio();
    await using file = await aFile(PNG);
    const conversationId = await newConversation(pair);
    const brought = await pair.source.upload(file, { name: "a.png", signal });
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "look", files: [brought] }));
    expect(answerMarkdown(state)).toContain("a.png");
  });

  it("of more than 200 MB are refused before anything is sent", async () => {
    await using pair = await openStudio();
    const bytes = 200 * 1024 * 1024 + 1;
    const file = { path: "/nowhere", bytes, [Symbol.asyncDispose]: async () => undefined };
    const upload = pair.source.upload(file, { name: "a.png", signal });
    expect(await errorOf(upload)).toMatchObject({ code: "FILE_TOO_LARGE" });
    expect(calls(pair)).toEqual([]);
  });

  it.each([
    [104000004, "FILE_TOO_LARGE"],
    [104000006, "FILE_EMPTY"],
    [104000007, "COZE_BAD_REQUEST"],
  ])("are refused with code %i as %s", async (code, expected) => {
    await using pair = await openStudio();
    const body = { code, msg: "no" };
    pair.coze.faults.plan("POST /v1/files/upload", { do: "answer", status: 200, body });
    await using file = await aFile(PNG);
    const upload = pair.client.files.upload(file, { name: "a.png", signal });
    expect(await errorOf(upload)).toMatchObject({ code: expected, cozeCode: code });
  });
});

describe("what a self-hosted Coze Studio does not have", () => {
  const message = { conversationId: "1", messageId: "2" };
  const user = { role: "user", content: "x" } as const;
  const lacking: readonly (readonly [string, (pair: CozePair) => Promise<unknown>])[] = [
    [
      "outputs of local plugins",
      ({ client }) =>
        Array.fromAsync(client.chats.submitToolOutputs({ conversationId: "1", chatId: "2" }, [], options)),
    ],
    ["speech", ({ client }) => client.audio.speak({ text: "x", voiceId: "1" }, options)],
    ["voices", ({ client }) => Array.fromAsync(client.audio.listVoices(options))],
    ["workspaces", ({ client }) => Array.fromAsync(client.workspaces.list(options))],
    ["users", ({ client }) => client.users.me(options)],
    ["feedback", ({ client }) => client.feedback.create(message, { type: "like" }, options)],
    ["feedback that is taken back", ({ client }) => client.feedback.delete(message, options)],
    ["making bots", ({ client }) => client.bots.create({ workspaceId: "1", name: "x" }, options)],
    ["changing bots", ({ client }) => client.bots.update("1", { name: "x" }, options)],
    ["publishing bots", ({ client }) => client.bots.publish("1", options)],
    ["taking bots down", ({ client }) => client.bots.unpublish("1", options)],
    ["lists of bots", ({ client }) => client.bots.page({ workspaceId: "1", ...options })],
    ["adding messages", ({ client }) => client.messages.create("1", user, options)],
    ["single messages", ({ client }) => client.messages.retrieve(message, options)],
    ["changing messages", ({ client }) => client.messages.update(message, { content: "x" }, options)],
    ["deleting messages", ({ client }) => client.messages.delete(message, options)],
    ["looking at files", ({ client }) => client.files.retrieve("1", options)],
    [
      "records of workflows",
      ({ client }) => client.workflows.history({ workflowId: "1", executeId: "2" }, options),
    ],
  ];

  it.each(lacking)("%s: a sentence says so, and nothing is sent", async (_, call) => {
    await using pair = await openStudio();
    const error = await errorOf(call(pair));
    expect(error).toMatchObject({ code: "COZE_NOT_FOUND", outcome: "refused", retryable: false });
    expect(String(error)).toMatch(/^CozeError: Nothing was sent to Coze: a self-hosted Coze Studio has no /);
    expect(calls(pair)).toEqual([]);
  });

  it("is refused by the server as if nobody were signed in", async () => {
    await using pair = await openStudio();
    for (const [method, path] of [
      ["GET", "/v1/workspaces"],
      ["POST", "/v3/chat/submit_tool_outputs"],
      ["POST", "/v3/chat/retrieve"],
      ["POST", "/api/permission/oauth2/token"],
    ] as const) {
      const { status, body } = await send(pair, method, path);
      expect([status, body["code"]]).toEqual([200, 700012006]);
      expect(body["msg"]).toContain("missing session_key in cookie");
    }
  });

  it("is no wrong token, also where an older server lacks more", async () => {
    await using pair = await openStudio();
    const body = { code: 700012006, msg: "authentication failed: missing session_key in cookie" };
    pair.coze.faults.plan("POST /v3/chat/cancel", { do: "answer", status: 200, body });
    const error = await errorOf(pair.client.chats.cancel({ conversationId: "1", chatId: "2" }, options));
    expect(error).toMatchObject({ code: "COZE_NOT_FOUND" });
    expect(String(error)).toContain("the token is not the reason");
  });
});

describe("what the bridge and a self-hosted Coze Studio say to each other", () => {
  async function traffic(): Promise<CozePair["coze"]["traffic"]["exchanges"]> {
    await using pair = await openStudio({ switches: { studioErrorThenCompleted: true } });
    const { source, client, coze } = pair;
    const conversationId = await newConversation(pair);
    await using file = await aFile(PNG);
    const files = [await source.upload(file, { name: "a.png", signal })];
    const context = [{ role: "bot" as const, text: "before" }];
    await ask(source, aQuestion({ conversationId, files, context }));
    for (const text of ["weather", "late fail", "fail 4011", "local plugin", "ask back"]) {
      await ask(source, aQuestion({ conversationId, text }));
    }
    const turnId = "a turn that nobody asked";
    await source.findChat({ conversationId, turnId }, options);
    await client.chats.retrieve({ conversationId, chatId: coze.chats[0]?.id ?? "" }, options);
    await client.chats.retrieve({ conversationId, chatId: "1" }, options).catch(() => undefined);
    await Array.fromAsync(
      source.follow({ conversationId, chatId: coze.chats[0]?.id ?? "" }, { signal, timeoutMs: 20_000 }),
    );
    await source.cancel({ conversationId, chatId: coze.chats[0]?.id ?? "" }, options);
    return coze.traffic.exchanges;
  }

  it("keeps to what is known of it", async () => {
    const exchanges = await traffic();
    expect(new Set(exchanges.map(({ name }) => name)).size).toBeGreaterThan(12);
    expect(studioViolations(exchanges)).toEqual([]);
  });

  it("would show if it did not", async () => {
    const exchanges = await traffic();
    const spoiled = (name: string, change: object): string[] => {
      const exchange = exchanges.find((each) => each.name === name);
      if (exchange === undefined) throw new Error(`nobody said ${name}`);
      return studioViolations([{ ...exchange, ...change }]);
    };
    expect(spoiled("POST /v3/chat", { request: { query: {}, body: { meta_data: {} } } })).not.toEqual([]);
    expect(spoiled("GET /v3/chat/retrieve", { response: { code: 0, data: {}, detail: {} } })).not.toEqual([]);
    expect(spoiled("conversation.chat.created", { response: '{"last_error":{}}' })).not.toEqual([]);
    expect(spoiled("conversation.stream.done", { response: '"[DONE]"' })).not.toEqual([]);
    expect(spoiled("error", { name: "conversation.chat.failed" })).not.toEqual([]);
    expect(spoiled("error", { name: "POST /v1/nothing", kind: "http" })).not.toEqual([]);
  });
});
