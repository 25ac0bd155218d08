/**
 * Bots on the wire.
 *
 * @see docs/reference/coze-api.md §12.1, §12.2
 */
import { z } from "zod";
import { anyText, count, flag, id, listOf, ownId, time } from "./values.ts";

/** A bot in a list (§12.2). */
export interface WireBotSummary {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly icon_url: string;
  readonly is_published: boolean;
  readonly published_at: number | undefined;
  readonly updated_at: number | undefined;
  readonly owner_user_id: string | undefined;
}

const botSummary: z.ZodType<WireBotSummary> = z.object({
  id: ownId,
  name: anyText,
  description: anyText,
  icon_url: anyText,
  is_published: flag,
  published_at: time,
  updated_at: time,
  owner_user_id: id,
});

export interface WireBotPage {
  readonly items: readonly WireBotSummary[];
  readonly total: number | undefined;
}

export const botPageSchema: z.ZodType<WireBotPage> = z.object({ items: listOf(botSummary), total: count });

/** Under the names of the documentation, and those of its example (`DOC:get_metadata_draft_published`). */
interface WireOnboarding {
  readonly prologue?: string | null | undefined;
  readonly suggested_questions?: readonly string[] | null | undefined;
  readonly Prologue?: string | null | undefined;
  readonly SuggestedQuestions?: readonly string[] | null | undefined;
}

const onboarding: z.ZodType<WireOnboarding> = z.object({
  prologue: z.string().nullish(),
  suggested_questions: z.array(z.string()).nullish(),
  Prologue: z.string().nullish(),
  SuggestedQuestions: z.array(z.string()).nullish(),
});

interface WirePrompt {
  readonly prompt: string;
  readonly prefix_prompt_info?:
    | { readonly prefix_prompt: string; readonly dynamic_prompt: string }
    | null
    | undefined;
}

const prompt: z.ZodType<WirePrompt> = z.object({
  prompt: anyText,
  prefix_prompt_info: z.object({ prefix_prompt: anyText, dynamic_prompt: anyText }).nullish(),
});

interface WireModel {
  readonly model_id: string | undefined;
  readonly model_name: string;
}

const model: z.ZodType<WireModel> = z.object({ model_id: id, model_name: anyText });

interface WirePlugin {
  readonly plugin_id: string | undefined;
  readonly name: string;
  readonly api_info_list: readonly { readonly api_id: string | undefined; readonly name: string }[];
}

const plugin: z.ZodType<WirePlugin> = z.object({
  plugin_id: id,
  name: anyText,
  api_info_list: listOf(z.object({ api_id: id, name: anyText })),
});

interface WireWorkflow {
  readonly id: string | undefined;
  readonly name: string;
}

const workflow: z.ZodType<WireWorkflow> = z.object({ id, name: anyText });

interface WireShortcut {
  readonly id: string | undefined;
  readonly name: string;
  readonly command: string;
  readonly description: string;
}

const shortcut: z.ZodType<WireShortcut> = z.object({
  id,
  name: anyText,
  command: anyText,
  description: anyText,
});

/** A bot with its configuration (§12.2). */
export interface WireBot {
  readonly bot_id: string;
  readonly name: string;
  readonly description: string;
  readonly icon_url: string;
  readonly version: string;
  readonly create_time: number | undefined;
  readonly update_time: number | undefined;
  readonly owner_user_id: string | undefined;
  readonly prompt_info?: WirePrompt | null | undefined;
  readonly onboarding_info?: WireOnboarding | null | undefined;
  readonly model_info?: WireModel | null | undefined;
  readonly plugin_info_list: readonly WirePlugin[];
  readonly workflow_info_list: readonly WireWorkflow[];
  readonly shortcut_commands: readonly WireShortcut[];
}

export const botSchema: z.ZodType<WireBot> = z.object({
  bot_id: ownId,
  name: anyText,
  description: anyText,
  icon_url: anyText,
  version: anyText,
  create_time: time,
  update_time: time,
  owner_user_id: id,
  prompt_info: prompt.nullish().catch(undefined),
  onboarding_info: onboarding.nullish().catch(undefined),
  model_info: model.nullish().catch(undefined),
  plugin_info_list: listOf(plugin).catch([]),
  workflow_info_list: listOf(workflow).catch([]),
  shortcut_commands: listOf(shortcut).catch([]),
});

export const createdBotSchema: z.ZodType<{ readonly bot_id: string }> = z.object({ bot_id: ownId });

/** What publishing came to (§12.2). */
export interface WirePublished {
  readonly bot_id: string | undefined;
  readonly version: string;
}

export const publishedSchema: z.ZodType<WirePublished> = z.object({ bot_id: id, version: anyText });
