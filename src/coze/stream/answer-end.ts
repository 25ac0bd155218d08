import type { AnswerEvent } from "../../core/answer-state.ts";
import { parseJsonObject } from "../json.ts";

/**
 * How far a stream has proven the end of its chat (coze-api.md §7.5). Pure bookkeeping; `ask` acts on it.
 *
 * `proven`: completed, canceled, or parked at a required action. `waiting`: a workflow asks the asker (§6.5), proven
 * only together with the stream's own end mark.
 */
export interface AnswerEnd {
  readonly proven: boolean;
  readonly waiting: boolean;
  /** The end mark (`done`) was seen. */
  readonly marked: boolean;
  /** Something of the answer was seen. */
  readonly answered: boolean;
}

export const NOT_ENDED: AnswerEnd = { proven: false, waiting: false, marked: false, answered: false };

export function reduceEnd(end: AnswerEnd, event: AnswerEvent): AnswerEnd {
  switch (event.type) {
    case "chat":
      return { ...end, proven: event.status === "running" ? end.proven : event.status !== "failed" };
    case "delta":
      return { ...end, answered: end.answered || event.text !== "" };
    case "message":
      if (event.kind === "answer") return { ...end, answered: true };
      return event.kind === "verbose" && isInterrupt(event.text) ? { ...end, waiting: true } : end;
    case "end":
      return { ...end, marked: true };
    case "audio":
    case "error":
    case "unknown":
      return end;
  }
}

/** Whether the chat's end is certain, so that whatever the connection does from here on is no failure. */
export function isOver(end: AnswerEnd): boolean {
  return end.proven || (end.waiting && end.marked);
}

/** `finish_reason` 1 says the same as `interrupt` (coze-api.md §6.5). */
function isInterrupt(content: string): boolean {
  const packet = parseJsonObject(content);
  if (packet?.["msg_type"] === "interrupt") return true;
  const data = packet?.["data"];
  return (
    packet?.["msg_type"] === "generate_answer_finish" &&
    typeof data === "string" &&
    parseJsonObject(data)?.["finish_reason"] === 1
  );
}
