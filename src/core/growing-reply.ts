import { answerMarkdown, bringsText } from "./answer-state.ts";
import { BridgeError, isPlaceLost, isRateLimit, isTerminal } from "./errors.ts";
import type { Gate, Grant } from "./gate.ts";
import type { Json } from "./json.ts";
import { type Arrivals, arrive, type Permit, sendAll } from "./pacer.ts";
import type { FinishedReply, Log, Reply, ReplyContent } from "./ports.ts";
import { ReplyWaits } from "./reply-waits.ts";
import { closedForMs, Tries } from "./tries.ts";

/** One message of a reply as its platform takes it; equal JSON means nothing to edit. */
export type Part = { readonly [key: string]: Json };

/**
 * What a platform must be able to do for a reply that grows by edits. Each call is tried once: repeats are the
 * reply's business.
 */
export interface PartWriter {
  /**
   * Cuts the content into messages; none when there is nothing to show yet. The same content gives the same, unless a
   * call failed in between or a file takes a part of it.
   */
  render(content: ReplyContent, options: { final: boolean }): readonly Part[];
  /** @returns The message's id. Called again after an unknown outcome, so it must be repeatable. */
  create(part: Part, index: number, options: { signal: AbortSignal }): Promise<string>;
  /** What of a part `create` shows; the rest comes by an edit, which can be repeated. Default all of it. */
  asCreated?(part: Part): Part;
  edit(messageId: string, part: Part, options: { signal: AbortSignal; final: boolean }): Promise<void>;
  remove(messageId: string, options: { signal: AbortSignal }): Promise<void>;
  /**
   * The limit that the next call of this kind counts against.
   *
   * @param messageId - What is edited; none where it is still to be made.
   */
  gate(call: "create" | "edit", messageId?: string): Gate;
  /** Key of a message, as a later turn would name it in `continues`. */
  messageKey(messageId: string): string;
}

export interface GrowingReplyOptions {
  readonly writer: PartWriter;
  readonly saved: Json | undefined;
  /** The saved messages show this very answer, not that to an earlier revision of the question. */
  readonly continuesAnswer: boolean;
  readonly save: (state: Json) => Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called once, before the first call that shows something: typing and status end here. */
  readonly onFirst?: () => void;
  /** As of `OpenReplyOptions`. */
  readonly onOver: (error: BridgeError) => void;
}

interface Shown {
  readonly id: string;
  /** What is on screen, or `undefined` when nobody knows: an earlier process wrote it, or a call had no answer. */
  key: string | undefined;
}

/** Stands for a message that stays as it is: compared by identity, never written. */
const KEPT: Part = {};

/** What a reply has been given to make a step with. */
interface Permits {
  readonly grants: readonly Grant[];
  /** What an edit of them counts against. */
  readonly edits: Gate;
}

/** `roll`: the last edit of a full message and the create of the next one, together. */
type Step = "save" | "create" | "edit" | "roll" | "remove";

/**
 * A reply of one or more messages: one latest-wins slot, at most one call in flight per message, always the newest text.
 *
 * A draft that fails is forgotten as soon as a newer one goes out; only the last state must arrive.
 *
 * @see docs/reference/pacing.md §4
 */
