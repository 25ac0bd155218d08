import { z } from "zod";
import { answerMarkdown, bringsText } from "../../src/core/answer-state.ts";
import { BridgeError, isPlaceLost, isRateLimit, isTerminal, PlatformError } from "../../src/core/errors.ts";
import type { AcquireOptions, Gate, Grant } from "../../src/core/gate.ts";
import { goesOnAsFile } from "../../src/core/notices.ts";
import { type Arrivals, arrive, type Permit, sendAll } from "../../src/core/pacer.ts";
import type { FinishedReply, OpenReplyOptions, Reply, ReplyContent } from "../../src/core/ports.ts";
import { ReplyWaits } from "../../src/core/reply-waits.ts";
import { closedForMs, Tries } from "../../src/core/tries.ts";
import { messageKey } from "./address.ts";
import type { AnswerFile } from "./answer-file.ts";
import type { FormerStreams, ReplyTarget } from "./edit-writer.ts";
import { findTurnMessages, ownStream, turnMetadata } from "./own-messages.ts";
import { hasLetter, noticeBlock, noticeOf } from "./render.ts";
import { type AppendPlan, borderOf, planAppend, planSegment } from "./segments.ts";
import type { SlackContext } from "./slack-context.ts";
import { StreamDrawing } from "./stream-drawing.ts";
import {
  bytesOfCards,
  pendingCards,
  type ShownCards,
  streamContent,
  type TaskCard,
  taskCards,
} from "./task-cards.ts";
import { anything } from "./web-api.ts";

export interface NativeReplyOptions {
  readonly target: ReplyTarget;
  /** Who sees the stream live (slack.md §1.1). */
  readonly recipient: { readonly user: string; readonly team: string };
  /** Called with all messages whenever there is a new one. */
  readonly save: (streams: FormerStreams) => Promise<void>;
  /** Another way to show the answer: in these messages, by edits. */
  readonly openEdit: (streams: FormerStreams) => Reply;
  /** Where the answer goes on once there are as many streams as there may be. */
  readonly file: AnswerFile;
  readonly signal: AbortSignal;
  readonly onOver: OpenReplyOptions["onOver"];
}

/** One stream. */
interface Segment {
  readonly ts: string;
  readonly startedAt: number;
  /** All that was appended, with what was reopened at its start. */
  shown: string;
  readonly cards: ShownCards;
  open: boolean;
  /** No more text goes into it: Slack takes none, or what was open in it has been closed. */
  full: boolean;
}

/** What a segment begins with: what it shows, what of that is new, and its cards. */
interface FirstText {
  readonly shown: string;
  readonly sent: string;
  readonly cards: readonly TaskCard[];
  /** Nothing more goes into it. */
  readonly full: boolean;
}

/** What is appended; `close` ends a fence that goes on in the next segment. */
interface Piece {
  readonly text: string;
  readonly close: string;
  readonly cards: readonly TaskCard[];
}

type StreamMethod = "startStream" | "append" | "stopStream";

const started = z.object({ ts: z.string() });

/** Errors of `chat.startStream` that say: not like this, and not here again (slack.md §1.2). */
const NEVER_HERE = /^(unknown_method|method_deprecated|feature_not_enabled)$/;
const NOT_THIS_TIME =
  /^(channel_type_not_supported|missing_recipient_(user|team)_id|(user|team)_not_found|invalid_arguments|not_subscribed_to_message_stream_stopped)$/;
/** What a workspace may say to a call with task cards that does not know them (slack.md §1.2). */
const CARDS_REFUSED = /^(invalid_chunks|invalid_arguments|no_text|invalid_blocks|msg_blocks_too_many)$/;

/**
 * A reply by Slack's own streams: append-only, one call at a time, in segments that end before Slack ends them.
 *
 * What was appended cannot be taken back. When the final text is not a continuation of it, or when it is uncertain
 * what arrived, the streams are stopped and the same messages are edited once to what they should say.
 *
 * @see docs/reference/slack.md §1.2, §1.5, §1.6
 */
