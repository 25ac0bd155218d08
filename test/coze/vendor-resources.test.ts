import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";
import {
  APIError,
  type BotInfo,
  type ChatV3Message,
  type Conversation,
  type ListMessageReq,
  RoleType,
  SuggestReplyMode,
} from "@coze/api";
import { describe, expect, it } from "vitest";
import { STAND_IN_WORKSPACE } from "../../sandbox/coze/accounts.ts";
import { STAND_IN_VOICE } from "../../sandbox/coze/audio.ts";
import { STAND_IN_BOT, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import type { ListMessagesOptions } from "../../src/coze/api/messages.ts";
import type { StoredMessage } from "../../src/coze/stored.ts";
import type { StoredBot } from "../../src/coze/stored-bot.ts";
import type { StoredConversation } from "../../src/coze/stored-conversation.ts";
import { errorOf, newConversation, noAbort } from "./coze-kit.ts";
import { OPUS, PNG } from "./file-bytes.ts";
import {
  aNamedFile,
  aPicture,
  lastLogId,
  openJudged,
  ourQuestion,
  textsOf,
  theirQuestion,
  toldByOurs,
  toldByTheirs,
} from "./vendor-kit.ts";

const signal = noAbort();
const options = { signal };

describe("files: name, size and time of the same file", () => {
  it("uploaded by each, looked up by both", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    await using file = await aPicture();
    const theirs = await vendor.files.upload({ file: createReadStream(file.path) });
    const ours = await client.files.upload(file, { name: "a.png", signal });
    expect({ ...ours, fileId: "", createdAt: 0 }).toEqual({
      fileId: "",
      name: "a.png",
      bytes: PNG.length,
      createdAt: 0,
    });
    for (const id of [theirs.id, ours.fileId]) {
      const told = await vendor.files.retrieve(id);
      expect(await client.files.retrieve(id, options)).toEqual({
        fileId: told.id,
        name: told.file_name,
        bytes: told.bytes,
        createdAt: told.created_at,
      });
    }
    expect(await vendor.files.retrieve(theirs.id)).toEqual(theirs);
    expect(await client.files.retrieve(ours.fileId, options)).toEqual(ours);
  });

  it("a type that is not taken: 4303 from the service to theirs, told by ours before anything is sent", async () => {
    await using judged = await openJudged();
    await using file = await aNamedFile("a.exe", Buffer.from("MZ"));
    const theirs = await errorOf(judged.vendor.files.upload({ file: createReadStream(file.path) }));
    expect(theirs).toMatchObject({ code: 4303, logid: lastLogId(judged) });
    const before = judged.coze.traffic.exchanges.length;
    const ours = await errorOf(judged.client.files.upload(file, { name: "a.exe", signal }));
    expect(ours).toMatchObject({ code: "FILE_TYPE" });
    expect(judged.coze.traffic.exchanges).toHaveLength(before);
  });
});

/** What both tell of a conversation; their types leave out the name. */
function conversationOf({
  id,
  meta_data,
  created_at,
  last_section_id,
}: Conversation): Partial<StoredConversation> {
  return { conversationId: id, metaData: meta_data, createdAt: created_at, sectionId: last_section_id };
}

