import { type NumberedPage, type PageNumber, toCountedPage } from "./paging.ts";
import type { WireBot, WireBotPage, WireBotSummary } from "./wire/bots.ts";

/** A bot in a list (coze-api.md §12.2). Times are Unix seconds; `undefined` when they were not told. */
export interface BotSummary {
  readonly botId: string;
  readonly name: string;
  readonly description: string;
  readonly iconUrl: string;
  readonly published: boolean;
  readonly publishedAt: number | undefined;
  readonly updatedAt: number | undefined;
  readonly ownerId: string | undefined;
}

/** A bot with its configuration (coze-api.md §12.2). What was not told is empty. */
export interface StoredBot {
  readonly botId: string;
  readonly name: string;
  readonly description: string;
  readonly iconUrl: string;
  /** Empty before it was published for the first time. */
  readonly version: string;
  /** Both parts, where the prompt has two. */
  readonly prompt: string;
  readonly onboarding: {
    /** May hold `{{user_name}}`, for the caller to replace. */
    readonly prologue: string;
    readonly suggestedQuestions: readonly string[];
  };
  readonly model: { readonly modelId: string; readonly name: string } | undefined;
  readonly plugins: readonly {
    readonly pluginId: string;
    readonly name: string;
    readonly tools: readonly { readonly apiId: string; readonly name: string }[];
  }[];
  readonly workflows: readonly { readonly workflowId: string; readonly name: string }[];
  /** Quick commands; a chat names one by its id. */
  readonly shortcuts: readonly {
    readonly commandId: string;
    readonly name: string;
    readonly command: string;
    readonly description: string;
  }[];
  readonly ownerId: string | undefined;
  /** Unix seconds; `undefined` when it was not told. */
  readonly createdAt: number | undefined;
  readonly updatedAt: number | undefined;
}

export function toStoredBot(bot: WireBot): StoredBot {
  return {
    botId: bot.bot_id,
    name: bot.name,
    description: bot.description,
    iconUrl: bot.icon_url,
    version: bot.version,
    prompt: toPrompt(bot.prompt_info),
    onboarding: {
      prologue: bot.onboarding_info?.prologue ?? bot.onboarding_info?.Prologue ?? "",
      suggestedQuestions:
        bot.onboarding_info?.suggested_questions ?? bot.onboarding_info?.SuggestedQuestions ?? [],
    },
    model: toModel(bot.model_info),
    plugins: bot.plugin_info_list.map((plugin) => ({
      pluginId: plugin.plugin_id ?? "",
      name: plugin.name,
      tools: plugin.api_info_list.map((tool) => ({ apiId: tool.api_id ?? "", name: tool.name })),
    })),
    workflows: bot.workflow_info_list.map(({ id, name }) => ({ workflowId: id ?? "", name })),
    shortcuts: bot.shortcut_commands.map(({ id, name, command, description }) => ({
      commandId: id ?? "",
      name,
      command,
      description,
    })),
    ownerId: bot.owner_user_id,
    createdAt: bot.create_time,
    updatedAt: bot.update_time,
  };
}

export function toBotPage(page: WireBotPage, asked: PageNumber): NumberedPage<BotSummary> {
  return toCountedPage(page.items.map(toBotSummary), page.total, asked);
}

function toBotSummary(bot: WireBotSummary): BotSummary {
  return {
    botId: bot.id,
    name: bot.name,
    description: bot.description,
    iconUrl: bot.icon_url,
    published: bot.is_published,
    publishedAt: bot.published_at,
    updatedAt: bot.updated_at,
    ownerId: bot.owner_user_id,
  };
}

function toPrompt(prompt: WireBot["prompt_info"]): string {
  const parts = [prompt?.prompt, prompt?.prefix_prompt_info?.prefix_prompt];
  const whole = [...parts, prompt?.prefix_prompt_info?.dynamic_prompt];
  return whole.filter((part) => part !== undefined && part !== "").join("\n");
}

function toModel(model: WireBot["model_info"]): StoredBot["model"] {
  return model?.model_id === undefined ? undefined : { modelId: model.model_id, name: model.model_name };
}
