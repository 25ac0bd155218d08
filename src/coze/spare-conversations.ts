import { CozeError } from "../core/errors.ts";
import type { Clock } from "../core/gate.ts";
import type { Abortable, Log } from "../core/ports.ts";
import type { ConversationsApi, NewConversation } from "./api/conversations.ts";

/** From when a conversation was needed until the next is made, in ms: what its answer waits for goes first. */
const AFTER_MS = 1_000;
/** What a spare is called until it is taken: `conversations list` shows it. */
const SPARE_NAME = "kept ready for the next place";

interface Tools {
  readonly conversations: Pick<ConversationsApi, "create" | "rename">;
  readonly log: Log;
  readonly after: Clock["after"];
}

type Wanted = NewConversation & { readonly botId: string; readonly name: string };

/**
 * Creates conversations, and keeps one ready for each bot that needed one: a question in a new place goes out a round
 * trip to Coze earlier then. A spare gets the name of its place after it was taken.
 *
 * One at a time, a second after one was needed: where many places are new at once, the others wait for their own. A spare
 * that nobody takes stays at Coze, empty.
 *
 * @see docs/decisions/0007-a-conversation-is-kept-ready.md
 */
export class SpareConversations implements Disposable {
  readonly #tools: Tools;
  /** By bot. */
  readonly #spares = new Map<string, string>();
  /** Bots whose next one is on its way. */
  readonly #making = new Set<string>();
  readonly #closed = new AbortController();
  /** Whether the token may give a spare its name: without it places could not be told apart at Coze. */
  #mayName = true;

  constructor(tools: Tools) {
    this.#tools = tools;
  }

  /**
   * @param options - `fresh`: Coze has forgotten one, perhaps with all that this account had; no spare is taken.
   * @returns Coze's `conversation_id`; nobody else gets it.
   * @throws {CozeError}
   */
  async create(wanted: Wanted, options: Abortable & { readonly fresh: boolean }): Promise<string> {
    const { conversations } = this.#tools;
    const { botId, name } = wanted;
    const spare = options.fresh || !this.#mayName ? undefined : this.#spares.get(botId);
    this.#spares.delete(botId);
    const conversationId = spare ?? (await conversations.create(wanted, options)).conversationId;
    if (spare !== undefined)
      this.#later("named after its place", (signal) => this.#name(spare, name, signal));
    this.#makeLater(botId);
    return conversationId;
  }

  [Symbol.dispose](): void {
    this.#closed.abort(new Error("no more conversations are needed"));
  }

  async #name(conversationId: string, name: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#tools.conversations.rename(conversationId, name, { signal });
    } catch (error) {
      if (error instanceof CozeError && error.code === "COZE_PERMISSION") this.#mayName = false;
      throw error;
    }
  }

  #makeLater(botId: string): void {
    if (this.#making.has(botId)) return;
    this.#making.add(botId);
    this.#later("kept ready", async (signal) => {
      try {
        if (this.#spares.has(botId) || !this.#mayName) return;
        const made = await this.#tools.conversations.create({ botId, name: SPARE_NAME }, { signal });
        this.#spares.set(botId, made.conversationId);
      } finally {
        this.#making.delete(botId);
      }
    });
  }

  /** @param what - The work's end, for the log; what fails is left, nobody's answer depends on it. */
  #later(what: string, work: (signal: AbortSignal) => Promise<void>): void {
    const { signal } = this.#closed;
    if (signal.aborted) return;
    const cancel = this.#tools.after(AFTER_MS, () => {
      signal.removeEventListener("abort", cancel);
      work(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#tools.log.warn({ err: error }, `a conversation could not be ${what}`);
      });
    });
    signal.addEventListener("abort", cancel, { once: true });
  }
}
