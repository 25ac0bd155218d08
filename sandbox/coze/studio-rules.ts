/**
 * What a self-hosted Coze Studio takes of a chat request, and what it makes of it. Pure.
 *
 * @see docs/reference/coze-api.md §18
 */
import { type Fields, isFields, type Refusal, refuse } from "./rules.ts";
import { BAD_PARAMETER } from "./studio-wire.ts";

export interface StudioChatRequest {
  readonly botId: string;
  readonly userId: string;
  readonly stream: boolean;
  readonly extraParams: Readonly<Record<string, string>>;
  /** The question as it is stored; empty when nothing of it could be read. */
  readonly content: string;
  readonly contentType: "text" | "object_string";
  /** What the bot reads. */
  readonly text: string;
  readonly files: readonly { readonly kind: "image" | "file"; readonly fileId: string }[];
}

type Question = Pick<StudioChatRequest, "content" | "contentType" | "text" | "files">;

const NO_QUESTION: Question = { content: "", contentType: "text", text: "", files: [] };
const TYPES = new Set<unknown>([undefined, "question", "answer"]);

/** `meta_data` and `auto_save_history` are not looked at. */
export function checkStudioChat(body: Fields): StudioChatRequest | Refusal {
  const { bot_id: botId, user_id: userId, stream = true, extra_params: extra = {} } = body;
  if (typeof botId !== "string" || !/^[1-9]\d*$/.test(botId)) return bad("bot id is required");
  if (typeof userId !== "string") return bad("user_id is required");
  if (typeof stream !== "boolean") return bad("stream is no bool");
  if (!isStringMap(extra)) return bad("extra_params is no map of strings");
  const { additional_messages: messages = [] } = body;
  if (!Array.isArray(messages) || !messages.every(isFields)) return bad("additional_messages is no list");
  for (const { role, type } of messages) {
    if (role !== "user" && role !== "assistant") return bad("only the roles user and assistant");
    if (!TYPES.has(type)) return bad("only the types question and answer");
  }
  const last = messages.at(-1);
  const question = last === undefined || last["role"] !== "user" ? NO_QUESTION : toQuestion(last);
  return { botId, userId, stream, extraParams: extra, ...question };
}

/** Recordings are skipped; an `object_string` that is none is dropped, and nobody is told. */
function toQuestion({ content, content_type: contentType }: Fields): Question {
  if (typeof content !== "string" || content === "") return NO_QUESTION;
  if (contentType !== "object_string") return { content, contentType: "text", text: content, files: [] };
  const items = parseList(content);
  if (items === undefined) return NO_QUESTION;
  const texts = items.flatMap(({ type, text }) =>
    type === "text" && typeof text === "string" ? [text] : [],
  );
  const files = items.flatMap(({ type: kind, file_id: fileId }) =>
    (kind === "image" || kind === "file") && typeof fileId === "string" ? [{ kind, fileId } as const] : [],
  );
  return { content, contentType: "object_string", text: texts.join("\n"), files };
}

function parseList(content: string): readonly Fields[] | undefined {
  try {
    const items: unknown = JSON.parse(content);
    return Array.isArray(items) ? items.filter(isFields) : undefined;
  } catch {
    // No JSON: dropped by the caller.
    return undefined;
  }
}

function isStringMap(value: unknown): value is Readonly<Record<string, string>> {
  return isFields(value) && Object.values(value).every((item) => typeof item === "string");
}

function bad(msg: string): Refusal {
  return refuse(BAD_PARAMETER, msg);
}
