import { openAsBlob } from "node:fs";
import { type Dispatcher, FormData } from "undici";
import type { z } from "zod";
import type { AnswerEvent } from "../core/answer-state.ts";
import { CozeError } from "../core/errors.ts";
import type { Gates } from "../core/gate.ts";
import type { Abortable, AnswerSource, BroughtFile, LocalFile, Log, Question } from "../core/ports.ts";
import { toConversationRequest } from "./chat-request.ts";
import { askChat, streamChat } from "./chat-stream.ts";
import { NOT_CANCELLABLE } from "./errors.ts";
import { toBroughtFile } from "./file-kind.ts";
import { type CozeCall, CozeHttp, type CozeTimeouts, DEFAULT_TIMEOUTS } from "./http.ts";
import { CozePacer, paced, pacedStream } from "./pacer.ts";
import { findChat, followChat } from "./recovery.ts";
import {
  type ChatIds,
  type MessagePage,
  type StoredChat,
  type StoredMessage,
  toMessagePage,
  toStoredChat,
  toStoredMessage,
} from "./stored.ts";
import { chatSchema, createdSchema, messageListSchema, messagePageSchema } from "./wire.ts";

export interface CozeClientOptions {
  /** Host of the API; mandatory, since tokens belong to one region (coze-api.md §17). */
  readonly baseUrl: string;
  /** Opaque; never looked into. */
  readonly token: string;
  readonly log: Log;
  /** Where Coze's limits are kept to; on the world's clock. */
  readonly gates: Gates;
  /** What the plan of the token's owner allows. */
  readonly chatsPerSecond: number;
  readonly timeouts?: Partial<CozeTimeouts>;
  /** Our product token, default `coze-bridge`. */
  readonly userAgent?: string;
  /** Instead of connections of its own, e.g. a proxy; not closed by the client. */
  readonly dispatcher?: Dispatcher;
}

interface ListMessagesOptions extends Abortable {
  readonly conversationId: string;
  /** Only messages of this chat. */
  readonly chatId?: string;
  readonly order?: "asc" | "desc";
  /** Page towards the front: the previous `firstId`. */
  readonly beforeId?: string;
  /** Page towards the back: the previous `lastId`. */
  readonly afterId?: string;
  /** 1–50, default 50. */
  readonly limit?: number;
}

/** Coze, with the lower calls that recovery needs. Each throws {@link CozeError}. */
export interface CozeClient extends AnswerSource, AsyncDisposable {
  /**
   * The events of one chat as they come, until the body ends. Makes no judgement about the chat's end; `ask` does.
   *
   * @param idleMs - How long the next event may take; asked before each wait.
   */
  chatStream(question: Question, options: Abortable & { idleMs?: () => number }): AsyncIterable<AnswerEvent>;
  retrieveChat(chat: ChatIds, options: Abortable): Promise<StoredChat>;
  /** All messages of a chat but the question; order is Coze's, not chronological (coze-api.md §8.3). */
  listChatMessages(chat: ChatIds, options: Abortable): Promise<readonly StoredMessage[]>;
  /** Messages of a conversation, questions included (coze-api.md §9.2). */
  listMessages(options: ListMessagesOptions): Promise<MessagePage>;
  /** @returns False when the chat was over already. */
  cancelChat(chat: ChatIds, options: Abortable): Promise<boolean>;
  /** Uploads as it is, without looking into the file. @returns Coze's file id. */
  uploadFile(file: LocalFile, options: { name: string } & Abortable): Promise<string>;
}

/** A client for one Coze under one token. Dispose it to close its connections. */
export function createCozeClient(options: CozeClientOptions): CozeClient {
  return new HttpCozeClient(options);
}

class HttpCozeClient implements CozeClient {
  readonly #http: CozeHttp;
  readonly #log: Log;
  readonly #pacer: CozePacer;

