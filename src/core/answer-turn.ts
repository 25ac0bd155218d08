import { REPLY_SPACE } from "./accept-turn.ts";
import { afterFailure } from "./after-failure.ts";
import { type AnswerState, answerMarkdown, EMPTY_ANSWER, reduceAnswer } from "./answer-state.ts";
import { type BroughtFiles, bringFiles } from "./bring-files.ts";
import { cozeConversationOf, forgetConversation, replaceConversation } from "./conversations.ts";
import { BridgeError, type ErrorCode } from "./errors.ts";
import type { Json } from "./json.ts";
import { noticeFor, withReference } from "./notices.ts";
import {
  type Adapter,
  type AnswerSource,
  type Log,
  type Question,
  type Reply,
  RetryLater,
  type Run,
  RunAborted,
  type Store,
} from "./ports.ts";
import { othersSince, rememberExchange } from "./shared-talk.ts";
import type { Turn } from "./turn.ts";

export interface AnswerParts {
  readonly adapter: Adapter;
  readonly source: AnswerSource;
  readonly store: Store;
  readonly log: Log;
  /** Ms on a monotonic clock. */
  readonly now: () => number;
}

/** How long a reply to one of our messages continues its conversation. */
const REPLY_TTL_MS = 30 * 24 * 3_600_000;
/** Time to tell Coze that nobody waits any more, once the turn itself is over. */
const CANCEL_MS = 5_000;

/**
 * Answers one turn: opens the reply, brings the files, asks Coze, lets the reply grow, ends it.
 *
 * Every turn ends in an answer, a worded notice, or {@link RetryLater}; a place that is gone or forbidden throws
 * its {@link PlatformError}, since nobody can be told there.
 */
export async function answerTurn(turn: Turn, run: Run, parts: AnswerParts): Promise<void> {
  const log = parts.log.child({
    turnId: turn.id,
    reference: turn.reference,
    platform: turn.platform,
    conversation: turn.conversation,
  });
  const startedAt = parts.now();
  log.info({ start: run.start, attempt: run.attempt, attachments: turn.attachments.length }, "turn started");
  const reply = await openReply(turn, run, parts, log);
  const progress = new Progress(reply);
  try {
    await ask(turn, run, { ...parts, log }, progress);
    await end(turn, { ...parts, log }, progress, afterword(progress.answer));
  } catch (error) {
    await fail(error, turn, run, { ...parts, log }, progress);
  }
  const { status, usage, failure } = progress.answer;
  const tookMs = Math.round(parts.now() - startedAt);
  log.info(
    { tookMs, status, usage, failure, characters: answerMarkdown(progress.answer).length },
    "turn ended",
  );
}

/** What a running turn has so far, and what of it is on its way to the screen. */
class Progress {
  readonly reply: Reply;
  answer: AnswerState = EMPTY_ANSWER;
  fileNotices: readonly string[] = [];

  constructor(reply: Reply) {
    this.reply = reply;
  }

  show(): void {
    this.reply.show(this.content());
  }

  content(ending?: string): { answer: AnswerState; notice?: string } {
    const notices = [...this.fileNotices, ...(ending === undefined ? [] : [ending])];
    return { answer: this.answer, ...(notices.length > 0 && { notice: notices.join("\n") }) };
  }
}

async function openReply(turn: Turn, run: Run, parts: AnswerParts, log: Log): Promise<Reply> {
  const checkpoint = toCheckpoint(run.state);
  try {
    return await parts.adapter.openReply(turn, {
      saved: checkpoint.reply,
      again: run.start > 1,
      save: (reply) => run.save({ v: 1, reply }),
      signal: replySignal(run.signal),
    });
  } catch (error) {
    const next = afterFailure(error, run.attempt, { textShown: false });
    log.warn({ err: error }, "reply could not be opened");
    if (next.do === "retry") throw new RetryLater({ afterMs: next.afterMs, cause: error });
    throw error;
  }
}

/** A reply outlives a cancel, since it still has to say so; it ends with a run that is no longer ours. */
function replySignal(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    const reason: unknown = signal.reason;
    if (!(reason instanceof RunAborted) || reason.why !== "cancelled") controller.abort(reason);
  };
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return controller.signal;
}

