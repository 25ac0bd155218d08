import { BridgeError } from "../../src/core/errors.ts";
import type { BucketLimits, Gates } from "../../src/core/gate.ts";
import type { Abortable } from "../../src/core/ports.ts";
import type { DiscordRest } from "./rest-client.ts";

/** ⏳ */
const HOURGLASS = encodeURIComponent("\u23f3");
/** One per 0.25 s and channel (discord.md §1.1). */
const REACTION_BUCKET: BucketLimits = { burst: 1, tokensPerSecond: 4, minGapMs: 0 };
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
  readonly #gates: Gates;
  readonly #adding = new Map<string, Adding>();

  constructor(rest: DiscordRest, gates: Gates) {
    this.#rest = rest;
    this.#gates = gates;
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
      if (!(await this.#isPermitted(question, signal))) return;
      const failure = await this.#send("DELETE", question, signal);
      if (failure?.retryable !== true) return;
      this.#gate(question).refused(failure.retryAfterMs ?? FIRST_PAUSE_MS * 2 ** tries);
    }
  }

  /** Once sent it is waited for: called back, it could still arrive, after it was taken away. */
  async #put(question: Question, signal: AbortSignal, stop: AbortSignal): Promise<boolean> {
    if (!(await this.#isPermitted(question, AbortSignal.any([signal, stop])))) return false;
    const failure = await this.#send("PUT", question, signal);
    return failure === undefined || failure.code === "PLATFORM_UNKNOWN_OUTCOME";
  }

  /** False when its turn came, or the process ends, before anything was sent. */
  #isPermitted(question: Question, signal: AbortSignal): Promise<boolean> {
    const permitted = this.#gate(question).acquire("first", { signal });
    return permitted.then(
      () => true,
      () => false,
    );
  }

  /** @returns What went wrong; `undefined` also when it was aborted. */
  async #send(
    method: "PUT" | "DELETE",
    { channelId, messageId }: Question,
    signal: AbortSignal,
  ): Promise<BridgeError | undefined> {
    const route: `/${string}` = `/channels/${channelId}/messages/${messageId}/reactions/${HOURGLASS}/@me`;
    try {
      await this.#rest.main({ method, route, name: "show waiting", signal });
      return undefined;
    } catch (error) {
      return error instanceof BridgeError ? error : undefined;
    }
  }

  #gate({ channelId }: Question): ReturnType<Gates["of"]> {
    return this.#gates.of(`react:${channelId}`, REACTION_BUCKET);
  }
}
