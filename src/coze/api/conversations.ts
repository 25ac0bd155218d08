import type { Abortable } from "../../core/ports.ts";
import { checkMetaData, type EnterMessage, type MetaData, toWireMessage } from "../chat-request.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { type NumberedPage, type PageNumber, readNumbered, toPageQuery } from "../paging.ts";
import { checkLength, refuse, toPathPart } from "../refusal.ts";
import { type StoredConversation, toConversationPage, toStoredConversation } from "../stored-conversation.ts";
import { clearedSchema, conversationPageSchema, conversationSchema } from "../wire/conversations.ts";
import { nothingSchema } from "../wire/envelope.ts";

/** Longest name, in characters (coze-api.md §9.1). */
export const MAX_CONVERSATION_NAME = 100;
/** Most messages that a conversation begins with (coze-api.md §9.1). */
const MAX_FIRST_MESSAGES = 16;

/** A conversation to be created (coze-api.md §9.1). */
export interface NewConversation {
  /** Without it the conversation cannot be listed. */
  readonly botId?: string;
  /** At most 100 characters. */
  readonly name?: string;
  /** What was said before, oldest first; at most 16. */
  readonly messages?: readonly EnterMessage[];
  /** Told again whenever the conversation is. */
  readonly metaData?: MetaData;
  /** Default `1024`, the API; `999` is the Chat SDK. */
  readonly connectorId?: string;
}

/** Which conversations are listed: those that the token's own account created with this bot. */
export interface ListConversationsOptions extends Abortable {
  readonly botId: string;
  /** Default `1024`, the API; `999` is the Chat SDK. */
  readonly connectorId?: string;
  /** By creation; default `desc`, newest first. */
  readonly order?: "asc" | "desc";
  /** 1–50, default 50. */
  readonly pageSize?: number;
}

/** Conversations: long-lived threads of messages (coze-api.md §9.1). Every method throws {@link CozeError}. */
export class ConversationsApi {
  readonly #http: CozeHttp;

  constructor(http: CozeHttp) {
    this.#http = http;
  }

  async create(conversation: NewConversation, { signal }: Abortable): Promise<StoredConversation> {
    const json = toConversationBody(conversation);
    const call: CozeCall = { method: "POST", path: "/v1/conversation/create", json, signal };
    return toStoredConversation(await this.#http.call(call, conversationSchema));
  }

  async retrieve(conversationId: string, { signal }: Abortable): Promise<StoredConversation> {
    const query = { conversation_id: conversationId };
    const call: CozeCall = { method: "GET", path: "/v1/conversation/retrieve", query, signal };
    return toStoredConversation(await this.#http.call(call, conversationSchema));
  }

  /** All of them, page by page as they are read; the reader may stop early. */
  list(options: ListConversationsOptions): AsyncIterable<StoredConversation> {
    return readNumbered((pageNumber) => this.page({ ...options, pageNumber }), {
      toId: ({ conversationId }) => conversationId,
      call: "GET /v1/conversations",
    });
  }

  async page(options: ListConversationsOptions & PageNumber): Promise<NumberedPage<StoredConversation>> {
    const { botId, connectorId, order, signal } = options;
    const query = {
      bot_id: botId,
      ...toPageQuery(options),
      sort_order: order?.toUpperCase(),
      connector_id: connectorId,
    };
    const call: CozeCall = { method: "GET", path: "/v1/conversations", query, signal };
    return toConversationPage(await this.#http.call(call, conversationPageSchema));
  }

  /** @param name - At most 100 characters. */
  async rename(conversationId: string, name: string, { signal }: Abortable): Promise<StoredConversation> {
    checkLength("the name of a conversation", name, { least: 1, most: MAX_CONVERSATION_NAME });
    const call: CozeCall = { method: "PUT", path: toPath(conversationId), json: { name }, signal };
    return toStoredConversation(await this.#http.call(call, conversationSchema));
  }

  /** Only its creator may. Every later call about it is `COZE_CONVERSATION_GONE`. */
  async delete(conversationId: string, { signal }: Abortable): Promise<void> {
    await this.#http.call({ method: "DELETE", path: toPath(conversationId), signal }, nothingSchema);
  }

  /**
   * Begins a new section: what was said stays listed, and is no context any more.
   *
   * @returns The new section's id.
   */
  async clear(conversationId: string, { signal }: Abortable): Promise<string> {
    const call: CozeCall = { method: "POST", path: `${toPath(conversationId)}/clear`, signal };
    return (await this.#http.call(call, clearedSchema)).id;
  }
}

function toConversationBody(conversation: NewConversation): object {
  const { botId, name, messages, metaData, connectorId } = conversation;
  checkLength("the name of a conversation", name, { most: MAX_CONVERSATION_NAME });
  if (messages !== undefined && messages.length > MAX_FIRST_MESSAGES) {
    refuse(`${messages.length} messages; a conversation begins with at most ${MAX_FIRST_MESSAGES}`);
  }
  if (metaData !== undefined) checkMetaData(metaData);
  return {
    bot_id: botId,
    name,
    messages: messages?.map(toWireMessage),
    meta_data: metaData,
    connector_id: connectorId,
  };
}

function toPath(conversationId: string): string {
  return `/v1/conversations/${toPathPart(conversationId)}`;
}
