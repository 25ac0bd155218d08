import type { ContextMessage, InlineText, Question, UploadedFile } from "../core/ports.ts";
import { MAX_CONVERSATION_NAME, type NewConversation } from "./api/conversations.ts";
import { type ChatRequest, type EnterMessage, MAX_MESSAGES, toMetaValue } from "./chat-request.ts";
import type { Flavor } from "./flavor.ts";

/** The key under which a turn's id stands in the `meta_data` of its chat and its question. */
export const TURN_ID_KEY = "turn_id";
/** The key under which the conversation's key stands in its `meta_data`. */
const CONVERSATION_KEY = "conversation_key";

/** Said for somebody who sent files without a word: an array of files needs a text (coze-api.md §3.6 rules 2 and 3). */
const FILES_ONLY_TEXT = "Please look at the attached file.";

/** A question of the bridge as a chat, findable after a crash by the turn's id (coze-api.md §16.2). */
export function toChatRequest(
  question: Question,
  { contextByUser }: Pick<Flavor, "contextByUser">,
): ChatRequest {
  const metaData = { [TURN_ID_KEY]: toMetaValue(question.turnId) };
  // Where the conversation remembers for all, it knows already what others said.
  const others = contextByUser ? question.context : [];
  const context = others.slice(-(MAX_MESSAGES - 1)).map(toContextMessage);
  return {
    botId: question.botId,
    userId: question.userId,
    conversationId: question.conversationId,
    metaData,
    messages: [...context, { role: "user", content: toContent(question), metaData }],
  };
}

/** With its key in it, so that people find it at Coze (coze-api.md §16.2). */
export function toConversationRequest(
  botId: string,
  conversation: string,
): NewConversation & { readonly botId: string; readonly name: string } {
  return {
    botId,
    name: conversation.slice(0, MAX_CONVERSATION_NAME).toWellFormed(),
    metaData: { [CONVERSATION_KEY]: toMetaValue(conversation) },
  };
}

function toContextMessage({ role, text }: ContextMessage): EnterMessage {
  return { role: role === "asker" ? "user" : "assistant", content: text };
}

/** A text and files as one message; text files stand in the text. */
export function toContent(question: Pick<Question, "text" | "files">): EnterMessage["content"] {
  const texts = question.files.filter((file): file is InlineText => file.kind === "text");
  const uploads = question.files.filter((file): file is UploadedFile => file.kind !== "text");
  const text = [question.text, ...texts.map(toQuotedFile)].filter((part) => part.trim() !== "").join("\n\n");
  if (uploads.length === 0) return text;
  // One text item, always: no rule about neighbouring messages can be broken then (coze-api.md §3.6).
  return [
    { type: "text", text: text === "" ? FILES_ONLY_TEXT : text },
    ...uploads.map(({ kind, fileId }) => ({ type: kind, fileId })),
  ];
}

/** A text file inside the question, in a fence that nothing in it can close. */
function toQuotedFile(file: InlineText): string {
  const longest = Math.max(2, ...[...file.text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${file.name}:\n${fence}\n${file.text}\n${fence}`;
}
