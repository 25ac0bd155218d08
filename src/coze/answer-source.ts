import type { AnswerEvent } from "../core/answer-state.ts";
import type { Abortable, AnswerSource, BroughtFile, LocalFile, Question } from "../core/ports.ts";
import type { CozeClient } from "./coze-client.ts";
import { toChatRequest, toConversationRequest } from "./question.ts";
import { findChat, followChat } from "./recovery.ts";
import type { SpareConversations } from "./spare-conversations.ts";
import type { ChatIds } from "./stored.ts";
import { toBroughtFile } from "./upload/file-kind.ts";

/**
 * Coze as the bridge asks it.
 *
 * @param spares - Where conversations are kept ready; without, each is created when it is needed.
 */
export function createAnswerSource(client: CozeClient, spares?: SpareConversations): AnswerSource {
  return new CozeAnswerSource(client, spares);
}

class CozeAnswerSource implements AnswerSource {
  readonly #client: CozeClient;
  readonly #spares: SpareConversations | undefined;

  constructor(client: CozeClient, spares: SpareConversations | undefined) {
    this.#client = client;
    this.#spares = spares;
  }

  async createConversation({
    botId,
    conversation,
    fresh = false,
    signal,
  }: { botId: string; conversation: string; fresh?: boolean } & Abortable): Promise<string> {
    const request = toConversationRequest(botId, conversation);
    if (this.#spares !== undefined) return this.#spares.create(request, { signal, fresh });
    return (await this.#client.conversations.create(request, { signal })).conversationId;
  }

  upload(file: LocalFile, { name, signal }: { name: string } & Abortable): Promise<BroughtFile> {
    const upload = async (options: { name: string } & Abortable): Promise<string> =>
      (await this.#client.files.upload(file, options)).fileId;
    const maxBytes = this.#client.flavor.maxUploadBytes;
    return toBroughtFile(file, { name, signal, maxBytes, upload });
  }

  ask(question: Question, options: Abortable): AsyncIterable<AnswerEvent> {
    return this.#client.chats.stream(toChatRequest(question, this.#client.flavor), options);
  }

  findChat(
    lost: { conversationId: string; turnId: string },
    options: Abortable,
  ): Promise<string | undefined> {
    return findChat(this.#client.messages, lost, options);
  }

  follow(chat: ChatIds, options: Abortable & { timeoutMs: number }): AsyncIterable<AnswerEvent> {
    return followChat(this.#client.chats, chat, options);
  }

  async cancel(chat: ChatIds, options: Abortable): Promise<void> {
    await this.#client.chats.cancel(chat, options);
  }
}
