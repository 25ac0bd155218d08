import type { Flavor } from "./flavor.ts";
import { checkLength, refuse } from "./refusal.ts";

/** Limits of `meta_data` (coze-api.md §4); in characters, of which nobody says how they are counted (§22.43). */
const MAX_META_PAIRS = 16;
const MAX_META_KEY = 64;
const MAX_META_VALUE = 512;
/** Messages in one chat request (coze-api.md §4). */
export const MAX_MESSAGES = 100;

/** Small facts about a chat, a message or a conversation: at most 16, keys of 1–64 and values of 1–512 characters. */
export type MetaData = Readonly<Record<string, string>>;

/** A chat to be started (coze-api.md §4). */
export interface ChatRequest {
  readonly botId: string;
  /** Context and memory are kept per user; a stable pseudonym, never random. */
  readonly userId: string;
  /** Without one Coze creates a conversation, and tells its id with the first answer. */
  readonly conversationId?: string | undefined;
  /** History given by the caller, oldest first, then the question; at most 100. */
  readonly messages: readonly EnterMessage[];
  /** Default true. Without history nothing can be looked up later, and no blocking chat can be asked. */
  readonly autoSaveHistory?: boolean;
  /** Told again when the chat is retrieved; by a self-hosted server with the question, when messages are listed. */
  readonly metaData?: MetaData;
  /** Values for `{{name}}` in the bot's prompt. */
  readonly customVariables?: Readonly<Record<string, string>>;
  /** Inputs of the start node of a bot in chatflow mode. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Where the user is; the only two keys there are. */
  readonly extraParams?: { readonly latitude?: string; readonly longitude?: string };
  /** A quick command of the bot instead of a question. */
  readonly shortcutCommand?: { readonly commandId: string; readonly parameters?: ShortcutParameters };
  /** Questions of workflows come as cards. */
  readonly enableCard?: boolean;
  /** Default `published_online`. */
  readonly publishStatus?: "published_online" | "unpublished_draft";
  /** A published version to ask. */
  readonly botVersion?: string;
}

/** Values of a quick command: text, or files. */
export type ShortcutParameters = Readonly<Record<string, string | readonly ObjectItem[]>>;

/** A message that goes to Coze (coze-api.md §3.5). */
export interface EnterMessage {
  readonly role: "user" | "assistant";
  /** Default `question` for the user, `answer` for the assistant. The others only without saved history. */
  readonly type?: "question" | "answer" | "function_call" | "tool_response";
  /** Text, or a text with files. */
  readonly content: string | readonly ObjectItem[];
  readonly metaData?: MetaData;
}

/** A piece of a message with files (coze-api.md §3.6). */
export type ObjectItem =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image" | "file" | "audio"; readonly fileId: string }
  | { readonly type: "image" | "file" | "audio"; readonly fileUrl: string };

/**
 * The body of `POST /v3/chat`.
 *
 * @throws {CozeError} `COZE_BAD_REQUEST` for what Coze would refuse anyway, in words that say what to change.
 */
export function toChatBody(
  request: ChatRequest,
  { stream, marks }: { stream: boolean; marks: Flavor["marks"] },
): object {
  const { autoSaveHistory = true, messages, shortcutCommand, metaData, extraParams } = request;
  if (!stream && !autoSaveHistory)
    refuse("a blocking chat needs its history saved: its answer is looked up there");
  if (messages.length > MAX_MESSAGES) refuse(`${messages.length} messages; Coze takes ${MAX_MESSAGES}`);
  if (messages.length > 0 && messages.at(-1)?.role !== "user") refuse("the last message must be the user's");
  const { conversationId } = request;
  if (messages.length === 0 && shortcutCommand === undefined && conversationId === undefined)
    refuse("there is no question");
  if (metaData !== undefined) checkMetaData(metaData);
  return {
    bot_id: request.botId,
    user_id: request.userId,
    // The hosted and the self-hosted service have different defaults (coze-api.md §18): always said.
    stream,
    auto_save_history: autoSaveHistory,
    additional_messages: messages.length === 0 ? undefined : messages.map(toWireMessage),
    meta_data: marks === "meta_data" ? metaData : undefined,
    custom_variables: request.customVariables,
    parameters: request.parameters,
    extra_params: marks === "extra_params" && metaData ? { ...extraParams, ...metaData } : extraParams,
    shortcut_command: shortcutCommand && toWireCommand(shortcutCommand),
    enable_card: request.enableCard,
    publish_status: request.publishStatus,
    bot_version: request.botVersion,
  };
}

/** A message as it goes over the wire. @throws {CozeError} `COZE_BAD_REQUEST` */
export function toWireMessage(message: EnterMessage): object {
  const { role, type = role === "user" ? "question" : "answer", content, metaData } = message;
  if (metaData !== undefined) checkMetaData(metaData);
  return { role, type, ...toWireContent(content), meta_data: metaData };
}

/** A message's content, and what kind it is. @throws {CozeError} `COZE_BAD_REQUEST` */
export function toWireContent(content: EnterMessage["content"]): object {
  if (content.length === 0) refuse("a message needs a text or a file");
  return typeof content === "string"
    ? { content_type: "text", content }
    : { content_type: "object_string", content: toObjectString(content) };
}

/** Files go as a string that holds JSON, not as JSON (coze-api.md §3.6). @throws {CozeError} `COZE_BAD_REQUEST` */
function toObjectString(items: readonly ObjectItem[]): string {
  const texts = items.filter(({ type }) => type === "text").length;
  if (texts > 1) refuse("a message with files holds one text, no more");
  if (texts === items.length) refuse("a message without files is plain text");
  return JSON.stringify(items.map(toWireItem));
}

/** @throws {CozeError} `COZE_BAD_REQUEST` when there is more than Coze takes, however characters are counted. */
export function checkMetaData(metaData: MetaData): void {
  const pairs = Object.entries(metaData);
  if (pairs.length > MAX_META_PAIRS)
    refuse(`${pairs.length} pairs of meta data; Coze takes ${MAX_META_PAIRS}`);
  for (const [key, value] of pairs) {
    checkLength("a key of the meta data", key, { least: 1, most: MAX_META_KEY });
    checkLength(`the meta data "${key}"`, value, { least: 1, most: MAX_META_VALUE });
  }
}

/** A value that fits into `meta_data`, whoever counts; whoever looks for it must shorten it the same way. */
export function toMetaValue(value: string): string {
  return value.slice(0, MAX_META_VALUE).toWellFormed();
}

function toWireCommand({ commandId, parameters = {} }: NonNullable<ChatRequest["shortcutCommand"]>): object {
  const values = Object.entries(parameters).map(([name, value]): [string, string] => {
    const items: readonly ObjectItem[] = typeof value === "string" ? [{ type: "text", text: value }] : value;
    return [name, JSON.stringify(items.map(toWireItem))];
  });
  return { command_id: commandId, parameters: Object.fromEntries(values) };
}

function toWireItem(item: ObjectItem): object {
  if (item.type === "text") return item;
  return "fileId" in item
    ? { type: item.type, file_id: item.fileId }
    : { type: item.type, file_url: item.fileUrl };
}
