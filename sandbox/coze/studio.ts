import { randomUUID } from "node:crypto";
import type { StandInClock } from "../stand-in.ts";
import type { Accounts } from "./accounts.ts";
import { type BotQuestion, paceSteps } from "./bot.ts";
import type { BotsService } from "./bots.ts";
import { ChatRun } from "./chat-run.ts";
import {
  type Conversation,
  isVisible,
  type StoredMessage,
  toMemory,
  toWireFile,
  toWireMessage,
} from "./memory.ts";
import type { Outcome } from "./routes.ts";
import { type Fields, isRefusal, type Refusal, refuse } from "./rules.ts";
import type { CozeService } from "./service.ts";
import type { PlainEvent } from "./sse-bytes.ts";
import { checkStudioChat, type StudioChatRequest } from "./studio-rules.ts";
import {
  AGENT_MISSING,
  BAD_PARAMETER,
  CONVERSATION_MISSING,
  NOT_CANCELLABLE,
  NOT_PERMITTED,
  RECORD_MISSING,
  RUN_FAILED,
  studioEvents,
  toErrorText,
  toStudioChat,
  toStudioStatus,
} from "./studio-wire.ts";
import type { CozeSwitches } from "./switches.ts";
import { checkOnePart, type UploadPart } from "./upload-rules.ts";

/** What a chat is stored with besides what it was asked with. */
const INTERNAL_EXT = { bot_state: "{}", token: "0", input_tokens: "0", output_tokens: "0", time_cost: "1.2" };

export interface StudioOptions {
  readonly clock: StandInClock;
  readonly switches: CozeSwitches;
  readonly accounts: Accounts;
  readonly bots: BotsService;
}

/**
 * A self-hosted Coze Studio, where it differs from the hosted service: chats, lists of messages and uploads, over the
 * same conversations, files and bots (coze-api.md §18). Knows nothing of HTTP.
 */
export class StudioService {
  readonly #service: CozeService;
  readonly #options: StudioOptions;
  readonly #cancelled = new Set<string>();
  /** When messages were written, in ms: what cursors are made of. */
  readonly #writtenAt = new Map<string, number>();

  constructor(service: CozeService, options: StudioOptions) {
    this.#service = service;
    this.#options = options;
  }

  startChat(conversationId: string, body: Fields, token: string): Outcome {
    const request = checkStudioChat(body);
    if (isRefusal(request)) return request;
    const begun = this.#begin(conversationId, request, token);
    if (isRefusal(begun)) return this.#failSetUp(begun, request);
    const { run, ext } = begun;
    if (!request.stream) {
      run.start();
      return { body: { data: toStudioChat(run, "created") } };
    }
    const { switches } = this.#options;
    return { run, translate: studioEvents(run, { ext, switches }) };
  }

