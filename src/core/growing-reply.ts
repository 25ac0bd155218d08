import { BridgeError } from "./errors.ts";
import type { Gate, Permit } from "./gate.ts";
import type { Json } from "./json.ts";
import type { FinishedReply, Log, Reply, ReplyContent } from "./ports.ts";

/** One message of a reply as its platform takes it; equal JSON means nothing to edit. */
export type Part = { readonly [key: string]: Json };

/**
 * What a platform must be able to do for a reply that grows by edits. Each call is tried once: repeats are the
 * reply's business.
 */
export interface PartWriter {
  /** Cuts the content into messages; none when there is nothing to show yet. Pure. */
  render(content: ReplyContent, options: { final: boolean }): readonly Part[];
  /** @returns The message's id. Called again after an unknown outcome, so it must be repeatable. */
  create(part: Part, index: number, options: { signal: AbortSignal }): Promise<string>;
  edit(messageId: string, part: Part, options: { signal: AbortSignal; final: boolean }): Promise<void>;
  remove(messageId: string, options: { signal: AbortSignal }): Promise<void>;
  /** The limit that the next call of this kind counts against. */
  gate(call: "create" | "edit"): Gate;
  /** Key of a message, as a later turn would name it in `continues`. */
  messageKey(messageId: string): string;
}

export interface GrowingReplyOptions {
  readonly writer: PartWriter;
  readonly saved: Json | undefined;
  readonly save: (state: Json) => Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called before the first message is created: typing and status end here. */
  readonly onFirst?: () => void;
}

interface Shown {
  readonly id: string;
  /** What is on screen, or `undefined` when an earlier process wrote it. */
  key: string | undefined;
}

/** Tries of one call before the reply gives up; only for refusals and outcomes that may be repeated. */
const MAX_TRIES = 6;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * A reply of one or more messages: one latest-wins slot, at most one call in flight, always the newest text.
 *
 * @see docs/reference/pacing.md §4
 */
export class GrowingReply implements Reply {
  readonly #options: GrowingReplyOptions;
  readonly #shown: Shown[];
  readonly #leave: (() => void)[] = [];
  #latest: ReplyContent | undefined;
  #final = false;
  #stopped = false;
  #failure: unknown;
  #lastWriteAt: number | undefined;
  #running: Promise<void> | undefined;

  constructor(options: GrowingReplyOptions) {
    this.#options = options;
    this.#shown = savedIds(options.saved).map((id) => ({ id, key: undefined }));
    this.#leave.push(options.writer.gate("edit").join());
  }

  show(content: ReplyContent): void {
    if (this.#final || this.#stopped || this.#failure !== undefined) return;
    this.#latest = content;
    this.#start();
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    this.#final = true;
    this.#latest = content;
    // A write of an older state may be under way: it ends first, then the last state follows.
    await this.#running;
    this.#start();
    await this.#running;
    this.#letGo();
    if (this.#failure !== undefined) throw this.#failure;
    return { messageKeys: this.#shown.map(({ id }) => this.#options.writer.messageKey(id)) };
  }

  async abandon(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#letGo();
  }

  #letGo(): void {
    for (const leave of this.#leave.splice(0)) leave();
  }

  /** Runs the write loop unless it runs already; its failure is kept for `finish`. */
  #start(): void {
    this.#running ??= this.#write()
      .catch((error: unknown) => {
        this.#failure = error;
        this.#options.log.warn({ err: error }, "reply stopped growing");
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #write(): Promise<void> {
    for (;;) {
      const step = this.#next();
      if (step === undefined || this.#stopped) return;
      await this.#withRepeats(step);
    }
  }

  /** What has to be done first to show the newest content; `undefined` when it is all there. */
  #next(): "create" | "edit" | "remove" | undefined {
    const parts = this.#parts();
    if (parts.length === 0 && !this.#final) return undefined;
    const stale = this.#shown.findIndex(
      ({ key }, index) => index < parts.length && key !== toKey(parts[index]),
    );
    if (stale >= 0) return "edit";
    if (parts.length > this.#shown.length) return "create";
    return this.#final && this.#shown.length > Math.max(parts.length, 1) ? "remove" : undefined;
  }

  #parts(): readonly Part[] {
    if (this.#latest === undefined) return [];
    return this.#options.writer.render(this.#latest, { final: this.#final });
  }

  async #withRepeats(step: "create" | "edit" | "remove"): Promise<void> {
    const { writer, sleep, signal } = this.#options;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#do(step);
      } catch (error) {
        if (!(error instanceof BridgeError) || !error.retryable || tries >= MAX_TRIES) throw error;
        if (error.code === "PLATFORM_RATE_LIMITED") {
          writer.gate(step === "create" ? "create" : "edit").refused(error.retryAfterMs ?? FIRST_PAUSE_MS);
        } else {
          await sleep(
            Math.min(LONGEST_PAUSE_MS, error.retryAfterMs ?? FIRST_PAUSE_MS * 2 ** (tries - 1)),
            signal,
          );
        }
        // An interim edit that failed is not repeated: the loop looks at what is newest now.
        if (step === "edit" && !this.#final) return;
      }
    }
  }

  async #do(step: "create" | "edit" | "remove"): Promise<void> {
    const { writer, signal } = this.#options;
    const gate = writer.gate(step === "create" ? "create" : "edit");
    await gate.acquire(this.#permit(), { lastEditAt: this.#lastWriteAt, signal });
    if (this.#stopped) return;
    // The permit may have taken a while: whatever is newest now is what goes out.
    const parts = this.#parts();
    if (step === "create") await this.#create(parts);
    else if (step === "edit") await this.#edit(parts);
    else await this.#remove(parts);
    this.#lastWriteAt = this.#options.now();
  }

  #permit(): Permit {
    if (this.#final) return "final";
    return this.#shown.length === 0 ? "first" : "edit";
  }

  async #create(parts: readonly Part[]): Promise<void> {
    const { writer, save, signal, onFirst } = this.#options;
    const index = this.#shown.length;
    const part = parts[index];
    if (part === undefined) return;
    if (index === 0) onFirst?.();
    const id = await writer.create(part, index, { signal });
    this.#shown.push({ id, key: toKey(part) });
    await save({ messages: this.#shown.map((shown) => shown.id) });
  }

  async #edit(parts: readonly Part[]): Promise<void> {
    const { writer, signal } = this.#options;
    const index = this.#shown.findIndex(({ key }, at) => at < parts.length && key !== toKey(parts[at]));
    const shown = this.#shown[index];
    const part = parts[index];
    if (shown === undefined || part === undefined) return;
    await writer.edit(shown.id, part, { signal, final: this.#final });
    shown.key = toKey(part);
  }

  async #remove(parts: readonly Part[]): Promise<void> {
    const surplus = this.#shown.at(-1);
    if (surplus === undefined || this.#shown.length <= parts.length) return;
    await this.#options.writer.remove(surplus.id, { signal: this.#options.signal });
    this.#shown.pop();
  }
}

function toKey(part: Part | undefined): string {
  return JSON.stringify(part);
}

/** Message ids saved by an earlier process; anything unreadable counts as none. */
function savedIds(saved: Json | undefined): readonly string[] {
  if (typeof saved !== "object" || saved === null || Array.isArray(saved)) return [];
  const { messages } = saved as { readonly messages?: Json };
  return Array.isArray(messages) ? messages.filter((id): id is string => typeof id === "string") : [];
}
