import { type AnswerState, answerMarkdown, EMPTY_ANSWER } from "../../src/core/answer-state.ts";
import { type ErrorCode, PlatformError } from "../../src/core/errors.ts";
import { Gate } from "../../src/core/gate.ts";
import type { Part, PartWriter } from "../../src/core/growing-reply.ts";
import type { BucketLimits } from "../../src/core/pacer.ts";
import type { ReplyContent } from "../../src/core/ports.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** Content with one answer. */
export function aContent(text: string, changes: { notice?: string; completed?: boolean } = {}): ReplyContent {
  const { notice, completed = false } = changes;
  const answer: AnswerState = {
    ...EMPTY_ANSWER,
    answers: [{ messageId: "1", text, reasoning: "", contentType: "text", completed }],
  };
  return notice === undefined ? { answer } : { answer, notice };
}

/** What a call shall come to instead of going well. */
export interface Fault {
  readonly code: ErrorCode;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  /** The call has its effect all the same. */
  readonly arrives?: boolean;
}

export interface Call {
  readonly kind: "create" | "edit" | "remove";
  readonly id: string;
  readonly text: string;
  readonly at: number;
  readonly failed: boolean;
}

/** A chat platform of plain text in memory: one message per `maxLength` characters. */
export class TextPlatform implements PartWriter {
  readonly calls: Call[] = [];
  /** Faults of the calls to come, in their order; `undefined` for one that goes well. */
  readonly faults: (Fault | undefined)[] = [];
  readonly messages: Map<string, string> = new Map();
  readonly #clock: VirtualClock;
  readonly #gates: Readonly<Record<"create" | "edit", Gate>>;
  readonly #idByIndex = new Map<number, string>();
  readonly #maxLength: number;
  readonly #roundTripMs: number;
  readonly #inFlight = new Map<string, number>();
  get inFlight(): number {
    return [...this.#inFlight.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Calls at once for one message. */
  mostInFlight = 0;

  constructor(
    clock: VirtualClock,
    options: { maxLength?: number; roundTripMs?: number; limits?: BucketLimits } = {},
  ) {
    const limits = options.limits ?? { burst: 5, tokensPerSecond: 1, minGapMs: 0 };
    this.#clock = clock;
    this.#gates = { create: new Gate(limits, clock), edit: new Gate(limits, clock) };
    this.#maxLength = options.maxLength ?? 1000;
    this.#roundTripMs = options.roundTripMs ?? 80;
  }

  /** What people read, message by message. */
  get screen(): readonly string[] {
    return [...this.messages.values()];
  }

  get written(): readonly string[] {
    return this.calls.filter(({ failed }) => !failed).map(({ kind, text }) => `${kind} ${text}`.trim());
  }

  render({ answer, notice }: ReplyContent): readonly Part[] {
    const text = [answerMarkdown(answer), notice]
      .filter((part) => part !== undefined && part !== "")
      .join(" ");
    const count = Math.ceil(text.length / this.#maxLength);
    return Array.from({ length: count }, (_, index) => ({
      text: text.slice(index * this.#maxLength, (index + 1) * this.#maxLength),
    }));
  }

  async create(part: Part, index: number, { signal }: { signal: AbortSignal }): Promise<string> {
    const id = this.#idByIndex.get(index) ?? `m${index}`;
    await this.#call("create", id, part, signal, () => {
      // The same nonce again is the same message, as it was written first (docs/reference/discord.md).
      if (!this.#idByIndex.has(index)) this.messages.set(id, textOf(part));
      this.#idByIndex.set(index, id);
    });
    return id;
  }

  async edit(id: string, part: Part, { signal }: { signal: AbortSignal }): Promise<void> {
    await this.#call("edit", id, part, signal, () => this.messages.set(id, textOf(part)));
  }

  async remove(id: string, { signal }: { signal: AbortSignal }): Promise<void> {
    await this.#call("remove", id, {}, signal, () => {
      this.messages.delete(id);
      for (const [index, known] of this.#idByIndex) if (known === id) this.#idByIndex.delete(index);
    });
  }

  gate(call: "create" | "edit"): Gate {
    return this.#gates[call];
  }

  messageKey(messageId: string): string {
    return `text:${messageId}`;
  }

  async #call(
    kind: Call["kind"],
    id: string,
    part: Part,
    signal: AbortSignal,
    effect: () => void,
  ): Promise<void> {
    const fault = this.faults.shift();
    const at = this.#clock.now();
    const inFlight = (this.#inFlight.get(id) ?? 0) + 1;
    this.#inFlight.set(id, inFlight);
    this.mostInFlight = Math.max(this.mostInFlight, inFlight);
    try {
      await this.#clock.sleep(this.#roundTripMs, signal);
    } finally {
      this.#inFlight.set(id, (this.#inFlight.get(id) ?? 0) - 1);
    }
    this.calls.push({ kind, id, text: textOf(part), at, failed: fault !== undefined });
    if (fault === undefined || (fault.arrives === true && fault.code !== "PLATFORM_RATE_LIMITED")) effect();
    if (fault !== undefined) {
      const { code, retryable = false, retryAfterMs } = fault;
      throw new PlatformError(code, "as the test wants it", {
        platform: "text",
        retryable,
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
    }
  }
}

function textOf(part: Part): string {
  const text = part["text"];
  return typeof text === "string" ? text : "";
}
