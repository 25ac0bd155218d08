import { createReadStream } from "node:fs";
import {
  APIError,
  AuthenticationError,
  ChatEventType,
  ChatStatus,
  CozeAPI,
  type CreateChatPollData,
  RoleType,
} from "@coze/api";
import { describe, expect, it } from "vitest";
import { STAND_IN_BOT, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import { STORY_ZH } from "../../sandbox/coze/stories.ts";
import { EMPTY_ANSWER, reduceAnswer } from "../../src/core/answer-state.ts";
import type { ChatResult } from "../../src/coze/api/chats.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { errorOf, newConversation, noAbort } from "./coze-kit.ts";
import {
  aPicture,
  byId,
  type Judged,
  lastLogId,
  openJudged,
  ourChat,
  ourMessage,
  ourQuestion,
  type Told,
  textsOf,
  theirChat,
  theirMessage,
  theirQuestion,
  toldByOurs,
  toldByTheirs,
} from "./vendor-kit.ts";

const signal = noAbort();
const PATIENT = { signal, timeoutMs: 60_000 };
/** Slow enough to be met in the middle. */
const SLOW = { firstDeltaMs: 60_000, deltaMs: 60_000 };

/** Theirs asks first, then ours; both whole. */
async function askBoth(
  { vendor, client }: Judged,
  text: string,
): Promise<{ theirs: readonly Told[]; ours: readonly Told[] }> {
  const theirs = await toldByTheirs(vendor.chat.stream(theirQuestion(text)));
  const ours = await toldByOurs(client.chats.events(ourQuestion(text), { signal }));
  return { theirs, ours };
}

describe("chat.stream: every event in order, with text, reasoning, ids, usage and status", () => {
  it.each([
    ["a plain answer", "Hello", ["You said: Hello"]],
    ["a long Chinese answer", "故事", [STORY_ZH]],
    ["several answers", "twice", ["This is the **first** answer.", "And this is the *second* one."]],
    ["an answer with reasoning", "think", ["This is the **first** answer."]],
    ["an empty answer", "empty", [""]],
    ["a question back", "ask back", ["Which city do you mean?"]],
  ])("%s", async (_name, text, answers) => {
    await using judged = await openJudged();
    const { theirs, ours } = await askBoth(judged, text);
    expect(ours).toEqual(theirs);
    expect(textsOf(theirs, "answer")).toEqual(answers);
    expect(theirs.at(-1)).toEqual({ tells: "end" });
  });

  it("a plugin call, its response and the suggestions", async () => {
    await using judged = await openJudged();
    const { theirs, ours } = await askBoth(judged, "weather");
    expect(ours).toEqual(theirs);
    expect(textsOf(theirs, "function_call")).toHaveLength(1);
    expect(textsOf(theirs, "tool_response")).toEqual(['{"temperature":21,"sky":"sunny"}']);
    expect(textsOf(theirs, "follow_up")).toEqual(["Tell me a story", "How is the weather?"]);
  });

  it.each([
    ["at once", "chat fail 4011", 4011],
    ["in the middle of its answer", "late fail 5000", 5000],
  ])(
    "a chat that fails %s; ours throws the failure where nobody judges the events",
    async (_name, text, code) => {
      await using judged = await openJudged();
      const { theirs, ours } = await askBoth(judged, text);
      expect(ours).toEqual(theirs);
      const failure = { code, text: "failed on request" };
      expect(theirs).toContainEqual(expect.objectContaining({ status: "failed", failure }));
      const error = await errorOf(Array.fromAsync(judged.client.chats.stream(ourQuestion(text), { signal })));
      expect(error).toMatchObject({ name: "CozeError", cozeCode: code });
    },
  );
});

describe("a chat that is refused: the code and its log id", () => {
  it("4015 for a bot that is not published: thrown by both, but an event in their streams", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const theirs = theirQuestion("Hello", { bot_id: UNPUBLISHED_BOT });
    const ours = ourQuestion("Hello", { botId: UNPUBLISHED_BOT });
    const created = await errorOf(vendor.chat.create(theirs));
    expect(created).toBeInstanceOf(APIError);
    expect(created).toMatchObject({ code: 4015, logid: lastLogId(judged) });
    const [event, ...rest] = await Array.fromAsync(vendor.chat.stream(theirs));
    expect(rest).toEqual([]);
    expect(event).toMatchObject({
      event: ChatEventType.ERROR,
      data: { code: 4015, detail: { logid: lastLogId(judged) } },
    });
    const asked = await errorOf(client.chats.create(ours, { signal }));
    expect(asked).toMatchObject({ name: "CozeError", cozeCode: 4015, logId: lastLogId(judged) });
    const streamed = await errorOf(Array.fromAsync(client.chats.stream(ours, { signal })));
    expect(streamed).toMatchObject({ name: "CozeError", cozeCode: 4015, logId: lastLogId(judged) });
  });

  it("4100 for a wrong token", async () => {
    const token = ["a", "wrong", "token"].join("-");
    await using judged = await openJudged({ tokens: staticToken(token) });
    const vendor = new CozeAPI({ token, baseURL: judged.coze.url });
    const theirs = await errorOf(vendor.chat.create(theirQuestion("Hello")));
    expect(theirs).toBeInstanceOf(AuthenticationError);
    expect(theirs).toMatchObject({ code: 4100, logid: lastLogId(judged) });
    const ours = await errorOf(judged.client.chats.create(ourQuestion("Hello"), { signal }));
    expect(ours).toMatchObject({ code: "COZE_AUTH", cozeCode: 4100, logId: lastLogId(judged) });
  });
});