export class NativeReply implements Reply {
  readonly #context: SlackContext;
  readonly #options: NativeReplyOptions;
  readonly #segments: Segment[] = [];
  /** How much of what is drawn stood in the segments before each one but the first. */
  readonly #cuts: number[] = [];
  readonly #drawing = new StreamDrawing();
  /** What was drawn last, and of what. */
  #drawn: { content: ReplyContent; final: boolean; cuts: number; text: string } | undefined;
  readonly #leave: () => void;
  #latest: ReplyContent | undefined;
  #final = false;
  #stopped = false;
  #stoppedByUser = false;
  /** What all segments show together, without reopened fences. */
  #sent = "";
  /** The streams do not show what they should: edit them at the end. */
  #repair = false;
  /** The last stream says that the answer goes on as a file. */
  #saysFile = false;
  /** The last stream was stopped as the last one, with all that is said at the end. */
  #isEnded = false;
  /** Another renderer took over. */
  #edit: Reply | undefined;
  #lastWriteAt: number | undefined;
  #arrivals: Arrivals | undefined;
  /** An append waits for its permit: it may go when text arrives. */
  #isWaiting = false;
  /** The last state does not stand behind what a draft waits for, and who leaves waits for nothing. */
  readonly #waits: ReplyWaits;
  readonly #tries = new Tries();
  #running: Promise<void> | undefined;
  #failure: unknown;
  /** Slack does not take the text in a stream: the answer goes on by edits. */
  #mustEdit = false;

  constructor(context: SlackContext, options: NativeReplyOptions) {
    this.#context = context;
    this.#options = options;
    this.#waits = new ReplyWaits(options.signal, () => this.#now());
    this.#leave = this.#gate("append").join();
  }

