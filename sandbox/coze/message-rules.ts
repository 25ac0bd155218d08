/**
 * What the hosted service refuses of single messages and of feedback. Pure; written from the documentation only.
 *
 * @see docs/reference/coze-api.md §9.3, §9.4
 */
import { checkMessage, type EnterMessage, type Fields, isRefusal, type Refusal, refuse } from "./rules.ts";

/** Limits of a feedback, in pieces and characters, counted the strict way (coze-api.md §9.4). */
const MAX_REASONS = 10;
const MAX_REASON = 30;
const MAX_COMMENT = 250;

export interface StandInFeedback {
  readonly type: "like" | "unlike";
  readonly reasons: readonly string[];
  readonly comment: string;
}

/** A message to be put into a conversation. Without a type it has none, as the documentation's example shows (§9.3). */
export function checkInserted(body: Fields): EnterMessage | Refusal {
  const given = body["type"] ?? undefined;
  const type = given ?? (body["role"] === "assistant" ? "answer" : "question");
  const message = checkMessage({ ...body, type }, true);
  return isRefusal(message) || given !== undefined ? message : { ...message, type: "" };
}

/** A message after a change to it; content and its type go together, and something must change (`DOC:modify_message`). */
export function checkChange(body: Fields, before: EnterMessage): EnterMessage | Refusal {
  const { content, content_type: contentType, meta_data: metaData } = body;
  if (content === undefined && metaData === undefined)
    return refuse(4000, "content or meta_data is required");
  if ((content === undefined) !== (contentType === undefined)) {
    return refuse(4000, "content and content_type go together");
  }
  const checked = checkMessage(
    {
      role: before.role,
      type: before.role === "user" ? "question" : "answer",
      content: content ?? before.content,
      content_type: contentType ?? before.contentType,
      meta_data: metaData ?? before.metaData,
    },
    true,
  );
  return isRefusal(checked) ? checked : { ...checked, type: before.type };
}

export function checkFeedback(body: Fields): StandInFeedback | Refusal {
  const { feedback_type: type, reason_types: reasons = [], comment = "" } = body;
  if (type !== "like" && type !== "unlike") return refuse(4000, "feedback_type is like or unlike");
  if (!Array.isArray(reasons) || reasons.length > MAX_REASONS) return refuse(4000, "too many reason_types");
  if (!reasons.every((reason): reason is string => isText(reason, MAX_REASON))) {
    return refuse(4000, "a reason is too long");
  }
  if (!isText(comment, MAX_COMMENT)) return refuse(4000, "comment is too long");
  return { type, reasons, comment };
}

function isText(value: unknown, most: number): value is string {
  return typeof value === "string" && value.length <= most;
}
