import type {
  AnswerFailure,
  AnswerMessageKind,
  ChatStatus,
  ContentType,
  PendingAction,
  Usage,
} from "../core/answer-state.ts";
import {
  toChatFailure,
  toChatStatus,
  toContentType,
  toMessageKind,
  toPending,
  toUsage,
} from "./chat-values.ts";
import type { WireChat, WireMessage, WireMessagePage } from "./wire/chats.ts";
import type { WireFile } from "./wire/files.ts";

/** The ids of one chat. */
export interface ChatIds {
  readonly conversationId: string;
  readonly chatId: string;
}

/** A chat as Coze stores it (coze-api.md §3.1). */
export interface StoredChat {
  readonly chatId: string;
  readonly conversationId: string;
  readonly status: ChatStatus;
  readonly failure?: AnswerFailure;
  readonly usage?: Usage;
  readonly pending: readonly PendingAction[];
  readonly metaData: Readonly<Record<string, string>>;
}

/** A message as Coze stores it (coze-api.md §3.2). */
export interface StoredMessage {
  readonly messageId: string;
  /** Empty for messages that belong to no chat. */
  readonly chatId: string;
  readonly sectionId: string;
  readonly role: "user" | "assistant" | "unknown";
  readonly kind: AnswerMessageKind;
  readonly contentType: ContentType;
  readonly text: string;
  readonly reasoning: string;
  readonly metaData: Readonly<Record<string, string>>;
  /** Unix seconds; `undefined` when it was not told. */
  readonly createdAt: number | undefined;
}

/** A page of a list that is paged by ids (coze-api.md §9.2). */
export interface MessagePage {
  readonly items: readonly StoredMessage[];
  /** Cursors for `beforeId` and `afterId`. */
  readonly firstId: string | undefined;
  readonly lastId: string | undefined;
  readonly hasMore: boolean;
}

export function toStoredChat(chat: WireChat, asked: ChatIds): StoredChat {
  const failure = toChatFailure(chat);
  const usage = toUsage(chat.usage);
  return {
    chatId: chat.id ?? asked.chatId,
    conversationId: chat.conversation_id ?? asked.conversationId,
    status: toChatStatus(chat.status),
    ...(failure !== undefined && { failure }),
    ...(usage !== undefined && { usage }),
    pending: toPending(chat.required_action),
    metaData: chat.meta_data,
  };
}

export function toStoredMessage(message: WireMessage): StoredMessage {
  return {
    messageId: message.id ?? "",
    chatId: message.chat_id ?? "",
    sectionId: message.section_id ?? "",
    role: message.role === "user" || message.role === "assistant" ? message.role : "unknown",
    kind: toMessageKind(message.type),
    contentType: toContentType(message.content_type),
    text: message.content,
    reasoning: message.reasoning_content,
    metaData: message.meta_data,
    createdAt: message.created_at,
  };
}

export function toMessagePage(page: WireMessagePage): MessagePage {
  return {
    items: page.data.map(toStoredMessage),
    firstId: page.first_id,
    lastId: page.last_id,
    hasMore: page.has_more,
  };
}

/** A file as Coze stores it (coze-api.md §3.8). */
export interface StoredFile {
  readonly fileId: string;
  /** `undefined` when it was not told. */
  readonly bytes: number | undefined;
  readonly name: string;
  /** Unix seconds; `undefined` when it was not told. */
  readonly createdAt: number | undefined;
}

export function toStoredFile(file: WireFile): StoredFile {
  return { fileId: file.id, bytes: file.bytes, name: file.file_name, createdAt: file.created_at };
}