describe("conversations: ids, meta data, sections and times", () => {
  it("created by each, looked up and listed by both, in the same order", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const theirs = await vendor.conversations.create({
      bot_id: STAND_IN_BOT,
      meta_data: { from: "theirs" },
      messages: [{ role: RoleType.User, type: "question", content: "My name is Tuva", content_type: "text" }],
    });
    const ours = await client.conversations.create(
      { botId: STAND_IN_BOT, metaData: { from: "我们" }, messages: [{ role: "user", content: "我叫图娃" }] },
      options,
    );
    for (const id of [theirs.id, ours.conversationId]) {
      const told = conversationOf(await vendor.conversations.retrieve(id));
      expect(await client.conversations.retrieve(id, options)).toMatchObject(told);
    }
    const listed = await vendor.conversations.list({ bot_id: STAND_IN_BOT });
    expect(listed.conversations.map(({ id }) => id)).toEqual([ours.conversationId, theirs.id]);
    const all = await Array.fromAsync(client.conversations.list({ botId: STAND_IN_BOT, signal }));
    expect(all).toMatchObject(listed.conversations.map(conversationOf));
  });

  it("pages of the same list", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    for (let count = 0; count < 3; count += 1) await newConversation(judged);
    for (const page of [1, 2, 3]) {
      const theirs = await vendor.conversations.list({ bot_id: STAND_IN_BOT, page_num: page, page_size: 2 });
      const ours = await client.conversations.page({
        botId: STAND_IN_BOT,
        pageNumber: page,
        pageSize: 2,
        signal,
      });
      expect(ours).toMatchObject({
        items: theirs.conversations.map(conversationOf),
        hasMore: theirs.has_more,
      });
    }
  });

  it("cleared by one, what was said is no context for the other", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const conversationId = await newConversation(judged);
    const name = theirQuestion("My name is Tuva", { conversation_id: conversationId });
    const ask = { text: "What is my name?", none: ["You have not told me your name yet."] };
    await toldByTheirs(vendor.chat.stream(name));
    const theirs = await vendor.conversations.clear(conversationId);
    expect(theirs.conversation_id).toBe(conversationId);
    expect((await client.conversations.retrieve(conversationId, options)).sectionId).toBe(theirs.id);
    const asked = client.chats.stream(ourQuestion(ask.text, { conversationId }), options);
    expect(textsOf(await toldByOurs(asked), "answer")).toEqual(ask.none);
    await toldByTheirs(vendor.chat.stream(name));
    const section = await client.conversations.clear(conversationId, options);
    expect((await vendor.conversations.retrieve(conversationId)).last_section_id).toBe(section);
    const question = theirQuestion(ask.text, { conversation_id: conversationId });
    expect(textsOf(await toldByTheirs(vendor.chat.stream(question)), "answer")).toEqual(ask.none);
  });

  it("renamed and deleted by ours, which theirs cannot: it sees both", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const { id } = await vendor.conversations.create({ bot_id: STAND_IN_BOT });
    await client.conversations.rename(id, "会话", options);
    expect(await vendor.conversations.retrieve(id)).toMatchObject({ name: "会话" });
    await client.conversations.delete(id, options);
    const error = await errorOf(vendor.conversations.retrieve(id));
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ code: 4002, logid: lastLogId(judged) });
  });
});

function messageOf(message: ChatV3Message): Partial<StoredMessage> {
  return {
    messageId: message.id,
    chatId: message.chat_id,
    sectionId: message.section_id,
    role: message.role,
    text: message.content,
    metaData: message.meta_data,
    createdAt: message.created_at,
  };
}

describe("messages of conversations: ids, texts, roles and meta data", () => {
  it("created, changed and deleted by each, looked up by both", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const conversationId = await newConversation(judged);
    const created = await vendor.conversations.messages.create(conversationId, {
      ...{ role: RoleType.User, content: "One", content_type: "text", meta_data: { by: "theirs" } },
    });
    const added = await client.messages.create(
      conversationId,
      { role: "user", content: "二", metaData: { by: "ours" } },
      options,
    );
    const [theirs, ours] = [created.id, added.messageId];
    for (const messageId of [theirs, ours]) {
      const told = messageOf(await vendor.conversations.messages.retrieve(conversationId, messageId));
      expect(await client.messages.retrieve({ conversationId, messageId }, options)).toMatchObject(told);
    }
    // Each changes and deletes what the other one made.
    const changed = await vendor.conversations.messages.update(conversationId, ours, {
      content: "贰",
      content_type: "text",
    });
    expect(await client.messages.retrieve({ conversationId, messageId: ours }, options)).toMatchObject({
      ...messageOf(changed),
      text: "贰",
      metaData: { by: "ours" },
    });
    const updated = await client.messages.update(
      { conversationId, messageId: theirs },
      { metaData: { by: "both" } },
      options,
    );
    const seen = messageOf(await vendor.conversations.messages.retrieve(conversationId, theirs));
    expect(updated).toMatchObject(seen);
    expect(seen).toMatchObject({ text: "One", metaData: { by: "both" } });
    expect((await vendor.conversations.messages.delete(conversationId, ours)).id).toBe(ours);
    const deleted = await client.messages.delete({ conversationId, messageId: theirs }, options);
    expect(deleted.messageId).toBe(theirs);
    expect((await vendor.conversations.messages.list(conversationId)).data).toEqual([]);
    for (const messageId of [theirs, ours]) {
      const gone = [
        await errorOf(vendor.conversations.messages.retrieve(conversationId, messageId)),
        await errorOf(client.messages.retrieve({ conversationId, messageId }, options)),
      ];
      expect(gone).toMatchObject([{ code: 4005 }, { cozeCode: 4005 }]);
    }
  });

  it.each<[string, ListMessageReq, Partial<ListMessagesOptions>]>([
    ["as it comes", {}, {}],
    ["oldest first", { order: "asc" }, { order: "asc" }],
    ["two of them", { limit: 2 }, { pageSize: 2 }],
  ])("listed %s", async (_name, theirs, ours) => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const conversationId = await newConversation(judged);
    await toldByTheirs(vendor.chat.stream(theirQuestion("天气", { conversation_id: conversationId })));
    await Array.fromAsync(client.chats.stream(ourQuestion("Hello", { conversationId }), options));
    const listed = await vendor.conversations.messages.list(conversationId, theirs);
    const page = await client.messages.page({ conversationId, ...ours, signal });
    expect(page).toMatchObject({
      items: listed.data.map(messageOf),
      firstId: listed.first_id,
      lastId: listed.last_id,
      hasMore: listed.has_more,
    });
    expect(listed.data).toHaveLength("limit" in theirs ? 2 : 4);
  });

  it("paged to the back by theirs: what ours reads in one go", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const conversationId = await newConversation(judged);
    for (const text of ["1", "2", "3", "4", "5"]) {
      await client.messages.create(conversationId, { role: "user", content: text }, options);
    }
    const read: string[] = [];
    for (let after_id = "", more = true; more; ) {
      const page = await vendor.conversations.messages.list(conversationId, { limit: 2, after_id });
      read.push(...page.data.map(({ content }) => content));
      [after_id, more] = [page.last_id, page.has_more];
    }
    const all = await Array.fromAsync(client.messages.list({ conversationId, pageSize: 2, signal }));
    expect(all.map(({ text }) => text)).toEqual(read);
    expect(read).toEqual(["5", "4", "3", "2", "1"]);
  });
});

