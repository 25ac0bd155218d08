import type { Abortable } from "../../core/ports.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { checkLength, refuse, toPathPart } from "../refusal.ts";
import { nothingSchema } from "../wire/envelope.ts";
import type { MessageIds } from "./messages.ts";

/** Limits of a feedback, in pieces and characters (coze-api.md §9.4). */
const MAX_REASONS = 10;
const MAX_REASON = 30;
const MAX_COMMENT = 250;

/** What somebody thinks of an answer (coze-api.md §9.4). */
export interface Feedback {
  /** Coze's own words; `unlike` is thumbs down. */
  readonly type: "like" | "unlike";
  /** At most 10, of 30 characters each. */
  readonly reasons?: readonly string[];
  /** At most 250 characters. */
  readonly comment?: string;
}

/**
 * Feedback on answers of chats: text only, and only by the account that created the conversation (coze-api.md §9.4).
 * Every method throws {@link CozeError}.
 */
export class FeedbackApi {
  readonly #http: CozeHttp;

  constructor(http: CozeHttp) {
    this.#http = http;
  }

  /** Replaces what was said about this answer before. */
  async create(message: MessageIds, feedback: Feedback, { signal }: Abortable): Promise<void> {
    const json = toFeedbackBody(feedback);
    const call: CozeCall = { method: "POST", path: toPath(message), json, signal };
    await this.#http.call(call, nothingSchema);
  }

  async delete(message: MessageIds, { signal }: Abortable): Promise<void> {
    await this.#http.call({ method: "DELETE", path: toPath(message), signal }, nothingSchema);
  }
}

function toFeedbackBody({ type, reasons, comment }: Feedback): object {
  if (reasons !== undefined && reasons.length > MAX_REASONS) {
    refuse(`${reasons.length} reasons; a feedback takes ${MAX_REASONS}`);
  }
  for (const reason of reasons ?? []) checkLength("a reason", reason, { least: 1, most: MAX_REASON });
  checkLength("the comment", comment, { most: MAX_COMMENT });
  return { feedback_type: type, reason_types: reasons, comment };
}

function toPath({ conversationId, messageId }: MessageIds): string {
  return `/v1/conversations/${toPathPart(conversationId)}/messages/${toPathPart(messageId)}/feedback`;
}
