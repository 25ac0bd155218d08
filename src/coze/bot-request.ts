import { checkLength, refuse } from "./refusal.ts";

/** Limits of a bot's configuration, in characters (coze-api.md §12.1). */
const MAX_NAME = 20;
const MAX_DESCRIPTION = 500;
const MAX_PROMPT = 20_000;
const MAX_PROLOGUE = 300;
const MAX_QUESTION = 50;

/** How a bot is set up (coze-api.md §12.1). What is left out of a change stays as it is. */
export interface BotConfig {
  /** 1–20 characters. */
  readonly name?: string;
  /** At most 500 characters. */
  readonly description?: string;
  /** An uploaded picture; as an icon it is kept for good. */
  readonly iconFileId?: string;
  /** Who the bot is and how it answers, at most 20,000 characters; in two parts for models that cache the first. */
  readonly prompt?: string | { readonly cached: string; readonly dynamic: string };
  readonly onboarding?: {
    /** What the bot says first, at most 300 characters. `{{user_name}}` in it is for the caller to replace. */
    readonly prologue?: string;
    /** Of at most 50 characters each. */
    readonly suggestedQuestions?: readonly string[];
  };
  /** Tools of plugins. */
  readonly plugins?: readonly { readonly pluginId: string; readonly apiId: string }[];
  readonly workflowIds?: readonly string[];
  readonly model?: BotModel;
  /** Whether answers are followed by suggestions, and what says which. Without, there are no `follow_up` messages. */
  readonly suggestReply?: "enable" | "disable" | { readonly customizedPrompt: string };
}

/** Which model a bot uses, and how; models differ in what they take. */
export interface BotModel {
  readonly modelId: string;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  /** Longest answer, in tokens. */
  readonly maxTokens?: number;
  /** How many rounds of the conversation the model sees. */
  readonly contextRounds?: number;
  readonly responseFormat?: "text" | "markdown" | "json";
  /** `prefix` together with a prompt in two parts. */
  readonly cacheType?: "closed" | "prefix";
  /** What only some models know, e.g. `{ thinking_type: "disabled" }`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** The fields that creating and changing a bot share. @throws {CozeError} `COZE_BAD_REQUEST` */
export function toBotBody(config: BotConfig): object {
  checkConfig(config);
  const { prompt, onboarding, plugins, workflowIds, model, suggestReply } = config;
  return {
    name: config.name,
    description: config.description,
    icon_file_id: config.iconFileId,
    prompt_info: prompt === undefined ? undefined : toPromptInfo(prompt),
    onboarding_info: onboarding && {
      prologue: onboarding.prologue,
      suggested_questions: onboarding.suggestedQuestions,
    },
    plugin_id_list: plugins && {
      id_list: plugins.map(({ pluginId, apiId }) => ({ plugin_id: pluginId, api_id: apiId })),
    },
    workflow_id_list: workflowIds && { ids: workflowIds.map((id) => ({ id })) },
    model_info_config: model && toModelConfig(model),
    suggest_reply_info: suggestReply === undefined ? undefined : toSuggestReply(suggestReply),
  };
}

function checkConfig({ name, description, prompt, onboarding }: BotConfig): void {
  checkLength("the name of a bot", name, { least: 1, most: MAX_NAME });
  checkLength("the description of a bot", description, { most: MAX_DESCRIPTION });
  const parts = typeof prompt === "object" ? [prompt.cached, prompt.dynamic] : [prompt];
  for (const part of parts) checkLength("the prompt of a bot", part, { most: MAX_PROMPT });
  checkLength("the prologue of a bot", onboarding?.prologue, { most: MAX_PROLOGUE });
  for (const question of onboarding?.suggestedQuestions ?? []) {
    checkLength("a suggested question", question, { most: MAX_QUESTION });
  }
}

function toPromptInfo(prompt: NonNullable<BotConfig["prompt"]>): object {
  if (typeof prompt === "string") return { prompt, prompt_mode: "standard" };
  const prefix = { prefix_prompt: prompt.cached, dynamic_prompt: prompt.dynamic };
  return { prompt_mode: "prefix", prefix_prompt_info: prefix };
}

function toModelConfig(model: BotModel): object {
  return {
    model_id: model.modelId,
    temperature: model.temperature,
    top_p: model.topP,
    top_k: model.topK,
    presence_penalty: model.presencePenalty,
    frequency_penalty: model.frequencyPenalty,
    max_tokens: model.maxTokens,
    context_round: model.contextRounds,
    response_format: model.responseFormat,
    cache_type: model.cacheType,
    parameters: model.parameters,
  };
}

function toSuggestReply(suggestReply: NonNullable<BotConfig["suggestReply"]>): object {
  if (typeof suggestReply === "string") return { reply_mode: suggestReply };
  const { customizedPrompt } = suggestReply;
  if (customizedPrompt === "") refuse("suggestions of one's own need a prompt");
  return { reply_mode: "customized", customized_prompt: customizedPrompt };
}