  show(content: ReplyContent): void {
    if (this.#final || this.#stopped || this.#failure !== undefined) return;
    if (bringsText(content.answer, this.#latest?.answer)) {
      this.#arrivals = arrive(this.#arrivals, this.#now());
    }
    this.#latest = content;
    if (this.#isWaiting) this.#gate("append").look();
    if (this.#edit === undefined) this.#start();
    else this.#edit.show(content);
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    const { file, openEdit } = this.#options;
    // Again, without the file that was promised: an edit takes that back.
    if (this.#saysFile && file.limit.rest !== "file") this.#edit ??= openEdit(this.#streams());
    this.#final = true;
    this.#latest = content;
    this.#waits.interrupt();
    try {
      await this.#running;
      // A draft that could not be shown says nothing about the last state.
      this.#tries.reset();
      if (!isTerminal(this.#failure) && !this.#options.signal.aborted) this.#failure = undefined;
      this.#start();
      await this.#running;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#edit !== undefined) return await this.#edit.finish(content);
      return {
        messageKeys: this.#segments.map(({ ts }) => messageKey(this.#options.target.place.channel, ts)),
      };
    } finally {
      this.#leave();
    }
  }

  async abandon(): Promise<void> {
    this.#stopped = true;
    this.#waits.interrupt();
    await this.#running;
    await this.#edit?.abandon();
    this.#leave();
  }

  #start(): void {
    this.#running ??= this.#write()
      .catch((error: unknown) => {
        this.#failure = error;
        this.#context.log.warn({ err: error }, "reply stopped growing");
        if (!this.#final && !this.#stopped && isPlaceLost(error)) this.#options.onOver(error);
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #write(): Promise<void> {
    while (!this.#stopped && this.#edit === undefined) {
      const step = this.#next();
      if (step === undefined) return;
      const wasFinal = this.#final;
      try {
        await step();
      } catch (error) {
        if (!(error instanceof BridgeError) || !error.retryable) throw error;
        // The last state came in meanwhile: it is not what failed, and does not wait for that.
        if (this.#final && !wasFinal) continue;
        this.#tries.count(error);
        if (this.#tries.areUsedUp) throw error;
        const pauseMs = this.#tries.pauseMs(error);
        if (pauseMs > 0 && !this.#stopped)
          await this.#waits.wait((signal) => this.#context.sleep(pauseMs, signal));
      }
    }
  }

  /** What has to be done next; `undefined` when all that may be shown is shown. */
  #next(): (() => Promise<void>) | undefined {
    if (this.#stoppedByUser) return undefined;
    const newest = this.#segments.at(-1);
    const open = newest?.open === true ? newest : undefined;
    if (this.#mustEdit) return open ? () => this.#stop(open, { last: true }) : () => this.#switchToEdit();
    // Drawn only when it may go out: what is newest now is old by then.
    const isNew = this.#latest !== undefined && this.#drawn?.content !== this.#latest;
    if (open?.full === false && isNew && !this.#final) return () => this.#append(open);
    const pending = this.#pending();
    const cards = this.#pendingCards({ closing: false });
    const isMore = pending !== "" || cards.length > 0;
    if (open?.full === false && isMore) return () => this.#append(open);
    const goesOn = pending !== "" || cards.some(isOpen);
    const mayGoOn = this.#segments.length < this.#options.file.limit.messages;
    if (open !== undefined && goesOn && mayGoOn) return () => this.#close(open, { last: false });
    if (open !== undefined && pending !== "" && this.#mustSayFile()) return () => this.#sayFile(open);
    if (!mayGoOn) this.#repair ||= pending !== "" && !this.#saysFile;
    else if (open === undefined && goesOn) return () => this.#startSegment();
    if (!this.#final) return undefined;
    if (open !== undefined) return () => this.#close(open, { last: true });
    return this.#needsEdit() ? () => this.#switchToEdit() : undefined;
  }

  #mustSayFile(): boolean {
    return this.#options.file.limit.rest === "file" && !this.#saysFile && !this.#repair;
  }

  /** At the end of the text: a stream takes nothing else before it is stopped. */
  async #sayFile(segment: Segment): Promise<void> {
    const grant = await this.#mayAppend();
    if (grant === undefined) return;
    const close = `\n\n_${goesOnAsFile(this.#options.target.locale)}_`;
    this.#saysFile = await this.#send(segment, { text: "", close, cards: [] }, grant);
    this.#repair ||= !this.#saysFile;
  }

  /** What is said at the end is said by the last stop; where Slack ended the stream before that, there is none. */
  #needsEdit(): boolean {
    if (this.#repair || this.#segments.length === 0) return true;
    return !this.#isEnded && (this.#saysFile || this.#lastNotice() !== undefined);
  }

  /** What is still to be appended. A text that does not continue what was sent marks the reply for repair. */
  #pending(): string {
    if (this.#latest === undefined) return "";
    const text = this.#drawnText(this.#latest);
    if (text.startsWith(this.#sent)) {
      const rest = text.slice(this.#sent.length);
      return this.#sent === "" && !hasLetter(rest) ? "" : rest;
    }
    // Coze's last word may have lost the white space at its end.
    if (this.#sent.startsWith(text) && this.#sent.slice(text.length).trim() === "") return "";
    // An interim text may only look different for a moment; the last one decides.
    if (this.#final) this.#repair = true;
    return "";
  }

  #drawnText(content: ReplyContent): string {
    const [final, cuts] = [this.#final, this.#cutsOfNext()];
    const known = this.#drawn;
    if (known?.content === content && known.final === final && known.cuts === cuts.length) return known.text;
    const text = this.#drawing.draw(answerMarkdown(content.answer), { final, cuts });
    this.#drawn = { content, final, cuts: cuts.length, text };
    return text;
  }

  /** What the bot does besides writing, where the workspace shows such things. */
  #pendingCards({ closing }: { closing: boolean }): readonly TaskCard[] {
    const { team, locale } = this.#options.target;
    if (this.#latest === undefined || this.#context.latches.isOff("task cards", team)) return [];
    const cards = taskCards(this.#latest.answer, { final: this.#final, locale });
    return pendingCards(
      cards,
      this.#segments.map((segment) => segment.cards),
      { closing },
    );
  }

  /** The next segment begins where the last one ended. */
  #cutsOfNext(): readonly number[] {
    const last = this.#segments.at(-1);
    return last === undefined || last.open ? this.#cuts : [...this.#cuts, this.#sent.length];
  }

  async #startSegment(): Promise<void> {
    const { target, recipient, signal } = this.#options;
    // A message that begins is a first text: the one before it is full.
    const grant = await this.#mayCall("startStream", this.#final ? "final" : "first");
    if (grant === undefined) return;
    const cards = this.#pendingCards({ closing: false });
    const pending = this.#pending();
    const plan = planSegment(this.#segments.at(-1)?.shown ?? "", pending, bytesOfCards(cards));
    if (plan.text === "" && !cards.some(isOpen)) {
      // Not a word of it fits: looking again changes nothing.
      this.#mustEdit = pending !== "";
      return grant.giveBack();
    }
    const text = plan.reopen + plan.text;
    const args = {
      channel: target.place.channel,
      thread_ts: target.place.thread,
      recipient_user_id: recipient.user,
      recipient_team_id: recipient.team,
      ...streamContent(plan.rotate ? text + borderOf(text).close : text, cards),
    };
    const first = { shown: text, sent: plan.text, cards, full: plan.rotate };
    this.#goesOut(grant);
    try {
      const { ts } = await this.#context.api.stream("chat.startStream", started, args, { signal });
      await this.#opened(ts, first);
      this.#tries.reset();
    } catch (error) {
      await this.#startFailed(error, first);
    }
  }

  async #opened(ts: string, { shown, sent, cards, full }: FirstText): Promise<void> {
    if (this.#segments.length > 0) this.#cuts.push(this.#sent.length);
    const startedAt = this.#now();
    this.#segments.push({ ts, startedAt, shown, cards: byId(cards), open: true, full });
    this.#sent += sent;
    await ownStream(this.#context, this.#options.target, ts);
    await this.#options.save(this.#streams());
  }

  #streams(): FormerStreams {
    return { messages: this.#segments.map(({ ts }) => ts), cuts: [...this.#cuts] };
  }

  async #startFailed(error: unknown, first: FirstText): Promise<void> {
    const { team } = this.#options.target;
    if (!(error instanceof PlatformError)) throw error;
    if (this.#refusesCards(error, first.cards)) return;
    const name = error.platformCode ?? "";
    if (NEVER_HERE.test(name)) this.#context.latches.turnOff("native stream", team, error);
    if (NEVER_HERE.test(name) || NOT_THIS_TIME.test(name) || error.code === "PLATFORM_REJECTED") {
      await this.#switchToEdit();
      return;
    }
    this.#heed("startStream", error);
    const lost = error.code === "PLATFORM_UNKNOWN_OUTCOME" ? await this.#findStream() : undefined;
    if (lost === undefined) throw error;
    // It is there, but what it shows is not certain.
    this.#repair = true;
    await this.#opened(lost, first);
  }

  /** A nicety ends nothing: without its cards the call is made again. */
  #refusesCards(error: PlatformError, cards: readonly TaskCard[]): boolean {
    if (cards.length === 0 || !CARDS_REFUSED.test(error.platformCode ?? "")) return false;
    this.#context.latches.turnOff("task cards", this.#options.target.team, error);
    return true;
  }

  async #findStream(): Promise<string | undefined> {
    const known = new Set(this.#segments.map(({ ts }) => ts));
    const { target, signal } = this.#options;
    const messages = await findTurnMessages(this.#context, target, { signal });
    return messages?.findLast(({ ts, part }) => part === undefined && !known.has(ts))?.ts;
  }

  async #append(segment: Segment): Promise<void> {
    const grant = await this.#mayAppend();
    if (grant === undefined) return;
    const { text, cards, rotate } = this.#plan(segment);
    const close = rotate ? borderOf(segment.shown + text).close : "";
    if (text === "" && cards.length === 0) {
      grant.giveBack();
      segment.full ||= rotate;
    } else if (await this.#send(segment, { text, close, cards }, grant)) segment.full ||= rotate;
  }

  /** What goes out next. */
  #plan(segment: Segment): AppendPlan & { readonly cards: readonly TaskCard[] } {
    const ageMs = this.#now() - segment.startedAt;
    const cardBytes = bytesOfCards([...segment.cards.values(), ...this.#pendingCards({ closing: false })]);
    const plan = planAppend(segment.shown, this.#pending(), { ageMs, cardBytes });
    return { ...plan, cards: this.#pendingCards({ closing: plan.rotate }) };
  }

  /** One step of it: a card that is under way when its message ends would be drawn as failed (slack.md §1.3). */
  async #close(segment: Segment, { last }: { last: boolean }): Promise<void> {
    const cards = this.#pendingCards({ closing: true });
    if (cards.length === 0) return this.#stop(segment, { last });
    const grant = await this.#mayAppend();
    if (grant === undefined) return;
    // Where there is no room even for that, they stay as they are.
    if (!(await this.#send(segment, { text: "", close: "", cards }, grant))) setCards(segment, cards);
  }

  async #mayAppend(): Promise<Grant | undefined> {
    const pace = { lastEditAt: this.#lastWriteAt, arrivals: () => this.#arrivals };
    this.#isWaiting = true;
    try {
      return await this.#mayCall("append", this.#final ? "final" : "edit", pace);
    } finally {
      this.#isWaiting = false;
    }
  }

  /** @returns `undefined` when the last state came while a draft waited, or the reply was left: the loop looks again. */
  async #mayCall(
    method: StreamMethod,
    permit: Permit,
    pace: Omit<AcquireOptions, "signal" | "since"> = {},
  ): Promise<Grant | undefined> {
    const grant = await this.#waits.permit(this.#gate(method), permit, pace);
    if (grant === undefined) return undefined;
    if (!this.#stopped && grant.stands) return grant;
    grant.giveBack();
    return undefined;
  }

  /** The pace is from call to call: counted from its answer, each round trip would come on top. */
  #goesOut(grant: Grant): void {
    this.#lastWriteAt = this.#now();
    this.#arrivals = sendAll(this.#arrivals);
    grant.sent();
  }

  /** @returns Whether it has arrived, or has to be taken for arrived. */
  async #send(segment: Segment, { text, close, cards }: Piece, grant: Grant): Promise<boolean> {
    const { target, signal } = this.#options;
    const args = {
      channel: target.place.channel,
      ts: segment.ts,
      ...streamContent(text + close, cards),
    };
    this.#goesOut(grant);
    try {
      await this.#context.api.stream("chat.appendStream", anything, args, { signal });
    } catch (error) {
      if (!this.#appendFailed(error, segment, { text, close, cards })) return false;
    }
    this.#tries.reset();
    segment.shown += text;
    setCards(segment, cards);
    this.#sent += text;
    return true;
  }

  /** May also decide that the answer goes on by edits. @returns Whether it has to be taken for sent. */
  #appendFailed(error: unknown, segment: Segment, { text, close, cards }: Piece): boolean {
    if (!(error instanceof PlatformError)) throw error;
    if (this.#refusesCards(error, cards)) return false;
    this.#heed("append", error);
    switch (error.platformCode ?? "") {
      case "message_not_in_streaming_state":
        // Slack ended it, e.g. after five minutes: the rest goes into another one (slack.md §1.6).
        this.#ended(segment);
        return false;
      case "stopped_by_user":
        this.#stoppedByReader(segment);
        return false;
      case "msg_too_long":
        segment.full = true;
        return false;
      default:
        break;
    }
    if (error.code === "PLATFORM_REJECTED") {
      this.#repair = true;
      this.#mustEdit = true;
      return false;
    }
    // Cards may be sent again: they only say how they are.
    if (error.code !== "PLATFORM_UNKNOWN_OUTCOME" || text + close === "") throw error;
    // Sent again it might stand there twice. It is taken for sent, and put right at the end.
    this.#repair = true;
    return true;
  }

  /** Slack says so below it: nothing is shown there any more. */
  #stoppedByReader(segment: Segment): void {
    segment.open = false;
    this.#stoppedByUser = true;
    this.#context.onGone(this.#options.target.dedupeKey);
  }

  /** Slack ended it, and with it the cards that were under way. */
  #ended(segment: Segment): void {
    segment.open = false;
    for (const card of segment.cards.values()) if (isOpen(card)) segment.cards.delete(card.id);
    // Nothing but cards: the answer belongs there.
    if (segment.shown === "") this.#repair = true;
  }

  async #stop(segment: Segment, { last }: { last: boolean }): Promise<void> {
    const { target, signal } = this.#options;
    const grant = await this.#mayCall("stopStream", "final");
    if (grant === undefined) return;
    if (last && this.#saysFile) this.#options.file.isWanted = true;
    const notice = last && !this.#repair ? this.#lastNotice() : undefined;
    const args = {
      channel: target.place.channel,
      ts: segment.ts,
      // Only now it can be marked (slack.md §1.7).
      metadata: turnMetadata(target.reference, this.#segments.indexOf(segment)),
      ...(!last && { session_status: "processing" }),
      ...(notice !== undefined && { blocks: [noticeBlock(notice)] }),
    };
    grant.sent();
    try {
      await this.#context.api.stream("chat.stopStream", anything, args, { signal });
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.#heed("stopStream", error);
      if (error.retryable) throw error;
      // Its event may still be on its way.
      if (error.platformCode === "stopped_by_user") return this.#stoppedByReader(segment);
      // It is over already, by an earlier try of ours or by Slack: what it should show is written by an edit, as it is where
      // Slack takes nothing of the stream any more.
      if (error.platformCode !== "message_not_in_streaming_state" && !this.#mustEdit) throw error;
      if (last) this.#repair = true;
    }
    this.#tries.reset();
    segment.open = false;
    this.#isEnded = last;
  }

  #lastNotice(): string | undefined {
    const shown = this.#sent.trim() === "" ? 0 : this.#segments.length;
    const { locale } = this.#options.target;
    return this.#latest && noticeOf(this.#latest, { final: true, locale, shown });
  }

  /** `async` for its callers' sake: the next round of the loop sees that another one writes now. */
  async #switchToEdit(): Promise<void> {
    this.#edit = this.#options.openEdit(this.#streams());
    if (!this.#final && this.#latest !== undefined) this.#edit.show(this.#latest);
  }

  /** A refusal closes the gate. */
  #heed(method: StreamMethod, error: PlatformError): void {
    if (isRateLimit(error)) this.#gate(method).refused(closedForMs(error));
  }

  #gate(method: StreamMethod): Gate {
    return this.#context.pacer.method(this.#options.target.team, method);
  }

  #now(): number {
    return this.#context.tools.clock.now();
  }
}

function isOpen({ status }: TaskCard): boolean {
  return status === "in_progress";
}

function setCards(segment: Segment, cards: readonly TaskCard[]): void {
  for (const card of cards) segment.cards.set(card.id, card);
}

function byId(cards: readonly TaskCard[]): ShownCards {
  return new Map(cards.map((card) => [card.id, card]));
}
