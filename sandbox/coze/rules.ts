/**
 * What the hosted service refuses, and with which code. Pure; written from the documentation only.
 *
 * @see docs/reference/coze-api.md §3.5, §3.6, §4, §9, §10, §15
 */

export interface Refusal {
  readonly code: number;
  readonly msg: string;
}

export type Fields = Readonly<Record<string, unknown>>;

/** A message of a request after it passed the rules. */
export interface EnterMessage {
  readonly role: "user" | "assistant";
  readonly type: string;
  readonly content: string;
  readonly contentType: "text" | "object_string";
  readonly metaData: Readonly<Record<string, string>>;
}

export interface ObjectItem {
  readonly type: "text" | "image" | "file" | "audio";
  readonly text?: string;
  readonly file_id?: string;
  readonly file_url?: string;
}

const MAX_PAIRS = 16;
const MAX_KEY = 64;
const MAX_VALUE = 512;
const MAX_MESSAGES = 100;
const MAX_CONVERSATION_MESSAGES = 16;
/** Longest name of a conversation, in characters. */
export const MAX_NAME = 100;

const MAX_OUTPUTS = 100;

const STORED_TYPES = new Set(["question", "answer"]);
const UNSTORED_TYPES = new Set(["question", "answer", "function_call", "tool_output", "tool_response"]);

export function refuse(code: number, msg: string): Refusal {
  return { code, msg };
}

