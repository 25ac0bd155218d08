import type { AnswerEvent } from "./answer-state.ts";
import type { ChatIds, Checkpoint } from "./checkpoint.ts";
import { CozeError, type ErrorCode } from "./errors.ts";
import type { AnswerSource, Log, Question } from "./ports.ts";

export interface AskParts {
  readonly source: Pick<AnswerSource, "ask" | "findChat" | "follow">;
  readonly checkpoint: Checkpoint;
  readonly log: Log;
  /** Ms since the epoch. */
  readonly wallNow: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** An earlier start did not say how it ended: where Redis has lost its checkpoint, Coze knows more than we do. */
  readonly mayBeAsked: boolean;
  /** Gets what comes, in order. */
  readonly onEvent: (event: AnswerEvent) => void;
}

/** Longest time from the question to the end of its answer, over restarts. */
export const ANSWER_MS: number = 15 * 60_000;
/** What is left at least to a chat that is followed after a restart. */
const LEAST_FOLLOW_MS = 10_000;
/**
 * Waits before each look for a lost chat: a running one may not be listed yet (coze-api.md §16.3, uncertain: §23.1).
 */
const LOOKS_MS = [0, 1_500, 3_000];
/** Where nothing says that there is one. */
const ONE_LOOK_MS = [0];
/** Coze does not know the chat (any more). */
const LOST: readonly ErrorCode[] = ["COZE_NOT_FOUND", "COZE_CONVERSATION_GONE"];

/**
 * Asks Coze once, whatever happens on the way: an earlier start's chat is followed instead of asking again, a stream
 * that breaks is finished from what Coze has stored.
 *
 * @param question - Made only when it has to be sent.
 * @see docs/reference/coze-api.md §16
 */
export async function askCoze(
  conversationId: string,
  question: () => Promise<Question>,
  parts: AskParts,
  signal: AbortSignal,
): Promise<void> {
  const known = parts.checkpoint.state.chat ?? (await earlierChat(conversationId, question, parts, signal));
  if (known !== undefined) {
    try {
      await follow(known, parts, signal);
      return;
    } catch (error) {
      if (!(error instanceof CozeError) || !LOST.includes(error.code)) throw error;
      parts.log.warn({ err: error, ...known }, "coze does not know the chat any more, asking again");
    }
  }
  await askAnew(conversationId, await question(), parts, signal);
}

/** The chat of an earlier start that did not live to save it. */
async function earlierChat(
  conversationId: string,
  question: () => Promise<Question>,
  parts: AskParts,
  signal: AbortSignal,
): Promise<ChatIds | undefined> {
  const { asked } = parts.checkpoint.state;
  if (asked !== undefined) return findLost(await question(), asked.conversationId, parts, signal);
  if (!parts.mayBeAsked) return undefined;
  try {
    return await findLost(await question(), conversationId, parts, signal, ONE_LOOK_MS);
  } catch (error) {
    if (signal.aborted || !(error instanceof CozeError)) throw error;
    parts.log.warn({ err: error }, "could not look for a chat of an earlier start, asking");
    return undefined;
  }
}

async function askAnew(
  conversationId: string,
  question: Question,
  parts: AskParts,
  signal: AbortSignal,
): Promise<void> {
  const { checkpoint, source, log, wallNow, onEvent } = parts;
  const askedBefore = checkpoint.state.asked !== undefined;
  await checkpoint.save({
    asked: checkpoint.state.asked ?? { conversationId, at: wallNow() },
    chat: undefined,
  });
  try {
    for await (const event of source.ask(question, { signal })) {
      // Saved before any further event is shown: from here on the question is never sent again.
      if (event.type === "chat") await noteChat(event, conversationId, checkpoint);
      onEvent(event);
    }
  } catch (error) {
    if (signal.aborted || !(error instanceof CozeError)) throw error;
    const chat = await chatAfter(error, { question, conversationId, askedBefore }, parts, signal);
    if (chat === undefined) throw error;
    log.warn({ err: error, ...chat }, "coze stream failed, the answer is taken from what coze stored");
    await follow(chat, parts, signal);
  }
}

/** The chat to go on with after a failure; `undefined` when there is none, or nothing to go on with. */
async function chatAfter(
  error: CozeError,
  {
    question,
    conversationId,
    askedBefore,
  }: { question: Question; conversationId: string; askedBefore: boolean },
  parts: AskParts,
  signal: AbortSignal,
): Promise<ChatIds | undefined> {
  const { checkpoint } = parts;
  // The chat is known to have failed: there is nothing to go on with.
  if (checkpoint.state.asked === undefined) return undefined;
  if (error.outcome === "unknown") {
    return checkpoint.state.chat ?? (await findLost(question, conversationId, parts, signal));
  }
  // Occupied, and we may have asked before: then it is occupied by ourselves (coze-api.md §16.4).
  if (error.code === "COZE_OCCUPIED" && askedBefore) return findLost(question, conversationId, parts, signal);
  // Refused for certain: nothing has to be looked for next time.
  if (!askedBefore) await checkpoint.save({ asked: undefined });
  return undefined;
}

async function findLost(
  { turnId }: Question,
  conversationId: string,
  { source, checkpoint, sleep }: AskParts,
  signal: AbortSignal,
  looksMs: readonly number[] = LOOKS_MS,
): Promise<ChatIds | undefined> {
  for (const waitMs of looksMs) {
    if (waitMs > 0) await sleep(waitMs, signal);
    const chatId = await source.findChat({ conversationId, turnId }, { signal });
    if (chatId === undefined) continue;
    const chat = { conversationId, chatId };
    await checkpoint.save({ chat });
    return chat;
  }
  return undefined;
}

async function follow(chat: ChatIds, parts: AskParts, signal: AbortSignal): Promise<void> {
  const { source, checkpoint, wallNow, onEvent } = parts;
  const since = checkpoint.state.asked?.at ?? wallNow();
  // A clock may have been set back.
  const leftMs = Math.min(ANSWER_MS, since + ANSWER_MS - wallNow());
  const timeoutMs = Math.max(LEAST_FOLLOW_MS, leftMs);
  for await (const event of source.follow(chat, { signal, timeoutMs })) {
    if (event.type === "chat") await noteChat(event, chat.conversationId, checkpoint);
    onEvent(event);
  }
}

/** A failed chat gives no answer any more: another attempt asks anew. Of any other one the first word is kept. */
async function noteChat(
  { status, chatId, conversationId }: AnswerEvent & { type: "chat" },
  asked: string,
  checkpoint: Checkpoint,
): Promise<void> {
  if (status === "failed") await checkpoint.save({ asked: undefined, chat: undefined });
  else if (chatId !== undefined && checkpoint.state.chat === undefined)
    await checkpoint.save({ chat: { chatId, conversationId: conversationId ?? asked } });
}
