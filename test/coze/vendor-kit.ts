import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ChatEventType,
  type ChatV3Message,
  CozeAPI,
  type CreateChatData,
  RoleType,
  type StreamChatData,
  type StreamChatReq,
} from "@coze/api";
import { expect } from "vitest";
import { STAND_IN_BOT, STAND_IN_TOKEN } from "../../sandbox/coze/coze-stand-in.ts";
import type { AnswerEvent, AnswerFailure, Usage } from "../../src/core/answer-state.ts";
import type { LocalFile } from "../../src/core/ports.ts";
import type { ChatRequest } from "../../src/coze/chat-request.ts";
import type { StoredChat, StoredMessage } from "../../src/coze/stored.ts";
import { type CozePair, openPair } from "./coze-kit.ts";
import { cozeAnswerViolations } from "./coze-spec.ts";
import { PNG } from "./file-bytes.ts";

/** Coze's own client beside ours, both on the same stand-in over real sockets. */
export interface Judged extends CozePair {
  /** As its README makes it: only token and address are others. */
  readonly vendor: CozeAPI;
}

/** On leaving, all that the stand-in answered either of them is held against the specifications. */
export async function openJudged(options: Parameters<typeof openPair>[0] = {}): Promise<Judged> {
  const pair = await openPair(options);
  return {
    ...pair,
    vendor: new CozeAPI({ token: STAND_IN_TOKEN, baseURL: pair.coze.url }),
    async [Symbol.asyncDispose]() {
      await pair[Symbol.asyncDispose]();
      expect(cozeAnswerViolations(pair.coze.traffic.exchanges)).toEqual([]);
    },
  };
}

const USER = "user-1";

/** A question as their client takes it. */
export function theirQuestion(text: string, changes: Partial<StreamChatReq> = {}): StreamChatReq {
  return {
    bot_id: STAND_IN_BOT,
    user_id: USER,
    additional_messages: [{ role: RoleType.User, content: text, content_type: "text" }],
    ...changes,
  };
}

/** The same question as ours takes it. */
export function ourQuestion(text: string, changes: Partial<ChatRequest> = {}): ChatRequest {
  return { botId: STAND_IN_BOT, userId: USER, messages: [{ role: "user", content: text }], ...changes };
}

/**
 * What a client tells of a chat, in words of neither. Every chat has ids of its own: they are told as their distance
 * from the chat's, which is the same for the same story.
 */
export type Told =
  | {
      readonly tells: "chat";
      readonly status: string;
      readonly conversation: string;
      readonly usage?: Usage | undefined;
      readonly failure?: AnswerFailure | undefined;
    }
  | ({ readonly tells: "delta" | "message" } & ToldMessage)
  | { readonly tells: "end" };

/** What a message is, or a piece of one. */
interface ToldMessage {
  readonly id: string;
  readonly type: string;
  readonly text: string;
  readonly reasoning: string;
}

function distance(chatId: string, id: string): string {
  return String(BigInt(id) - BigInt(chatId));
}

/** In the order of their events. */
export async function toldByTheirs(events: AsyncIterable<StreamChatData>): Promise<readonly Told[]> {
  let chatId = "0";
  return Array.fromAsync(events, (event): Told => {
    switch (event.event) {
      case ChatEventType.CONVERSATION_CHAT_CREATED:
      case ChatEventType.CONVERSATION_CHAT_IN_PROGRESS:
      case ChatEventType.CONVERSATION_CHAT_COMPLETED:
      case ChatEventType.CONVERSATION_CHAT_FAILED:
      case ChatEventType.CONVERSATION_CHAT_REQUIRES_ACTION:
        chatId = event.data.id;
        return theirChat(event.data);
      case ChatEventType.CONVERSATION_MESSAGE_DELTA:
      case ChatEventType.CONVERSATION_MESSAGE_COMPLETED:
        return {
          tells: event.event === ChatEventType.CONVERSATION_MESSAGE_DELTA ? "delta" : "message",
          ...theirMessage(chatId, event.data),
        };
      case ChatEventType.DONE:
        return { tells: "end" };
      case ChatEventType.CONVERSATION_AUDIO_DELTA:
      case ChatEventType.ERROR:
        throw new Error(`their client told ${event.event}`);
    }
  });
}