/** How a chat ended, and all that was said in it. */
interface Ended {
  readonly chat: Told;
  readonly messages: ReturnType<typeof byId>;
}

function endedByTheirs({ chat, messages = [] }: CreateChatPollData): Ended {
  return { chat: theirChat(chat), messages: byId(messages.map((message) => theirMessage(chat.id, message))) };
}

function endedByOurs({ chat, messages }: ChatResult): Ended {
  return { chat: ourChat(chat), messages: byId(messages.map((message) => ourMessage(chat.chatId, message))) };
}

function answersOf({ messages }: Ended): readonly string[] {
  return messages.flatMap(({ type, text }) => (type === "answer" ? [text] : []));
}

/**
 * Theirs looks at a chat ten times a second, where the service allows one look (coze-api.md §14): it only lives where
 * nobody counts. What happens where somebody does is shown in vendor-defects.test.ts.
 */
const UNCOUNTED = { switches: { limits: undefined } };

// Together: ours looks at a chat once a second, so that nearly all of their time is waiting.
describe.concurrent("a blocking chat: status, usage, ids and messages", () => {
  it("chat.create, a look when it is over, and its messages", async () => {
    await using judged = await openJudged();
    const { vendor, client, coze } = judged;
    const started = await vendor.chat.create(theirQuestion("天气"));
    await expect.poll(() => coze.chats[0]?.status).toBe("completed");
    const ids = [started.conversation_id, started.id] as const;
    const [chat, messages] = [await vendor.chat.retrieve(...ids), await vendor.chat.messages.list(...ids)];
    expect(chat.status).toBe(ChatStatus.COMPLETED);
    const theirs = endedByTheirs({ chat, messages });
    const ours = endedByOurs(await client.chats.ask(ourQuestion("天气"), PATIENT));
    expect(ours).toEqual(theirs);
    expect(answersOf(theirs)).toEqual(["天气插件说：晴，21 °C。"]);
  });

  it.each([
    ["an answer", "Hello", "completed"],
    ["several answers", "twice", "completed"],
    ["a local plugin's call", "local plugin", "requires_action"],
  ])("chat.createAndPoll: %s", async (_name, text, status) => {
    await using judged = await openJudged(UNCOUNTED);
    const theirs = endedByTheirs(await judged.vendor.chat.createAndPoll(theirQuestion(text)));
    const ours = endedByOurs(await judged.client.chats.ask(ourQuestion(text), PATIENT));
    expect(ours).toEqual(theirs);
    expect(theirs.chat).toMatchObject({ status });
  });

  it("chat.createAndPoll: a failed chat, which theirs returns and ours throws", async () => {
    await using judged = await openJudged(UNCOUNTED);
    const { chat } = await judged.vendor.chat.createAndPoll(theirQuestion("chat fail 4011"));
    expect(chat).toMatchObject({ status: "failed", last_error: { code: 4011 } });
    const error = await errorOf(judged.client.chats.ask(ourQuestion("chat fail 4011"), PATIENT));
    expect(error).toMatchObject({ name: "CozeError", cozeCode: 4011 });
  });

  it("history that the caller gives", async () => {
    await using judged = await openJudged(UNCOUNTED);
    const said = ["My name is Tuva", "Nice to meet you, Tuva.", "What is my name?"] as const;
    const roles = [RoleType.User, RoleType.Assistant, RoleType.User] as const;
    const theirs = endedByTheirs(
      await judged.vendor.chat.createAndPoll(
        theirQuestion("", {
          additional_messages: said.map((content, index) => ({
            role: roles[index] ?? RoleType.User,
            type: index === 1 ? "answer" : "question",
            content,
            content_type: "text",
          })),
        }),
      ),
    );
    const messages = said.map((content, index) => ({ role: roles[index] ?? RoleType.User, content }));
    const ours = endedByOurs(await judged.client.chats.ask(ourQuestion("", { messages }), PATIENT));
    expect(ours).toEqual(theirs);
    expect(answersOf(theirs)).toEqual(["Your name is Tuva."]);
  });

  it("a text with a picture that each uploaded itself", async () => {
    await using judged = await openJudged(UNCOUNTED);
    const { vendor, client } = judged;
    await using file = await aPicture();
    const { id } = await vendor.files.upload({ file: createReadStream(file.path) });
    const theirs = endedByTheirs(
      await vendor.chat.createAndPoll(
        theirQuestion("", {
          additional_messages: [
            {
              role: RoleType.User,
              content: [
                { type: "text", text: "What is this?" },
                { type: "image", file_id: id },
              ],
              content_type: "object_string",
            },
          ],
        }),
      ),
    );
    const { fileId } = await client.files.upload(file, { name: "a.png", signal });
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image", fileId },
    ] as const;
    const asked = ourQuestion("", { messages: [{ role: "user", content }] });
    const ours = endedByOurs(await client.chats.ask(asked, PATIENT));
    expect(ours).toEqual(theirs);
    expect(answersOf(theirs)).toEqual([`I received 1 file:\n\n- **a.png**: an image, ${file.bytes} bytes`]);
  });
});