function botOf(bot: BotInfo): Partial<StoredBot> {
  return {
    botId: bot.bot_id,
    name: bot.name,
    description: bot.description,
    version: bot.version,
    prompt: bot.prompt_info.prompt,
    onboarding: {
      prologue: bot.onboarding_info.prologue,
      suggestedQuestions: bot.onboarding_info.suggested_questions ?? [],
    },
    model: { modelId: bot.model_info.model_id, name: bot.model_info.model_name },
    createdAt: bot.create_time,
    updatedAt: bot.update_time,
  };
}

describe("bots: configuration, version, and whether they answer", () => {
  it("made by theirs: changed, published, told and asked by both", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const { bot_id: botId } = await vendor.bots.create({
      space_id: STAND_IN_WORKSPACE,
      name: "厨师",
      description: "A cook",
      prompt_info: { prompt: "You are a cook." },
      onboarding_info: { prologue: "Hungry?", suggested_questions: ["Soup?"] },
      suggest_reply_info: { reply_mode: SuggestReplyMode.ENABLE },
    });
    await vendor.bots.update({ bot_id: botId, description: "A good cook" });
    await vendor.bots.publish({ bot_id: botId, connector_ids: ["1024"] });
    const told = botOf(await vendor.bots.retrieveNew(botId, { is_published: true }));
    expect(told).toMatchObject({ name: "厨师", description: "A good cook", prompt: "You are a cook." });
    expect(botOf(await vendor.bots.retrieve({ bot_id: botId }))).toEqual(told);
    expect(await client.bots.retrieve(botId, options)).toMatchObject(told);
    const ours = await toldByOurs(client.chats.stream(ourQuestion("Hello", { botId }), options));
    const theirs = await toldByTheirs(vendor.chat.stream(theirQuestion("Hello", { bot_id: botId })));
    // The distance of ours includes nothing but the chat itself: both tell the same.
    expect(ours).toEqual(theirs);
    expect(textsOf(ours, "follow_up")).toHaveLength(2);
  });

  it("made by ours: drafts, what is online, and what is not any more", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const bot = { workspaceId: STAND_IN_WORKSPACE, name: "Cook", prompt: "You are a cook." };
    const botId = await client.bots.create(bot, options);
    const { version } = await client.bots.publish(botId, options);
    await client.bots.update(botId, { prompt: "You are a baker." }, options);
    for (const published of [true, false]) {
      const told = botOf(await vendor.bots.retrieveNew(botId, { is_published: published }));
      expect(await client.bots.retrieve(botId, { published, signal })).toMatchObject(told);
      expect(told).toMatchObject({ version, prompt: published ? "You are a cook." : "You are a baker." });
    }
    await client.bots.unpublish(botId, options);
    expect(await errorOf(vendor.chat.create(theirQuestion("Hello", { bot_id: botId })))).toMatchObject({
      code: 4015,
    });
  });

  it("listed by both in the same order, with the same facts; the old list of theirs knows the same", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    for (const name of ["One", "Two"]) {
      const botId = await client.bots.create({ workspaceId: STAND_IN_WORKSPACE, name }, options);
      await client.bots.publish(botId, options);
    }
    const { items, total } = await vendor.bots.listNew({ workspace_id: STAND_IN_WORKSPACE });
    const ours = await Array.fromAsync(client.bots.list({ workspaceId: STAND_IN_WORKSPACE, signal }));
    expect(ours).toMatchObject(
      items.map((bot) => ({
        botId: bot.id,
        name: bot.name,
        description: bot.description,
        iconUrl: bot.icon_url,
        published: bot.is_published,
        publishedAt: bot.published_at,
        updatedAt: bot.updated_at,
        ownerId: bot.owner_user_id,
      })),
    );
    expect(items.map(({ name }) => name)).toEqual(["Sandbox bot", "One", "Two"]);
    expect(total).toBe(3);
    const old = await vendor.bots.list({ space_id: STAND_IN_WORKSPACE, page_index: 1, page_size: 10 });
    expect(old.space_bots.map((bot) => bot.bot_id).toSorted()).toEqual(
      ours.map(({ botId }) => botId).toSorted(),
    );
  });

  it("a draft that was never published: 4006 for both", async () => {
    await using judged = await openJudged();
    const theirs = await errorOf(judged.vendor.bots.retrieveNew(UNPUBLISHED_BOT));
    const ours = await errorOf(judged.client.bots.retrieve(UNPUBLISHED_BOT, options));
    expect([theirs, ours]).toMatchObject([{ code: 4006 }, { cozeCode: 4006 }]);
  });
});

