import type { AnswerEvent } from "../core/answer-state.ts";
import type { Abortable } from "../core/ports.ts";
import type { ChatResult, ChatsApi } from "./api/chats.ts";
import type { MessagesApi } from "./api/messages.ts";
import { toMetaValue } from "./chat-request.ts";
import { chatFailed, ofKnownChat } from "./errors.ts";
import { TURN_ID_KEY } from "./question.ts";
import type { ChatIds, StoredMessage } from "./stored.ts";

/** Pages of 50 messages that a lost chat is looked for in: the newest 200 messages of its conversation. */
const MAX_PAGES = 4;

/**
 * The chat of a question, found by the turn id in its `meta_data`; where the question is listed without a chat id, by
 * the answer that follows it (coze-api.md §16.3).
 */
export async function findChat(
  messages: MessagesApi,
  { conversationId, turnId }: { conversationId: string; turnId: string },
  { signal }: Abortable,
): Promise<string | undefined> {
  const wanted = toMetaValue(turnId);
  let afterId: string | undefined;
  let newer: StoredMessage | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const query = {
      conversationId,
      order: "desc",
      signal,
      // Newest first: what comes after the last one of a page is older (coze-api.md §9.2).
      ...(afterId !== undefined && { afterId }),
    } as const;
    const { items, hasMore, lastId } = await messages.page(query).catch((error: unknown) => {
      throw ofKnownChat(error);
    });
    for (const message of items) {
      if (message.role === "user" && message.metaData[TURN_ID_KEY] === wanted) {
        return message.chatId !== "" ? message.chatId : newer?.chatId;
      }
      newer =
        message.role === "assistant" && message.kind === "answer" && message.chatId !== ""
          ? message
          : undefined;
    }
    if (!hasMore || lastId === undefined || lastId === afterId) return undefined;
    afterId = lastId;
  }
  return undefined;
}

/** Waits for a chat's end by asking for it, then tells it as its stream would have. @see AnswerSource.follow */
export async function* followChat(
  chats: ChatsApi,
  chat: ChatIds,
  options: Abortable & { timeoutMs: number },
): AsyncGenerator<AnswerEvent, void, undefined> {
  const stored = await chats.wait(chat, options);
  const messages = await chats.listMessages(chat, options).catch((error: unknown) => {
    throw ofKnownChat(error);
  });
  yield* toAnswerEvents({ chat: stored, messages });
  if (stored.status !== "failed") return;
  throw chatFailed(stored.failure, { call: "GET /v3/chat/retrieve", ...chat });
}

/** A chat that was looked up, as its stream would have told it. */
export function toAnswerEvents({ chat, messages }: ChatResult): readonly AnswerEvent[] {
  const { status, usage, failure, pending, chatId, conversationId } = chat;
  return [
    ...messages.map(toMessageEvent),
    {
      type: "chat",
      status,
      pending,
      chatId,
      conversationId,
      ...(usage !== undefined && { usage }),
      ...(failure !== undefined && { error: failure }),
    },
  ];
}

function toMessageEvent({ messageId, kind, contentType, text, reasoning }: StoredMessage): AnswerEvent {
  return { type: "message", messageId, kind, contentType, text, reasoning };
}