describe("a chat that does not just answer", () => {
  it("chat.cancel: the chat is canceled, and a second time it is refused (§22.34)", async () => {
    await using judged = await openJudged({ pace: SLOW });
    const { vendor, client, coze } = judged;
    const theirs = await vendor.chat.create(theirQuestion("Hello"));
    expect((await vendor.chat.cancel(theirs.conversation_id, theirs.id)).status).toBe(ChatStatus.CANCELED);
    const again = await errorOf(vendor.chat.cancel(theirs.conversation_id, theirs.id));
    expect(again).toMatchObject({ code: 4104 });
    const ours = await client.chats.create(ourQuestion("Hello"), { signal });
    expect(await client.chats.cancel(ours, { signal })).toBe(true);
    expect(await client.chats.cancel(ours, { signal })).toBe(false);
    expect(coze.chats.map(({ status }) => status)).toEqual(["canceled", "canceled"]);
  });

  it("chat.submitToolOutputs with a stream: every event of the rest, and a second call for a tool", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const begun = await Array.fromAsync(vendor.chat.stream(theirQuestion("local plugin twice")));
    const parked = begun.find(({ event }) => event === ChatEventType.CONVERSATION_CHAT_REQUIRES_ACTION);
    if (parked?.event !== ChatEventType.CONVERSATION_CHAT_REQUIRES_ACTION)
      throw new Error("it waits for no tool");
    const { conversation_id, id: chat_id, required_action: action } = parked.data;
    const calls = action?.submit_tool_outputs.tool_calls ?? [];
    const outputs = calls.map(({ id }) => ({ tool_call_id: id, output: "12" }));
    const theirs = await toldByTheirs(
      vendor.chat.submitToolOutputs({ conversation_id, chat_id, tool_outputs: outputs, stream: true }),
    );
    const events = await Array.fromAsync(client.chats.events(ourQuestion("local plugin twice"), { signal }));
    const { conversationId = "", chatId = "", pending } = events.reduce(reduceAnswer, EMPTY_ANSWER);
    expect(pending.map(({ id, name, input }) => [id, name, input])).toEqual(
      calls.map(({ id, function: { name, arguments: input } }) => [id, name, input]),
    );
    const given = pending.map(({ id }) => ({ toolCallId: id, output: "12" }));
    const ours = await toldByOurs(
      client.chats.submitToolOutputs({ conversationId, chatId }, given, { signal }),
    );
    expect(ours).toEqual(theirs);
    expect(theirs).toContainEqual(expect.objectContaining({ status: "requires_action" }));
    expect(textsOf(theirs, "tool_response")).toEqual(["12"]);
  });

  it("chat.messages.list: of one chat the same messages, with the same ids, whoever asked it", async () => {
    await using judged = await openJudged(UNCOUNTED);
    const { vendor, client } = judged;
    const theirs = (await vendor.chat.createAndPoll(theirQuestion("weather"))).chat;
    const ours = (await client.chats.ask(ourQuestion("weather"), PATIENT)).chat;
    const chats = [{ conversationId: theirs.conversation_id, chatId: theirs.id }, ours];
    for (const { conversationId, chatId } of chats) {
      const listed = await vendor.chat.messages.list(conversationId, chatId);
      expect(listed).toHaveLength(6);
      const told = byId(listed.map((message) => theirMessage(chatId, message)));
      const stored = await client.chats.listMessages({ conversationId, chatId }, { signal });
      expect(byId(stored.map((message) => ourMessage(chatId, message)))).toEqual(told);
    }
  });
});

