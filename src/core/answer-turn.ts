import { REPLY_SPACE } from "./accept-turn.ts";
import { afterFailure } from "./after-failure.ts";
import {
  type AnswerEvent,
  type AnswerState,
  answerMarkdown,
  EMPTY_ANSWER,
  reduceAnswer,
} from "./answer-state.ts";
import { ANSWER_MS, askCoze } from "./ask-coze.ts";
import { type BroughtFiles, bringFiles } from "./bring-files.ts";
import { type ChatIds, Checkpoint, type Progressed } from "./checkpoint.ts";
import { cozeConversationOf, newConversationOf, replaceConversation } from "./conversations.ts";
import {
  changesNothing,
  type EarlierAnswer,
  earlierAnswer,
  mergeRedo,
  rememberAnswer,
  withChange,
} from "./earlier-answer.ts";
import { BridgeError, type ErrorCode, isPlaceLost, PlatformError } from "./errors.ts";
import { mergeTurns } from "./merge-turns.ts";
import { lateNotice, noticeFor, withReference } from "./notices.ts";
import { oncePerTick } from "./once-per-tick.ts";
import {
  type Adapter,
  type AnswerSource,
  type Log,
  type OpenReplyOptions,
  type Question,
  type Reply,
  type ReplyContent,
  RetryLater,
  type Run,
  RunAborted,
  type Store,
} from "./ports.ts";
import { PromisedReply } from "./promised-reply.ts";
import { questionText } from "./question-text.ts";
import { othersSince, rememberExchange } from "./shared-talk.ts";
import type { Turn } from "./turn.ts";

export interface AnswerParts {
  readonly adapter: Adapter;
  readonly source: AnswerSource;
  readonly store: Store;
  readonly log: Log;
  /** Ms on a monotonic clock. */
  readonly now: () => number;
  /** Ms since the epoch. */
  readonly wallNow: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Whether the answer is shown while it grows, or only its end. */
  readonly live: boolean;
}

/** How long a reply to one of our messages continues its conversation. */
const REPLY_TTL_MS = 30 * 24 * 3_600_000;
/** Time to tell Coze that nobody waits any more, once the turn itself is over. */
const CANCEL_MS = 5_000;

/** A turn at work: what it is, what it has saved, what it shows. */
interface Work extends AnswerParts {
  readonly turn: Turn;
  /** What it consists of, oldest first. */
  readonly asked: readonly Turn[];
  /** What stands there of an earlier revision. */
  readonly earlier: EarlierAnswer | undefined;
  readonly run: Run;
  readonly checkpoint: Checkpoint;
  readonly reply: Reply;
  /** The turn with what was not known of it when it was handed in. */
  readonly completed: Promise<Turn>;
  /** Fires when the answer has to end, with the reason: as `OpenReplyOptions.onOver`. */
  readonly over: AbortSignal;
  answer: AnswerState;
}

/**
 * Answers one turn: opens the reply, brings the files, asks Coze, lets the reply grow, ends it. Started again after a
 * crash it goes on where the checkpoint says, in the same messages; a changed question goes on in those of its earlier
 * revision.
 *
 * Every turn ends in an answer, a worded notice, or {@link RetryLater}; what the operator can do something about is
 * thrown after the asker was told, where anything can still be shown, and becomes a dead letter.
 *
 * @param turns - One, or what its asker wrote in a burst.
 */