export class GrowingReply implements Reply {
  readonly #options: GrowingReplyOptions;
  readonly #shown: Shown[];
  #latest: ReplyContent | undefined;
  #rendered: { content: ReplyContent; final: boolean; parts: readonly Part[] } | undefined;
  #final = false;
  #stopped = false;
  /** Why nothing more is written. */
  #ended: { readonly error: unknown } | undefined;
  /** The list of messages changed since it was saved. */
  #unsaved = false;
  /** What a create tried to show whose outcome nobody knows: the message may be there. */
  #doubtful: { readonly part: Part; readonly keys: ReadonlySet<string> } | undefined;
  /** Of the last write, until the reply gives up; also how many drafts in a row may be turned down. */
  readonly #tries = new Tries();
  /** Whether the last try was for the last state. */
  #triedFinal = false;
  #lastWriteAt: number | undefined;
  #arrivals: Arrivals | undefined;
  /** Where a draft waits for its permit: it may go when text arrives. */
  #waitingAt: Gate | undefined;
  #isFirst = true;
  #busy = false;
  /** Something came in since the writer last began to look. */
  #news = false;
  #running: Promise<void> = Promise.resolve();
  /** How many messages, from the first, stay as an earlier start left them; `undefined` where there is a text to show. */
  #kept: number | undefined;
  /** The gate among whose replies this one is counted. */
  #joined: { readonly gate: Gate; readonly leave: () => void } | undefined;
  readonly #waits: ReplyWaits;

  constructor(options: GrowingReplyOptions) {
    this.#options = options;
    this.#waits = new ReplyWaits(options.signal, options.now);
    this.#shown = savedIds(options.saved).map((id) => ({ id, key: undefined }));
    this.#kept = savedKept(options.saved);
  }

