import { z } from "zod";
import { answerMarkdown, bringsText } from "../../src/core/answer-state.ts";
import { BridgeError, isPlaceLost, PlatformError } from "../../src/core/errors.ts";
import type { Gate, Grant } from "../../src/core/gate.ts";
import { goesOnAsFile } from "../../src/core/notices.ts";
import { type Arrivals, arrive, type Permit, sendAll } from "../../src/core/pacer.ts";
import type { FinishedReply, OpenReplyOptions, Reply, ReplyContent } from "../../src/core/ports.ts";
import { messageKey } from "./address.ts";
import type { AnswerFile } from "./answer-file.ts";
import type { FormerStreams, ReplyTarget } from "./edit-writer.ts";
import { findTurnMessages, ownStream, turnMetadata } from "./own-messages.ts";
import { hasLetter, noticeBlock, noticeOf } from "./render.ts";
import { type AppendPlan, borderOf, planAppend } from "./segments.ts";
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
  /** Slack takes no more text for it. */
  full: boolean;
  /** The last one there may be, and nothing more goes into it. */
  ended: boolean;
}

/** What a segment begins with: what it shows, what of that is new, and its cards. */
interface FirstText {
  readonly shown: string;
  readonly sent: string;
  readonly cards: readonly TaskCard[];
}

/** What is appended; `close` ends a fence that goes on in the next segment. */
interface Piece {
  readonly text: string;
  readonly close: string;
  readonly cards: readonly TaskCard[];
}

const started = z.object({ ts: z.string() });

/** Errors of `chat.startStream` that say: not like this, and not here again (slack.md §1.2). */
const NEVER_HERE = /^(unknown_method|method_deprecated|feature_not_enabled)$/;
const NOT_THIS_TIME =
  /^(channel_type_not_supported|missing_recipient_(user|team)_id|(user|team)_not_found|invalid_arguments|not_subscribed_to_message_stream_stopped)$/;
/** What a workspace may say to a call with task cards that does not know them (slack.md §1.2). */
const CARDS_REFUSED = /^(invalid_chunks|invalid_arguments|no_text|invalid_blocks|msg_blocks_too_many)$/;