export function isRefusal(value: object): value is Refusal {
  return "code" in value && "msg" in value;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A chat request after it passed the rules. */
export interface ChatRequest {
  readonly botId: string;
  readonly userId: string;
  readonly stream: boolean;
  readonly autoSaveHistory: boolean;
  readonly metaData: Readonly<Record<string, string>>;
  readonly messages: readonly EnterMessage[];
  readonly publishStatus: "published_online" | "unpublished_draft";
  readonly shortcut: Shortcut | undefined;
}

/** A quick command of the bot: the service writes the question itself (coze-api.md §4). */
interface Shortcut {
  readonly id: string;
  readonly values: Readonly<Record<string, string>>;
}

/** What the rules of files in messages depend on (coze-api.md §3.6). */
export interface ObjectFacts {
  readonly hasFile: (fileId: string) => boolean;
  readonly storedTextSatisfiesImages: boolean;
  /** The conversation holds text already. */
  readonly hasStoredText: boolean;
}

export interface ChatRuleFacts extends ObjectFacts {
  /** The conversation holds messages already. */
  readonly hasMessages: boolean;
}

/** The rules of `POST /v3/chat` that need no knowledge of the running chats. */
export function checkChat(body: Fields, facts: ChatRuleFacts): ChatRequest | Refusal {
  const botId = body["bot_id"];
  const userId = body["user_id"];
  if (typeof botId !== "string" || botId === "") return refuse(4000, "bot_id is required");
  if (typeof userId !== "string" || userId === "") return refuse(4000, "user_id is required");
  const stream = body["stream"] ?? false;
  const autoSaveHistory = body["auto_save_history"] ?? true;
  if (typeof stream !== "boolean" || typeof autoSaveHistory !== "boolean") return refuse(4000, "not a bool");
  if (!stream && !autoSaveHistory) return refuse(4007, "stream=false needs auto_save_history=true");
  const options = checkOptions(body);
  if (isRefusal(options)) return options;
  const metaData = checkMetaData(body["meta_data"]);
  if (metaData === undefined) return refuse(4003, "meta_data over the limit");
  const messages = checkMessages(body["additional_messages"], { autoSaveHistory, limit: MAX_MESSAGES });
  if (isRefusal(messages)) return messages;
  const objects = checkObjects(messages, facts);
  if (objects !== undefined) return objects;
  const last = messages.at(-1);
  if (last === undefined && !facts.hasMessages && options.shortcut === undefined) {
    return refuse(4000, "additional_messages is required");
  }
  if (last !== undefined && last.role !== "user") return refuse(4000, "the last message is the query");
  return { botId, userId, stream, autoSaveHistory, metaData, messages, ...options };
}

/** The fields of a chat that change how it runs (coze-api.md §4). */
function checkOptions(body: Fields): Pick<ChatRequest, "publishStatus" | "shortcut"> | Refusal {
  const { custom_variables: variables = {}, extra_params: extra = {}, parameters = {} } = body;
  if (!isStringMap(variables) || !Object.keys(variables).every((name) => /^[A-Za-z_]+$/.test(name))) {
    return refuse(4000, "custom_variables is a map of strings; its names are letters and underscores");
  }
  if (!isStringMap(extra) || !Object.keys(extra).every((name) => /^(latitude|longitude)$/.test(name))) {
    return refuse(4000, "extra_params holds latitude and longitude");
  }
  if (!isFields(parameters)) return refuse(4000, "parameters is no object");
  const { enable_card: card = false, publish_status: publishStatus = "published_online" } = body;
  if (typeof card !== "boolean") return refuse(4000, "enable_card is no bool");
  if (publishStatus !== "published_online" && publishStatus !== "unpublished_draft") {
    return refuse(4000, "publish_status is unknown");
  }
  if (body["bot_version"] !== undefined && publishStatus === "unpublished_draft") {
    return refuse(4000, "a draft has no version");
  }
  const shortcut = checkShortcut(body["shortcut_command"]);
  return shortcut !== undefined && isRefusal(shortcut) ? shortcut : { publishStatus, shortcut };
}

/** Each parameter is a serialized object_string of its own (coze-api.md §4). */
function checkShortcut(value: unknown): Shortcut | Refusal | undefined {
  if (value === undefined || value === null) return undefined;
  const { command_id: id, parameters = {} } = isFields(value) ? value : {};
  if (typeof id !== "string" || !isStringMap(parameters)) return refuse(4000, "shortcut_command is invalid");
  const values: Record<string, string> = {};
  for (const [name, content] of Object.entries(parameters)) {
    const items = parseObjects(content);
    if (items === undefined) return refuse(4000, "a parameter of the shortcut command is no object_string");
    values[name] = items.map(({ text = "" }) => text).join("");
  }
  return { id, values };
}

/** What local tools gave back, after it passed the rules. */
export interface ToolOutputsRequest {
  readonly stream: boolean;
  readonly outputs: readonly { readonly name: string; readonly output: string }[];
}

/** All pending calls are answered at once; handing in some is documented nowhere (coze-api.md §8.5). */
export function checkToolOutputs(
  body: Fields,
  pending: readonly { readonly id: string; readonly name: string }[],
): ToolOutputsRequest | Refusal {
  const { tool_outputs: given, stream = false } = body;
  if (typeof stream !== "boolean") return refuse(4000, "stream is no bool");
  if (pending.length === 0) return refuse(4000, "the chat waits for no tool");
  if (!Array.isArray(given) || given.length > MAX_OUTPUTS) return refuse(4000, "tool_outputs is no array");
  const byId = new Map<unknown, unknown>(
    given.map((item: unknown) => (isFields(item) ? [item["tool_call_id"], item["output"]] : [undefined, ""])),
  );
  const outputs = pending.map(({ id, name }) => ({ name, output: byId.get(id) }));
  if (byId.size !== pending.length || !outputs.every(isOutput)) {
    return refuse(4000, "tool_outputs does not answer the pending calls, each once, with a string");
  }
  return { stream, outputs };
}

function isOutput(value: { name: string; output: unknown }): value is { name: string; output: string } {
  return typeof value.output === "string";
}

/** A conversation request after it passed the rules. */
export interface ConversationRequest {
  readonly botId: string | undefined;
  readonly connectorId: string;
  readonly name: string;
  readonly metaData: Readonly<Record<string, string>>;
  readonly messages: readonly EnterMessage[];
}

export function checkConversation(body: Fields, facts: ObjectFacts): ConversationRequest | Refusal {
  const { bot_id: botId, name = "", connector_id: connectorId = "1024" } = body;
  if (botId !== undefined && typeof botId !== "string") return refuse(4000, "bot_id is no string");
  if (typeof connectorId !== "string" || connectorId === "") return refuse(4000, "connector_id is no string");
  if (typeof name !== "string" || name.length > MAX_NAME) return refuse(4000, "name is too long");
  const metaData = checkMetaData(body["meta_data"]);
  if (metaData === undefined) return refuse(4003, "meta_data over the limit");
  const messages = checkMessages(body["messages"], {
    autoSaveHistory: true,
    limit: MAX_CONVERSATION_MESSAGES,
  });
  if (isRefusal(messages)) return messages;
  return checkObjects(messages, facts) ?? { botId, connectorId, name, metaData, messages };
}

/** 16 pairs, keys 1–64, values 1–512; characters are counted the strict way. `undefined` when over. */
function checkMetaData(value: unknown): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) return {};
  if (!isStringMap(value)) return undefined;
  const pairs = Object.entries(value);
  const fits = pairs.every(
    ([key, text]) => key.length >= 1 && key.length <= MAX_KEY && text.length >= 1 && text.length <= MAX_VALUE,
  );
  return fits && pairs.length <= MAX_PAIRS ? value : undefined;
}

