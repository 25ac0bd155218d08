import type { StandInClock } from "../stand-in.ts";
import type { BotStep, ToolCall } from "./bot.ts";
import type { PlainEvent } from "./sse-bytes.ts";

export type RunStatus = "created" | "in_progress" | "completed" | "failed" | "requires_action" | "canceled";

export interface RunUsage {
  readonly token_count: number;
  readonly output_count: number;
  readonly input_count: number;
}

const NO_USAGE: RunUsage = { token_count: 0, output_count: 0, input_count: 0 };

export interface RunOptions {
  readonly id: string;
  readonly conversationId: string;
  readonly sectionId: string;
  readonly botId: string;
  readonly metaData: Readonly<Record<string, string>>;
  readonly steps: readonly BotStep[];
  readonly inputCharacters: number;
  readonly clock: StandInClock;
  readonly newId: () => string;
  readonly watchdogMs: number;
  /** Called for each message that became whole; not called for deltas. */
  readonly onMessage: (message: RunMessage) => void;
  readonly onEnd: () => void;
  readonly doneAfter: (status: RunStatus) => boolean;
  readonly doneData: () => string;
}

interface RunMessage {
  readonly id: string;
  readonly type: string;
  readonly content: string;
}

/** Who receives a run's events: an open response. */
export interface RunListener {
  event(event: PlainEvent): void;
  /** The response ends. */
  end(): void;
  /** The response is reset. */
  cut(): void;
}

/** One run of the bot. Goes on whether anybody listens or not (coze-api.md §16.1). */
export class ChatRun {
  readonly id: string;
  readonly createdAt: number;
  status: RunStatus = "created";
  usage: RunUsage = NO_USAGE;
  lastError: { code: number; msg: string } = { code: 0, msg: "" };
  calls: readonly ToolCall[] = [];
  completedAt: number | undefined;
  readonly #options: RunOptions;
  readonly #listeners = new Set<RunListener>();
  readonly #answerIds = new Map<number, string>();
  #steps: readonly BotStep[];
  /** Tools gave their outputs: the chat goes on, it is not created again (coze-api.md §6.4). */
  #resumed = false;
  #written = 0;
  #startedAt = 0;
  #cancelTimer: (() => void) | undefined;
  #ended = false;

  constructor(options: RunOptions) {
    this.id = options.id;
    this.#options = options;
    this.#steps = options.steps;
    this.createdAt = this.#seconds();
  }

  get conversationId(): string {
    return this.#options.conversationId;
  }

  /** Running by the service's own rule: a new chat is refused, a cancel allowed (coze-api.md §4, §8.4). */
  get running(): boolean {
    return this.status === "created" || this.status === "in_progress";
  }

  /** Open responses that receive its events. */
  get listeners(): number {
    return this.#listeners.size;
  }

  listen(listener: RunListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#startedAt = this.#options.clock.now();
    // The answer's id is allocated before the tool messages' (coze-api.md §5.5).
    this.#answerId(0);
    if (!this.#resumed) this.#sendChat("conversation.chat.created");
    this.status = "in_progress";
    this.#sendChat("conversation.chat.in_progress");
    this.#walk(0);
  }

  /** Lets the chat go on with these steps at the next {@link start}. */
  resume(steps: readonly BotStep[]): void {
    this.#steps = steps;
    this.#resumed = true;
    this.#ended = false;
    this.status = "in_progress";
    this.calls = [];
    this.completedAt = undefined;
  }

  /** Only the stored status changes; the stream goes on (coze-api.md §7.6). */
  cancel({ tellStream }: { tellStream: boolean }): void {
    this.status = "canceled";
    if (tellStream) this.#sendChat("conversation.chat.canceled");
  }

  /** Stops at once, without a word: the stand-in closes. */
  stop(): void {
    this.#cancelTimer?.();
    this.#listeners.clear();
  }

  toWire(): object {
    return {
      id: this.id,
      conversation_id: this.#options.conversationId,
      bot_id: this.#options.botId,
      created_at: this.createdAt,
      ...(this.completedAt !== undefined && { completed_at: this.completedAt }),
      ...(this.status === "failed" && { failed_at: this.completedAt }),
      last_error: this.lastError,
      meta_data: this.#options.metaData,
      status: this.status,
      usage: this.usage,
      section_id: this.#options.sectionId,
      ...(this.calls.length > 0 && {
        required_action: {
          type: "submit_tool_outputs",
          submit_tool_outputs: {
            tool_calls: this.calls.map(({ id, name, input }) => ({
              id,
              type: "function",
              function: { name, arguments: input },
            })),
          },
        },
      }),
    };
  }

  #walk(index: number): void {
    const step = this.#steps[index];
    if (step === undefined) {
      this.#complete();
      return;
    }
    if (step.do === "pause") {
      this.#cancelTimer = this.#options.clock.after(step.ms, () => this.#walk(index + 1));
      return;
    }
    const early = this.#earlyFor(step);
    if (early > 0) this.#cancelTimer = this.#options.clock.after(early, () => this.#walk(index));
    else if (this.#take(step)) this.#walk(index + 1);
  }

  /** How long it is until a step with a time of its own, in ms; counted anew each time, so that delays do not add up. */
  #earlyFor(step: BotStep): number {
    if (step.do !== "delta" || step.atMs === undefined) return 0;
    return this.#startedAt + step.atMs - this.#options.clock.now();
  }