export async function answerTurn(turns: readonly Turn[], run: Run, parts: AnswerParts): Promise<void> {
  const first = mergeTurns(turns);
  const earlier = await earlierAnswer(parts.store, first);
  const asked = earlier === undefined ? turns : withChange(first, earlier);
  const told = earlier === undefined ? first : mergeRedo(first, asked);
  const { id: turnId, reference, platform, conversation } = told;
  const log = parts.log.child({ turnId, reference, platform, conversation });
  const startedAt = parts.now();
  const { start, attempt } = run;
  const checkpoint = new Checkpoint(run);
  log.info({ start, attempt, attachments: told.attachments.length }, "turn started");
  const { done, asked: sent, reply: replied, telling: said } = checkpoint.state;
  if (done !== undefined) {
    await rememberMessages(told, parts.store, done.messageKeys);
    await rememberAnswer(parts.store, { reply: replied ?? earlier?.reply, asked, whole: said === undefined });
    if (said?.bury === true) throw alreadyTold(said.code);
    return;
  }
  const unwanted = sent === undefined && isCancelled(run.signal.reason);
  if (earlier !== undefined && (unwanted || changesNothing(first, earlier))) {
    log.info({ unwanted }, "earlier answer stays");
    return;
  }
  const completing = parts.adapter.complete?.(told, { signal: replySignal(run.signal) });
  const completed = Promise.resolve(completing).then((completion) => ({ ...told, ...completion }));
  const isQuick = completing !== undefined && start === 1 && canBeAskedFirst(told, earlier);
  const turn = isQuick ? told : await completed;
  const over = new AbortController();
  const opening = {
    checkpoint,
    earlier,
    completed,
    isQuick,
    onOver: (error: BridgeError) => over.abort(error),
  };
  const reply = await openReply(run, { ...parts, log }, opening);
  const about = { turn, asked, earlier, completed, run, checkpoint, reply, over: over.signal };
  const work: Work = { ...parts, ...about, log, answer: EMPTY_ANSWER };
  const { telling } = checkpoint.state;
  if (telling !== undefined) {
    await tell(work, telling);
    if (telling.bury) throw alreadyTold(telling.code);
    return;
  }
  try {
    // Asking, bringing files or drawing may be what kills it: a sentence is all that is tried.
    if (run.suspected) throw new BridgeError("TURN_KILLS_PROCESS", "its process died too often while it ran");
    await ask(work);
    // Whole in the very moment in which it had to end: then it ends so.
    if (isPlaceLost(work.over.reason)) throw work.over.reason;
    await end(work, afterword(work.answer));
  } catch (error) {
    if (error instanceof NothingToAsk) await end(work, undefined);
    else await fail(work, error);
  } finally {
    const { status, usage, failure } = work.answer;
    const tookMs = Math.round(parts.now() - startedAt);
    log.info(
      { tookMs, status, usage, failure, characters: answerMarkdown(work.answer).length },
      "turn ended",
    );
  }
}

/** The question was files alone, and none of them could be brought: that is all there is to say. */
class NothingToAsk extends Error {}

function alreadyTold(code: ErrorCode): BridgeError {
  return new BridgeError(code, "an earlier start failed, its asker has been told");
}

/**
 * Whether Coze may be asked while we find out who asks. Files and lateness have sentences of their own, in the asker's
 * language, what stands above belongs to the question, and what an earlier start or revision left on screen is gone on
 * with first.
 */
function canBeAskedFirst(
  { attachments, late, belowTalk }: Turn,
  earlier: EarlierAnswer | undefined,
): boolean {
  return attachments.length === 0 && late !== true && belowTalk !== true && earlier === undefined;
}

/** @param how - `isQuick`: the reply is opened once its asker is known, which nobody waits for. */
async function openReply(
  run: Run,
  parts: AnswerParts,
  how: Pick<Work, "checkpoint" | "earlier" | "completed"> &
    Pick<OpenReplyOptions, "onOver"> & { readonly isQuick: boolean },
): Promise<Reply> {
  const { checkpoint, earlier, completed, isQuick, onOver } = how;
  const open = async (): Promise<Reply> =>
    parts.adapter.openReply(await completed, {
      saved: checkpoint.state.reply,
      earlier: earlier?.reply,
      again: run.start > 1,
      save: (reply) => checkpoint.save({ reply }),
      signal: replySignal(run.signal),
      onOver,
    });
  if (isQuick) {
    const opening = open();
    opening.catch((error: unknown) => {
      if (isPlaceLost(error)) onOver(error);
    });
    return new PromisedReply(opening);
  }
  try {
    return await open();
  } catch (error) {
    const wasCancelled = isCancelled(run.signal.reason);
    if (run.signal.aborted && !wasCancelled) throw error;
    // Somebody pressed stop: that is still to be said, but what Coze writes is not waited for.
    if (wasCancelled) await cancelAtCoze({ ...parts, checkpoint, answer: EMPTY_ANSWER });
    const how = { repeatable: true, isFollowed: false, inTime: !wasCancelled };
    const next = afterFailure(error, run.attempt, how);
    parts.log.warn({ err: error }, "reply could not be opened");
    if (next.do === "retry") throw new RetryLater({ afterMs: next.afterMs, cause: error });
    throw error;
  }
}

/** A reply outlives a cancel, since it still has to say so; it ends with a run that is no longer ours. */
function replySignal(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  whenAborted(signal, (reason) => {
    if (!isCancelled(reason)) controller.abort(reason);
  });
  return controller.signal;
}

/**
 * Asking ends with the run; when somebody cancels, or the reply has to end, the chat is cancelled at Coze before
 * its stream is closed.
 */