  retrieveChat(conversationId: string, chatId: string): Outcome {
    const run = this.#run(conversationId, chatId);
    return isRefusal(run) ? run : { body: { data: toStudioChat(run, this.#statusOf(run)) } };
  }

  /** The question among them. */
  listChatMessages(conversationId: string, chatId: string, token: string): Outcome {
    const conversation = this.#find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    const own = conversation.messages.filter((message) => message.chatId === chatId);
    return { body: { data: own.map((message) => toWireMessage(message, true)) } };
  }

  /** What runs goes on, and may write over what is stored here. */
  cancelChat(body: Fields): Outcome {
    const { conversation_id: conversationId, chat_id: chatId } = body;
    if (typeof conversationId !== "string" || typeof chatId !== "string") {
      return refuse(BAD_PARAMETER, "conversation_id and chat_id are required");
    }
    const run = this.#run(conversationId, chatId);
    if (isRefusal(run)) return run;
    if (!run.running || this.#cancelled.has(chatId)) return refuse(NOT_CANCELLABLE, "can not be cancelled");
    this.#cancelled.add(chatId);
    return { body: { data: toStudioChat(run, this.#statusOf(run)) } };
  }

  /**
   * Newest first, whatever the order asked for. Limit and cursors count questions, by when they were asked: `before_id`
   * is before in time (`STUDIO:backend/domain/conversation/message`). Without a limit nothing is listed.
   */
  listMessages(conversationId: string, body: Fields, token: string): Outcome {
    const conversation = this.#find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    const limit = body["limit"] ?? 0;
    const [before, after] = [toCursor(body["before_id"]), toCursor(body["after_id"])];
    if (typeof limit !== "number" || Number.isNaN(before) || Number.isNaN(after)) {
      return refuse(BAD_PARAMETER, "limit, before_id and after_id are integers");
    }
    const at = ({ id, createdAt }: StoredMessage): number => this.#writtenAt.get(id) ?? createdAt * 1000;
    const questions = conversation.messages
      .filter(({ type }) => type === "question")
      .filter((question) => (before > 0 ? at(question) < before : after === 0 || at(question) > after))
      .toReversed();
    const page = questions.slice(0, limit);
    const chats = new Set(page.map(({ chatId }) => chatId));
    const [newest, oldest] = [page[0], page.at(-1)];
    const messages = conversation.messages.filter(
      (message) => chats.has(message.chatId) && isVisible(message),
    );
    return {
      body: {
        data: messages.toReversed().map((message) => toWireMessage(message, true)),
        first_id: oldest === undefined ? "0" : String(at(oldest)),
        last_id: newest === undefined ? "0" : String(at(newest)),
        has_more: questions.length > page.length,
      },
    };
  }

  /** Any kind of file. */
  uploadFile(parts: readonly UploadPart[]): Outcome {
    const part = checkOnePart(parts, this.#options.switches.maxUploadBytes);
    if (isRefusal(part)) return part;
    const id = this.#service.newId();
    const file = { id, name: part.name, bytes: part.size, createdAt: this.#service.threads.seconds() };
    this.#service.files.set(id, file);
    const uri = `bot_files/${randomUUID()}`;
    return { body: { data: { ...toWireFile(file), uri, url: `http://minio.example/opencoze/${uri}` } } };
  }

  /** A run, or what keeps it from beginning. */
  #begin(
    conversationId: string,
    request: StudioChatRequest,
    token: string,
  ): { run: ChatRun; ext: Readonly<Record<string, string>> } | Refusal {
    const { bots, accounts } = this.#options;
    const { threads } = this.#service;
    if (isRefusal(bots.ask(request.botId, "published_online")))
      return refuse(AGENT_MISSING, "agent not exists");
    const found = threads.all.get(conversationId);
    if (found !== undefined && found.creatorId !== accounts.userOf(token).id) {
      return refuse(NOT_PERMITTED, "user not match");
    }
    const conversation = found ?? threads.open({ botId: request.botId, token });
    const plan = this.#service.plan(this.#toQuestion(request, conversation));
    if ("refuse" in plan) return plan.refuse;
    const ext = { ...INTERNAL_EXT, ...request.extraParams };
    const steps = paceSteps(plan.steps, this.#service.pace);
    const run = this.#newRun(request, { conversation, steps, ext });
    return { run, ext };
  }

  #toQuestion({ text, files, userId }: StudioChatRequest, conversation: Conversation): BotQuestion {
    const known = files.flatMap(({ fileId, kind }) => {
      const file = this.#service.files.get(fileId);
      return file === undefined ? [] : [{ name: file.name, bytes: file.bytes, kind }];
    });
    // By conversation and section alone: what others said is context, too.
    return { text, files: known, memory: toMemory(conversation, [], { userId, byUser: false }) };
  }

  #newRun(
    request: StudioChatRequest,
    {
      conversation,
      steps,
      ext,
    }: {
      conversation: Conversation;
      steps: ReturnType<typeof paceSteps>;
      ext: Readonly<Record<string, string>>;
    },
  ): ChatRun {
    const { clock, switches } = this.#options;
    const { chats } = this.#service;
    const id = this.#service.newId();
    const { botId, userId } = request;
    const owner = { chatId: id, userId, botId, sectionId: conversation.sectionId };
    const store = (
      message: Pick<StoredMessage, "role" | "type" | "content" | "contentType">,
      messageId?: string,
    ) => {
      const origin = { ...owner, ...(messageId !== undefined && { messageId }) };
      const stored = this.#service.threads.store(conversation, { ...message, metaData: ext }, origin);
      this.#writtenAt.set(stored.id, clock.now());
    };
    const { content, contentType } = request;
    if (content !== "") store({ role: "user", type: "question", content, contentType });
    const run = new ChatRun({
      id,
      conversationId: conversation.id,
      sectionId: conversation.sectionId,
      botId,
      metaData: {},
      steps,
      inputCharacters: content.length,
      clock,
      newId: () => this.#service.newId(),
      watchdogMs: switches.watchdogMs,
      onMessage: ({ id: messageId, type, content: said }) =>
        store({ role: "assistant", type, content: said, contentType: "text" }, messageId),
      onEnd: () => undefined,
      doneAfter: () => true,
      doneData: () => "",
    });
    chats.set(id, run);
    return run;
  }

  /** A chat that can't begin: a refusal when nobody streams, else an event, or nothing at all. */
  #failSetUp(cause: Refusal, { stream }: StudioChatRequest): Outcome {
    const { switches } = this.#options;
    if (!stream) return cause;
    if (switches.studioSetUpFailure === "silent") return { events: eventsOf() };
    const data = JSON.stringify(refuse(RUN_FAILED, toErrorText(cause, switches)));
    return { events: eventsOf({ name: "error", data }) };
  }

  #statusOf(run: ChatRun): string {
    const { switches } = this.#options;
    const overwritten = !run.running && switches.studioCancelOverwritten;
    return this.#cancelled.has(run.id) && !overwritten
      ? "conversation.chat.cancelled"
      : toStudioStatus(run, switches);
  }

  #run(conversationId: string, chatId: string): ChatRun | Refusal {
    const run = this.#service.chats.get(chatId);
    return run?.conversationId === conversationId ? run : refuse(RECORD_MISSING, "record not found");
  }

  #find(conversationId: string, token: string): Conversation | Refusal {
    const conversation = this.#service.threads.all.get(conversationId);
    if (conversation === undefined) return refuse(CONVERSATION_MISSING, "conversation not found");
    const isTheirs = conversation.creatorId === this.#options.accounts.userOf(token).id;
    return isTheirs ? conversation : refuse(NOT_PERMITTED, "permission denied");
  }
}

async function* eventsOf(...events: PlainEvent[]): AsyncGenerator<PlainEvent, void, undefined> {
  yield* events;
}

/** Milliseconds; 0 is none, `NaN` no integer. */
function toCursor(value: unknown): number {
  if (value === undefined || value === null || value === "") return 0;
  const cursor = Number(value);
  return Number.isSafeInteger(cursor) ? cursor : Number.NaN;
}
