import type {
  AnswerFailure,
  AnswerMessageKind,
  ChatStatus,
  ContentType,
  PendingAction,
  Usage,
} from "../core/answer-state.ts";
import type { WireChat, WireUsage } from "./wire/chats.ts";

/** A chat's status, however it is spelled; what we do not know still runs (coze-api.md §8.1). */
export function toChatStatus(status: string | null | undefined): ChatStatus {
  switch (status ?? "") {
    case "completed":
    case "compleated":
      return "completed";
    case "failed":
    case "expired":
      return "failed";
    case "canceled":
    case "cancelled":
    // What a self-hosted server stores (coze-api.md §18).
    case "conversation.chat.cancelled":
      return "canceled";
    case "requires_action":
    case "required_action":
      return "requires_action";
    default:
      return "running";
  }
}

/** A message's type; both spellings of tool results are one (coze-api.md §3.2). */
export function toMessageKind(name: string | null | undefined): AnswerMessageKind {
  const type = name ?? "";
  switch (type) {
    case "answer":
    case "function_call":
    case "tool_response":
    case "follow_up":
    case "verbose":
    case "knowledge":
    case "question":
      return type;
    case "tool_output":
      return "tool_response";
    default:
      return "unknown";
  }
}

export function toContentType(name: string | null | undefined): ContentType {
  const type = name ?? "";
  switch (type) {
    case "text":
    case "object_string":
    case "card":
    case "audio":
      return type;
    default:
      return "unknown";
  }
}

/** Zero in every event before the end, so zero means "not told yet" (coze-api.md §3.3). */
export function toUsage(usage: WireUsage | null | undefined): Usage | undefined {
  if (usage === null || usage === undefined) return undefined;
  const input = usage.input_count ?? usage.input_tokens ?? 0;
  const output = usage.output_count ?? usage.output_tokens ?? 0;
  const total = usage.token_count ?? input + output;
  return total === 0 && input === 0 && output === 0 ? undefined : { input, output, total };
}

/** What the bot waits for. `function: null` is a question of a workflow (coze-api.md §3.4). */
export function toPending(action: WireChat["required_action"]): readonly PendingAction[] {
  const calls = action?.submit_tool_outputs?.tool_calls ?? [];
  return calls.map((call) => ({
    id: call.id ?? "",
    kind: call.type === "reply_message" || !call.function ? "reply_message" : "function",
    name: call.function?.name ?? "",
    input: call.function?.arguments ?? "",
  }));
}

/** Coze's words for a failed chat; code 0 is none. */
export function toChatFailure(chat: WireChat): AnswerFailure | undefined {
  const error = chat.last_error;
  return error === null || error === undefined || error.code === 0
    ? undefined
    : { code: error.code, text: error.msg };
}
