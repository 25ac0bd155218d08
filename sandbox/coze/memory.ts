import type { BotMemory } from "./bot.ts";
import type { EnterMessage } from "./rules.ts";
import { parseObjects } from "./rules.ts";

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
  readonly contentType: string;
  readonly metaData: Readonly<Record<string, string>>;
  /** Unix seconds. */
  readonly createdAt: number;
  /** Said in a turn that was cancelled. */
  cancelled: boolean;
  /** A question of a chat that still runs. */
  running: boolean;
}

export interface Conversation {
  readonly id: string;
  readonly botId: string | undefined;
  readonly name: string;
  readonly metaData: Readonly<Record<string, string>>;
  readonly sectionId: string;
  readonly createdAt: number;
  readonly messages: StoredMessage[];
}

export interface StoredFile {
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  readonly createdAt: number;
}

/** Only these are history; the rest is how an answer came about (coze-api.md §3.2). */
const VISIBLE = new Set(["question", "answer", ""]);

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

/** A page of a conversation's messages (coze-api.md §9.2). */
export function listPage(
  conversation: Conversation,
  options: ListOptions,
): { page: readonly StoredMessage[]; hasMore: boolean } {
  const listed = conversation.messages.filter(
    (message) =>
      (options.middle || VISIBLE.has(message.type)) &&
      (options.chatId === undefined || message.chatId === options.chatId) &&
      (options.runningListed || !message.running) &&
      (options.cancelledListed || !message.cancelled),
  );
  const ordered = options.order === "asc" ? listed : listed.toReversed();
  const place = (id: string): number => ordered.findIndex((message) => message.id === id);
  if (options.beforeId !== undefined) {
    const end = Math.max(0, place(options.beforeId));
    const start = Math.max(0, end - options.limit);
    return { page: ordered.slice(start, end), hasMore: start > 0 };
  }
  const start = options.afterId === undefined ? 0 : place(options.afterId) + 1;
  return {
    page: ordered.slice(start, start + options.limit),
    hasMore: start + options.limit < ordered.length,
  };
}

/** What the bot remembers for a chat: the conversation's history, then what came with the request. */
export function toMemory(
  conversation: Conversation,
  before: readonly EnterMessage[],
  { userId, byUser }: { userId: string; byUser: boolean },
): readonly BotMemory[] {
  const stored = conversation.messages.filter(
    (message) =>
      VISIBLE.has(message.type) &&
      !message.cancelled &&
      message.sectionId === conversation.sectionId &&
      (!byUser || message.userId === userId),
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
    updated_at: String(message.createdAt),
  };
}

export function toWireConversation(conversation: Conversation): object {
  return {
    id: conversation.id,
    name: conversation.name,
    meta_data: conversation.metaData,
    created_at: conversation.createdAt,
    last_section_id: conversation.sectionId,
  };
}