  /** Does one step; false when the run does not go on after it. */
  #take(step: Exclude<BotStep, { do: "pause" }>): boolean {
    switch (step.do) {
      case "delta":
        this.#written += step.text.length;
        this.#send("conversation.message.delta", {
          ...this.#message(this.#answerId(step.answer), "answer", step.text),
          ...(step.reasoning !== undefined && { reasoning_content: step.reasoning }),
        });
        return true;
      case "answer":
        this.#sendWhole(this.#answerId(step.answer), "answer", step.text);
        return true;
      case "message":
        this.#sendWhole(this.#options.newId(), step.type, step.content);
        return true;
      case "cut":
        for (const listener of this.#listeners) listener.cut();
        this.#listeners.clear();
        return true;
      case "stall":
        this.#cancelTimer = this.#options.clock.after(this.#options.watchdogMs, () =>
          this.#fail(5000, "event interval error"),
        );
        return false;
      case "fail":
        this.#fail(step.code, step.msg);
        return false;
      case "require":
        this.calls = step.calls;
        this.#end("requires_action", "conversation.chat.requires_action");
        return false;
      case "ask-back":
        this.#end("completed", undefined);
        return false;
    }
  }

  #complete(): void {
    const input = Math.ceil(this.#options.inputCharacters / 4);
    const output = Math.ceil(this.#written / 4);
    this.usage = { token_count: input + output, output_count: output, input_count: input };
    this.#end("completed", "conversation.chat.completed");
  }

  #fail(code: number, msg: string): void {
    this.lastError = { code, msg };
    this.#end("failed", "conversation.chat.failed");
  }

  #end(status: RunStatus, eventName: string | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.completedAt = this.#seconds();
    // A cancelled chat stays cancelled, whatever its stream says (coze-api.md §22.25).
    const stored = this.status === "canceled" ? "canceled" : status;
    this.status = status;
    if (eventName !== undefined) this.#sendChat(eventName);
    this.status = stored;
    this.#options.onEnd();
    if (this.#options.doneAfter(status)) this.#broadcast({ name: "done", data: this.#options.doneData() });
    for (const listener of this.#listeners) listener.end();
    this.#listeners.clear();
  }

  #sendWhole(id: string, type: string, content: string): void {
    this.#options.onMessage({ id, type, content });
    this.#send("conversation.message.completed", {
      ...this.#message(id, type, content),
      created_at: this.#seconds(),
      updated_at: this.#seconds(),
    });
  }

  #message(id: string, type: string, content: string): object {
    const { conversationId, botId, sectionId } = this.#options;
    return {
      id,
      conversation_id: conversationId,
      bot_id: botId,
      role: "assistant",
      type,
      content,
      content_type: "text",
      chat_id: this.id,
      section_id: sectionId,
    };
  }

  #sendChat(name: string): void {
    const { meta_data: _metaData, ...chat } = this.toWire() as Record<string, unknown>;
    this.#send(name, chat);
  }

  #send(name: string, data: object): void {
    this.#broadcast({ name, data: JSON.stringify(data) });
  }

  #broadcast(event: PlainEvent): void {
    for (const listener of this.#listeners) listener.event(event);
  }

  #answerId(answer: number): string {
    const known = this.#answerIds.get(answer);
    if (known !== undefined) return known;
    const id = this.#options.newId();
    this.#answerIds.set(answer, id);
    return id;
  }

  #seconds(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }
}