describe("the account", () => {
  it("users.me and workspaces.list: every field", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const me = await vendor.users.me();
    expect(await client.users.me(options)).toEqual({
      userId: me.user_id,
      userName: me.user_name,
      nickName: me.nick_name,
      avatarUrl: me.avatar_url,
    });
    const { workspaces, total_count: count } = await vendor.workspaces.list();
    expect(count).toBe(2);
    expect(await Array.fromAsync(client.workspaces.list(options))).toMatchObject(
      workspaces.map((workspace) => ({
        workspaceId: workspace.id,
        name: workspace.name,
        iconUrl: workspace.icon_url,
        role: workspace.role_type,
        type: workspace.workspace_type,
        enterpriseId: workspace.enterprise_id,
      })),
    );
  });
});

describe("audio", () => {
  it.each(["mp3", "wav", "pcm"] as const)("audio.speech: the same %s bytes", async (format) => {
    await using judged = await openJudged();
    const request = { input: "你好 hello", voice_id: STAND_IN_VOICE, response_format: format, speed: 1.5 };
    const theirs = await judged.vendor.audio.speech.create(request);
    const { audio } = await judged.client.audio.speak(
      { text: "你好 hello", voiceId: STAND_IN_VOICE, format, speed: 1.5 },
      options,
    );
    expect(await buffer(audio)).toEqual(theirs);
    expect(theirs.byteLength).toBeGreaterThan(1_000);
  });

  it("audio.transcriptions: the same text of a recording", async () => {
    await using judged = await openJudged();
    await using file = await aNamedFile("a.ogg", OPUS);
    const { text } = await judged.vendor.audio.transcriptions.create({ file: createReadStream(file.path) });
    expect(await judged.client.audio.transcribe(file, { name: "a.ogg", signal })).toBe(text);
    expect(text).toBe(`You said ${OPUS.length} bytes.`);
  });

  it.each([
    ["all", {}, {}],
    [
      "big models' clones",
      { model_type: "big", filter_system_voice: true },
      { modelType: "big", withoutSystemVoices: true },
    ],
  ] as const)(
    "audio.voices.list: %s, page by page in theirs, at once in ours",
    async (_name, theirs, ours) => {
      await using judged = await openJudged();
      const read: string[] = [];
      for (let page_num = 1, more = true; more; page_num += 1) {
        const page = await judged.vendor.audio.voices.list({ ...theirs, page_num, page_size: 50 });
        read.push(
          ...page.voice_list.map((voice) => `${voice.voice_id} ${voice.name} ${voice.language_code}`),
        );
        more = page.has_more;
      }
      const voices = await Array.fromAsync(judged.client.audio.listVoices({ ...ours, signal }));
      expect(voices.map(({ voiceId, name, languageCode }) => `${voiceId} ${name} ${languageCode}`)).toEqual(
        read,
      );
      expect(read.length).toBeGreaterThan(10);
    },
  );
});