function askSignal(work: Work): AbortSignal {
  const controller = new AbortController();
  // `cancelAtCoze` handles its own errors.
  const cancel = (reason: unknown): void => void cancelAtCoze(work).finally(() => controller.abort(reason));
  whenAborted(work.run.signal, (reason) => {
    if (isCancelled(reason)) cancel(reason);
    else controller.abort(reason);
  });
  whenAborted(work.over, cancel);
  return controller.signal;
}

function whenAborted(signal: AbortSignal, call: (reason: unknown) => void): void {
  if (signal.aborted) call(signal.reason);
  else signal.addEventListener("abort", () => call(signal.reason), { once: true });
}

function isCancelled(reason: unknown): boolean {
  return reason instanceof RunAborted && reason.why === "cancelled";
}

/** Asks, and feeds what comes into the reply. A conversation that Coze has forgotten is made anew, once. */
async function ask(work: Work): Promise<void> {
  const signal = askSignal(work);
  try {
    await askIn(work, await cozeConversationOf(work.turn, work, signal), signal);
  } catch (error) {
    if (!(error instanceof BridgeError) || error.code !== "COZE_CONVERSATION_GONE") throw error;
    await work.checkpoint.save({ asked: undefined, chat: undefined });
    await askIn(work, await newConversationOf(work.turn, work, signal), signal);
  }
}

async function askIn(work: Work, conversationId: string, signal: AbortSignal): Promise<void> {
  const { turn, run, reply, log } = work;
  const mayBeAsked = run.start > run.attempt;
  const show = oncePerTick(() => reply.show(draftOf(work)));
  const onEvent = (event: AnswerEvent): void => {
    work.answer = reduceAnswer(work.answer, event);
    if (work.live) show();
  };
  const question = (): Promise<Question> => toQuestion(work, conversationId, signal);
  await askCoze(conversationId, question, { ...work, mayBeAsked, onEvent }, signal);
  const answered = work.answer.conversationId;
  if (answered !== undefined && answered !== conversationId) {
    log.warn({ conversationId, answered }, "coze answered in another conversation");
    await replaceConversation(turn, work, answered);
  }
}

/** The question as it goes to Coze; the files are brought there once, also over restarts. */
async function toQuestion(work: Work, conversationId: string, signal: AbortSignal): Promise<Question> {
  const { turn, store } = work;
  const [brought, context] = await Promise.all([broughtFiles(work, signal), othersSince(store, turn)]);
  const isEmpty = turn.text === "" && turn.quote === undefined && brought.files.length === 0;
  if (isEmpty && brought.notices.length > 0) throw new NothingToAsk();
  return {
    botId: turn.route.botId,
    conversationId,
    userId: turn.asker.key,
    turnId: turn.id,
    text: questionText(turn),
    files: brought.files,
    context,
  };
}

async function broughtFiles(work: Work, signal: AbortSignal): Promise<BroughtFiles> {
  const { turn, checkpoint } = work;
  const known = checkpoint.state.brought;
  if (known !== undefined) return known;
  const brought = await bringFiles(turn, work, signal);
  if (turn.attachments.length > 0) await checkpoint.save({ brought });
  return brought;
}

/** What the reply shows in the end: the answer, and below it what there is to say about it. */
function contentOf({ turn, answer, checkpoint }: Work, ending?: string): ReplyContent {
  const notices = [
    ...(turn.late === true ? [lateNotice(turn.locale)] : []),
    ...(checkpoint.state.brought?.notices ?? []),
    ...(ending === undefined ? [] : [ending]),
  ];
  if (notices.length === 0) return { answer };
  const notice = notices.join("\n");
  const isAlone = ending === undefined && answerMarkdown(answer) === "";
  return { answer, notice: isAlone ? withReference(notice, turn.reference) : notice };
}

/** What it shows until then. Before the first letter nothing: a sentence alone would look like the whole answer. */
function draftOf(work: Work): ReplyContent {
  return answerMarkdown(work.answer) === "" ? { answer: work.answer } : contentOf(work);
}

/** What has to be said below an answer that ended well: why it shows nothing, or not all. */
function afterword(answer: AnswerState): ErrorCode | undefined {
  if (answer.status === "canceled") return "COZE_CANCELED";
  if (answer.cut) return "COZE_ANSWER_TOO_LONG";
  // A tool of the caller's, which nobody here has: what was said before is not the answer.
  if (answer.pending.some(({ kind }) => kind === "function")) return "COZE_ACTION_REQUIRED";
  if (answerMarkdown(answer) !== "") return undefined;
  return answer.pending.length > 0 ? "COZE_ACTION_REQUIRED" : "COZE_NO_ANSWER";
}

