import type { StandInClock } from "../stand-in.ts";
import {
  type BotPace,
  type BotPlan,
  type BotQuestion,
  type BotStep,
  DEFAULT_PACE,
  paceSteps,
  planAnswer,
  planResume,
} from "./bot.ts";
import { ChatRun } from "./chat-run.ts";
import {
  type Conversation,
  listPage,
  type StoredFile,
  type StoredMessage,
  toMemory,
  toPlainText,
  toWireConversation,
  toWireMessage,
} from "./memory.ts";
import type { Outcome } from "./routes.ts";
import {
  type ChatRequest,
  checkChat,
  checkConversation,
  checkToolOutputs,
  type EnterMessage,
  type Fields,
  isRefusal,
  parseObjects,
  type Refusal,
  refuse,
} from "./rules.ts";
import type { CozeSwitches } from "./switches.ts";
import { checkUpload, type UploadPart } from "./upload-rules.ts";

/** A bot the service knows. */
export interface StandInBot {
  readonly published: boolean;
  /** Quick commands, by id: the question that each stands for, with `{{name}}` for its parameters. */
  readonly shortcuts?: Readonly<Record<string, string>>;
}

export interface ServiceOptions {
  readonly clock: StandInClock;
  readonly switches: CozeSwitches;
  readonly bots: ReadonlyMap<string, StandInBot>;
}

/** First id; all are decimal strings beyond 2^53, as the service's are (coze-api.md §1.6). */
const FIRST_ID = 7_390_000_000_000_000_001n;

/** The service behind the wire: conversations, chats, files. Knows nothing of HTTP. */
export class CozeService {
  pace: BotPace = DEFAULT_PACE;
  readonly conversations: Map<string, Conversation> = new Map();
  readonly chats: Map<string, ChatRun> = new Map();
  readonly files: Map<string, StoredFile> = new Map();
  readonly #options: ServiceOptions;
  readonly #unsaved = new Set<string>();
  /** What each chat was asked, and how often its tools have answered. */
  readonly #questions = new Map<string, { question: BotQuestion; rounds: number }>();
  /** The last chat of each conversation: only it can be running. */
  readonly #latest = new Map<string, ChatRun>();
  /** When the calls of the last second came, by what is counted. */
  readonly #calls = new Map<string, readonly number[]>();
  #lastId = FIRST_ID;
  #plan: (question: BotQuestion) => BotPlan = planAnswer;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /** Lets tests and the sandbox write the bot's part themselves. */
  script(plan: (question: BotQuestion) => BotPlan): void {
    this.#plan = plan;
  }