describe("what one of them made, the other one finds", () => {
  it("a conversation of theirs goes on with ours, and the other way round", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const { id } = await vendor.conversations.create({ bot_id: STAND_IN_BOT });
    await toldByTheirs(vendor.chat.stream(theirQuestion("My name is Tuva", { conversation_id: id })));
    const asked = client.chats.stream(ourQuestion("What is my name?", { conversationId: id }), { signal });
    expect(textsOf(await toldByOurs(asked), "answer")).toEqual(["Your name is Tuva."]);
    const conversationId = await newConversation(judged);
    await Array.fromAsync(client.chats.stream(ourQuestion("我叫图娃", { conversationId }), { signal }));
    const question = theirQuestion("我叫什么？", { conversation_id: conversationId });
    expect(textsOf(await toldByTheirs(vendor.chat.stream(question)), "answer")).toEqual(["你叫图娃。"]);
  });

  it("a chat of theirs is waited for and stopped by ours, and the other way round", async () => {
    await using judged = await openJudged({ pace: SLOW });
    const { vendor, client, coze } = judged;
    const { id: chatId, conversation_id: conversationId } = await vendor.chat.create(theirQuestion("Hello"));
    expect(await client.chats.cancel({ conversationId, chatId }, { signal })).toBe(true);
    const ours = await client.chats.create(ourQuestion("Hello"), { signal });
    expect((await vendor.chat.cancel(ours.conversationId, ours.chatId)).status).toBe(ChatStatus.CANCELED);
    expect((await client.chats.wait({ conversationId, chatId }, PATIENT)).status).toBe("canceled");
    expect((await vendor.chat.retrieve(ours.conversationId, ours.chatId)).status).toBe(ChatStatus.CANCELED);
    expect(coze.chats).toHaveLength(2);
  });

  it("a chat of theirs that waits for a tool is answered by ours", async () => {
    await using judged = await openJudged(UNCOUNTED);
    const { vendor, client } = judged;
    const { chat } = await vendor.chat.createAndPoll(theirQuestion("local plugin"));
    const ids = { conversationId: chat.conversation_id, chatId: chat.id };
    const { pending } = await client.chats.retrieve(ids, { signal });
    const outputs = pending.map(({ id }) => ({ toolCallId: id, output: "12" }));
    const { messages } = await client.chats.submitToolOutputsAndWait(ids, outputs, PATIENT);
    expect(messages.filter(({ kind }) => kind === "answer").map(({ text }) => text)).toEqual([
      "get_stock says 12.",
    ]);
    const listed = await vendor.chat.messages.list(ids.conversationId, ids.chatId);
    expect(listed.map(({ id }) => id).toSorted()).toEqual(
      messages.map(({ messageId }) => messageId).toSorted(),
    );
  });
});
