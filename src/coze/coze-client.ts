import { openAsBlob } from "node:fs";
import { type Dispatcher, FormData } from "undici";
import type {
  AnswerEvent,
  AnswerFailure,
  AnswerMessageKind,
  ChatStatus,
  ContentType,
  PendingAction,
  Usage,
} from "../core/answer-state.ts";
import { CozeError } from "../core/errors.ts";
import type { Abortable, AnswerSource, BroughtFile, LocalFile, Log, Question } from "../core/ports.ts";
import { isOver, NOT_ENDED, reduceEnd } from "./answer-end.ts";
import {
  type SseEvent,
  toAnswerEvent,
  toChatFailure,
  toChatStatus,
  toContentType,
  toMessageKind,
  toPending,
  toUsage,
} from "./chat-events.ts";
import { toChatRequest, toConversationRequest } from "./chat-request.ts";
import { Deadline } from "./deadline.ts";
import { type CallFacts, NOT_CANCELLABLE, streamBroken, timedOut, toCozeError } from "./errors.ts";
import { toBroughtFile } from "./file-kind.ts";
import { type CozeCall, CozeHttp, type CozeTimeouts, DEFAULT_TIMEOUTS, type OpenResponse } from "./http.ts";
import { JsonInsteadOfStream, SseDecoder } from "./sse.ts";
import {
  chatSchema,
  createdSchema,
  messageListSchema,
  messagePageSchema,
  type WireChat,
  type WireMessage,
} from "./wire.ts";

export interface CozeClientOptions {
  /** Host of the API; mandatory, since tokens belong to one region (coze-api.md §17). */
  readonly baseUrl: string;
  /** Opaque; never looked into. */
  readonly token: string;
  readonly log: Log;
  readonly timeouts?: Partial<CozeTimeouts>;
  /** Our product token, default `coze-bridge`. */
  readonly userAgent?: string;
  /** Instead of connections of its own, e.g. a proxy; not closed by the client. */
  readonly dispatcher?: Dispatcher;
}

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

export interface MessagePage {
  readonly messages: readonly StoredMessage[];
  /** Cursors for `beforeId` and `afterId`. */
  readonly firstId: string | undefined;
  readonly lastId: string | undefined;
  readonly hasMore: boolean;
}

export interface ListMessagesOptions extends Abortable {
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

/** After `done` nothing comes but the end of the body; reading it lets the connection be used again. */
const DRAIN_MS = 250;

class HttpCozeClient implements CozeClient {
  readonly #http: CozeHttp;
  readonly #log: Log;

