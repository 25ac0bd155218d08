/**
 * Chats and messages on the wire.
 *
 * @see docs/reference/coze-api.md §3.1–3.4, §9.2
 */
import { z } from "zod";
import { failureSchema, type WireFailure } from "./envelope.ts";
import { anyText, count, hasMore, id, listOf, metaData, text, time } from "./values.ts";

/** Token counts under both spellings (§3.3). */
export interface WireUsage {
  readonly token_count: number | undefined;
  readonly input_count: number | undefined;
  readonly output_count: number | undefined;
  readonly input_tokens: number | undefined;
  readonly output_tokens: number | undefined;
}

export const usageSchema: z.ZodType<WireUsage> = z.object({
  token_count: count,
  input_count: count,
  output_count: count,
  input_tokens: count,
  output_tokens: count,
});

/** One thing the bot waits for (§3.4). */
interface WireToolCall {
  readonly id?: string | null | undefined;
  readonly type?: string | null | undefined;
  readonly function?:
    | { readonly name?: string | null | undefined; readonly arguments?: string | null | undefined }
    | null
    | undefined;
}

interface WireRequiredAction {
  readonly submit_tool_outputs?:
    | { readonly tool_calls?: readonly WireToolCall[] | null | undefined }
    | null
    | undefined;
}

const toolCall = z.object({
  id: z.string().nullish(),
  type: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});

const requiredAction = z.object({
  submit_tool_outputs: z.object({ tool_calls: z.array(toolCall).nullish() }).nullish(),
});

/** A chat (§3.1). */
export interface WireChat {
  readonly id: string | undefined;
  readonly chat_id: string | undefined;
  readonly conversation_id: string | undefined;
  readonly status?: string | null | undefined;
  readonly last_error?: WireFailure | null | undefined;
  readonly meta_data: Readonly<Record<string, string>>;
  readonly required_action?: WireRequiredAction | null | undefined;
  readonly usage?: WireUsage | null | undefined;
}

export const chatSchema: z.ZodType<WireChat> = z.object({
  id,
  chat_id: id,
  conversation_id: id,
  status: z.string().nullish().catch(undefined),
  last_error: failureSchema.nullish().catch(undefined),
  meta_data: metaData,
  required_action: requiredAction.nullish().catch(undefined),
  usage: usageSchema.nullish().catch(undefined),
});

/** A message (§3.2). */
export interface WireMessage {
  readonly id: string | undefined;
  readonly chat_id: string | undefined;
  readonly conversation_id: string | undefined;
  readonly section_id: string | undefined;
  readonly role?: string | null | undefined;
  readonly type?: string | null | undefined;
  readonly content: string;
  readonly content_type?: string | null | undefined;
  readonly reasoning_content: string;
  readonly meta_data: Readonly<Record<string, string>>;
  /** Unix seconds; some answers carry them as strings (§1.6). */
  readonly created_at: number | undefined;
}

export const messageSchema: z.ZodType<WireMessage> = z.object({
  id,
  chat_id: id,
  conversation_id: id,
  section_id: id,
  role: z.string().nullish(),
  type: z.string().nullish(),
  content: text,
  content_type: z.string().nullish(),
  reasoning_content: anyText,
  meta_data: metaData,
  created_at: time,
});

/** What a running stream's events tell of a message: the fields of {@link WireMessage} that are read there. */
export type StreamMessage = Pick<
  WireMessage,
  "id" | "type" | "content" | "content_type" | "reasoning_content"
>;

/**
 * What {@link messageSchema} says of these fields, five times as fast: a delta comes for every few characters of every
 * answer. A test holds the two together.
 *
 * @returns `undefined` for what is no message.
 */
export function readStreamMessage(value: unknown): StreamMessage | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  // Proven one line above: an object that is no array has string keys.
  const { id, type, content, content_type, reasoning_content } = value as Readonly<Record<string, unknown>>;
  if (!(isId(id) && isText(type) && isText(content) && isText(content_type))) return undefined;
  return {
    id: id === null || id === undefined || id === "" ? undefined : String(id),
    type,
    content: content ?? "",
    content_type,
    reasoning_content: typeof reasoning_content === "string" ? reasoning_content : "",
  };
}

function isText(value: unknown): value is string | null | undefined {
  return typeof value === "string" || value === undefined || value === null;
}

function isId(value: unknown): value is string | number | null | undefined {
  return isText(value) || Number.isFinite(value);
}

export const messageListSchema: z.ZodType<readonly WireMessage[]> = listOf(messageSchema);

/** The one deviation in the envelope: what was changed stands in `message` (§1.3). */
export const changedMessageSchema: z.ZodType<{ readonly message: WireMessage }> = z.object({
  message: messageSchema,
});

/** A page of a conversation's messages; its cursors stand beside `data` (§9.2). */
export interface WireMessagePage {
  readonly data: readonly WireMessage[];
  readonly first_id: string | undefined;
  readonly last_id: string | undefined;
  readonly has_more: boolean;
}

export const messagePageSchema: z.ZodType<WireMessagePage> = z.object({
  data: messageListSchema,
  first_id: id,
  last_id: id,
  has_more: hasMore,
});
