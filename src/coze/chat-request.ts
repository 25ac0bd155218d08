import { CozeError } from "../core/errors.ts";
import type { ContextMessage, InlineText, Question, UploadedFile } from "../core/ports.ts";

/** Limits of `meta_data`; counted in UTF-16 units, which no reading of "characters" makes longer (coze-api.md §4). */
const MAX_META_VALUE = 512;
/** Messages in one chat request (coze-api.md §4). */
const MAX_MESSAGES = 100;
/** Longest name of a conversation (coze-api.md §9.1). */
const MAX_CONVERSATION_NAME = 100;

/** The key under which a turn's id stands in the `meta_data` of its chat and its question. */
export const TURN_ID_KEY = "turn_id";
/** The key under which the conversation's key stands in its `meta_data`. */
const CONVERSATION_KEY = "conversation_key";

/** Said for somebody who sent files without a word: an array of files needs a text (coze-api.md §3.6 rules 2 and 3). */
const FILES_ONLY_TEXT = "Please look at the attached file.";

/** A turn id as it stands in `meta_data`; whoever looks for it must shorten it the same way. */
export function toMetaValue(value: string): string {
  return value.slice(0, MAX_META_VALUE).toWellFormed();
}

/** The body of `POST /v3/chat`. @throws {CozeError} `COZE_BAD_REQUEST` for a question without text and files. */
export function toChatRequest(question: Question): object {
  const metaData = { [TURN_ID_KEY]: toMetaValue(question.turnId) };
  const context = question.context.slice(-(MAX_MESSAGES - 1)).map(toContextMessage);
  return {
    bot_id: question.botId,
    user_id: question.userId,
    stream: true,
    // Without history nothing can be looked up after a crash (coze-api.md §4).
    auto_save_history: true,
    meta_data: metaData,
    additional_messages: [
      ...context,
      { role: "user", type: "question", ...toContent(question), meta_data: metaData },
    ],
  };
}

/** The body of `POST /v1/conversation/create`: with the key in it, a lost conversation can be found again (§16.2). */
export function toConversationRequest(botId: string, conversation: string): object {
  return {
    bot_id: botId,
    name: conversation.slice(0, MAX_CONVERSATION_NAME).toWellFormed(),
    meta_data: { [CONVERSATION_KEY]: toMetaValue(conversation) },
  };
}

function toContextMessage(message: ContextMessage): object {
  return message.role === "asker"
    ? { role: "user", type: "question", content: message.text, content_type: "text" }
    : { role: "assistant", type: "answer", content: message.text, content_type: "text" };
}

function toContent(question: Question): { content: string; content_type: "text" | "object_string" } {
  const texts = question.files.filter((file): file is InlineText => file.kind === "text");
  const uploads = question.files.filter((file): file is UploadedFile => file.kind !== "text");
  const text = [question.text, ...texts.map(toQuotedFile)].filter((part) => part.trim() !== "").join("\n\n");
  if (uploads.length === 0) {
    if (text === "") {
      throw new CozeError("COZE_BAD_REQUEST", "a question needs a text or a file", { outcome: "refused" });
    }
    return { content: text, content_type: "text" };
  }
  // One text item, always: no rule about neighbouring messages can be broken then (coze-api.md §3.6).
  const items = [
    { type: "text", text: text === "" ? FILES_ONLY_TEXT : text },
    ...uploads.map((file) => ({ type: file.kind, file_id: file.fileId })),
  ];
  return { content: JSON.stringify(items), content_type: "object_string" };
}

/** A text file inside the question, in a fence that nothing in it can close. */
function toQuotedFile(file: InlineText): string {
  const longest = Math.max(2, ...[...file.text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${file.name}:\n${fence}\n${file.text}\n${fence}`;
}