  show(content: ReplyContent): void {
    if (this.#final || this.#stopped || this.#ended !== undefined) return;
    if (bringsText(content.answer, this.#latest?.answer)) {
      this.#arrivals = arrive(this.#arrivals, this.#options.now());
      this.#forgetKept();
    }
    this.#latest = content;
    this.#waitingAt?.look();
    if (!this.#tries.areUsedUp) this.#start();
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    this.#latest = content;
    this.#final = true;
    this.#decideKept(content);
    this.#tries.reset();
    // Drafts wait for the pace, the last state does not: it asks anew.
    this.#waits.interrupt();
    this.#start();
    await this.#running;
    this.#joined?.leave();
    if (this.#ended !== undefined) throw this.#ended.error;
    if (this.#stopped) throw new Error("reply was abandoned before its last state was written");
    return { messageKeys: this.#shown.map(({ id }) => this.#options.writer.messageKey(id)) };
  }

  async abandon(): Promise<void> {
    this.#stopped = true;
    this.#waits.interrupt();
    await this.#running;
    this.#joined?.leave();
  }

  /**
   * Without text of its own, this start keeps what stands there and says its notice below. That is saved first: a start
   * that goes on from there says it in the same place.
   */
  #decideKept({ answer }: ReplyContent): void {
    const hasText = this.#lastWriteAt !== undefined || answerMarkdown(answer) !== "";
    if (hasText || !this.#options.continuesAnswer) {
      this.#kept = undefined;
      return;
    }
    if (this.#kept !== undefined) return;
    this.#kept = this.#shown.length;
    this.#unsaved = true;
  }

  /** There is a text to show: what an earlier start decided without one holds no more, for nobody. */
  #forgetKept(): void {
    if (this.#kept === undefined) return;
    this.#kept = undefined;
    this.#unsaved = true;
  }

  #start(): void {
    this.#news = true;
    if (this.#busy) return;
    this.#busy = true;
    this.#running = this.#write();
  }

  /** Writes until there is nothing left to write. Never rejects: what went wrong is kept for `finish`. */
  async #write(): Promise<void> {
    try {
      do {
        this.#news = false;
        while (await this.#writeNext());
      } while (this.#news);
    } catch (error) {
      this.#end(error);
    } finally {
      // In the same breath as the last look for news, so that none falls in between.
      this.#busy = false;
    }
  }

  /** @returns Whether to look again. */
  async #writeNext(): Promise<boolean> {
    let step: Step | undefined;
    this.#triedFinal = this.#final;
    try {
      step = this.#next();
      if (step === undefined) return false;
      await this.#do(step);
      return true;
    } catch (error) {
      return this.#goesOn(step, error);
    }
  }

  /** What has to be done first to show the newest content; `undefined` when it is all there. */
  #next(): Step | undefined {
    if (this.#ended !== undefined) return undefined;
    // Also when stopped: whoever goes on with this turn has to find the message.
    if (this.#unsaved) return "save";
    if (this.#stopped) return undefined;
    // Drawn only when it may go out: what is newest now is old by then.
    const isNew = this.#latest !== undefined && this.#rendered?.content !== this.#latest;
    if (isNew && !this.#final && this.#shown.length > 0) return "edit";
    return this.#stepOf(this.#parts());
  }

  #stepOf(parts: readonly Part[]): Exclude<Step, "save"> | undefined {
    const stale = this.#staleIndex(parts);
    const isLast = stale === this.#shown.length - 1;
    if (stale >= 0) return isLast && parts.length > this.#shown.length ? "roll" : "edit";
    if (parts.length > this.#shown.length) return "create";
    // Found by being repeated; without a place in the last state it is removed then.
    if (this.#final && this.#doubtful !== undefined) return "create";
    // A message that is there is never taken away altogether: people may have seen it.
    return this.#final && this.#shown.length > Math.max(parts.length, 1) ? "remove" : undefined;
  }

  #parts(): readonly Part[] {
    const content = this.#latest;
    if (content === undefined) return [];
    const final = this.#final;
    if (this.#rendered?.content !== content || this.#rendered.final !== final) {
      const parts = this.#options.writer.render(content, { final });
      const kept = final ? Array.from({ length: this.#kept ?? 0 }, () => KEPT) : [];
      this.#rendered = { content, final, parts: [...kept, ...parts] };
    }
    return this.#rendered.parts;
  }

  #staleIndex(parts: readonly Part[]): number {
    return this.#shown.findIndex(({ key }, index) => {
      const part = parts[index];
      return part !== undefined && part !== KEPT && key !== toKey(part);
    });
  }

  async #do(step: Step): Promise<void> {
    if (step === "save") return this.#save();
    const permits = await this.#permits(step);
    if (permits !== undefined) await this.#call(step, permits);
  }

  async #save(): Promise<void> {
    const messages = this.#shown.map(({ id }) => id);
    await this.#options.save({ messages, ...(this.#kept !== undefined && { kept: this.#kept }) });
    this.#unsaved = false;
    this.#tries.reset();
  }

  /** Waits for the pace. `undefined` when the wait was interrupted. */
  async #permits(step: Exclude<Step, "save">): Promise<Permits | undefined> {
    const edits = this.#edits();
    this.#join(edits);
    if (step === "create") return this.#withCreate({ grants: [], edits });
    const permit = this.#permit(step);
    const pace = { lastEditAt: this.#lastWriteAt, arrivals: () => this.#arrivals };
    this.#waitingAt = edits;
    const edit = await this.#granted(edits, permit, pace);
    this.#waitingAt = undefined;
    if (edit === undefined) return undefined;
    const permits = { grants: [edit], edits };
    return step === "roll" ? this.#withCreate(permits) : permits;
  }

  /** The gate of the message that is edited next: the newest, unless what is drawn says another. */
  #edits(): Gate {
    const { content, final, parts = [] } = this.#rendered ?? {};
    const isDrawn = content === this.#latest && final === this.#final;
    const edited = this.#shown.at(isDrawn ? this.#staleIndex(parts) : -1);
    return this.#options.writer.gate("edit", edited?.id);
  }

  /** Counted in from the first text on: a reply that has nothing to show takes nobody's share. */
  #join(gate: Gate): void {
    if (this.#joined?.gate === gate) return;
    this.#joined?.leave();
    this.#joined = { gate, leave: gate.join() };
  }

  /** What was granted, and a create. `undefined` when the wait was interrupted: all of it is given back unless it goes on. */
  async #withCreate({ grants, edits }: Permits): Promise<Permits | undefined> {
    const permit = this.#permit("create");
    const gate = this.#options.writer.gate("create");
    let create: Grant | undefined;
    try {
      create = await this.#granted(gate, permit);
    } finally {
      if (create === undefined) giveBack(grants);
    }
    return create && { grants: [...grants, create], edits };
  }

  /** A message that begins is a first text: the one before it is full. */
  #permit(step: Step): Permit {
    if (this.#final) return "final";
    return step === "create" || step === "roll" ? "first" : "edit";
  }

  /** @returns `undefined` when the wait was interrupted, or there is nothing to wait for any more. */
  async #granted(...asked: Parameters<ReplyWaits["permit"]>): Promise<Grant | undefined> {
    return this.#stopped ? undefined : this.#waits.permit(...asked);
  }

  /** The permit may have taken a while: whatever is newest now is what goes out. */
  async #call(permitted: Exclude<Step, "save">, permits: Permits): Promise<void> {
    const due = permitted === "edit" ? this.#dueAsEdit() : permitted;
    const all = due !== permitted && due === "roll" ? await this.#withCreate(permits) : permits;
    if (all === undefined) return;
    const { grants, edits } = all;
    // Drawn anew it may be another message that changes, which counts elsewhere.
    const isElsewhere = (due === "edit" || due === "roll") && this.#edits() !== edits;
    const mayGo = !this.#stopped && !isElsewhere && grants.every(({ stands }) => stands);
    if (due === undefined || !mayGo) return giveBack(grants);
    const parts = this.#parts();
    this.#triedFinal = this.#final;
    this.#lastWriteAt = this.#options.now();
    this.#arrivals = sendAll(this.#arrivals);
    for (const grant of grants) grant.sent();
    if (this.#isFirst) this.#options.onFirst?.();
    this.#isFirst = false;
    await this.#make(due, parts);
    this.#tries.reset();
  }

  #make(step: Exclude<Step, "save">, parts: readonly Part[]): Promise<void> {
    switch (step) {
      case "create":
        return this.#create(parts);
      case "edit":
        return this.#edit(parts);
      case "roll":
        return this.#roll(parts);
      case "remove":
        return this.#remove(parts);
    }
  }

  /** `undefined` when nothing that may be shown has come, or a message has to be made first. */
  #dueAsEdit(): "edit" | "roll" | undefined {
    const due = this.#stepOf(this.#parts());
    return due === "edit" || due === "roll" ? due : undefined;
  }

  /** In one moment: else a piece of the text were nowhere for a round trip. */
  async #roll(parts: readonly Part[]): Promise<void> {
    const ends = await Promise.allSettled([this.#edit(parts), this.#create(parts)]);
    const errors = ends.filter((end) => end.status === "rejected").map(({ reason }): unknown => reason);
    // What can't be repeated decides.
    const error = errors.find((one) => !(one instanceof BridgeError && one.retryable)) ?? errors[0];
    if (error !== undefined) throw error;
  }

  async #create(parts: readonly Part[]): Promise<void> {
    const { writer, signal } = this.#options;
    const index = this.#shown.length;
    const whole = parts[index] ?? this.#doubtful?.part;
    if (whole === undefined) return;
    const part = writer.asCreated?.(whole) ?? whole;
    const keys = new Set(this.#doubtful?.keys).add(toKey(part));
    try {
      const id = await writer.create(part, index, { signal });
      // A repeated create may find the message as any of the tries wrote it.
      this.#shown.push({ id, key: keys.size === 1 ? toKey(part) : undefined });
    } catch (error) {
      this.#heed(writer.gate("create"), error);
      if (!wasRefused(error)) this.#doubtful = { part, keys };
      throw error;
    }
    this.#doubtful = undefined;
    this.#unsaved = true;
  }

  async #edit(parts: readonly Part[]): Promise<void> {
    const { writer, signal } = this.#options;
    const index = this.#staleIndex(parts);
    const shown = this.#shown[index];
    const part = parts[index];
    if (shown === undefined || part === undefined) return;
    const before = shown.key;
    shown.key = undefined;
    try {
      await writer.edit(shown.id, part, { signal, final: this.#triedFinal });
    } catch (error) {
      this.#heed(writer.gate("edit", shown.id), error);
      if (wasRefused(error)) shown.key = before;
      throw error;
    }
    shown.key = toKey(part);
  }

  async #remove(parts: readonly Part[]): Promise<void> {
    const surplus = this.#shown.at(-1);
    if (surplus === undefined || this.#shown.length <= parts.length) return;
    const { writer, signal } = this.#options;
    try {
      await writer.remove(surplus.id, { signal });
    } catch (error) {
      this.#heed(writer.gate("edit", surplus.id), error);
      // Somebody, or an earlier process, was faster.
      if (!(error instanceof BridgeError && error.code === "PLATFORM_GONE")) throw error;
    }
    this.#shown.pop();
    this.#unsaved = true;
  }

  /** Decides what a failure means. @returns Whether to look again. */
  async #goesOn(step: Step | undefined, error: unknown): Promise<boolean> {
    const known = error instanceof BridgeError ? error : undefined;
    const { signal, log } = this.#options;
    if (signal.aborted) throw signal.reason;
    // The writer may have learnt what it cannot show.
    this.#rendered = undefined;
    if (isTerminal(error)) throw error;
    // A draft that failed says nothing about the last state, which came in meanwhile.
    if (this.#final && !this.#triedFinal && step !== "save") return true;
    this.#tries.count(error);
    const mustArrive = this.#final || step === "save";
    if (mustArrive && (known?.retryable !== true || this.#tries.areUsedUp)) throw error;
    log.debug({ err: error, step }, "reply could not be written");
    // A draft that was turned down is not sent again; the next one may pass.
    if (known?.retryable !== true) return false;
    const pauseMs = this.#tries.pauseMs(known);
    if (pauseMs > 0 && !this.#stopped) {
      await this.#waits.wait((until) => this.#options.sleep(pauseMs, until));
    }
    return true;
  }

  /** A refusal closes the gate: that is all the waiting there is. */
  #heed(gate: Gate, error: unknown): void {
    if (isRateLimit(error)) gate.refused(closedForMs(error));
  }

  #end(error: unknown): void {
    this.#ended = { error };
    // An abort is no failure: whoever aborted knows.
    if (this.#options.signal.aborted) this.#options.log.debug({ err: error }, "reply stopped");
    else this.#options.log.warn({ err: error }, "reply stopped growing");
    if (!this.#final && !this.#stopped && isPlaceLost(error)) this.#options.onOver(error);
  }
}

function giveBack(grants: readonly Grant[]): void {
  for (const grant of grants) grant.giveBack();
}

/** Nothing happened, for certain. */
function wasRefused(error: unknown): boolean {
  return (
    error instanceof BridgeError &&
    (error.code === "PLATFORM_RATE_LIMITED" || error.code === "PLATFORM_REJECTED")
  );
}

function toKey(part: Part | undefined): string {
  return JSON.stringify(part);
}

/** Message ids saved by an earlier process; anything unreadable counts as none. */
export function savedIds(saved: Json | undefined): readonly string[] {
  const messages = fieldsOf(saved)["messages"];
  return Array.isArray(messages) ? messages.filter((id): id is string => typeof id === "string") : [];
}

/** How many of them stay as they were; `undefined` where nobody decided so. */
function savedKept(saved: Json | undefined): number | undefined {
  const kept = fieldsOf(saved)["kept"];
  return typeof kept === "number" && Number.isInteger(kept) && kept >= 0 ? kept : undefined;
}

function fieldsOf(saved: Json | undefined): { readonly [name: string]: Json } {
  const isObject = typeof saved === "object" && saved !== null && !Array.isArray(saved);
  return isObject ? (saved as { readonly [name: string]: Json }) : {};
}
