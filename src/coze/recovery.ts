import { setTimeout as sleep } from "node:timers/promises";
import type { AnswerEvent } from "../core/answer-state.ts";
import type { Abortable } from "../core/ports.ts";
import { TURN_ID_KEY, toMetaValue } from "./chat-request.ts";
import type { CozeClient } from "./coze-client.ts";
import { timedOut, toCozeError } from "./errors.ts";
import type { ChatIds, StoredMessage } from "./stored.ts";

/** Polls are at least this far apart per chat (coze-api.md §14), and get rarer while nothing happens. */
const FIRST_POLL_MS = 1_000;
const LONGEST_POLL_MS = 3_000;
/** Pages of 50 messages that a lost chat is looked for in: the newest 200 messages of its conversation. */
const MAX_PAGES = 4;

type Lists = Pick<CozeClient, "listMessages">;
type Chats = Pick<CozeClient, "retrieveChat" | "listChatMessages">;

/**
 * The chat of a question, found by the turn id in its `meta_data`; where the question is listed without a chat id, by
 * the answer that follows it (coze-api.md §16.3).
 */
export async function findChat(
  client: Lists,
  { conversationId, turnId }: { conversationId: string; turnId: string },
  { signal }: Abortable,
): Promise<string | undefined> {
  const wanted = toMetaValue(turnId);
  let afterId: string | undefined;
  let newer: StoredMessage | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { messages, hasMore, lastId } = await client.listMessages({
      conversationId,
      order: "desc",
      signal,
      // Newest first: what comes after the last one of a page is older (coze-api.md §9.2).
      ...(afterId !== undefined && { afterId }),
    });
    for (const message of messages) {
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
  client: Chats,
  chat: ChatIds,
  { signal, timeoutMs }: Abortable & { timeoutMs: number },
): AsyncGenerator<AnswerEvent, void, undefined> {
  const until = performance.now() + timeoutMs;
  const facts = { call: "GET /v3/chat/retrieve", ...chat };
  for (let waitMs = FIRST_POLL_MS; ; waitMs = Math.min(LONGEST_POLL_MS, waitMs * 1.5)) {
    const stored = await client.retrieveChat(chat, { signal });
    const { status, usage, failure, pending } = stored;
    if (status === "running") {
      if (performance.now() > until) throw timedOut("no end of the chat", timeoutMs, facts);
      await sleep(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      continue;
    }
    for (const message of inOrder(await client.listChatMessages(chat, { signal })))
      yield toMessageEvent(message);
    yield {
      type: "chat",
      status,
      pending,
      chatId: chat.chatId,
      conversationId: chat.conversationId,
      ...(usage !== undefined && { usage }),
      ...(failure !== undefined && { error: failure }),
    };
    if (status === "failed") {
      const { code, text } = failure ?? { code: 0, text: "" };
      throw toCozeError({ code, text }, facts, { answered: false });
    }
    return;
  }
}

/** The list is not chronological (coze-api.md §6.7): by time, then as listed. */
function inOrder(messages: readonly StoredMessage[]): readonly StoredMessage[] {
  return messages.toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
}

function toMessageEvent({ messageId, kind, contentType, text, reasoning }: StoredMessage): AnswerEvent {
  return { type: "message", messageId, kind, contentType, text, reasoning };
}
