import { STAND_IN_WORKSPACE, TEAM_WORKSPACE } from "../../../sandbox/coze/accounts.ts";
import { STAND_IN_BOT } from "../../../sandbox/coze/coze-stand-in.ts";
import { aFile, aQuestion, ask, type CozePair, noAbort } from "../coze-kit.ts";
import { PNG } from "../file-bytes.ts";

const options = { signal: noAbort() };

/** Every call of conversations, messages and feedback, with every field. */
export async function callConversations(pair: CozePair): Promise<void> {
  const { conversations, messages, feedback } = pair.client;
  const metaData = { key: "value" };
  const { conversationId } = await conversations.create(
    {
      botId: STAND_IN_BOT,
      name: "Name",
      messages: [
        { role: "user", content: "before", metaData },
        { role: "assistant", content: "an answer" },
      ],
      metaData,
      connectorId: "1024",
    },
    options,
  );
  await conversations.retrieve(conversationId, options);
  await conversations.rename(conversationId, "Another name", options);
  const listed = { botId: STAND_IN_BOT, connectorId: "1024", order: "asc", ...options } as const;
  await Array.fromAsync(conversations.list(listed));
  await conversations.page({ ...listed, order: "desc", pageNumber: 2, pageSize: 1 });
  const { state } = await ask(pair.source, aQuestion({ conversationId }));
  const answer = { conversationId, messageId: state.answers[0]?.messageId ?? "" };
  await feedback.create(answer, { type: "unlike", reasons: ["wrong"], comment: "It is not so." }, options);
  await feedback.create(answer, { type: "like" }, options);
  await feedback.delete(answer, options);
  const message = await messages.create(
    conversationId,
    { role: "user", content: "by hand", metaData },
    options,
  );
  const ids = { conversationId, messageId: message.messageId };
  await messages.retrieve(ids, options);
  await messages.update(ids, { content: "changed" }, options);
  await messages.update(ids, { metaData: { key: "changed" } }, options);
  await Array.fromAsync(messages.list({ conversationId, pageSize: 2, includeMiddle: true, ...options }));
  await messages.delete(ids, options);
  await conversations.clear(conversationId, options);
  await conversations.delete(conversationId, options);
  await conversations.retrieve(conversationId, options).catch(() => undefined);
}

/** Every call of bots, workspaces and users, with every field. */
export async function callBots(pair: CozePair): Promise<void> {
  const { bots, workspaces, users, files } = pair.client;
  await using file = await aFile(PNG);
  const { fileId: iconFileId } = await files.upload(file, { name: "icon.png", ...options });
  const botId = await bots.create(
    {
      workspaceId: STAND_IN_WORKSPACE,
      name: "Cook",
      description: "A dish a day",
      iconFileId,
      prompt: "You are a cook.",
      onboarding: { prologue: "Hungry, {{user_name}}?", suggestedQuestions: ["Something hot"] },
      plugins: [{ pluginId: "7310000000000000001", apiId: "7310000000000000002" }],
      workflowIds: ["7320000000000000001"],
      model: {
        modelId: "1706077826",
        temperature: 0.5,
        topP: 0.9,
        topK: 50,
        presencePenalty: 0,
        frequencyPenalty: 0.1,
        maxTokens: 4_096,
        contextRounds: 30,
        responseFormat: "markdown",
        cacheType: "prefix",
        parameters: { thinking_type: "disabled" },
      },
      suggestReply: { customizedPrompt: "Stay close to the last answer." },
    },
    options,
  );
  await bots.publish(botId, options);
  await bots.update(botId, { prompt: { cached: "You are a cook.", dynamic: "Today: soup." } }, options);
  await bots.update(botId, { suggestReply: "disable" }, options);
  await bots.publish(botId, { connectorIds: ["1024", "999"], ...options });
  await bots.retrieve(botId, options);
  await bots.retrieve(botId, { published: false, ...options });
  const listed = { workspaceId: STAND_IN_WORKSPACE, ...options };
  await Array.fromAsync(bots.list({ ...listed, pageSize: 1 }));
  await bots.page({ ...listed, publishStatus: "published_draft", connectorId: "999", pageNumber: 2 });
  await bots.unpublish(botId, { reason: "The kitchen is closed.", ...options });
  await Array.fromAsync(workspaces.list(options));
  await workspaces.page({ enterpriseId: "volcano_2100000001", pageSize: 1, ...options });
  const { userId } = await users.me(options);
  await workspaces.page({ member: { userId, accountId: TEAM_WORKSPACE }, ...options });
}