/** Asks, and feeds what comes into the reply. A conversation that Coze has forgotten is made anew, once. */
async function ask(turn: Turn, run: Run, parts: AnswerParts, progress: Progress): Promise<void> {
  const [brought, context] = await Promise.all([
    bringFiles(turn, parts, run.signal),
    othersSince(parts.store, turn),
  ]);
  progress.fileNotices = brought.notices;
  try {
    await askIn(await cozeConversationOf(turn, parts, run.signal));
  } catch (error) {
    if (!(error instanceof BridgeError) || error.code !== "COZE_CONVERSATION_GONE") throw error;
    await forgetConversation(turn, parts);
    await askIn(await cozeConversationOf(turn, parts, run.signal));
  }

  async function askIn(conversationId: string): Promise<void> {
    const question = toQuestion(turn, conversationId, brought, context);
    for await (const event of parts.source.ask(question, { signal: run.signal })) {
      progress.answer = reduceAnswer(progress.answer, event);
      progress.show();
    }
    const answered = progress.answer.conversationId;
    if (answered !== undefined && answered !== conversationId) {
      parts.log.warn({ conversationId, answered }, "coze answered in another conversation");
      await replaceConversation(turn, parts, answered);
    }
  }
}

function toQuestion(
  turn: Turn,
  conversationId: string,
  brought: BroughtFiles,
  context: Question["context"],
): Question {
  return {
    botId: turn.route.botId,
    conversationId,
    userId: turn.asker.key,
    turnId: turn.id,
    text: turn.quote === undefined ? turn.text : quoted(turn.quote, turn.text),
    files: brought.files,
    context,
  };
}

/** Other people's text is material, not instruction: it stands in a quote with its author's name. */
function quoted(quote: { author: string; text: string }, text: string): string {
  const lines = quote.text.split("\n").map((line) => `> ${line}`);
  return [`> ${quote.author}:`, ...lines, "", text].join("\n").trim();
}

/** What has to be said below an answer that ended well: why it shows nothing, or not all. */
function afterword(answer: AnswerState): ErrorCode | undefined {
  if (answer.status === "canceled") return "COZE_CANCELED";
  if (answer.cut) return "COZE_ANSWER_TOO_LONG";
  if (answerMarkdown(answer) !== "") return undefined;
  return answer.pending.length > 0 ? "COZE_ACTION_REQUIRED" : "COZE_NO_ANSWER";
}

async function end(
  turn: Turn,
  parts: AnswerParts,
  progress: Progress,
  code: ErrorCode | undefined,
): Promise<void> {
  const ending = code === undefined ? undefined : withReference(noticeFor(code, turn.locale), turn.reference);
  const { messageKeys } = await progress.reply.finish(progress.content(ending));
  for (const key of messageKeys) {
    await parts.store.set(REPLY_SPACE, key, turn.conversation, { ttlMs: REPLY_TTL_MS });
  }
  const text = answerMarkdown(progress.answer);
  if (text !== "") await rememberExchange(parts.store, turn, text);
}

/** The turn failed: another attempt, or a sentence. */
async function fail(
  error: unknown,
  turn: Turn,
  run: Run,
  parts: AnswerParts,
  progress: Progress,
): Promise<void> {
  if (run.signal.aborted) return aborted(turn, run, parts, progress);
  const textShown = answerMarkdown(progress.answer) !== "";
  const next = afterFailure(error, run.attempt, { textShown });
  parts.log.error({ err: error, next: next.do, chatId: progress.answer.chatId }, "turn failed");
  if (next.do === "retry") {
    await progress.reply.abandon();
    throw new RetryLater({ afterMs: next.afterMs, cause: error });
  }
  if (next.do === "give-up") throw error;
  if (next.code === "COZE_TIMEOUT") await cancelAtCoze(parts, progress.answer);
  await end(turn, parts, progress, next.code);
}

/** Stopped by somebody: say so. Handed over or lost: leave everything to the next start. */
async function aborted(turn: Turn, run: Run, parts: AnswerParts, progress: Progress): Promise<void> {
  const reason: unknown = run.signal.reason;
  if (!(reason instanceof RunAborted) || reason.why !== "cancelled") {
    await progress.reply.abandon();
    throw reason;
  }
  await cancelAtCoze(parts, progress.answer);
  await end(turn, parts, progress, "COZE_CANCELED");
}

async function cancelAtCoze(parts: AnswerParts, { chatId, conversationId }: AnswerState): Promise<void> {
  if (chatId === undefined || conversationId === undefined) return;
  try {
    await parts.source.cancel({ chatId, conversationId }, { signal: AbortSignal.timeout(CANCEL_MS) });
  } catch (error) {
    // Coze then writes an answer that nobody reads; the asker has been told already.
    parts.log.warn({ err: error, chatId }, "chat could not be cancelled");
  }
}

/** The run's checkpoint; anything we cannot read counts as none. */
function toCheckpoint(state: Json | undefined): { readonly reply: Json | undefined } {
  if (typeof state !== "object" || state === null || Array.isArray(state)) return { reply: undefined };
  const { reply } = state as { readonly reply?: Json };
  return { reply };
}