  constructor(options: CozeClientOptions) {
    const { baseUrl, token, log, timeouts, userAgent = "coze-bridge", dispatcher } = options;
    this.#log = log;
    this.#pacer = new CozePacer(options.gates, options.chatsPerSecond);
    this.#http = new CozeHttp({
      baseUrl: baseUrl.replace(/\/+$/, ""),
      token,
      userAgent,
      timeouts: { ...DEFAULT_TIMEOUTS, ...timeouts },
      ...(dispatcher !== undefined && { dispatcher }),
    });
  }

  async createConversation({
    botId,
    conversation,
    signal,
  }: { botId: string; conversation: string } & Abortable): Promise<string> {
    const json = toConversationRequest(botId, conversation);
    const call: CozeCall = { method: "POST", path: "/v1/conversation/create", json, signal };
    return (await this.#http.call(call, createdSchema)).id;
  }

  async upload(file: LocalFile, { name, signal }: { name: string } & Abortable): Promise<BroughtFile> {
    return toBroughtFile(file, { name, signal, upload: (options) => this.uploadFile(file, options) });
  }

  async uploadFile(file: LocalFile, { name, signal }: { name: string } & Abortable): Promise<string> {
    const form = new FormData();
    form.append("file", await openAsBlob(file.path, { type: "application/octet-stream" }), name);
    const call: CozeCall = { method: "POST", path: "/v1/files/upload", form, signal };
    return (await paced(this.#pacer.uploads, signal, () => this.#http.call(call, createdSchema))).id;
  }

  ask(question: Question, { signal }: Abortable): AsyncIterable<AnswerEvent> {
    const open = (): AsyncIterable<AnswerEvent> => askChat(this.#http, question, { signal, log: this.#log });
    return pacedStream(this.#pacer.chats, signal, open);
  }

  chatStream(question: Question, options: Abortable & { idleMs?: () => number }): AsyncIterable<AnswerEvent> {
    const open = (): AsyncIterable<AnswerEvent> =>
      streamChat(this.#http, question, { ...options, log: this.#log });
    return pacedStream(this.#pacer.chats, options.signal, open);
  }

  async retrieveChat(chat: ChatIds, { signal }: Abortable): Promise<StoredChat> {
    const call: CozeCall = { method: "GET", path: "/v3/chat/retrieve", query: toQuery(chat), signal };
    const look = (): Promise<z.infer<typeof chatSchema>> => this.#http.call(call, chatSchema);
    return toStoredChat(await paced(this.#pacer.polls(chat.chatId), signal, look), chat);
  }

  async listChatMessages(chat: ChatIds, { signal }: Abortable): Promise<readonly StoredMessage[]> {
    const call: CozeCall = { method: "GET", path: "/v3/chat/message/list", query: toQuery(chat), signal };
    return (await this.#http.call(call, messageListSchema)).map(toStoredMessage);
  }

  async listMessages(options: ListMessagesOptions): Promise<MessagePage> {
    const page = await this.#http.call(
      {
        method: "POST",
        path: "/v1/conversation/message/list",
        query: { conversation_id: options.conversationId },
        json: {
          ...(options.order !== undefined && { order: options.order }),
          ...(options.chatId !== undefined && { chat_id: options.chatId }),
          ...(options.beforeId !== undefined && { before_id: options.beforeId }),
          ...(options.afterId !== undefined && { after_id: options.afterId }),
          ...(options.limit !== undefined && { limit: options.limit }),
        },
        signal: options.signal,
      },
      messagePageSchema,
      { whole: true },
    );
    return toMessagePage(page);
  }

  findChat(
    lost: { conversationId: string; turnId: string },
    options: Abortable,
  ): Promise<string | undefined> {
    return findChat(this, lost, options);
  }

  follow(chat: ChatIds, options: Abortable & { timeoutMs: number }): AsyncIterable<AnswerEvent> {
    return followChat(this, chat, options);
  }

  async cancel(chat: ChatIds, options: Abortable): Promise<void> {
    await this.cancelChat(chat, options);
  }

  async cancelChat({ conversationId, chatId }: ChatIds, { signal }: Abortable): Promise<boolean> {
    const json = { conversation_id: conversationId, chat_id: chatId };
    try {
      await this.#http.call({ method: "POST", path: "/v3/chat/cancel", json, signal }, chatSchema.nullish());
      return true;
    } catch (error) {
      if (error instanceof CozeError && error.cozeCode === NOT_CANCELLABLE) return false;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

function toQuery({ conversationId, chatId }: ChatIds): Record<string, string> {
  return { conversation_id: conversationId, chat_id: chatId };
}