  /** The next id of anything. */
  newId(): string {
    this.#lastId += 1n;
    return String(this.#lastId);
  }

  createConversation(body: Fields): Outcome {
    const request = checkConversation(body);
    if (isRefusal(request)) return request;
    if (request.botId !== undefined && !this.#options.bots.has(request.botId)) {
      // The service answers a wrong bot id with an internal error (coze-api.md §9.1).
      return refuse(5000, "internal error");
    }
    const conversation = this.#newConversation(request.botId, request.name, request.metaData);
    for (const message of request.messages) this.#store(conversation, message, { chatId: "", userId: "" });
    return { body: { data: toWireConversation(conversation) } };
  }

  retrieveConversation(conversationId: string): Outcome {
    const conversation = this.conversations.get(conversationId);
    return conversation === undefined
      ? refuse(4002, "conversation not found")
      : { body: { data: toWireConversation(conversation) } };
  }

  startChat(conversationId: string | undefined, body: Fields): Outcome {
    if (!this.#allow("chat", this.#options.switches.limits?.chatPerSecond)) return tooMany();
    const asked = conversationId === undefined ? undefined : this.conversations.get(conversationId);
    if (conversationId !== undefined && asked === undefined && !this.#createsUnknown()) {
      return refuse(4002, "conversation not found");
    }
    const request = checkChat(body, this.#facts(asked));
    if (isRefusal(request)) return request;
    const bot = this.#options.bots.get(request.botId);
    if (bot === undefined) return refuse(4006, "bot not found");
    if (!bot.published && request.publishStatus === "published_online")
      return refuse(4015, "bot is not published to the API connector");
    if (asked !== undefined && this.#isOccupied(asked.id)) return refuse(4016, "a chat is running");
    const command = toCommandText(request, bot);
    if (command === undefined) return refuse(4000, "the shortcut command is unknown");
    const question = this.#toQuestion(request, asked, command);
    const plan = this.#plan(question);
    if ("refuse" in plan) return plan.refuse;
    const conversation =
      asked === undefined || this.#options.switches.conversationIdChanges
        ? this.#newConversation(request.botId, "", {})
        : asked;
    const run = this.#newRun(request, conversation, plan);
    this.#questions.set(run.id, { question, rounds: 0 });
    if (!request.stream) run.start();
    return request.stream ? { run } : { body: { data: run.toWire() } };
  }

  retrieveChat(conversationId: string, chatId: string): Outcome {
    if (!this.#allow(`poll ${chatId}`, this.#options.switches.limits?.pollPerSecond)) return tooMany();
    const run = this.#savedChat(conversationId, chatId);
    return run === undefined ? refuse(4001, "chat not found") : { body: { data: run.toWire() } };
  }

  /** The chat goes on with what its local tools gave back (coze-api.md §8.5). */
  submitToolOutputs(conversationId: string, chatId: string, body: Fields): Outcome {
    if (!this.#allow("chat", this.#options.switches.limits?.chatPerSecond)) return tooMany();
    const run = this.chats.get(chatId);
    const asked = this.#questions.get(chatId);
    if (run?.conversationId !== conversationId || asked === undefined) return refuse(4001, "chat not found");
    // Documented for chats without history (coze-api.md §8.5).
    if (this.#unsaved.has(chatId)) return refuse(5000, "internal error");
    const request = checkToolOutputs(body, run.calls);
    if (isRefusal(request)) return request;
    asked.rounds += 1;
    const plan = planResume(asked.question, asked.rounds, request.outputs);
    if ("refuse" in plan) return plan.refuse;
    run.resume(paceSteps(plan.steps, this.pace));
    if (!request.stream) run.start();
    return request.stream ? { run } : { body: { data: run.toWire() } };
  }

  listChatMessages(conversationId: string, chatId: string): Outcome {
    const run = this.#savedChat(conversationId, chatId);
    if (run === undefined) return refuse(4001, "chat not found");
    const messages = this.conversations.get(conversationId)?.messages ?? [];
    const own = messages.filter((message) => message.chatId === chatId && message.type !== "question");
    // Not chronological: control packets come first, as in the recorded lists (coze-api.md §6.7).
    const packets = own.filter(({ type }) => type === "verbose");
    const others = own.filter(({ type }) => type !== "verbose");
    return { body: { data: [...packets, ...others].map((message) => toWireMessage(message, true)) } };
  }

  listMessages(conversationId: string, body: Fields): Outcome {
    const conversation = this.conversations.get(conversationId);
    if (conversation === undefined) return refuse(4002, "conversation not found");
    const {
      order = "desc",
      limit = 50,
      chat_id: chatId,
      before_id: before,
      after_id: after,
    } = body as Fields;
    if (order !== "asc" && order !== "desc") return refuse(4000, "order is asc or desc");
    if (typeof limit !== "number" || limit < 1 || limit > 50) return refuse(4000, "limit is 1 to 50");
    const { page, hasMore } = listPage(conversation, {
      order,
      limit,
      chatId: toId(chatId),
      beforeId: toId(before),
      afterId: toId(after),
      middle: body["include_middle_message"] === true,
      runningListed: this.#options.switches.runningQuestionListed,
      cancelledListed: this.#options.switches.cancelledTurnsListed,
    });
    const { questionHasChatId } = this.#options.switches;
    return {
      body: {
        data: page.map((message) => toWireMessage(message, questionHasChatId)),
        first_id: page[0]?.id ?? "",
        last_id: page.at(-1)?.id ?? "",
        has_more: hasMore,
      },
    };
  }

  cancelChat(body: Fields): Outcome {
    const { conversation_id: conversationId, chat_id: chatId } = body;
    if (typeof conversationId !== "string" || typeof chatId !== "string") {
      return refuse(4000, "conversation_id and chat_id are required");
    }
    const run = this.chats.get(chatId);
    if (run === undefined || run.conversationId !== conversationId) return refuse(4001, "chat not found");
    if (!run.running) return refuse(4104, "the chat can't be cancelled in this state");
    run.cancel({ tellStream: this.#options.switches.canceledEventInStream });
    for (const message of this.conversations.get(conversationId)?.messages ?? []) {
      if (message.chatId === chatId) message.cancelled = true;
    }
    return { body: { data: run.toWire() } };
  }

  uploadFile(parts: readonly UploadPart[]): Outcome {
    if (!this.#allow("upload", this.#options.switches.limits?.uploadPerSecond)) return tooMany();
    const { textFilesAccepted, maxUploadBytes } = this.#options.switches;
    const part = checkUpload(parts, { textFilesAccepted, maxBytes: maxUploadBytes });
    if (isRefusal(part)) return part;
    const id = this.newId();
    const file: StoredFile = { id, name: part.name, bytes: part.bytes.length, createdAt: this.#seconds() };
    this.files.set(id, file);
    return { body: { data: { id, bytes: file.bytes, file_name: file.name, created_at: file.createdAt } } };
  }

  stop(): void {
    for (const run of this.chats.values()) run.stop();
  }

  #facts(conversation: Conversation | undefined): Parameters<typeof checkChat>[1] {
    const messages = conversation?.messages ?? [];
    return {
      hasFile: (fileId) => this.files.has(fileId),
      storedTextSatisfiesImages: this.#options.switches.storedTextSatisfiesImages,
      hasStoredText: messages.some(({ contentType }) => contentType === "text"),
      hasMessages: messages.length > 0,
    };
  }

  #createsUnknown(): boolean {
    return this.#options.switches.unknownConversation === "create";
  }

  #isOccupied(conversationId: string): boolean {
    const run = this.#latest.get(conversationId);
    if (run === undefined) return false;
    return run.running || (run.status === "requires_action" && this.#options.switches.requiresActionBlocks);
  }

  #toQuestion(request: ChatRequest, conversation: Conversation | undefined, command: string): BotQuestion {
    const last = request.messages.at(-1);
    const before = request.messages.slice(0, -1);
    const items = last?.contentType === "object_string" ? (parseObjects(last.content) ?? []) : [];
    const files = items.flatMap(({ type, file_id: fileId }) => {
      const file = fileId === undefined ? undefined : this.files.get(fileId);
      return type === "text" || file === undefined
        ? []
        : [{ name: file.name, bytes: file.bytes, kind: type }];
    });
    const byUser = this.#options.switches.contextByUser;
    const memory =
      conversation === undefined
        ? before.map((message) => ({ role: message.role, text: toPlainText(message) }))
        : toMemory(conversation, before, { userId: request.userId, byUser });
    return { text: last === undefined ? command : toPlainText(last), files, memory };
  }

  #newRun(
    request: ChatRequest,
    conversation: Conversation,
    plan: { readonly steps: readonly BotStep[] },
  ): ChatRun {
    const { clock, switches } = this.#options;
    const id = this.newId();
    const owner = { chatId: id, userId: request.userId, botId: request.botId };
    const saved = request.autoSaveHistory;
    const questions = saved
      ? request.messages.map((message, index) => {
          // Only the last one is the query; history is as if somebody had inserted it (coze-api.md §4, §9.2).
          const history = index < request.messages.length - 1;
          return this.#store(conversation, message, {
            ...owner,
            ...(history && { chatId: "" }),
            running: true,
          });
        })
      : [];
    const run = new ChatRun({
      id,
      conversationId: conversation.id,
      sectionId: conversation.sectionId,
      botId: request.botId,
      metaData: request.metaData,
      steps: paceSteps(plan.steps, this.pace),
      inputCharacters: request.messages.reduce((sum, { content }) => sum + content.length, 0),
      clock,
      newId: () => this.newId(),
      watchdogMs: switches.watchdogMs,
      onMessage: ({ id: messageId, type, content }) => {
        const message = { role: "assistant", type, content, contentType: "text", metaData: {} } as const;
        if (saved)
          this.#store(conversation, message, { ...owner, messageId, cancelled: run.status === "canceled" });
      },
      onEnd: () => {
        for (const question of questions) question.running = false;
      },
      doneAfter: (status) =>
        (status !== "failed" || switches.doneAfterFailed) &&
        (status !== "requires_action" || switches.doneAfterRequiresAction),
      doneData: () => switches.doneData,
    });
    this.chats.set(id, run);
    this.#latest.set(conversation.id, run);
    if (!saved) this.#unsaved.add(id);
    return run;
  }

  #newConversation(
    botId: string | undefined,
    name: string,
    metaData: Readonly<Record<string, string>>,
  ): Conversation {
    const id = this.newId();
    const conversation: Conversation = {
      id,
      botId,
      name,
      metaData,
      sectionId: id,
      createdAt: this.#seconds(),
      messages: [],
    };
    this.conversations.set(id, conversation);
    return conversation;
  }

  #store(
    conversation: Conversation,
    message: EnterMessage,
    owner: {
      chatId: string;
      userId: string;
      botId?: string;
      messageId?: string;
      running?: boolean;
      cancelled?: boolean;
    },
  ): StoredMessage {
    const stored: StoredMessage = {
      id: owner.messageId ?? this.newId(),
      conversationId: conversation.id,
      chatId: owner.chatId,
      botId: owner.botId ?? "",
      userId: owner.userId,
      sectionId: conversation.sectionId,
      role: message.role,
      type: message.type,
      content: message.content,
      contentType: message.contentType,
      metaData: message.metaData,
      createdAt: this.#seconds(),
      cancelled: owner.cancelled ?? false,
      running: owner.running ?? false,
    };
    conversation.messages.push(stored);
    return stored;
  }

  #savedChat(conversationId: string, chatId: string): ChatRun | undefined {
    const run = this.chats.get(chatId);
    return run?.conversationId === conversationId && !this.#unsaved.has(chatId) ? run : undefined;
  }

  #allow(name: string, perSecond: number | undefined): boolean {
    if (perSecond === undefined) return true;
    const now = this.#options.clock.now();
    const lately = (this.#calls.get(name) ?? []).filter((at) => at > now - 1_000);
    const ok = lately.length < perSecond;
    this.#calls.set(name, ok ? [...lately, now] : lately);
    return ok;
  }

  #seconds(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }
}

/** The question that a quick command stands for; empty without one, `undefined` when the bot has no such command. */
function toCommandText({ shortcut }: ChatRequest, { shortcuts = {} }: StandInBot): string | undefined {
  if (shortcut === undefined) return "";
  return shortcuts[shortcut.id]?.replaceAll(/{{(\w+)}}/g, (_, name: string) => shortcut.values[name] ?? "");
}

/** Code of the rate limit (coze-api.md §15). */
export const RATE_LIMITED = 710005002;

function tooMany(): Refusal {
  return refuse(RATE_LIMITED, "too many requests");
}

/** Cursors default to 0, which means none (coze-api.md §9.2). */
function toId(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && value !== "0" ? value : undefined;
}
