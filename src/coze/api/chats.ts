import { setTimeout as sleep } from "node:timers/promises";
import type { AnswerEvent } from "../../core/answer-state.ts";
import { CozeError } from "../../core/errors.ts";
import type { Abortable, Log } from "../../core/ports.ts";
import { type ChatRequest, toChatBody } from "../chat-request.ts";
import { NOT_CANCELLABLE } from "../error-codes.ts";
import { chatFailed, ofKnownChat, timedOut } from "../errors.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { type CozePacer, paced, pacedStream } from "../pacer.ts";
import {
  type ChatIds,
  type StoredChat,
  type StoredMessage,
  toStoredChat,
  toStoredMessage,
} from "../stored.ts";
import { askChat, type ChatCall, streamChat } from "../stream/chat-stream.ts";
import { chatSchema, messageListSchema, type WireChat } from "../wire/chats.ts";

/** Polls are at least this far apart per chat (coze-api.md §14), and get rarer while nothing happens. */
const FIRST_POLL_MS = 1_000;
const LONGEST_POLL_MS = 3_000;
/** After so many looks in a row that failed nobody waits for a chat any more. */
const MAX_FAILED_LOOKS = 4;
/** How long a chat that is given up may take to be cancelled, in ms. */
const CANCEL_MS = 10_000;

/** What a tool of ours gave back (coze-api.md §8.5); a structured value goes as JSON. */
export interface ToolOutput {
  readonly toolCallId: string;
  readonly output: string;
}

/** A chat that ended, and what was said in it. */
export interface ChatResult {
  readonly chat: StoredChat;
  /** All messages but the question, by time. */
  readonly messages: readonly StoredMessage[];
}

interface Patience extends Abortable {
  /** How long the chat may take, in ms. */
  readonly timeoutMs: number;
}

/** Chats: one invocation of a bot each (coze-api.md §4–8). Every method throws {@link CozeError}. */
export class ChatsApi {
  readonly #http: CozeHttp;
  readonly #pacer: CozePacer;
  readonly #log: Log;

  constructor(http: CozeHttp, { pacer, log }: { pacer: CozePacer; log: Log }) {
    this.#http = http;
    this.#pacer = pacer;
    this.#log = log;
  }

  /**
   * Asks, and yields the answer as it is written. Returns normally only when the chat's end was seen; a stream that
   * just stops throws `COZE_STREAM_BROKEN`, silence `COZE_TIMEOUT`, a failed chat the error of its code.
   */
  stream(request: ChatRequest, options: Abortable): AsyncIterable<AnswerEvent> {
    return this.#judged(() => this.#toChatCall(request, { stream: true }), options);
  }

