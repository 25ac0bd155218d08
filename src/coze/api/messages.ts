import type { Abortable } from "../../core/ports.ts";
import {
  checkMetaData,
  type EnterMessage,
  type MetaData,
  type ObjectItem,
  toWireContent,
  toWireMessage,
} from "../chat-request.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { checkPageSize, MAX_PAGE_SIZE, readList } from "../paging.ts";
import { refuse } from "../refusal.ts";
import { type MessagePage, type StoredMessage, toMessagePage, toStoredMessage } from "../stored.ts";
import { changedMessageSchema, messagePageSchema, messageSchema } from "../wire/chats.ts";

/** The ids of one message. */
export interface MessageIds {
  readonly conversationId: string;
  readonly messageId: string;
}

/** What of a message is to be another; at least one of the two. */
export interface MessageChange {
  /** Text, or a text with files. */
  readonly content?: string | readonly ObjectItem[];
  /** In place of all that were there. */
  readonly metaData?: MetaData;
}

export interface ListMessagesOptions extends Abortable {
  readonly conversationId: string;
  /** Only messages of this chat; a self-hosted server can't tell them apart, {@link ChatsApi.listMessages} can. */
  readonly chatId?: string;
  /** Default `desc`: newest first. */
  readonly order?: "asc" | "desc";
  /** Only what follows this message in the list. Page towards the back: the previous `lastId`. */
  readonly afterId?: string;
  /** 1–50, default 50. A self-hosted server counts questions, each with all that was answered. */
  readonly pageSize?: number;
  /** Also how answers came about: tool calls, control packets, suggestions. Default false. */
  readonly includeMiddle?: boolean;
}

/** Messages of conversations (coze-api.md §9.2, §9.3). Every method throws {@link CozeError}. */
export class MessagesApi {
  readonly #http: CozeHttp;

  constructor(http: CozeHttp) {
    this.#http = http;
  }

  /** Adds a message to a conversation. While a chat runs there, nobody says what happens. */
  async create(conversationId: string, message: EnterMessage, { signal }: Abortable): Promise<StoredMessage> {
    const query = { conversation_id: conversationId };
    const json = toWireMessage(message);
    const call: CozeCall = { method: "POST", path: "/v1/conversation/message/create", query, json, signal };
    return toStoredMessage(await this.#http.call(call, messageSchema));
  }

  async retrieve(message: MessageIds, { signal }: Abortable): Promise<StoredMessage> {
    const query = toQuery(message);
    const call: CozeCall = { method: "GET", path: "/v1/conversation/message/retrieve", query, signal };
    return toStoredMessage(await this.#http.call(call, messageSchema));
  }

  async update(message: MessageIds, change: MessageChange, { signal }: Abortable): Promise<StoredMessage> {
    const json = toChangeBody(change);
    const query = toQuery(message);
    const call: CozeCall = { method: "POST", path: "/v1/conversation/message/modify", query, json, signal };
    return toStoredMessage((await this.#http.call(call, changedMessageSchema, { whole: true })).message);
  }

  /** An answer goes with all that led to it; what led to an answer cannot be deleted alone. @returns What it was. */
  async delete(message: MessageIds, { signal }: Abortable): Promise<StoredMessage> {
    const query = toQuery(message);
    const call: CozeCall = { method: "POST", path: "/v1/conversation/message/delete", query, signal };
    return toStoredMessage(await this.#http.call(call, messageSchema));
  }

  /** All messages, page by page as they are read; the reader may stop early. */
  list(options: ListMessagesOptions): AsyncIterable<StoredMessage> {
    return readList(options.afterId ?? "", {
      load: async (afterId) => {
        const page = await this.page(afterId === "" ? options : { ...options, afterId });
        const { items, hasMore, lastId = items.at(-1)?.messageId ?? "" } = page;
        return { items, next: hasMore ? lastId : undefined };
      },
      toId: ({ messageId }) => messageId,
      call: "POST /v1/conversation/message/list",
    });
  }

  /**
   * One page of a conversation's messages, questions included.
   *
   * @param options.beforeId - Page towards the front: the previous `firstId`.
   */
  async page(options: ListMessagesOptions & { readonly beforeId?: string }): Promise<MessagePage> {
    const { conversationId, chatId, order, beforeId, afterId, includeMiddle, signal } = options;
    const { pageSize = MAX_PAGE_SIZE } = options;
    checkPageSize(pageSize);
    const byTime = this.#http.flavor.messageCursors === "time";
    if (byTime && (order === "asc" || chatId !== undefined)) {
      refuse("a self-hosted Coze Studio lists messages newest first, those of all chats");
    }
    const page = await this.#http.call(
      {
        method: "POST",
        path: "/v1/conversation/message/list",
        query: { conversation_id: conversationId },
        json: {
          order,
          chat_id: chatId,
          // What stands after a message in the list is what was said before it.
          before_id: byTime ? afterId : beforeId,
          after_id: byTime ? beforeId : afterId,
          limit: pageSize,
          include_middle_message: includeMiddle,
        },
        signal,
      },
      messagePageSchema,
      { whole: true },
    );
    const { firstId, lastId, ...found } = toMessagePage(page);
    return byTime ? { ...found, firstId: lastId, lastId: firstId } : { ...found, firstId, lastId };
  }
}

function toChangeBody({ content, metaData }: MessageChange): object {
  if (content === undefined && metaData === undefined) refuse("a message is changed in content or meta data");
  if (metaData !== undefined) checkMetaData(metaData);
  return { ...(content !== undefined && toWireContent(content)), meta_data: metaData };
}

function toQuery({ conversationId, messageId }: MessageIds): Record<string, string> {
  return { conversation_id: conversationId, message_id: messageId };
}
