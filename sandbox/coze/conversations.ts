import type { StandInClock } from "../stand-in.ts";
import type { Accounts } from "./accounts.ts";
import { type Conversation, type StoredMessage, toWireConversation } from "./memory.ts";
import { checkPage, toPage } from "./pages.ts";
import type { Outcome } from "./routes.ts";
import {
  checkConversation,
  type EnterMessage,
  type Fields,
  isRefusal,
  MAX_NAME,
  type ObjectFacts,
  type Refusal,
  refuse,
} from "./rules.ts";
import type { CozeSwitches } from "./switches.ts";

/** Conversations of a page, when nobody says (coze-api.md §9.1). */
const DEFAULT_PAGE_SIZE = 50;

/** Whose a stored message is, and where it came from. */
export interface MessageOrigin {
  /** Empty for messages that no chat brought. */
  readonly chatId: string;
  readonly userId: string;
  readonly botId?: string;
  readonly messageId?: string;
  /** Default: the conversation's present one. */
  readonly sectionId?: string;
  readonly running?: boolean;
  readonly cancelled?: boolean;
}

export interface ConversationsOptions {
  readonly clock: StandInClock;
  readonly switches: CozeSwitches;
  readonly accounts: Accounts;
  readonly newId: () => string;
  readonly hasBot: (botId: string) => boolean;
  readonly hasFile: (fileId: string) => boolean;
}

/** Conversations and what is in them (coze-api.md §9.1). Knows nothing of HTTP. */
export class ConversationsService {
  readonly all: Map<string, Conversation> = new Map();
  readonly #options: ConversationsOptions;
  readonly #deleted = new Set<string>();

  constructor(options: ConversationsOptions) {
    this.#options = options;
  }

  create(body: Fields, token: string): Outcome {
    const request = checkConversation(body, this.objectFacts(undefined));
    if (isRefusal(request)) return request;
    if (request.botId !== undefined && !this.#options.hasBot(request.botId)) {
      // The service answers a wrong bot id with an internal error (coze-api.md §9.1).
      return refuse(5000, "internal error");
    }
    const conversation = this.open({ ...request, token });
    for (const message of request.messages) this.store(conversation, message, { chatId: "", userId: "" });
    return { body: { data: toWireConversation(conversation) } };
  }

  retrieve(conversationId: string, token: string): Outcome {
    const conversation = this.find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    return { body: { data: toWireConversation(conversation) } };
  }

  /** Only those that the caller created, with this bot, in this channel. */
  list(query: (name: string) => string, token: string): Outcome {
    const page = checkPage(query, { defaultSize: DEFAULT_PAGE_SIZE });
    if (isRefusal(page)) return page;
    const botId = query("bot_id");
    if (botId === "") return refuse(4000, "bot_id is required");
    if (!this.#options.hasBot(botId)) return refuse(4006, "bot not found");
    const order = query("sort_order") || "DESC";
    if (order !== "ASC" && order !== "DESC") return refuse(4000, "sort_order is ASC or DESC");
    const connectorId = query("connector_id") || "1024";
    const creatorId = this.#options.accounts.userOf(token).id;
    const listed = [...this.all.values()].filter(
      (conversation) =>
        conversation.botId === botId &&
        conversation.connectorId === connectorId &&
        conversation.creatorId === creatorId,
    );
    const ordered = order === "ASC" ? listed : listed.toReversed();
    const { page: conversations, hasMore } = toPage(ordered, page);
    return {
      body: { data: { conversations: conversations.map(toWireConversation), has_more: hasMore } },
    };
  }

  rename(conversationId: string, body: Fields, token: string): Outcome {
    const conversation = this.find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    const { name } = body;
    if (typeof name !== "string" || name === "" || name.length > MAX_NAME) {
      return refuse(4000, "name has 1 to 100 characters");
    }
    conversation.name = name;
    conversation.updatedAt = this.seconds();
    return { body: { data: toWireConversation(conversation) } };
  }

  delete(conversationId: string, token: string): Outcome {
    const conversation = this.find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    this.all.delete(conversationId);
    this.#deleted.add(conversationId);
    return { body: {} };
  }

  /** What was said stays; it is no context any more. */
  clear(conversationId: string, token: string): Outcome {
    const conversation = this.find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    conversation.sectionId = this.#options.newId();
    conversation.updatedAt = this.seconds();
    return { body: { data: { id: conversation.sectionId, conversation_id: conversationId } } };
  }

  /** Others' conversations are as good as none (coze-api.md §15, 4002). */
  find(conversationId: string, token: string): Conversation | Refusal {
    const conversation = this.all.get(conversationId);
    const isTheirs = conversation?.creatorId === this.#options.accounts.userOf(token).id;
    return conversation !== undefined && isTheirs ? conversation : refuse(4002, "conversation not found");
  }

  /** The refusal of everything about a conversation that was deleted; chats in it, too. */
  refuseDeleted(conversationId: string): Refusal | undefined {
    return this.#deleted.has(conversationId) ? refuse(4002, "conversation not found") : undefined;
  }

  /** A new conversation. */
  open(options: {
    botId: string | undefined;
    name?: string;
    metaData?: Readonly<Record<string, string>>;
    connectorId?: string;
    token: string;
  }): Conversation {
    const { botId, name = "", metaData = {}, connectorId = "1024", token } = options;
    const id = this.#options.newId();
    const now = this.seconds();
    const conversation: Conversation = {
      id,
      botId,
      name,
      metaData,
      creatorId: this.#options.accounts.userOf(token).id,
      connectorId,
      sectionId: id,
      createdAt: now,
      updatedAt: now,
      messages: [],
    };
    this.all.set(id, conversation);
    return conversation;
  }

  store(conversation: Conversation, message: EnterMessage, origin: MessageOrigin): StoredMessage {
    const now = this.seconds();
    const stored: StoredMessage = {
      id: origin.messageId ?? this.#options.newId(),
      conversationId: conversation.id,
      chatId: origin.chatId,
      botId: origin.botId ?? "",
      userId: origin.userId,
      sectionId: origin.sectionId ?? conversation.sectionId,
      role: message.role,
      type: message.type,
      content: message.content,
      contentType: message.contentType,
      metaData: message.metaData,
      createdAt: now,
      updatedAt: now,
      cancelled: origin.cancelled ?? false,
      running: origin.running ?? false,
    };
    conversation.messages.push(stored);
    return stored;
  }

  /** What the rules of files in a message for this conversation depend on. */
  objectFacts(conversation: Conversation | undefined): ObjectFacts {
    return {
      hasFile: this.#options.hasFile,
      storedTextSatisfiesImages: this.#options.switches.storedTextSatisfiesImages,
      hasStoredText: (conversation?.messages ?? []).some(({ contentType }) => contentType === "text"),
    };
  }

  seconds(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }
}