  /**
   * The events of a chat as they come, until the body ends. Makes no judgement about the chat's end; {@link stream}
   * does.
   *
   * @param idleMs - How long the next event may take; asked before each wait.
   */
  events(request: ChatRequest, options: Abortable & { idleMs?: () => number }): AsyncIterable<AnswerEvent> {
    const open = (): AsyncIterable<AnswerEvent> =>
      streamChat(this.#http, this.#toChatCall(request, { stream: true }), { ...options, log: this.#log });
    return pacedStream(this.#pacer.chats, options.signal, open);
  }

  /** Starts a chat that nobody listens to; {@link wait} tells how it ends. */
  async create(request: ChatRequest, options: Abortable): Promise<StoredChat> {
    return this.#start(this.#toChatCall(request, { stream: false }), options);
  }

  /**
   * Asks and waits for the whole answer. A chat that takes too long is cancelled.
   *
   * @returns What was said when the chat completed, was canceled elsewhere or waits for a tool: see `chat.status`.
   * @throws {CozeError} the code's error when the chat failed; `COZE_TIMEOUT`.
   */
  async ask(request: ChatRequest, options: Patience): Promise<ChatResult> {
    return this.#settle(await this.create(request, options), options);
  }

  /** Gives the bot what its local tools came to, all that wait at once; the answer goes on. */
  submitToolOutputs(
    chat: ChatIds,
    outputs: readonly ToolOutput[],
    options: Abortable,
  ): AsyncIterable<AnswerEvent> {
    return this.#judged(() => toOutputsCall(chat, outputs, { stream: true }), options);
  }

  /** {@link submitToolOutputs}, waiting for the whole answer as {@link ask} does. */
  async submitToolOutputsAndWait(
    chat: ChatIds,
    outputs: readonly ToolOutput[],
    options: Patience,
  ): Promise<ChatResult> {
    return this.#settle(await this.#start(toOutputsCall(chat, outputs, { stream: false }), options), options);
  }

  async retrieve(chat: ChatIds, { signal }: Abortable): Promise<StoredChat> {
    const call: CozeCall = { method: "GET", path: "/v3/chat/retrieve", query: toQuery(chat), signal };
    const look = async (): Promise<StoredChat> =>
      this.#toStored(await this.#http.call(call, chatSchema), chat);
    return paced(this.#pacer.polls(chat.chatId), signal, look);
  }

  /**
   * Waits until a chat runs no more. A look that fails says nothing of the chat, so some may.
   *
   * @returns However it ended, failed chats too.
   * @throws {CozeError} `COZE_TIMEOUT`, or the error of the last of {@link MAX_FAILED_LOOKS}; the chat runs on.
   */
  async wait(chat: ChatIds, { signal, timeoutMs }: Patience): Promise<StoredChat> {
    const until = performance.now() + timeoutMs;
    const facts = { call: "GET /v3/chat/retrieve", ...chat };
    let failed = 0;
    for (let waitMs = FIRST_POLL_MS; ; waitMs = Math.min(LONGEST_POLL_MS, waitMs * 1.5)) {
      try {
        const stored = await this.retrieve(chat, { signal });
        if (stored.status !== "running") return stored;
        failed = 0;
      } catch (cause) {
        const error = ofKnownChat(cause);
        failed += 1;
        const mayPass = error instanceof CozeError && error.retryable && failed < MAX_FAILED_LOOKS;
        // Coze wants to be left alone: whoever asked for the chat knows better what that means.
        if (!mayPass || (error.retryAfterMs ?? 0) > LONGEST_POLL_MS) throw error;
      }
      if (performance.now() > until) throw timedOut("no end of the chat", timeoutMs, facts);
      await sleep(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  /** All messages of a chat but the question; the list is not chronological (coze-api.md §6.7), this is: by time. */
  async listMessages(chat: ChatIds, { signal }: Abortable): Promise<readonly StoredMessage[]> {
    const call: CozeCall = { method: "GET", path: "/v3/chat/message/list", query: toQuery(chat), signal };
    const listed = (await this.#http.call(call, messageListSchema)).map(toStoredMessage);
    // A self-hosted server lists the question, too (coze-api.md §18).
    const messages = listed.filter(({ kind }) => kind !== "question");
    return messages.toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
  }

  /** @returns False when the chat was over already. */
  async cancel({ conversationId, chatId }: ChatIds, { signal }: Abortable): Promise<boolean> {
    const json = { conversation_id: conversationId, chat_id: chatId };
    try {
      await this.#http.call({ method: "POST", path: "/v3/chat/cancel", json, signal }, chatSchema.nullish());
      return true;
    } catch (error) {
      if (error instanceof CozeError && NOT_CANCELLABLE.has(error.cozeCode)) return false;
      throw error;
    }
  }

  #toChatCall(request: ChatRequest, { stream }: { stream: boolean }): ChatCall {
    const { conversationId } = request;
    return {
      path: "/v3/chat",
      // In the query, never in the body (coze-api.md §4).
      query: conversationId === undefined ? {} : { conversation_id: conversationId },
      json: toChatBody(request, { stream, marks: this.#http.flavor.marks }),
      conversationId,
    };
  }

  /** @param toCall - Called by the reader's first step, which throws what it throws. */
  #judged(toCall: () => ChatCall, { signal }: Abortable): AsyncIterable<AnswerEvent> {
    const open = (): AsyncIterable<AnswerEvent> => askChat(this.#http, toCall(), { signal, log: this.#log });
    return pacedStream(this.#pacer.chats, signal, open);
  }

  async #start({ path, query, json }: ChatCall, { signal }: Abortable): Promise<StoredChat> {
    const call: CozeCall = { method: "POST", path, json, signal, ...(query !== undefined && { query }) };
    const chat = await paced(this.#pacer.chats, signal, () => this.#http.call(call, chatSchema));
    return this.#toStored(chat, { conversationId: query?.["conversation_id"] ?? "", chatId: "" });
  }

  /** Coze's words for a failure might repeat our token. */
  #toStored(chat: WireChat, asked: ChatIds): StoredChat {
    const { failure, ...stored } = toStoredChat(chat, asked);
    if (failure === undefined) return stored;
    return { ...stored, failure: { ...failure, text: this.#http.redact(failure.text) } };
  }

  async #settle(started: StoredChat, options: Patience): Promise<ChatResult> {
    const chat = await this.#waitOrCancel(started, options);
    if (chat.status === "failed") {
      const { conversationId, chatId } = chat;
      throw chatFailed(chat.failure, { call: "GET /v3/chat/retrieve", conversationId, chatId });
    }
    return { chat, messages: await this.listMessages(chat, options) };
  }

  /** A chat that nobody waits for any more still costs: it is cancelled, unless it ended just now (§8.6). */
  async #waitOrCancel(chat: StoredChat, options: Patience): Promise<StoredChat> {
    try {
      return await this.wait(chat, options);
    } catch (error) {
      const givenUp = options.signal.aborted || (error instanceof CozeError && error.retryable);
      if (!givenUp) throw error;
      // The caller's signal may have fired: this goes out nonetheless, and no longer than a moment.
      const signal = AbortSignal.timeout(CANCEL_MS);
      const stopped = await this.cancel(chat, { signal }).catch(() => true);
      if (stopped || options.signal.aborted) throw error;
      return this.retrieve(chat, options);
    }
  }
}

function toOutputsCall(
  chat: ChatIds,
  outputs: readonly ToolOutput[],
  { stream }: { stream: boolean },
): ChatCall {
  const toolOutputs = outputs.map(({ toolCallId, output }) => ({ tool_call_id: toolCallId, output }));
  return {
    path: "/v3/chat/submit_tool_outputs",
    query: toQuery(chat),
    json: { tool_outputs: toolOutputs, stream },
    conversationId: chat.conversationId,
  };
}

function toQuery({ conversationId, chatId }: ChatIds): Record<string, string> {
  return { conversation_id: conversationId, chat_id: chatId };
}
