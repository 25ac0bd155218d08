/**
 * What the hosted service refuses of a bot's configuration. Pure; written from the documentation only.
 *
 * @see docs/reference/coze-api.md §12.1, §12.2
 */
import { type Fields, isFields, type Refusal, refuse } from "./rules.ts";

/** A bot's configuration, as far as anything comes of it. */
export interface BotConfig {
  readonly name: string;
  readonly description: string;
  readonly prompt: Fields;
  readonly prologue: string;
  readonly questions: readonly string[];
  /** Whether answers are followed by suggestions. */
  readonly suggests: boolean;
  readonly modelId: string;
  readonly plugins: readonly Fields[];
  readonly workflowIds: readonly string[];
}

export const EMPTY_CONFIG: BotConfig = {
  name: "",
  description: "",
  prompt: { prompt: "" },
  prologue: "",
  questions: [],
  // None unless they are switched on (coze-api.md §12.1).
  suggests: false,
  modelId: "1706077826",
  plugins: [],
  workflowIds: [],
};

/** A word that the service finds in no published bot; what its list really holds nobody says. */
export const SENSITIVE_WORD = "forbidden-word";

/** Characters, counted the strict way. */
const LIMITS = { name: 20, description: 500, prompt: 20_000, prologue: 300, question: 50 };
const PROMPT_MODES = new Set(["standard", "prefix"]);
const FORMATS = new Set(["text", "markdown", "json"]);
const REPLY_MODES = new Set(["enable", "disable", "customized"]);

/** The configuration after a request to create or change it. */
export function checkConfig(
  fields: Fields,
  before: BotConfig,
  hasFile: (id: string) => boolean,
): BotConfig | Refusal {
  // The vendor's clients send null for what nobody said.
  const body = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
  const { name = before.name, description = before.description, icon_file_id: icon } = body;
  if (!isText(name, LIMITS.name) || name === "") return refuse(4000, "name has 1 to 20 characters");
  if (!isText(description, LIMITS.description)) return refuse(4000, "description is too long");
  if (icon !== undefined && (typeof icon !== "string" || !hasFile(icon))) {
    return refuse(4000, "icon_file_id is unknown");
  }
  const prompt = body["prompt_info"] ?? before.prompt;
  if (!isFields(prompt) || !isPrompt(prompt)) return refuse(4000, "prompt_info is invalid");
  const onboarding = body["onboarding_info"] ?? {};
  if (!isFields(onboarding)) return refuse(4000, "onboarding_info is no object");
  const { prologue = before.prologue, suggested_questions: questions = before.questions } = onboarding;
  if (!isText(prologue, LIMITS.prologue)) return refuse(4000, "the prologue is too long");
  if (!isTextList(questions, LIMITS.question)) return refuse(4000, "a suggested question is too long");
  const plugins = toList(body["plugin_id_list"], "id_list") ?? before.plugins;
  if (!plugins.every((plugin) => hasTexts(plugin, ["plugin_id", "api_id"]))) {
    return refuse(4000, "a plugin needs plugin_id and api_id");
  }
  const workflows = toList(body["workflow_id_list"], "ids") ?? before.workflowIds.map((id) => ({ id }));
  if (!workflows.every((workflow) => hasTexts(workflow, ["id"])))
    return refuse(4000, "a workflow needs an id");
  const model = body["model_info_config"] ?? { model_id: before.modelId };
  if (!isFields(model) || !isModel(model)) return refuse(4000, "model_info_config is invalid");
  const suggest = body["suggest_reply_info"] ?? { reply_mode: before.suggests ? "enable" : "disable" };
  if (!isFields(suggest) || !isSuggest(suggest)) return refuse(4000, "suggest_reply_info is invalid");
  return {
    name,
    description,
    prompt,
    prologue,
    questions,
    suggests: suggest["reply_mode"] !== "disable",
    modelId: String(model["model_id"]),
    plugins,
    workflowIds: workflows.map(({ id }) => String(id)),
  };
}

/** Whether the service would publish it (coze-api.md §15, 4105). */
export function isSensitive({ name, description, prompt, prologue, questions }: BotConfig): boolean {
  const texts = [name, description, JSON.stringify(prompt), prologue, ...questions];
  return texts.some((text) => text.includes(SENSITIVE_WORD));
}

function isPrompt({
  prompt = "",
  prompt_mode: mode = "standard",
  prefix_prompt_info: prefix,
}: Fields): boolean {
  if (typeof mode !== "string" || !PROMPT_MODES.has(mode)) return false;
  if (mode === "standard") return isText(prompt, LIMITS.prompt) && prefix === undefined;
  if (!isFields(prefix) || prompt !== "") return false;
  return [prefix["prefix_prompt"] ?? "", prefix["dynamic_prompt"] ?? ""].every((part) =>
    isText(part, LIMITS.prompt),
  );
}

function isModel({ model_id: id, response_format: format = "text" }: Fields): boolean {
  return typeof id === "string" && id !== "" && typeof format === "string" && FORMATS.has(format);
}

function isSuggest({ reply_mode: mode = "disable", customized_prompt: prompt }: Fields): boolean {
  if (typeof mode !== "string" || !REPLY_MODES.has(mode)) return false;
  return mode !== "customized" || (typeof prompt === "string" && prompt !== "");
}

/** The objects of a list inside an object; `undefined` when it is absent. What is no list is one without sense. */
function toList(value: unknown, name: string): readonly Fields[] | undefined {
  if (value === undefined || value === null) return undefined;
  const list: unknown = isFields(value) ? (value[name] ?? []) : undefined;
  return Array.isArray(list) && list.every(isFields) ? list : [{}];
}

function hasTexts(value: Fields, names: readonly string[]): boolean {
  return names.every((name) => typeof value[name] === "string" && value[name] !== "");
}

function isText(value: unknown, most: number): value is string {
  return typeof value === "string" && value.length <= most;
}

function isTextList(value: unknown, most: number): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => isText(item, most));
}
