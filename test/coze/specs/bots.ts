import { type AnswerSpecs, exact, ID, LIST, NONE, open, PAGE, type RequestSpecs, TEXT } from "./shapes.ts";

const NUMBER = { type: "number" };
const STRING = { type: "string" };
const SECONDS = { type: "integer" };

/** §12.1: what creating and changing share. JSON Schema counts code points; the strict count is the rules' job. */
const CONFIG = {
  description: { type: "string", maxLength: 500 },
  icon_file_id: ID,
  prompt_info: exact({
    optional: {
      prompt: { type: "string", maxLength: 20_000 },
      prompt_mode: { enum: ["standard", "prefix"] },
      prefix_prompt_info: exact({ required: { prefix_prompt: STRING, dynamic_prompt: STRING } }),
    },
  }),
  onboarding_info: exact({
    optional: {
      prologue: { type: "string", maxLength: 300 },
      suggested_questions: { type: "array", items: { type: "string", maxLength: 50 } },
    },
  }),
  plugin_id_list: exact({
    required: { id_list: { type: "array", items: exact({ required: { plugin_id: ID, api_id: ID } }) } },
  }),
  workflow_id_list: exact({
    required: { ids: { type: "array", items: exact({ required: { id: ID } }) } },
  }),
  model_info_config: exact({
    required: { model_id: ID },
    optional: {
      temperature: NUMBER,
      top_p: NUMBER,
      top_k: NUMBER,
      presence_penalty: NUMBER,
      frequency_penalty: NUMBER,
      max_tokens: { type: "integer" },
      context_round: { type: "integer" },
      response_format: { enum: ["text", "markdown", "json"] },
      cache_type: { enum: ["closed", "prefix"] },
      parameters: { type: "object" },
    },
  }),
  suggest_reply_info: exact({
    required: { reply_mode: { enum: ["enable", "disable", "customized"] } },
    optional: { customized_prompt: TEXT },
  }),
};
const NAME = { type: "string", minLength: 1, maxLength: 20 };

export const BOT_REQUESTS: RequestSpecs = {
  "POST /v1/bot/create": {
    query: NONE,
    body: exact({ required: { space_id: ID, name: NAME }, optional: CONFIG }),
    source: "§12.1",
  },
  "POST /v1/bot/update": {
    query: NONE,
    body: exact({ required: { bot_id: ID }, optional: { name: NAME, ...CONFIG } }),
    source: "§12.2",
  },
  "POST /v1/bot/publish": {
    query: NONE,
    body: exact({ required: { bot_id: ID, connector_ids: { type: "array", minItems: 1, items: ID } } }),
    source: "§12.2",
  },
  "POST /v1/bots/:bot_id/unpublish": {
    query: NONE,
    body: exact({
      required: { connector_id: ID },
      optional: { unpublish_reason: { type: "string", maxLength: 1_024 } },
    }),
    source: "§12.2",
  },
  "GET /v1/bots": {
    query: exact({
      required: { workspace_id: ID, ...PAGE },
      optional: {
        publish_status: { enum: ["all", "published_online", "published_draft", "unpublished_draft"] },
        connector_id: ID,
      },
    }),
    source: "§12.2",
  },
  "GET /v1/bots/:bot_id": {
    query: exact({ required: { is_published: { enum: ["true", "false"] } } }),
    source: "§12.2",
  },
  "GET /v1/workspaces": {
    query: exact({ required: PAGE, optional: { enterprise_id: TEXT, user_id: ID, coze_account_id: ID } }),
    source: "§12.3",
  },
  "GET /v1/users/me": { query: NONE, source: "§12.3" },
};

const SUMMARY = open({
  id: ID,
  name: STRING,
  description: STRING,
  icon_url: STRING,
  is_published: { type: "boolean" },
  updated_at: SECONDS,
  owner_user_id: ID,
});
const WORKSPACE = open({
  id: ID,
  name: STRING,
  icon_url: STRING,
  role_type: { enum: ["owner", "admin", "member"] },
  enterprise_id: STRING,
  workspace_type: { enum: ["personal", "team"] },
});

const BOT = open({
  bot_id: ID,
  name: STRING,
  description: STRING,
  version: STRING,
  create_time: SECONDS,
  update_time: SECONDS,
  prompt_info: { type: "object" },
  onboarding_info: open({ prologue: STRING, suggested_questions: LIST }),
  bot_mode: { type: "integer" },
  model_info: open({ model_id: ID, model_name: STRING }),
  plugin_info_list: LIST,
  workflow_info_list: LIST,
  shortcut_commands: LIST,
});
const OLD_SUMMARY = exact({
  required: { bot_id: ID, bot_name: STRING, description: STRING, icon_url: STRING, publish_time: STRING },
});

export const BOT_ANSWERS: AnswerSpecs = {
  "POST /v1/bot/create": exact({ required: { bot_id: ID } }),
  "POST /v1/bot/update": "none",
  "POST /v1/bot/publish": exact({ required: { bot_id: ID, version: ID } }),
  "POST /v1/bots/:bot_id/unpublish": "none",
  "GET /v1/bots": exact({ required: { items: { ...LIST, items: SUMMARY }, total: { type: "integer" } } }),
  "GET /v1/bots/:bot_id": BOT,
  // The old calls, which only the vendor's clients make (§12.2).
  "GET /v1/bot/get_online_info": BOT,
  "GET /v1/space/published_bots_list": exact({
    required: { space_bots: { ...LIST, items: OLD_SUMMARY }, total: { type: "integer" } },
  }),
  "GET /v1/workspaces": exact({
    required: { workspaces: { ...LIST, items: WORKSPACE }, total_count: { type: "integer" } },
  }),
  "GET /v1/users/me": exact({
    required: { user_id: ID, user_name: STRING, nick_name: STRING, avatar_url: STRING },
  }),
};
