import type { Log, Store } from "../../src/core/ports.ts";

const SPACE = "discord-answering";
/** Longer than any answer takes; after a crash the channel is free again by then at the latest. */
const TTL_MS = 20 * 60_000;

/**
 * Channels in which an answer grows right now, in any process: the next one had better go elsewhere. A conversation has one
 * answer at a time, so one that holds its channel already left it unsaid, or Redis has lost that it left.
 */
export class BusyChannels {
  readonly #store: Store;
  readonly #log: Log;

  constructor({ store, log }: { store: Store; log: Log }) {
    this.#store = store;
    this.#log = log;
  }

  /** @returns Whether the channel is this conversation's; also when nobody can tell. */
  async take(channelId: string, conversation: string): Promise<boolean> {
    try {
      if (await this.#store.set(SPACE, channelId, conversation, { ttlMs: TTL_MS, ifAbsent: true }))
        return true;
      return (await this.#store.get(SPACE, channelId)) === conversation;
    } catch (error) {
      this.#log.debug({ err: error, channelId }, "nobody knows whether the channel is busy");
      return true;
    }
  }

  /** Lets the next one in; does nothing where another conversation has the channel. */
  async leave(channelId: string, conversation: string): Promise<void> {
    try {
      if ((await this.#store.get(SPACE, channelId)) !== conversation) return;
      await this.#store.delete(SPACE, channelId);
    } catch (error) {
      this.#log.debug({ err: error, channelId }, "channel stays busy until its time is over");
    }
  }
}