/** Content items of an `object_string`, or `undefined` when it is no such thing. */
export function parseObjects(content: string): readonly ObjectItem[] | undefined {
  try {
    const items: unknown = JSON.parse(content);
    return Array.isArray(items) && items.every(isObjectItem) ? items : undefined;
  } catch {
    // Not JSON: the caller refuses it.
    return undefined;
  }
}

/** Messages of a request, each by the rules of coze-api.md §3.5. */
export function checkMessages(
  value: unknown,
  { autoSaveHistory, limit }: { autoSaveHistory: boolean; limit: number },
): readonly EnterMessage[] | Refusal {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return refuse(4000, "messages is no array");
  if (value.length > limit) return refuse(4004, `more than ${limit} messages`);
  const messages: EnterMessage[] = [];
  for (const item of value) {
    const message = isFields(item)
      ? checkMessage(item, autoSaveHistory)
      : refuse(4000, "a message is no object");
    if (isRefusal(message)) return message;
    messages.push(message);
  }
  return messages;
}

export function checkMessage(item: Fields, autoSaveHistory: boolean): EnterMessage | Refusal {
  const { role, type = "question", content, content_type: contentType } = item as Record<string, unknown>;
  if (role !== "user" && role !== "assistant") return refuse(4000, "role is user or assistant");
  const types = autoSaveHistory ? STORED_TYPES : UNSTORED_TYPES;
  if (typeof type !== "string" || !types.has(type))
    return refuse(4000, "a message of this type can't be sent");
  if (type === "question" && role !== "user") return refuse(4000, "a question has the role user");
  if (typeof content !== "string") return refuse(4005, "content is a string");
  if (content === "") return refuse(4005, "content is empty");
  if (contentType !== "text" && contentType !== "object_string")
    return refuse(4000, "content_type is unknown");
  const metaData = checkMetaData(item["meta_data"]);
  if (metaData === undefined) return refuse(4003, "meta_data over the limit");
  return { role, type, content, contentType, metaData };
}

/** The rules of coze-api.md §3.6 for all arrays of a request. */
export function checkObjects(messages: readonly EnterMessage[], facts: ObjectFacts): Refusal | undefined {
  for (const [index, message] of messages.entries()) {
    if (message.contentType !== "object_string") continue;
    const items = parseObjects(message.content);
    if (items === undefined || items.length === 0) return refuse(4000, "object_string is no array of items");
    const texts = items.filter(({ type }) => type === "text").length;
    if (texts > 1) return refuse(4000, "more than one text");
    if (texts === items.length) return refuse(4000, "text alone is content_type text");
    const isText = (neighbour: EnterMessage | undefined): boolean => neighbour?.contentType === "text";
    const beside = isText(messages[index - 1]) || isText(messages[index + 1]);
    const stored = facts.storedTextSatisfiesImages && facts.hasStoredText;
    const spoken = items.some(({ type }) => type === "audio");
    if (texts === 0 && !beside && !stored && !spoken) return refuse(4000, "files need a text beside them");
    const unknown = items.find(({ file_id: fileId }) => fileId !== undefined && !facts.hasFile(fileId));
    if (unknown !== undefined) return refuse(4000, "file_id is unknown");
  }
  return undefined;
}

function isObjectItem(value: unknown): value is ObjectItem {
  if (!isFields(value)) return false;
  const { type, text, file_id: fileId, file_url: fileUrl } = value;
  if (type === "text") return typeof text === "string" && text !== "";
  if (type !== "image" && type !== "file" && type !== "audio") return false;
  return typeof fileId === "string" || typeof fileUrl === "string";
}

function isStringMap(value: unknown): value is Readonly<Record<string, string>> {
  return isFields(value) && Object.values(value).every((item) => typeof item === "string");
}