const MAX_TRIES = 6;
/** The same for "too fast": nothing happened, and each one said when to come back. */
const MAX_REFUSALS = 20;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

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
  /** Another renderer took over. */
  #edit: Reply | undefined;
  #lastWriteAt: number | undefined;
  #arrivals: Arrivals | undefined;
  /** An append waits for its permit: it may go when text arrives. */
  #isWaiting = false;
  /** Ends the wait for an interim append: the last one does not stand behind it. */
  readonly #hurry = new AbortController();
  #running: Promise<void> | undefined;
  #failure: unknown;
  /** Slack does not take the text in a stream: the answer goes on by edits. */
  #mustEdit = false;

  constructor(context: SlackContext, options: NativeReplyOptions) {
    this.#context = context;
    this.#options = options;
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
    this.#hurry.abort();
    try {
      await this.#running;
      // A draft that could not be shown says nothing about the last state.
      if (this.#failure instanceof BridgeError && this.#failure.retryable) this.#failure = undefined;
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
    this.#hurry.abort();
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
    for (let tries = 1; !this.#stopped && this.#edit === undefined; ) {
      const step = this.#next();
      if (step === undefined) return;
      try {
        await step();
        tries = 1;
      } catch (error) {
        if (!(error instanceof BridgeError) || !error.retryable) throw error;
        const refused = error.code === "PLATFORM_RATE_LIMITED";
        if (tries >= (refused ? MAX_REFUSALS : MAX_TRIES)) throw error;
        if (!refused) await this.#pause(error, tries);
        tries += 1;
      }
    }
  }

  async #pause(error: BridgeError, tries: number): Promise<void> {
    const ms = error.retryAfterMs ?? FIRST_PAUSE_MS * 2 ** (tries - 1);
    await this.#context.sleep(Math.min(LONGEST_PAUSE_MS, ms), this.#options.signal);
  }

  /** What has to be done next; `undefined` when all that may be shown is shown. */
  #next(): (() => Promise<void>) | undefined {
    const segment = this.#segments.at(-1);
    const open = segment?.open === true;
    if (this.#mustEdit) return open ? () => this.#stop(segment, { last: true }) : () => this.#switchToEdit();
    // Drawn only when it may go out: what is newest now is old by then.
    const isNew = this.#latest !== undefined && this.#drawn?.content !== this.#latest;
    if (isNew && open && !segment.ended && !this.#final && !this.#stoppedByUser) {
      return () => this.#append(segment);
    }
    const pending = this.#pending();
    const cards = this.#pendingCards({ closing: false });
    const { messages } = this.#options.file.limit;
    if ((pending !== "" || cards.length > 0) && !this.#stoppedByUser) {
      if (open && !segment.ended) return () => this.#append(segment);
      if (open && pending !== "" && this.#mustSayFile()) return () => this.#sayFile(segment);
      if (this.#segments.length >= messages) this.#repair ||= pending !== "" && !this.#saysFile;
      else if (pending !== "" || cards.some(isOpen)) return () => this.#startSegment();
    }
    if (!this.#final) return undefined;
    if (open) return () => this.#stop(segment, { last: true });
    if (this.#stoppedByUser) return undefined;
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
    await this.#send(segment, { text: "", close, cards: [] }, grant);
    this.#saysFile = segment.open && !segment.full;
    this.#repair ||= !this.#saysFile;
  }

  #needsEdit(): boolean {
    return this.#repair || this.#segments.length === 0;
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
    const grant = await this.#gate("startStream").acquire(this.#permit(), { signal });
    if (this.#stopped) return grant.giveBack();
    const previous = this.#segments.at(-1);
    const reopen = previous === undefined ? "" : borderOf(previous.shown).reopen;
    const cards = this.#pendingCards({ closing: false });
    const plan = planAppend(reopen, this.#pending(), { ageMs: 0, cardBytes: bytesOfCards(cards) });
    if (plan.text === "" && !cards.some(isOpen)) return grant.giveBack();
    const text = reopen + plan.text;
    const args = {
      channel: target.place.channel,
      thread_ts: target.place.thread,
      recipient_user_id: recipient.user,
      recipient_team_id: recipient.team,
      ...streamContent(plan.rotate ? text + borderOf(text).close : text, cards),
    };
    const first = { shown: text, sent: plan.text, cards };
    this.#countsAsSent();
    grant.sent();
    try {
      const { ts } = await this.#context.api.stream("chat.startStream", started, args, { signal });
      await this.#opened(ts, first);
    } catch (error) {
      await this.#startFailed(error, first);
      return;
    }
    const segment = this.#segments.at(-1);
    if (plan.rotate && segment !== undefined) await this.#end(segment);
  }

  async #opened(ts: string, { shown, sent, cards }: FirstText): Promise<void> {
    if (this.#segments.length > 0) this.#cuts.push(this.#sent.length);
    const startedAt = this.#now();
    const segment = { ts, startedAt, shown, cards: byId(cards), open: true, full: false, ended: false };
    this.#segments.push(segment);
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
    if (error.code === "PLATFORM_RATE_LIMITED") this.#refused("startStream", error);
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
    if (text !== "" || cards.length > 0) await this.#send(segment, { text, close, cards }, grant);
    else grant.giveBack();
    if ((rotate || segment.full) && segment.open) await this.#end(segment);
  }

  /** What goes out next. */
  #plan(segment: Segment): AppendPlan & { readonly cards: readonly TaskCard[] } {
    const ageMs = this.#now() - segment.startedAt;
    const cardBytes = bytesOfCards([...segment.cards.values(), ...this.#pendingCards({ closing: false })]);
    const plan = planAppend(segment.shown, this.#pending(), { ageMs, cardBytes });
    return { ...plan, cards: this.#pendingCards({ closing: plan.rotate }) };
  }

  /** A card that is under way when its message ends is drawn as failed (slack.md §1.3). */
  async #end(segment: Segment): Promise<void> {
    const cards = this.#pendingCards({ closing: true });
    if (cards.length > 0) {
      const grant = await this.#mayAppend();
      if (grant === undefined) return;
      await this.#send(segment, { text: "", close: "", cards }, grant);
    }
    // What does not fit goes into another one, or into the file.
    segment.ended = this.#segments.length >= this.#options.file.limit.messages;
    if (segment.open && !segment.ended) await this.#stop(segment, { last: false });
  }

  /** @returns `undefined` when the last state came while an interim one waited, or the reply was left: the loop looks again. */
  async #mayAppend(): Promise<Grant | undefined> {
    const { signal } = this.#options;
    const permit = this.#permit();
    const waiting = permit === "final" ? signal : AbortSignal.any([signal, this.#hurry.signal]);
    const pace = { lastEditAt: this.#lastWriteAt, arrivals: () => this.#arrivals };
    this.#isWaiting = true;
    try {
      const grant = await this.#gate("append").acquire(permit, { ...pace, signal: waiting });
      if (!this.#stopped) return grant;
      grant.giveBack();
      return undefined;
    } catch (error) {
      if (signal.aborted || !this.#hurry.signal.aborted) throw error;
      return undefined;
    } finally {
      this.#isWaiting = false;
    }
  }

  /** The pace is from call to call: counted from its answer, each round trip would come on top. */
  #countsAsSent(): void {
    this.#lastWriteAt = this.#now();
    this.#arrivals = sendAll(this.#arrivals);
  }

  async #send(segment: Segment, { text, close, cards }: Piece, grant: Grant): Promise<void> {
    const { target, signal } = this.#options;
    const args = {
      channel: target.place.channel,
      ts: segment.ts,
      ...streamContent(text + close, cards),
    };
    this.#countsAsSent();
    grant.sent();
    try {
      await this.#context.api.stream("chat.appendStream", anything, args, { signal });
    } catch (error) {
      if (!this.#appendFailed(error, segment, { text, cards })) return;
    }
    segment.shown += text;
    for (const card of cards) segment.cards.set(card.id, card);
    this.#sent += text;
  }

  /** May also decide that the answer goes on by edits. @returns Whether it has to be taken for sent. */
  #appendFailed(error: unknown, segment: Segment, { text, cards }: Omit<Piece, "close">): boolean {
    if (!(error instanceof PlatformError)) throw error;
    if (this.#refusesCards(error, cards)) return false;
    if (error.code === "PLATFORM_RATE_LIMITED") this.#refused("append", error);
    switch (error.platformCode ?? "") {
      case "message_not_in_streaming_state":
        // Slack ended it, e.g. after five minutes: the rest goes into another one (slack.md §1.6).
        this.#ended(segment);
        return false;
      case "stopped_by_user":
        segment.open = false;
        this.#stoppedByUser = true;
        this.#context.onGone(this.#options.target.dedupeKey);
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
    if (error.code !== "PLATFORM_UNKNOWN_OUTCOME" || text === "") throw error;
    // Sent again it might stand there twice. It is taken for sent, and put right at the end.
    this.#repair = true;
    return true;
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
    await this.#gate("stopStream").acquire("final", { signal });
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
    try {
      await this.#context.api.stream("chat.stopStream", anything, args, { signal });
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      if (error.code === "PLATFORM_RATE_LIMITED") this.#refused("stopStream", error);
      if (error.retryable) throw error;
      // It is over already, by an earlier try of ours or by Slack: what it should show is written by an edit, as it is where
      // Slack takes nothing of the stream any more.
      if (error.platformCode !== "message_not_in_streaming_state" && !this.#mustEdit) throw error;
      if (last) this.#repair = true;
    }
    segment.open = false;
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

  #refused(method: "startStream" | "append" | "stopStream", { retryAfterMs }: PlatformError): void {
    this.#gate(method).refused(retryAfterMs ?? FIRST_PAUSE_MS);
  }

  #gate(method: "startStream" | "append" | "stopStream"): Gate {
    return this.#context.pacer.method(this.#options.target.team, method);
  }

  #permit(): Permit {
    if (this.#final) return "final";
    return this.#segments.length === 0 ? "first" : "edit";
  }

  #now(): number {
    return this.#context.tools.clock.now();
  }
}

function isOpen({ status }: TaskCard): boolean {
  return status === "in_progress";
}

function byId(cards: readonly TaskCard[]): ShownCards {
  return new Map(cards.map((card) => [card.id, card]));
}
