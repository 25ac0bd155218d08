import type { StandInClock } from "../stand-in.ts";
import type { Accounts } from "./accounts.ts";
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
import type { AskedBot, BotsService } from "./bots.ts";
import { ChatRun } from "./chat-run.ts";
import { ConversationsService } from "./conversations.ts";
import {
  type Conversation,
  type StoredFile,
  toMemory,
  toPlainText,
  toWireFile,
  toWireMessage,
} from "./memory.ts";
import { MessagesService } from "./messages.ts";
import type { Outcome } from "./routes.ts";
import {
  type ChatRequest,
  checkChat,
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

/** A question to a chatflow. */
interface ChatflowQuestion {
  /** Empty when it belongs to an app. */
  readonly botId: string;
  readonly userId: string;
  readonly conversationId: string | undefined;
  readonly messages: readonly EnterMessage[];
  readonly doneData: string;
  readonly token: string;
}

/** What every chat needs, however it was asked for. */
type PlainChat = Omit<ChatRequest, "publishStatus" | "shortcut">;

export interface ServiceOptions {
  readonly clock: StandInClock;
  readonly switches: CozeSwitches;
  readonly accounts: Accounts;
  readonly bots: BotsService;
}

/** First id; all are decimal strings beyond 2^53, as the service's are (coze-api.md §1.6). */
const FIRST_ID = 7_390_000_000_000_000_001n;

/** The service behind the wire: chats and files, over conversations and their messages. Knows nothing of HTTP. */
export class CozeService {
  pace: BotPace = DEFAULT_PACE;
  readonly threads: ConversationsService;
  readonly messages: MessagesService;
  readonly chats: Map<string, ChatRun> = new Map();
  readonly files: Map<string, StoredFile> = new Map();
  readonly #options: ServiceOptions;
  readonly #unsaved = new Set<string>();
  /** What each chat was asked, and how often its tools have answered. */
  readonly #questions = new Map<string, { question: BotQuestion; bot: AskedBot; rounds: number }>();
  /** The last chat of each conversation: only it can be running. */
  readonly #latest = new Map<string, ChatRun>();
  /** When the calls of the last second came, by what is counted. */
  readonly #calls = new Map<string, readonly number[]>();
  #lastId = FIRST_ID;
  #plan: (question: BotQuestion) => BotPlan = planAnswer;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.threads = new ConversationsService({
      ...options,
      newId: () => this.newId(),
      hasBot: (botId) => options.bots.all.has(botId),
      hasFile: (fileId) => this.files.has(fileId),
    });
    this.messages = new MessagesService(this.threads, options.switches);
  }

  get conversations(): ReadonlyMap<string, Conversation> {
    return this.threads.all;
  }

  /** Lets tests and the sandbox write the bot's part themselves. */
  script(plan: (question: BotQuestion) => BotPlan): void {
    this.#plan = plan;
  }

  /** What the bot does with a question. */
  plan(question: BotQuestion): BotPlan {
    return this.#plan(question);
  }

  /** The next id of anything. */
  newId(): string {
    this.#lastId += 1n;
    return String(this.#lastId);
  }

  startChat(conversationId: string | undefined, body: Fields, token: string): Outcome {
    if (!this.allows("chat", this.#options.switches.limits?.chatPerSecond)) return tooMany();
    const found = conversationId === undefined ? undefined : this.threads.find(conversationId, token);
    if (found !== undefined && isRefusal(found) && !this.#createsUnknown()) return found;
    const asked = found === undefined || isRefusal(found) ? undefined : found;
    const request = checkChat(body, this.#facts(asked));
    if (isRefusal(request)) return request;
    const bot = this.#options.bots.ask(request.botId, request.publishStatus);
    if (isRefusal(bot)) return bot;
    if (asked !== undefined && this.#isOccupied(asked.id)) return refuse(4016, "a chat is running");
    const command = toCommandText(request, bot);
    if (command === undefined) return refuse(4000, "the shortcut command is unknown");
    const question = this.#toQuestion(request, asked, command);
    const plan = this.#plan(question);
    if ("refuse" in plan) return plan.refuse;
    const conversation =
      asked === undefined || this.#options.switches.conversationIdChanges
        ? this.threads.open({ botId: request.botId, token })
        : asked;
    const run = this.#newRun(request, conversation, asSetUp(plan.steps, bot));
    this.#questions.set(run.id, { question, bot, rounds: 0 });
    if (!request.stream) run.start();
    return request.stream ? { run } : { body: { data: run.toWire() } };
  }

  /**
   * The chat of a chatflow, which has passed its rules: no suggestions, an end mark of its own (coze-api.md §13.1).
   *
   * @returns `refuse` for what fails before it begins.
   */
  startChatflow(request: ChatflowQuestion): Outcome | { readonly refuse: Refusal } {
    const { botId, userId, conversationId, messages, doneData, token } = request;
    const asked = conversationId === undefined ? undefined : this.threads.find(conversationId, token);
    if (asked !== undefined && isRefusal(asked)) return asked;
    if (asked !== undefined && this.#isOccupied(asked.id)) return refuse(4016, "a chat is running");
    const chat = { botId, userId, messages, stream: true, autoSaveHistory: true, metaData: {} };
    const plan = this.#plan(this.#toQuestion(chat, asked, ""));
    if ("refuse" in plan) return plan;
    const steps = plan.steps.filter((step) => step.do !== "message" || step.type !== "follow_up");
    const conversation = asked ?? this.threads.open({ botId, token });
    return { run: this.#newRun(chat, conversation, steps, doneData) };
  }

  retrieveChat(conversationId: string, chatId: string): Outcome {
    if (!this.allows(`poll ${chatId}`, this.#options.switches.limits?.pollPerSecond)) return tooMany();
    const run = this.#savedChat(conversationId, chatId);
    return isRefusal(run) ? run : { body: { data: run.toWire() } };
  }

  /** The chat goes on with what its local tools gave back (coze-api.md §8.5). */
  submitToolOutputs(conversationId: string, chatId: string, body: Fields): Outcome {
    if (!this.allows("chat", this.#options.switches.limits?.chatPerSecond)) return tooMany();
    const run = this.#chat(conversationId, chatId);
    if (isRefusal(run)) return run;
    const asked = this.#questions.get(chatId);
    if (asked === undefined) return refuse(4001, "chat not found");
    // Documented for chats without history (coze-api.md §8.5).
    if (this.#unsaved.has(chatId)) return refuse(5000, "internal error");
    const request = checkToolOutputs(body, run.calls);
    if (isRefusal(request)) return request;
    asked.rounds += 1;
    const plan = planResume(asked.question, asked.rounds, request.outputs);
    if ("refuse" in plan) return plan.refuse;
    run.resume(paceSteps(asSetUp(plan.steps, asked.bot), this.pace));
    if (!request.stream) run.start();
    return request.stream ? { run } : { body: { data: run.toWire() } };
  }

  listChatMessages(conversationId: string, chatId: string): Outcome {
    const run = this.#savedChat(conversationId, chatId);
    if (isRefusal(run)) return run;
    const messages = this.conversations.get(conversationId)?.messages ?? [];
    const own = messages.filter((message) => message.chatId === chatId && message.type !== "question");
    // Not chronological: control packets come first, as in the recorded lists (coze-api.md §6.7).
    const packets = own.filter(({ type }) => type === "verbose");
    const others = own.filter(({ type }) => type !== "verbose");
    return { body: { data: [...packets, ...others].map((message) => toWireMessage(message, true)) } };
  }

  cancelChat(body: Fields): Outcome {
    const { conversation_id: conversationId, chat_id: chatId } = body;
    if (typeof conversationId !== "string" || typeof chatId !== "string") {
      return refuse(4000, "conversation_id and chat_id are required");
    }
    const run = this.#chat(conversationId, chatId);
    if (isRefusal(run)) return run;
    if (!run.running) return refuse(4104, "the chat can't be cancelled in this state");
    run.cancel({ tellStream: this.#options.switches.canceledEventInStream });
    for (const message of this.conversations.get(conversationId)?.messages ?? []) {
      if (message.chatId === chatId) message.cancelled = true;
    }
    return { body: { data: run.toWire() } };
  }

  uploadFile(parts: readonly UploadPart[]): Outcome {
    if (!this.allows("upload", this.#options.switches.limits?.uploadPerSecond)) return tooMany();
    const { textFilesAccepted, maxUploadBytes } = this.#options.switches;
    const part = checkUpload(parts, { textFilesAccepted, maxBytes: maxUploadBytes });
    if (isRefusal(part)) return part;
    const id = this.newId();
    const file: StoredFile = { id, name: part.name, bytes: part.size, createdAt: this.seconds() };
    this.files.set(id, file);
    return { body: { data: toWireFile(file) } };
  }

  retrieveFile(fileId: string): Outcome {
    const file = this.files.get(fileId);
    return file === undefined ? refuse(4200, "file not found") : { body: { data: toWireFile(file) } };
  }

  stop(): void {
    for (const run of this.chats.values()) run.stop();
  }

  #facts(conversation: Conversation | undefined): Parameters<typeof checkChat>[1] {
    const hasMessages = (conversation?.messages ?? []).length > 0;
    return { ...this.threads.objectFacts(conversation), hasMessages };
  }

  #createsUnknown(): boolean {
    return this.#options.switches.unknownConversation === "create";
  }

  #isOccupied(conversationId: string): boolean {
    const run = this.#latest.get(conversationId);
    if (run === undefined) return false;
    return run.running || (run.status === "requires_action" && this.#options.switches.requiresActionBlocks);
  }

  #toQuestion(request: PlainChat, conversation: Conversation | undefined, command: string): BotQuestion {
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
    request: PlainChat,
    conversation: Conversation,
    steps: readonly BotStep[],
    doneData?: string,
  ): ChatRun {
    const { clock, switches } = this.#options;
    const id = this.newId();
    const { sectionId } = conversation;
    const owner = { chatId: id, userId: request.userId, botId: request.botId, sectionId };
    const saved = request.autoSaveHistory;
    const questions = saved
      ? request.messages.map((message, index) => {
          // Only the last one is the query; history is as if somebody had inserted it (coze-api.md §4, §9.2).
          const history = index < request.messages.length - 1;
          return this.threads.store(conversation, message, {
            ...owner,
            ...(history && { chatId: "" }),
            running: true,
          });
        })
      : [];
    const run = new ChatRun({
      id,
      conversationId: conversation.id,
      sectionId,
      botId: request.botId,
      metaData: request.metaData,
      steps: paceSteps(steps, this.pace),
      inputCharacters: request.messages.reduce((sum, { content }) => sum + content.length, 0),
      clock,
      newId: () => this.newId(),
      watchdogMs: switches.watchdogMs,
      onMessage: ({ id: messageId, type, content }) => {
        const message = { role: "assistant", type, content, contentType: "text", metaData: {} } as const;
        if (saved)
          this.threads.store(conversation, message, {
            ...owner,
            messageId,
            cancelled: run.status === "canceled",
          });
      },
      onEnd: () => {
        for (const question of questions) question.running = false;
      },
      doneAfter: (status) =>
        (status !== "failed" || switches.doneAfterFailed) &&
        (status !== "requires_action" || switches.doneAfterRequiresAction),
      doneData: () => doneData ?? switches.doneData,
    });
    this.chats.set(id, run);
    this.#latest.set(conversation.id, run);
    if (!saved) this.#unsaved.add(id);
    return run;
  }

  #chat(conversationId: string, chatId: string): ChatRun | Refusal {
    const deleted = this.threads.refuseDeleted(conversationId);
    if (deleted !== undefined) return deleted;
    const run = this.chats.get(chatId);
    return run?.conversationId === conversationId ? run : refuse(4001, "chat not found");
  }

  #savedChat(conversationId: string, chatId: string): ChatRun | Refusal {
    const run = this.#chat(conversationId, chatId);
    return this.#unsaved.has(chatId) ? refuse(4001, "chat not found") : run;
  }

  /** Counts a call; false when there were as many in the last second as may be. */
  allows(name: string, perSecond: number | undefined): boolean {
    if (perSecond === undefined) return true;
    const now = this.#options.clock.now();
    const lately = (this.#calls.get(name) ?? []).filter((at) => at > now - 1_000);
    const ok = lately.length < perSecond;
    this.#calls.set(name, ok ? [...lately, now] : lately);
    return ok;
  }

  /** Unix seconds. */
  seconds(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }
}

/** Suggestions come only from bots that have them switched on (coze-api.md §12.1). */
function asSetUp(steps: readonly BotStep[], { config }: AskedBot): readonly BotStep[] {
  const isSuggestion = (step: BotStep): boolean => step.do === "message" && step.type === "follow_up";
  return config.suggests ? steps : steps.filter((step) => !isSuggestion(step));
}

/** The question that a quick command stands for; empty without one, `undefined` when the bot has no such command. */
function toCommandText({ shortcut }: ChatRequest, { shortcuts }: AskedBot): string | undefined {
  if (shortcut === undefined) return "";
  return shortcuts
    .get(shortcut.id)
    ?.replaceAll(/{{(\w+)}}/g, (_, name: string) => shortcut.values[name] ?? "");
}

/** Code of the rate limit (coze-api.md §15). */
export const RATE_LIMITED = 710005002;

export function tooMany(): Refusal {
  return refuse(RATE_LIMITED, "too many requests");
}