/** Of a chat: how it stands. No usage is zeros, no failure is code 0 (coze-api.md §3.1, §3.3). */
export function theirChat(chat: CreateChatData): Told {
  const { usage, last_error: failure } = chat;
  const running = chat.status === "created" || chat.status === "in_progress";
  return {
    tells: "chat",
    status: running ? "running" : chat.status,
    conversation: distance(chat.id, chat.conversation_id),
    usage:
      usage === undefined || usage.token_count === 0
        ? undefined
        : { input: usage.input_count, output: usage.output_count, total: usage.token_count },
    failure:
      failure === undefined || failure.code === 0
        ? undefined
        : { code: failure.code, text: failure.msg ?? "" },
  };
}

export function theirMessage(chatId: string, message: ChatV3Message): ToldMessage {
  // Typed as always there; absent from what is recorded (coze-api.md §5.4).
  const { reasoning_content: reasoning = "" } = message as Partial<ChatV3Message>;
  return { id: distance(chatId, message.id), type: message.type, text: message.content, reasoning };
}

/** In the order of our events. */
export async function toldByOurs(events: AsyncIterable<AnswerEvent>): Promise<readonly Told[]> {
  let chatId = "0";
  return Array.fromAsync(events, (event): Told => {
    switch (event.type) {
      case "chat": {
        chatId = event.chatId ?? chatId;
        const { status, conversationId = "", usage, error } = event;
        return {
          tells: "chat",
          status,
          conversation: distance(chatId, conversationId),
          usage,
          failure: error,
        };
      }
      case "delta":
      case "message": {
        const { type: tells, messageId, kind, text, reasoning } = event;
        return { tells, id: distance(chatId, messageId), type: kind, text, reasoning };
      }
      case "end":
        return { tells: "end" };
      case "audio":
      case "error":
      case "unknown":
        throw new Error(`our client told ${event.type}`);
    }
  });
}

export function ourChat({ chatId, conversationId, status, usage, failure }: StoredChat): Told {
  return { tells: "chat", status, conversation: distance(chatId, conversationId), usage, failure };
}

export function ourMessage(chatId: string, { messageId, kind, text, reasoning }: StoredMessage): ToldMessage {
  return { id: distance(chatId, messageId), type: kind, text, reasoning };
}

/** Both lists by id: in which order a chat's messages are listed nobody promises (coze-api.md §6.7), ours sorts by time. */
export function byId(messages: readonly ToldMessage[]): readonly ToldMessage[] {
  return messages.toSorted((a, b) => Number(a.id) - Number(b.id));
}

/** The whole texts of one type, in the order they came. */
export function textsOf(told: readonly Told[], type: string): readonly string[] {
  return told.flatMap((step) => (step.tells === "message" && step.type === type ? [step.text] : []));
}

/** The log id that the stand-in gave its last answer. */
export function lastLogId({ coze }: Judged): string {
  const response = coze.traffic.exchanges.findLast(({ kind }) => kind === "http")?.response;
  // The stand-in's own envelope.
  return (response as { readonly detail: { readonly logid: string } }).detail.logid;
}

/** A picture named a.png, gone when disposed: their client names an upload after the path it is read from. */
export async function aPicture(): Promise<LocalFile> {
  return aNamedFile("a.png", PNG);
}

/** A file of this name, gone when disposed. */
export async function aNamedFile(name: string, content: Uint8Array): Promise<LocalFile> {
  const folder = await mkdtemp(join(tmpdir(), "coze-vendor-"));
  const path = join(folder, name);
  await writeFile(path, content);
  return {
    path,
    bytes: content.length,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
