import type { ConversationsService } from "./conversations.ts";
import { type Conversation, isVisible, listPage, type StoredMessage, toWireMessage } from "./memory.ts";
import { checkChange, checkFeedback, checkInserted, type StandInFeedback } from "./message-rules.ts";
import type { Outcome } from "./routes.ts";
import { checkObjects, type Fields, isRefusal, type Refusal, refuse } from "./rules.ts";
import type { CozeSwitches } from "./switches.ts";

/** Answers before this can't be judged: 2025-07-11 in China, in Unix seconds (coze-api.md §9.4). */
const FEEDBACK_SINCE = 1_752_163_200;

/** Messages of conversations, and what people think of them (coze-api.md §9.2–9.4). Knows nothing of HTTP. */
export class MessagesService {
  /** The last feedback on each message. */
  readonly feedback: Map<string, StandInFeedback> = new Map();
  readonly #conversations: ConversationsService;
  readonly #switches: CozeSwitches;

  constructor(conversations: ConversationsService, switches: CozeSwitches) {
    this.#conversations = conversations;
    this.#switches = switches;
  }

  create(conversationId: string, body: Fields, token: string): Outcome {
    const conversation = this.#conversations.find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    const message = checkInserted(body);
    if (isRefusal(message)) return message;
    const objects = checkObjects([message], this.#conversations.objectFacts(conversation));
    if (objects !== undefined) return objects;
    const stored = this.#conversations.store(conversation, message, { chatId: "", userId: "" });
    return { body: { data: this.#toWire(stored) } };
  }

  retrieve(conversationId: string, messageId: string, token: string): Outcome {
    const found = this.#find(conversationId, messageId, token);
    return isRefusal(found) ? found : { body: { data: this.#toWire(found.message) } };
  }

  /** The one call whose payload stands in `message` (coze-api.md §1.3). */
  modify(conversationId: string, messageId: string, body: Fields, token: string): Outcome {
    const found = this.#find(conversationId, messageId, token);
    if (isRefusal(found)) return found;
    const { conversation, message } = found;
    if (!isVisible(message)) return refuse(4005, "such a message can't be changed");
    const { role, type, content, contentType, metaData } = message;
    const changed = checkChange(body, { role, type, content, contentType, metaData });
    if (isRefusal(changed)) return changed;
    const objects = checkObjects([changed], this.#conversations.objectFacts(conversation));
    if (objects !== undefined && body["content"] !== undefined) return objects;
    message.content = changed.content;
    message.contentType = changed.contentType;
    message.metaData = changed.metaData;
    message.updatedAt = this.#conversations.seconds();
    return { body: { message: this.#toWire(message) } };
  }

  /** An answer goes with how it came about, which can't be deleted alone (coze-api.md §9.3). */
  delete(conversationId: string, messageId: string, token: string): Outcome {
    const found = this.#find(conversationId, messageId, token);
    if (isRefusal(found)) return found;
    const { conversation, message } = found;
    if (!isVisible(message)) return refuse(4005, "such a message can't be deleted alone");
    const withMiddle = message.type === "answer" && message.chatId !== "";
    conversation.messages = conversation.messages.filter(
      (other) => other !== message && !(withMiddle && other.chatId === message.chatId && !isVisible(other)),
    );
    return { body: { data: this.#toWire(message) } };
  }

  list(conversationId: string, body: Fields, token: string): Outcome {
    const conversation = this.#conversations.find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    const { order = "desc", limit = 50, chat_id: chatId, before_id: before, after_id: after } = body;
    if (order !== "asc" && order !== "desc") return refuse(4000, "order is asc or desc");
    if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > 50)
      return refuse(4000, "limit is 1 to 50");
    const listed = listPage(conversation, {
      order,
      limit,
      chatId: toId(chatId),
      beforeId: toId(before),
      afterId: toId(after),
      middle: body["include_middle_message"] === true,
      runningListed: this.#switches.runningQuestionListed,
      cancelledListed: this.#switches.cancelledTurnsListed,
    });
    if (listed === undefined) return refuse(4005, "before_id or after_id is no message of this list");
    const { page, hasMore } = listed;
    return {
      body: {
        data: page.map((message) => this.#toWire(message)),
        first_id: page[0]?.id ?? "",
        last_id: page.at(-1)?.id ?? "",
        has_more: hasMore,
      },
    };
  }

  giveFeedback(conversationId: string, messageId: string, body: Fields, token: string): Outcome {
    const found = this.#findJudged(conversationId, messageId, token);
    if (isRefusal(found)) return found;
    const feedback = checkFeedback(body);
    if (isRefusal(feedback)) return feedback;
    this.feedback.set(messageId, feedback);
    return { body: {} };
  }

  removeFeedback(conversationId: string, messageId: string, token: string): Outcome {
    const found = this.#findJudged(conversationId, messageId, token);
    if (isRefusal(found)) return found;
    this.feedback.delete(messageId);
    return { body: {} };
  }

  #find(
    conversationId: string,
    messageId: string,
    token: string,
  ): { conversation: Conversation; message: StoredMessage } | Refusal {
    const conversation = this.#conversations.find(conversationId, token);
    if (isRefusal(conversation)) return conversation;
    const message = conversation.messages.find(({ id }) => id === messageId);
    return message === undefined ? refuse(4005, "message not found") : { conversation, message };
  }

  /** Only text answers of chats can be judged (coze-api.md §9.4). */
  #findJudged(conversationId: string, messageId: string, token: string): StoredMessage | Refusal {
    const found = this.#find(conversationId, messageId, token);
    if (isRefusal(found)) return found;
    const { type, chatId, contentType, createdAt } = found.message;
    const isAnswer = type === "answer" && chatId !== "" && contentType === "text";
    return isAnswer && createdAt >= FEEDBACK_SINCE
      ? found.message
      : refuse(4005, "such a message takes no feedback");
  }

  #toWire(message: StoredMessage): object {
    return toWireMessage(message, this.#switches.questionHasChatId);
  }
}

/** Cursors default to 0, which means none (coze-api.md §9.2). */
function toId(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" && value !== "0" ? value : undefined;
}