  constructor({ baseUrl, token, log, timeouts, userAgent = "coze-bridge", dispatcher }: CozeClientOptions) {
    this.#log = log;
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
    return (await this.#http.call(call, createdSchema)).id;
  }

  async *ask(question: Question, { signal }: Abortable): AsyncGenerator<AnswerEvent, void, undefined> {
    const { idleMs, graceMs } = this.#http.timeouts;
    const seen: { chatId?: string; conversationId?: string } = {};
    const facts = (): CallFacts => ({ call: "POST /v3/chat", ...seen });
    let end = NOT_ENDED;
    const wait = (): number => (!isOver(end) ? idleMs : end.marked ? DRAIN_MS : graceMs);
    try {
      for await (const event of this.chatStream(question, { signal, idleMs: wait })) {
        end = reduceEnd(end, event);
        yield event;
        if (event.type === "chat") {
          if (event.chatId !== undefined) seen.chatId = event.chatId;
          if (event.conversationId !== undefined) seen.conversationId = event.conversationId;
          if (event.status === "failed") throw this.#chatFailed(event.error, facts(), end.answered);
        }
        // Once the end is proven an error event is noise (coze-api.md §22.29).
        if (event.type === "error" && !isOver(end)) throw this.#streamError(event.error, facts());
        if (event.type === "end" && !isOver(end)) throw streamBroken("done, but the chat is not", facts());
      }
    } catch (error) {
      // The chat's end was seen: a reset or silence after it takes nothing away (coze-api.md §22.31).
      if (!isOver(end) || signal.aborted || !(error instanceof CozeError)) throw error;
      this.#log.debug({ err: error }, "coze stream was left after its chat had ended");
      return;
    }
    if (!isOver(end)) throw streamBroken("the stream stopped before the chat ended", facts());
  }

  async *chatStream(
    question: Question,
    { signal, idleMs }: Abortable & { idleMs?: () => number },
  ): AsyncGenerator<AnswerEvent, void, undefined> {
    const call = "POST /v3/chat";
    const json = toChatRequest(question);
    const query = { conversation_id: question.conversationId };
    const { totalMs } = this.#http.timeouts;
    let facts: CallFacts = { call, conversationId: question.conversationId };
    using deadline = new Deadline(signal);
    deadline.limit(totalMs, () => timedOut("no end of the answer", totalMs, facts));
    const response = await this.#http.open(
      { method: "POST", path: "/v3/chat", query, json, signal },
      deadline,
    );
    facts = { ...facts, httpStatus: response.status, logId: response.logId };
    if (!mayBeStream(response)) {
      const rejection = { ...facts, retryAfterMs: response.retryAfterMs };
      const text = await this.#http.readText(response, deadline, rejection);
      throw this.#http.toRejection(text, response.status, rejection);
    }
    try {
      for await (const sse of this.#events(response, deadline, () => facts, idleMs)) {
        const event = toAnswerEvent(sse);
        if (event.type === "unknown")
          this.#log.debug({ name: event.name }, "coze sent an event we do not know");
        if (event.type === "chat") facts = { ...facts, ...this.#noteIds(event, question) };
        yield event;
      }
    } catch (error) {
      throw this.#explainStream(error, deadline, facts);
    }
  }

  async retrieveChat(chat: ChatIds, { signal }: Abortable): Promise<StoredChat> {
    const call: CozeCall = { method: "GET", path: "/v3/chat/retrieve", query: toQuery(chat), signal };
    return toStoredChat(await this.#http.call(call, chatSchema), chat);
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
    return {
      messages: page.data.map(toStoredMessage),
      firstId: page.first_id,
      lastId: page.last_id,
      hasMore: page.has_more ?? false,
    };
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

  async *#events(
    response: OpenResponse,
    deadline: Deadline,
    facts: () => CallFacts,
    idleMs: (() => number) | undefined,
  ): AsyncGenerator<SseEvent, void, undefined> {
    const decoder = new SseDecoder();
    for await (const bytes of this.#http.read(response, deadline, facts(), idleMs))
      yield* decoder.push(bytes);
    yield* decoder.end();
  }

  #explainStream(error: unknown, deadline: Deadline, facts: CallFacts): unknown {
    if (deadline.signal.aborted) return withIds(deadline.signal.reason, facts);
    if (error instanceof JsonInsteadOfStream) {
      return this.#http.toRejection(error.body, facts.httpStatus ?? 200, facts);
    }
    return error instanceof CozeError
      ? error
      : streamBroken("the connection broke", { ...facts, cause: error });
  }

  /** Ids as the chat itself tells them; the conversation may be another one than asked (coze-api.md §16.6). */
  #noteIds(event: AnswerEvent & { type: "chat" }, question: Question): Partial<CallFacts> {
    if (event.conversationId !== undefined && event.conversationId !== question.conversationId) {
      this.#log.warn(
        { asked: question.conversationId, answered: event.conversationId },
        "coze answered in another conversation",
      );
    }
    return {
      ...(event.chatId !== undefined && { chatId: event.chatId }),
      ...(event.conversationId !== undefined && { conversationId: event.conversationId }),
    };
  }

  #chatFailed(failure: AnswerFailure | undefined, facts: CallFacts, answered: boolean): CozeError {
    const { code, text } = failure ?? { code: 0, text: "" };
    return toCozeError({ code, text: this.#http.redact(text) }, facts, { answered });
  }

  #streamError({ code, text }: AnswerFailure, facts: CallFacts): CozeError {
    return streamBroken("an error event", facts, { code, text: this.#http.redact(text) });
  }
}

/** JSON, HTML and anything but 200 is a rejection; the rest is looked into (coze-api.md §7.1, §7.2). */
function mayBeStream({ status, contentType }: OpenResponse): boolean {
  return status === 200 && !contentType.includes("json") && !contentType.includes("html");
}

/** Our own time-out was made before the chat's id was known. */
function withIds(reason: unknown, { chatId, conversationId, logId, httpStatus }: CallFacts): unknown {
  if (!(reason instanceof CozeError) || reason.code !== "COZE_TIMEOUT") return reason;
  return new CozeError(reason.code, reason.message, {
    cause: reason,
    retryable: reason.retryable,
    outcome: reason.outcome,
    ...(chatId !== undefined && { chatId }),
    ...(conversationId !== undefined && { conversationId }),
    ...(logId !== undefined && { logId }),
    ...(httpStatus !== undefined && { httpStatus }),
  });
}

function toQuery({ conversationId, chatId }: ChatIds): Record<string, string> {
  return { conversation_id: conversationId, chat_id: chatId };
}

function toStoredChat(chat: WireChat, asked: ChatIds): StoredChat {
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

function toStoredMessage(message: WireMessage): StoredMessage {
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