async function end(work: Work, code: ErrorCode | undefined): Promise<void> {
  const { store, checkpoint, reply, earlier } = work;
  const turn = await work.completed;
  const ending = code === undefined ? undefined : withReference(noticeFor(code, turn.locale), turn.reference);
  const { messageKeys } = await reply.finish(contentOf(work, ending));
  await checkpoint.save({ done: { messageKeys } });
  await rememberMessages(turn, store, messageKeys);
  await rememberReply(work, code === undefined);
  const text = answerMarkdown(work.answer);
  const replaced = earlier === undefined ? undefined : mergeTurns(earlier.asked).text;
  if (text !== "") await rememberExchange(store, turn, text, { replaced });
}

/** A redo goes on in the messages that are there; where it saved none, in those it took over. */
async function rememberReply({ store, checkpoint, asked, earlier }: Work, whole: boolean): Promise<void> {
  const reply = checkpoint.state.reply ?? earlier?.reply;
  await rememberAnswer(store, { reply, asked, whole });
}

/** A later reply to one of these messages continues the conversation. */
async function rememberMessages(turn: Turn, store: Store, messageKeys: readonly string[]): Promise<void> {
  for (const key of messageKeys) {
    await store.set(REPLY_SPACE, key, turn.conversation, { ttlMs: REPLY_TTL_MS });
  }
}

/** The turn failed: another attempt, or a sentence. */
async function fail(work: Work, error: unknown): Promise<void> {
  const { run, reply, checkpoint, log } = work;
  // Already on screen: what failed afterwards is not the asker's business.
  if (checkpoint.state.done !== undefined) throw error;
  if (run.signal.aborted) return aborted(work);
  const isFollowed = checkpoint.state.chat !== undefined;
  const repeatable = answerMarkdown(work.answer) === "" || isFollowed;
  const next = afterFailure(error, run.attempt, { repeatable, isFollowed, inTime: isInTime(work) });
  log.error({ err: error, next: next.do, chatId: work.answer.chatId }, "turn failed");
  if (next.do === "retry") {
    await reply.abandon();
    throw new RetryLater({ afterMs: next.afterMs, cause: error });
  }
  if (next.do === "give-up") {
    // Not finished yet: the reply takes its signs away, and may find another place for a sentence. It rejects as we do below.
    if (work.over.aborted) await reply.finish(contentOf(work)).catch(() => undefined);
    await rememberReply(work, false);
    throw error;
  }
  // Where the reply had to end, asking has been cancelled with it.
  if (next.code === "COZE_TIMEOUT" && !work.over.aborted) await cancelAtCoze(work);
  await tell(work, next);
  if (next.bury) throw error;
}

function isInTime({ checkpoint, wallNow }: Work): boolean {
  const { asked } = checkpoint.state;
  return asked === undefined || wallNow() < asked.at + ANSWER_MS;
}

/** Ends in a sentence. Where the platform is away, another start says it, and does nothing else. */
async function tell(work: Work, { code, bury }: NonNullable<Progressed["telling"]>): Promise<void> {
  const { run, checkpoint } = work;
  const wasCancelled = isCancelled(run.signal.reason);
  try {
    await checkpoint.save({ telling: { code, bury } });
    await end(work, code);
  } catch (error) {
    if (run.signal.aborted && !wasCancelled) throw error;
    // A cancelled turn is started again at once, whatever it asks for.
    const how = { repeatable: true, isFollowed: false, inTime: !wasCancelled };
    const unsaid = afterFailure(error, run.attempt, how);
    if (unsaid.do !== "retry" || !(error instanceof PlatformError)) throw error;
    throw new RetryLater({ afterMs: unsaid.afterMs, cause: error });
  }
}

/** Stopped by somebody: say so. Handed over or lost: leave everything to the next start. */
async function aborted(work: Work): Promise<void> {
  const reason: unknown = work.run.signal.reason;
  if (isCancelled(reason)) {
    await tell(work, { code: "COZE_CANCELED", bury: false });
    return;
  }
  await work.reply.abandon();
  throw reason;
}

async function cancelAtCoze({
  answer,
  checkpoint,
  source,
  log,
}: Pick<Work, "answer" | "checkpoint" | "source" | "log">): Promise<void> {
  const { chatId, conversationId } = answer;
  const seen: ChatIds | undefined =
    chatId === undefined || conversationId === undefined ? undefined : { chatId, conversationId };
  const chat = seen ?? checkpoint.state.chat;
  if (chat === undefined) return;
  try {
    await source.cancel(chat, { signal: AbortSignal.timeout(CANCEL_MS) });
  } catch (error) {
    // Coze then writes an answer that nobody reads; the asker is told all the same.
    log.warn({ err: error, ...chat }, "chat could not be cancelled");
  }
}
