import { BridgeError } from "../../src/core/errors.ts";
import { pacedCall } from "../../src/core/paced-call.ts";
import type { Abortable } from "../../src/core/ports.ts";
import { repeated } from "../../src/core/tries.ts";
import { untilAborted } from "../../src/core/until-aborted.ts";
import type { ChannelParts } from "./channel-messages.ts";

/** ⏳ */
const HOURGLASS = encodeURIComponent("\u23f3");
/** Between the tries to take it away again, in ms; one that stays would lie. */
const PAUSES_MS = [500, 1_000, 2_000, 4_000];

/** A message of somebody who waits. */
interface Question {
  readonly channelId: string;
  readonly messageId: string;
}

interface SignParts extends ChannelParts {
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

interface Adding {
  readonly stop: AbortController;
  /** True when it may be on screen. */
  readonly done: Promise<boolean>;
}

/** An hourglass at a question whose turn has not come. Cosmetic: nothing of it ever fails. */
export class WaitingSign {
  readonly #parts: SignParts;
  /** By channel, the end of the call on its way: two at once could arrive closer together than they left. */
  readonly #sending = new Map<string, Promise<unknown>>();
  readonly #adding = new Map<string, Adding>();

  constructor(parts: SignParts) {
    this.#parts = parts;
  }

  async add(question: Question, { signal }: Abortable): Promise<void> {
    const { messageId } = question;
    if (this.#adding.has(messageId)) return;
    const stop = new AbortController();
    const done = this.#put(question, signal, stop.signal);
    this.#adding.set(messageId, { stop, done });
    await done;
    this.#adding.delete(messageId);
  }

  /** Also where another process has set it. */
  async remove(question: Question, { signal }: Abortable): Promise<void> {
    const adding = this.#adding.get(question.messageId);
    adding?.stop.abort();
    if (adding !== undefined && !(await adding.done)) return;
    const take = (): Promise<void> => this.#send("DELETE", question, { signal, unwanted: signal });
    const { sleep } = this.#parts;
    await repeated(take, { pausesMs: PAUSES_MS, sleep, signal }).catch(() => undefined);
  }

  /** Once sent it is waited for: called back, it could still arrive, after it was taken away. */
  async #put(question: Question, signal: AbortSignal, stop: AbortSignal): Promise<boolean> {
    const unwanted = AbortSignal.any([signal, stop]);
    return this.#send("PUT", question, { signal, unwanted }).then(
      () => true,
      (error: unknown) => error instanceof BridgeError && error.code === "PLATFORM_UNKNOWN_OUTCOME",
    );
  }

  /**
   * Sends when the channel allows the next one, which is counted from the answer to the one before: on their way, two
   * could come closer together than they left.
   *
   * @param unwanted - Its turn came, or the process ends: nothing is sent from then on.
   * @throws {PlatformError}, or a signal's reason.
   */
  async #send(
    method: "PUT" | "DELETE",
    question: Question,
    { signal, unwanted }: { signal: AbortSignal; unwanted: AbortSignal },
  ): Promise<void> {
    const { channelId, messageId } = question;
    const { rest, pacer } = this.#parts;
    const gate = pacer.reactions(channelId);
    const before = this.#sending.get(channelId);
    const { promise: answered, resolve: onAnswered } = Promise.withResolvers<void>();
    const over = Promise.all([before, answered]);
    this.#sending.set(channelId, over);
    const route: `/${string}` = `/channels/${channelId}/messages/${messageId}/reactions/${HOURGLASS}/@me`;
    try {
      await untilAborted(before, unwanted);
      await pacedCall(
        { gate, permit: "first" },
        () => rest.main({ method, route, name: "show waiting", signal }).finally(() => gate.drained()),
        { signal: unwanted },
      );
    } finally {
      onAnswered();
      if (this.#sending.get(channelId) === over) this.#sending.delete(channelId);
    }
  }
}
