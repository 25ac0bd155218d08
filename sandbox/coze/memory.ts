import type { BotMemory } from "./bot.ts";
import { type EnterMessage, parseObjects } from "./rules.ts";

/** A message as the service stores it. */
export interface StoredMessage {
  readonly id: string;
  readonly conversationId: string;
  readonly chatId: string;
  readonly botId: string;
  readonly userId: string;
  readonly sectionId: string;
  readonly role: "user" | "assistant";
  readonly type: string;
  content: string;
  contentType: "text" | "object_string";
  metaData: Readonly<Record<string, string>>;
  /** Unix seconds. */
  readonly createdAt: number;
  updatedAt: number;
  /** Said in a turn that was cancelled. */
  cancelled: boolean;
  /** A question of a chat that still runs. */
  running: boolean;
}

export interface Conversation {
  readonly id: string;
  readonly botId: string | undefined;
  name: string;
  readonly metaData: Readonly<Record<string, string>>;
  /** The account that created it; nobody else may use it (coze-api.md §9.1). */
  readonly creatorId: string;
  readonly connectorId: string;
  /** Messages of other sections are no context any more. */
  sectionId: string;
  /** Unix seconds. */
  readonly createdAt: number;
  updatedAt: number;
  messages: StoredMessage[];
}

export interface StoredFile {
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  readonly createdAt: number;
}

/** Only these are history; the rest is how an answer came about (coze-api.md §3.2). */
const VISIBLE = new Set(["question", "answer", ""]);

/** Whether a message is history of its own, and not how an answer came about. */
export function isVisible({ type }: StoredMessage): boolean {
  return VISIBLE.has(type);
}

export interface ListOptions {
  readonly order: "asc" | "desc";
  readonly chatId: string | undefined;
  readonly beforeId: string | undefined;
  readonly afterId: string | undefined;
  readonly limit: number;
  readonly middle: boolean;
  readonly runningListed: boolean;
  readonly cancelledListed: boolean;
}

/** A page of a conversation's messages (coze-api.md §9.2); `undefined` when a cursor is none of them. */
export function listPage(
  { messages }: Conversation,
  options: ListOptions,
): { page: readonly StoredMessage[]; hasMore: boolean } | undefined {
  const { beforeId, afterId, limit } = options;
  const ordered = options.order === "asc" ? messages : messages.toReversed();
  const place = (id: string | undefined): number => ordered.findIndex((message) => message.id === id);
  if ([beforeId, afterId].some((id) => id !== undefined && place(id) === -1)) return undefined;
  const isListed = (message: StoredMessage): boolean =>
    (options.middle || isVisible(message)) &&
    (options.chatId === undefined || message.chatId === options.chatId) &&
    (options.runningListed || !message.running) &&
    (options.cancelledListed || !message.cancelled);
  if (beforeId !== undefined) {
    const listed = ordered.slice(0, place(beforeId)).filter(isListed);
    return { page: listed.slice(-limit), hasMore: listed.length > limit };
  }
  const listed = ordered.slice(place(afterId) + 1).filter(isListed);
  return { page: listed.slice(0, limit), hasMore: listed.length > limit };
}

/** What the bot remembers for a chat: the conversation's history, then what came with the request. */
export function toMemory(
  conversation: Conversation,
  before: readonly EnterMessage[],
  { userId, byUser }: { userId: string; byUser: boolean },
): readonly BotMemory[] {
  const stored = conversation.messages.filter(
    (message) =>
      isVisible(message) &&
      !message.cancelled &&
      message.sectionId === conversation.sectionId &&
      // What was put in by hand is nobody's, and context for all.
      (!byUser || message.userId === userId || message.userId === ""),
  );
  return [...stored, ...before].map((message) => ({ role: message.role, text: toPlainText(message) }));
}

export function toPlainText({ content, contentType }: { content: string; contentType: string }): string {
  if (contentType !== "object_string") return content;
  return (parseObjects(content) ?? []).flatMap(({ text }) => (text === undefined ? [] : [text])).join("\n");
}

export function toWireMessage(message: StoredMessage, questionHasChatId: boolean): object {
  const ownIds = message.role === "assistant" || questionHasChatId;
  return {
    id: message.id,
    conversation_id: message.conversationId,
    chat_id: ownIds ? message.chatId : "",
    bot_id: ownIds ? message.botId : "",
    section_id: message.sectionId,
    role: message.role,
    type: message.type,
    content: message.content,
    content_type: message.contentType,
    meta_data: message.metaData,
    created_at: message.createdAt,
    // The vendor's examples show this one as a string (coze-api.md §1.6).
    updated_at: String(message.updatedAt),
  };
}

export function toWireConversation(conversation: Conversation): object {
  return {
    id: conversation.id,
    name: conversation.name,
    meta_data: conversation.metaData,
    creator_id: conversation.creatorId,
    connector_id: conversation.connectorId,
    created_at: conversation.createdAt,
    updated_at: conversation.updatedAt,
    last_section_id: conversation.sectionId,
  };
}

export function toWireFile({ id, bytes, name, createdAt }: StoredFile): object {
  return { id, bytes, file_name: name, created_at: createdAt };
}
