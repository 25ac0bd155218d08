import { describe, expect, it } from "vitest";
import { STAND_IN_USER, STAND_IN_WORKSPACE, TEAM_WORKSPACE } from "../../sandbox/coze/accounts.ts";
import { SENSITIVE_WORD } from "../../sandbox/coze/bot-rules.ts";
import { STAND_IN_BOT, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import { answerMarkdown, EMPTY_ANSWER, reduceAnswer } from "../../src/core/answer-state.ts";
import type { NewBot } from "../../src/coze/api/bots.ts";
import type { BotConfig } from "../../src/coze/bot-request.ts";
import { type Asked, aFile, aQuestion, ask, type CozePair, noAbort, openPair } from "./coze-kit.ts";
import { PNG } from "./file-bytes.ts";
import { addOther, OTHER_TOKEN, send } from "./send.ts";

const options = { signal: noAbort() };
const LIST = "GET /v1/bots";

function aBot(changes: Partial<NewBot> = {}): NewBot {
  return { workspaceId: TEAM_WORKSPACE, name: "Cook", ...changes };
}

/** Asks a bot in a conversation of its own. */
async function askBot({ client, source }: CozePair, botId: string): Promise<Asked> {
  const { conversationId } = await client.conversations.create({ botId }, options);
  return ask(source, aQuestion({ botId, conversationId }));
}

async function listNames(
  { client }: CozePair,
  asked: Partial<Parameters<typeof client.bots.list>[0]> = {},
): Promise<string[]> {
  const list = client.bots.list({ workspaceId: TEAM_WORKSPACE, ...asked, ...options });
  return (await Array.fromAsync(list)).map(({ name }) => name);
}

describe("a bot", () => {
  it("that was created and published can be asked", async () => {
    await using pair = await openPair();
    const botId = await pair.client.bots.create(aBot(), options);
    expect((await askBot(pair, botId)).error).toMatchObject({
      code: "COZE_BOT_UNPUBLISHED",
      cozeCode: 4015,
    });
    const published = await pair.client.bots.publish(botId, options);
    expect(published.botId).toBe(botId);
    expect(published.version).toMatch(/^\d{13,}$/);
    const { error, state } = await askBot(pair, botId);
    expect(error).toBeUndefined();
    expect(answerMarkdown(state)).toBe("You said: Hello");
  });

  it("is published to the API unless something else is said", async () => {
    await using pair = await openPair();
    const botId = await pair.client.bots.create(aBot(), options);
    await pair.client.bots.publish(botId, options);
    await pair.client.bots.publish(botId, { connectorIds: ["999"], ...options });
    const bodies = pair.coze.traffic.exchanges
      .filter(({ name }) => name === "POST /v1/bot/publish")
      .map(({ request }) => request);
    expect(bodies).toMatchObject([
      { body: { connector_ids: ["1024"] } },
      { body: { connector_ids: ["999"] } },
    ]);
    expect([...(pair.coze.bots.all.get(botId)?.online.keys() ?? [])]).toEqual(["1024", "999"]);
  });

  it("on the Chat SDK alone cannot be asked over the API", async () => {
    await using pair = await openPair();
    const botId = await pair.client.bots.create(aBot(), options);
    await pair.client.bots.publish(botId, { connectorIds: ["999"], ...options });
    expect((await askBot(pair, botId)).error).toMatchObject({ cozeCode: 4015 });
  });

  it("is told with its whole configuration", async () => {
    await using pair = await openPair();
    await using file = await aFile(PNG);
    const { fileId: iconFileId } = await pair.client.files.upload(file, { name: "icon.png", ...options });
    const config = {
      description: "每天教你一道菜",
      iconFileId,
      prompt: "You are a cook.",
      onboarding: { prologue: "Hungry, {{user_name}}?", suggestedQuestions: ["Soup?", "川菜，我想吃辣的"] },
      plugins: [{ pluginId: "731", apiId: "732" }],
      workflowIds: ["746"],
      model: { modelId: "1706077826" },
    } as const;
    const botId = await pair.client.bots.create(aBot(config), options);
    const { version } = await pair.client.bots.publish(botId, options);
    const { createdAt } = pair.coze.bots.all.get(botId) ?? {};
    expect(await pair.client.bots.retrieve(botId, options)).toMatchObject({
      botId,
      name: "Cook",
      version,
      description: config.description,
      prompt: config.prompt,
      onboarding: config.onboarding,
      model: { modelId: "1706077826" },
      plugins: [{ pluginId: "731", tools: [{ apiId: "732" }] }],
      workflows: [{ workflowId: "746" }],
      createdAt,
    });
  });

  it("tells its quick commands by the ids that chats name them by", async () => {
    await using pair = await openPair();
    pair.coze.bots.all.get(STAND_IN_BOT)?.shortcuts.set("77", "Translate {{text}}");
    const { shortcuts } = await pair.client.bots.retrieve(STAND_IN_BOT, options);
    expect(shortcuts).toMatchObject([{ commandId: "77" }]);
  });

  it("that is changed answers as before until it is published again", async () => {
    await using pair = await openPair();
    const { bots } = pair.client;
    const botId = await bots.create(aBot({ description: "first", prompt: "old" }), options);
    const first = await bots.publish(botId, options);
    await bots.update(botId, { name: "Chef", prompt: { cached: "new", dynamic: "today" } }, options);
    expect(await bots.retrieve(botId, options)).toMatchObject({ name: "Cook", prompt: "old" });
    const draft = await bots.retrieve(botId, { published: false, ...options });
    expect(draft).toMatchObject({ name: "Chef", prompt: "new\ntoday", description: "first" });
    const second = await bots.publish(botId, options);
    expect(Number(second.version)).toBeGreaterThan(Number(first.version));
    expect(await bots.retrieve(botId, options)).toMatchObject({ name: "Chef", version: second.version });
  });

  it("that is taken down can be asked no more", async () => {
    await using pair = await openPair();
    const botId = await pair.client.bots.create(aBot(), options);
    await pair.client.bots.publish(botId, options);
    await pair.client.bots.unpublish(botId, { reason: "终止服务", ...options });
    expect((await askBot(pair, botId)).error).toMatchObject({ code: "COZE_BOT_UNPUBLISHED" });
    await expect(pair.client.bots.unpublish(botId, options)).rejects.toMatchObject({ cozeCode: 4015 });
    expect(await listNames(pair)).toEqual([]);
  });

  it.each([
    [undefined, 0],
    ["disable", 0],
    ["enable", 2],
    [{ customizedPrompt: "Stay close." }, 2],
  ] as const)("with suggestions %j is followed by them, or not", async (suggestReply, count) => {
    await using pair = await openPair();
    const botId = await pair.client.bots.create(
      aBot({ ...(suggestReply !== undefined && { suggestReply }) }),
      options,
    );
    await pair.client.bots.publish(botId, options);
    expect((await askBot(pair, botId)).state.followUps).toHaveLength(count);
  });

  it("without suggestions has none after its local tools have answered, either", async () => {
    await using pair = await openPair();
    const botId = await pair.client.bots.create(aBot(), options);
    await pair.client.bots.publish(botId, options);
    const { conversationId } = await pair.client.conversations.create({ botId }, options);
    const question = aQuestion({ botId, conversationId, text: "local plugin" });
    const { state } = await ask(pair.source, question);
    const outputs = state.pending.map(({ id }) => ({ toolCallId: id, output: "5" }));
    const chat = { conversationId, chatId: state.chatId ?? "" };
    const events = await Array.fromAsync(pair.client.chats.submitToolOutputs(chat, outputs, options));
    const resumed = events.reduce(reduceAnswer, EMPTY_ANSWER);
    expect(answerMarkdown(resumed)).toBe("get_stock says 5.");
    expect(resumed.followUps).toEqual([]);
  });

  it.each([
    { name: SENSITIVE_WORD },
    { description: `a ${SENSITIVE_WORD}` },
    { prompt: `a ${SENSITIVE_WORD}` },
    { prompt: { cached: SENSITIVE_WORD, dynamic: "" } },
    { onboarding: { prologue: SENSITIVE_WORD } },
    { onboarding: { suggestedQuestions: [SENSITIVE_WORD] } },
  ])("with forbidden words stays unpublished: %j", async (config) => {
    await using pair = await openPair();
    const botId = await pair.client.bots.create(aBot(config), options);
    await expect(pair.client.bots.publish(botId, options)).rejects.toMatchObject({
      code: "COZE_SENSITIVE",
      cozeCode: 4105,
      retryable: false,
      outcome: "refused",
    });
    expect((await askBot(pair, botId)).error).toMatchObject({ cozeCode: 4015 });
  });
});

describe("bots that were never published", () => {
  it.each([false, true])("show by the switch only (%s)", async (newDraftsVisible) => {
    await using pair = await openPair({ switches: { newDraftsVisible } });
    const botId = await pair.client.bots.create(aBot(), options);
    const draft = pair.client.bots.retrieve(botId, { published: false, ...options });
    if (newDraftsVisible) await expect(draft).resolves.toMatchObject({ name: "Cook", version: "" });
    else await expect(draft).rejects.toMatchObject({ code: "COZE_NOT_FOUND", cozeCode: 4006 });
    const other = await pair.client.bots.create(aBot({ name: "Baker" }), options);
    await pair.client.bots.publish(other, options);
    const listed = newDraftsVisible ? ["Cook"] : [];
    expect(await listNames(pair, { publishStatus: "all" })).toEqual([...listed, "Baker"]);
    expect(await listNames(pair, { publishStatus: "unpublished_draft" })).toEqual(listed);
    expect(await listNames(pair)).toEqual(["Baker"]);
    const online = pair.client.bots.retrieve(botId, options);
    await expect(online).rejects.toMatchObject({ cozeCode: newDraftsVisible ? 4015 : 4006 });
  });
});

describe("the list of bots", () => {
  it("holds one workspace's, as they are online or as they are drafted", async () => {
    await using pair = await openPair();
    const botId = await pair.client.bots.create(aBot(), options);
    await pair.client.bots.publish(botId, options);
    await pair.client.bots.update(botId, { name: "Chef" }, options);
    expect(await listNames(pair)).toEqual(["Cook"]);
    expect(await listNames(pair, { publishStatus: "published_draft" })).toEqual(["Chef"]);
    expect(await listNames(pair, { publishStatus: "all" })).toEqual(["Chef"]);
    expect(await listNames(pair, { connectorId: "999" })).toEqual([]);
    const home = pair.client.bots.list({ workspaceId: STAND_IN_WORKSPACE, ...options });
    const [first, ...others] = await Array.fromAsync(home);
    expect(first).toMatchObject({
      botId: STAND_IN_BOT,
      published: true,
      publishedAt: pair.coze.bots.all.get(STAND_IN_BOT)?.createdAt,
      ownerId: STAND_IN_USER.id,
    });
    expect(others).toEqual([]);
  });

  it("is read page by page until all it told of was there", async () => {
    await using pair = await openPair();
    for (const name of ["a", "b", "c", "d"]) {
      await pair.client.bots.publish(await pair.client.bots.create(aBot({ name }), options), options);
    }
    const pages = (): number => pair.coze.traffic.exchanges.filter(({ name }) => name === LIST).length;
    expect(await listNames(pair, { pageSize: 2 })).toEqual(["a", "b", "c", "d"]);
    expect(pages()).toBe(2);
    const asked = { workspaceId: TEAM_WORKSPACE, pageSize: 3, ...options };
    expect(await pair.client.bots.page(asked)).toMatchObject({ hasMore: true, total: 4 });
    expect(await pair.client.bots.page({ ...asked, pageNumber: 2 })).toMatchObject({
      items: [{ name: "d" }],
      hasMore: false,
    });
  });

  it("always says how long a page is", async () => {
    await using pair = await openPair();
    await listNames(pair);
    const [request] = pair.coze.traffic.exchanges.filter(({ name }) => name === LIST);
    expect(request?.request).toMatchObject({ query: { page_num: "1", page_size: "20" } });
  });

  /** What the list is, when the server answers like this. */
  async function readAnswers(answers: readonly object[]): Promise<readonly [string[], number]> {
    await using pair = await openPair();
    for (const data of answers) {
      pair.coze.faults.plan(LIST, { do: "answer", status: 200, body: { code: 0, data } });
    }
    const list = pair.client.bots.list({ workspaceId: "1", pageSize: 3, ...options });
    const ids = (await Array.fromAsync(list)).map(({ botId }) => botId);
    return [ids, pair.coze.traffic.exchanges.length];
  }
  const items = (...ids: string[]): object[] => ids.map((id) => ({ id }));

  it("is whole even where the server makes its pages smaller than they were asked for", async () => {
    const answers = [
      { items: items("1", "2"), total: 5 },
      { items: items("3", "4"), total: 5 },
      { items: items("5"), total: 5 },
    ];
    expect(await readAnswers(answers)).toEqual([["1", "2", "3", "4", "5"], 3]);
  });

  it("ends with an empty page, whatever its length was told to be", async () => {
    const answers = [
      { items: items("1"), total: 9 },
      { items: [], total: 9 },
    ];
    expect(await readAnswers(answers)).toEqual([["1"], 2]);
  });

  it("ends with a short page where no length is told", async () => {
    const answers = [{ items: items("1", "2", "3") }, { items: items("4"), total: null }];
    expect(await readAnswers(answers)).toEqual([["1", "2", "3", "4"], 2]);
  });
});

describe("§22.42 a bot is read", () => {
  const retrieve = async (data: object | string): Promise<unknown> => {
    await using pair = await openPair();
    const body = typeof data === "string" ? data : { code: 0, data };
    pair.coze.faults.plan("GET /v1/bots/:bot_id", { do: "answer", status: 200, body });
    return await pair.client.bots.retrieve("1", options);
  };

  it("with nothing but its id, a long number", async () => {
    expect(
      await retrieve('{"code":0,"data":{"bot_id":7391000000000000101,"create_time":"1715689059"}}'),
    ).toEqual({
      botId: "7391000000000000101",
      name: "",
      description: "",
      iconUrl: "",
      version: "",
      prompt: "",
      onboarding: { prologue: "", suggestedQuestions: [] },
      model: undefined,
      plugins: [],
      workflows: [],
      shortcuts: [],
      ownerId: undefined,
      createdAt: 1_715_689_059,
      updatedAt: undefined,
    });
  });

  it("with null for everything else", async () => {
    const nothing = { prompt_info: null, onboarding_info: null, model_info: null, plugin_info_list: null };
    expect(await retrieve({ bot_id: "1", name: null, ...nothing, shortcut_commands: null })).toMatchObject({
      botId: "1",
      name: "",
      onboarding: { prologue: "", suggestedQuestions: [] },
      shortcuts: [],
    });
  });

  it("with an opening under the names that the documentation's example has", async () => {
    const opening = { Prologue: "Hi", SuggestedQuestions: ["How?"] };
    expect(await retrieve({ bot_id: "1", onboarding_info: opening })).toMatchObject({
      onboarding: { prologue: "Hi", suggestedQuestions: ["How?"] },
    });
  });

  it("not at all without an id", async () => {
    await expect(retrieve({ name: "x" })).rejects.toMatchObject({ code: "COZE_FAILED", outcome: "unknown" });
  });
});

describe("nothing is sent", () => {
  const cases: readonly (readonly [string, BotConfig])[] = [
    ["no name", { name: "" }],
    ["a long name", { name: "n".repeat(21) }],
    ["a long description", { description: "🙂".repeat(501) }],
    ["a long prompt", { prompt: "p".repeat(20_001) }],
    ["a long prompt in two parts", { prompt: { cached: "", dynamic: "p".repeat(20_001) } }],
    ["a long prologue", { onboarding: { prologue: "p".repeat(301) } }],
    ["a long question", { onboarding: { suggestedQuestions: ["short", "q".repeat(51)] } }],
    ["suggestions without a prompt", { suggestReply: { customizedPrompt: "" } }],
  ];

  it.each(cases)("with %s", async (_, config) => {
    await using pair = await openPair();
    const refused = (call: Promise<unknown>): Promise<void> =>
      expect(call).rejects.toMatchObject({ code: "COZE_BAD_REQUEST", outcome: "refused" });
    await refused(pair.client.bots.create(aBot(config), options));
    await refused(pair.client.bots.update("1", config, options));
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it("without a channel, with a long reason, or with a path for an id", async () => {
    await using pair = await openPair();
    const { bots } = pair.client;
    const refused = (call: Promise<unknown>): Promise<void> =>
      expect(call).rejects.toMatchObject({ code: "COZE_BAD_REQUEST" });
    await refused(bots.publish("1", { connectorIds: [], ...options }));
    await refused(bots.unpublish("1", { reason: "r".repeat(1_025), ...options }));
    await refused(bots.retrieve("..", options));
    await refused(bots.page({ workspaceId: "1", pageSize: 51, ...options }));
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it("only beyond the limits", async () => {
    await using pair = await openPair();
    const config: BotConfig = {
      name: "n".repeat(20),
      description: "d".repeat(500),
      prompt: "p".repeat(20_000),
      onboarding: { prologue: "p".repeat(300), suggestedQuestions: Array(9).fill("q".repeat(50)) },
    };
    expect(await pair.client.bots.create({ ...aBot(), ...config, name: "n".repeat(20) }, options)).toMatch(
      /^\d+$/,
    );
  });
});

describe("the stand-in refuses", () => {
  const create = (changes: object): object => ({ space_id: TEAM_WORKSPACE, name: "Cook", ...changes });

  it.each([
    [create({ space_id: undefined }), 4000],
    [create({ space_id: "1" }), 4101],
    [create({ name: undefined }), 4000],
    [create({ name: "🙂".repeat(11) }), 4000],
    [create({ description: "d".repeat(501) }), 4000],
    [create({ icon_file_id: "1" }), 4000],
    [create({ prompt_info: { prompt: "p".repeat(20_001) } }), 4000],
    [create({ prompt_info: { prompt_mode: "other" } }), 4000],
    [create({ prompt_info: { prompt: "p", prompt_mode: "prefix", prefix_prompt_info: {} } }), 4000],
    [create({ prompt_info: { prompt_mode: "prefix" } }), 4000],
    [create({ prompt_info: { prompt: "p", prefix_prompt_info: { prefix_prompt: "p" } } }), 4000],
    [create({ onboarding_info: { prologue: "p".repeat(301) } }), 4000],
    [create({ onboarding_info: { suggested_questions: ["q".repeat(51)] } }), 4000],
    [create({ onboarding_info: { suggested_questions: "q" } }), 4000],
    [create({ plugin_id_list: { id_list: [{ plugin_id: "1" }] } }), 4000],
    [create({ plugin_id_list: [] }), 4000],
    [create({ workflow_id_list: { ids: ["1"] } }), 4000],
    [create({ model_info_config: {} }), 4000],
    [create({ model_info_config: { model_id: "1", response_format: "xml" } }), 4000],
    [create({ suggest_reply_info: { reply_mode: "sometimes" } }), 4000],
    [create({ suggest_reply_info: { reply_mode: "customized" } }), 4000],
    [create({ description: null, icon_file_id: null, prompt_info: null }), 0],
  ])("the bot %j", async (body, code) => {
    await using pair = await openPair();
    expect((await send(pair, "POST", "/v1/bot/create", body)).code).toBe(code);
  });

  it.each([
    ["POST", "/v1/bot/update", { bot_id: "1" }, 4006],
    ["POST", "/v1/bot/update", { bot_id: STAND_IN_BOT, name: "" }, 4000],
    ["POST", "/v1/bot/publish", { bot_id: "1", connector_ids: ["1024"] }, 4006],
    ["POST", "/v1/bot/publish", { bot_id: STAND_IN_BOT }, 4000],
    ["POST", "/v1/bot/publish", { bot_id: STAND_IN_BOT, connector_ids: [] }, 4000],
    ["POST", "/v1/bot/publish", { bot_id: STAND_IN_BOT, connector_ids: ["7470"] }, 4000],
    ["POST", "/v1/bot/publish", { bot_id: STAND_IN_BOT, connector_ids: ["1024", "7470"] }, 0],
    ["POST", `/v1/bots/${STAND_IN_BOT}/unpublish`, {}, 4000],
    ["POST", `/v1/bots/${STAND_IN_BOT}/unpublish`, { connector_id: "999" }, 4015],
    ["POST", `/v1/bots/${STAND_IN_BOT}/unpublish`, { connector_id: "1024", unpublish_reason: 7 }, 4000],
    [
      "POST",
      `/v1/bots/${STAND_IN_BOT}/unpublish`,
      { connector_id: "1024", unpublish_reason: "r".repeat(1_025) },
      4000,
    ],
    ["GET", "/v1/bots/1", undefined, 4006],
    ["GET", `/v1/bots/${STAND_IN_BOT}?is_published=yes`, undefined, 4000],
    ["GET", `/v1/bots/${STAND_IN_BOT}`, undefined, 0],
    ["GET", `/v1/bots/${UNPUBLISHED_BOT}`, undefined, 4006],
    ["GET", "/v1/bots", undefined, 4000],
    ["GET", "/v1/bots?workspace_id=1", undefined, 4101],
    ["GET", `/v1/bots?workspace_id=${TEAM_WORKSPACE}&publish_status=online`, undefined, 4000],
    ["GET", `/v1/bots?workspace_id=${TEAM_WORKSPACE}&page_size=51`, undefined, 4000],
  ] as const)("%s %s %j", async (method, path, body, code) => {
    await using pair = await openPair();
    expect((await send(pair, method, path, body)).code).toBe(code);
  });

  it("accounts that are not in the bot's workspace", async () => {
    await using pair = await openPair();
    addOther(pair);
    const code = async (method: string, path: string, body?: object): Promise<number | undefined> =>
      (await send(pair, method, path, body, { token: OTHER_TOKEN })).code;
    expect(await code("GET", `/v1/bots/${STAND_IN_BOT}`)).toBe(4006);
    expect(await code("POST", "/v1/bot/update", { bot_id: STAND_IN_BOT, name: "x" })).toBe(4006);
    expect(await code("GET", `/v1/bots?workspace_id=${STAND_IN_WORKSPACE}`)).toBe(4101);
    expect(await code("POST", "/v1/bot/create", { space_id: TEAM_WORKSPACE, name: "x" })).toBe(4101);
  });
});

describe("the calls that the vendor's clients still make (§12.2)", () => {
  it("tell a bot that is online, and no other", async () => {
    await using pair = await openPair();
    const path = "/v1/bot/get_online_info?bot_id=";
    const { body } = await send(pair, "GET", `${path}${STAND_IN_BOT}`);
    expect(body["data"]).toMatchObject({ bot_id: STAND_IN_BOT, bot_mode: 0 });
    expect((await send(pair, "GET", `${path}${UNPUBLISHED_BOT}`)).code).toBe(4015);
    expect((await send(pair, "GET", `${path}1`)).code).toBe(4006);
  });

  it("list what is online, the last published first, page by page", async () => {
    await using pair = await openPair();
    for (const name of ["a", "b", "c"]) {
      await pair.client.bots.publish(await pair.client.bots.create(aBot({ name }), options), options);
    }
    await pair.client.bots.create(aBot({ name: "draft" }), options);
    const path = `/v1/space/published_bots_list?space_id=${TEAM_WORKSPACE}`;
    const first = await send(pair, "GET", `${path}&page_size=2`);
    expect(first.body["data"]).toMatchObject({
      space_bots: [{ bot_name: "c" }, { bot_name: "b" }],
      total: 3,
    });
    const second = await send(pair, "GET", `${path}&page_size=2&page_index=2`);
    expect(second.body["data"]).toMatchObject({ space_bots: [{ bot_name: "a" }] });
    expect((await send(pair, "GET", "/v1/space/published_bots_list")).code).toBe(4000);
    expect((await send(pair, "GET", "/v1/space/published_bots_list?space_id=1")).code).toBe(4101);
    expect((await send(pair, "GET", `${path}&page_index=0`)).code).toBe(4000);
  });
});
