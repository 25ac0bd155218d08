import type { Abortable } from "../../core/ports.ts";
import type { CozeHttp } from "../http.ts";
import { type MessagePage, toMessagePage } from "../stored.ts";
import { messagePageSchema } from "../wire.ts";

export interface ListMessagesOptions extends Abortable {
  readonly conversationId: string;
  /** Only messages of this chat. */
  readonly chatId?: string;
  /** Default `desc`: newest first. */
  readonly order?: "asc" | "desc";
  /** Page towards the front: the previous `firstId`. */
  readonly beforeId?: string;
  /** Page towards the back: the previous `lastId`. */
  readonly afterId?: string;
  /** 1–50, default 50. */
  readonly limit?: number;
}

/** Messages of conversations (coze-api.md §9.2, §9.3). Every method throws {@link CozeError}. */
export class MessagesApi {
  readonly #http: CozeHttp;

  constructor(http: CozeHttp) {
    this.#http = http;
  }

  /** One page of a conversation's messages, questions included. */
  async page(options: ListMessagesOptions): Promise<MessagePage> {
    const { conversationId, chatId, order, beforeId, afterId, limit, signal } = options;
    const page = await this.#http.call(
      {
        method: "POST",
        path: "/v1/conversation/message/list",
        query: { conversation_id: conversationId },
        json: { order, chat_id: chatId, before_id: beforeId, after_id: afterId, limit },
        signal,
      },
      messagePageSchema,
      { whole: true },
    );
    return toMessagePage(page);
  }
}
