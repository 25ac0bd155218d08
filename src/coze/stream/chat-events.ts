import type { AnswerEvent, AnswerFailure, ChatStatus } from "../../core/answer-state.ts";
import { toChatFailure, toContentType, toMessageKind, toPending, toUsage } from "../chat-values.ts";
import { clip } from "../errors.ts";
import { parseCozeJson, parseJsonObject } from "../json.ts";
import { chatSchema, readStreamMessage, type StreamMessage } from "../wire/chats.ts";
import { failureSchema } from "../wire/envelope.ts";
import type { SseEvent } from "./sse.ts";

/** Ends of a stream: hosted, and self-hosted (coze-api.md §5.3, §18). */
const END_EVENTS = new Set(["done", "conversation.stream.done"]);

/** Status by event name; spellings of the hosted and the self-hosted service (coze-api.md §8.1, §18, §19). */
const CHAT_EVENTS: ReadonlyMap<string, ChatStatus> = new Map([
  ["conversation.chat.created", "running"],
  ["conversation.chat.in_progress", "running"],
  ["conversation.chat.completed", "completed"],
  ["conversation.chat.failed", "failed"],
  ["conversation.chat.expired", "failed"],
  ["conversation.chat.requires_action", "requires_action"],
  ["conversation.chat.required_action", "requires_action"],
  ["conversation.chat.canceled", "canceled"],
  ["conversation.chat.cancelled", "canceled"],
]);

/**
 * One event of a chat stream, typed. Never throws: what cannot be read is `unknown`.
 *
 * @see docs/reference/coze-api.md §5
 */
export function toAnswerEvent(event: SseEvent): AnswerEvent {
  // Deltas first: nearly all events are some.
  switch (event.name) {
    case "conversation.message.delta":
      return toMessage(event, toDelta);
    case "conversation.message.completed":
      return toMessage(event, toCompleted);
    case "conversation.audio.delta":
      return toMessage(event, toAudio);
    case "error":
      return { type: "error", error: toFailure(event.data) };
    case "":
      return toNameless(event.data);
    default:
      return toChatOrEnd(event);
  }
}

function toChatOrEnd(event: SseEvent): AnswerEvent {
  if (END_EVENTS.has(event.name)) return toEnd(event.data);
  const status = CHAT_EVENTS.get(event.name);
  return status === undefined ? { type: "unknown", name: event.name } : toChat(event, status);
}

/** `{code,msg}`, `{}` or plain text (coze-api.md §7.4). */
function toFailure(data: string): AnswerFailure {
  const failure = failureSchema.safeParse(parseJsonObject(data));
  if (failure.success) return { code: failure.data.code, text: failure.data.msg };
  return { code: 0, text: clip(data) };
}

function toEnd(data: string): AnswerEvent {
  const debugUrl = parseJsonObject(data)?.["debug_url"];
  return typeof debugUrl === "string" ? { type: "end", debugUrl } : { type: "end" };
}

/** Without a name only an end mark and an error envelope mean something (coze-api.md §5.2). */
function toNameless(data: string): AnswerEvent {
  const bare = data.trim();
  if (bare === "[DONE]" || bare === '"[DONE]"') return { type: "end" };
  const failure = failureSchema.safeParse(parseJsonObject(data));
  if (failure.success && failure.data.code !== 0) return { type: "error", error: toFailure(data) };
  return { type: "unknown", name: "" };
}

function toChat({ name, data }: SseEvent, status: ChatStatus): AnswerEvent {
  const body = parseJsonObject(data);
  const chat = chatSchema.safeParse(body ?? {});
  // The name alone tells how the chat stands; an unreadable body must not hide the end.
  if (!chat.success) return status === "running" ? { type: "unknown", name } : { type: "chat", status };
  const chatId = chat.data.chat_id ?? chat.data.id;
  const usage = toUsage(chat.data.usage);
  // A failure may come as a bare `{code,msg}` (coze-api.md §7.3).
  const error = toChatFailure(chat.data) ?? (status === "failed" ? toFailure(data) : undefined);
  const pending = status === "requires_action" ? toPending(chat.data.required_action) : [];
  return {
    type: "chat",
    status,
    ...(chatId !== undefined && { chatId }),
    ...(chat.data.conversation_id !== undefined && { conversationId: chat.data.conversation_id }),
    ...(usage !== undefined && { usage }),
    ...(error !== undefined && { error }),
    ...(pending.length > 0 && { pending }),
  };
}

function toMessage({ name, data }: SseEvent, build: (message: StreamMessage) => AnswerEvent): AnswerEvent {
  try {
    const message = readStreamMessage(parseCozeJson(data));
    return message === undefined ? { type: "unknown", name } : build(message);
  } catch {
    // A message we cannot read is one event less, not the end of the answer.
    return { type: "unknown", name };
  }
}

function toDelta(message: StreamMessage): AnswerEvent {
  return {
    type: "delta",
    messageId: message.id ?? "",
    kind: toMessageKind(message.type),
    text: message.content,
    reasoning: message.reasoning_content,
  };
}

function toAudio(message: StreamMessage): AnswerEvent {
  return { type: "audio", messageId: message.id ?? "", base64: message.content };
}

function toCompleted(message: StreamMessage): AnswerEvent {
  return {
    type: "message",
    messageId: message.id ?? "",
    kind: toMessageKind(message.type),
    contentType: toContentType(message.content_type),
    text: message.content,
    reasoning: message.reasoning_content,
  };
}
