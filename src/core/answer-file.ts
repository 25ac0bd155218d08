import { type AnswerState, answerMarkdown } from "./answer-state.ts";

/** How an answer is shown that needs many messages: in so many of them, and where it goes on. */
export interface MessageLimit {
  readonly messages: number;
  readonly rest: "file" | "notice";
}

/** What people see of the file; one answer has one at most. */
export const ANSWER_FILE_NAME = "answer.md";

/**
 * The whole answer as Coze wrote it. An answer ends at 100,000 characters, which are 300 kB at most; a notice then says
 * that only its beginning is shown.
 */
export function answerFile(answer: AnswerState): string {
  return `${answerMarkdown(answer)}\n`;
}
