import { BridgeError } from "../../src/core/errors.ts";
import type { Gate } from "../../src/core/gate.ts";
import type { Abortable } from "../../src/core/ports.ts";
import { untilAborted } from "../../src/core/until-aborted.ts";
import type { DiscordPacer } from "./pacer.ts";
import type { DiscordRest } from "./rest-client.ts";

/** ⏳ */
const HOURGLASS = encodeURIComponent("\u23f3");
/** Tries to take it away again; one that stays would lie. */
const MAX_TRIES = 5;
const FIRST_PAUSE_MS = 250;

/** A message of somebody who waits. */
interface Question {
  readonly channelId: string;
  readonly messageId: string;
}

interface Adding {
  readonly stop: AbortController;
  /** True when it may be on screen. */
  readonly done: Promise<boolean>;
}

/** An hourglass at a question whose turn has not come. Cosmetic: nothing of it ever fails. */
export class WaitingSign {
  readonly #rest: DiscordRest;
  readonly #pacer: DiscordPacer;
  /** By channel, the end of the call on its way: two at once could arrive closer together than they left. */
  readonly #sending = new Map<string, Promise<unknown>>();
  readonly #adding = new Map<string, Adding>();

  constructor(rest: DiscordRest, pacer: DiscordPacer) {
    this.#rest = rest;
    this.#pacer = pacer;
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
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      const outcome = await this.#send("DELETE", question, { signal, unwanted: signal });
      if (!(outcome instanceof BridgeError) || !outcome.retryable) return;
      this.#gate(question).refused(outcome.retryAfterMs ?? FIRST_PAUSE_MS * 2 ** tries);
    }
  }

  /** Once sent it is waited for: called back, it could still arrive, after it was taken away. */
  async #put(question: Question, signal: AbortSignal, stop: AbortSignal): Promise<boolean> {
    const unwanted = AbortSignal.any([signal, stop]);
    const outcome = await this.#send("PUT", question, { signal, unwanted });
    return (
      outcome === "sent" || (outcome instanceof BridgeError && outcome.code === "PLATFORM_UNKNOWN_OUTCOME")
    );
  }

  /**
   * Sends when the channel allows the next one, which is counted from the answer to the one before: on their way, two
   * could come closer together than they left.
   *
   * @param unwanted - Its turn came, or the process ends: nothing is sent from then on.
   * @returns What went wrong, if something did.
   */
  async #send(
    method: "PUT" | "DELETE",
    question: Question,
    { signal, unwanted }: { signal: AbortSignal; unwanted: AbortSignal },
  ): Promise<"sent" | "not sent" | BridgeError> {
    const { channelId, messageId } = question;
    const gate = this.#gate(question);
    const before = this.#sending.get(channelId);
    const { promise: answered, resolve: onAnswered } = Promise.withResolvers<void>();
    const over = Promise.all([before, answered]);
    this.#sending.set(channelId, over);
    const route: `/${string}` = `/channels/${channelId}/messages/${messageId}/reactions/${HOURGLASS}/@me`;
    try {
      await untilAborted(before, unwanted);
      await gate.acquire("first", { signal: unwanted });
      await this.#rest.main({ method, route, name: "show waiting", signal }).finally(() => gate.drained());
      return "sent";
    } catch (error) {
      return error instanceof BridgeError ? error : "not sent";
    } finally {
      onAnswered();
      if (this.#sending.get(channelId) === over) this.#sending.delete(channelId);
    }
  }

  #gate({ channelId }: Question): Gate {
    return this.#pacer.reactions(channelId);
  }
}
