import type { Log, Store } from "../../src/core/ports.ts";

const SPACE = "discord-answering";
/** Longer than any answer takes; after a crash the channel is free again by then at the latest. */
const TTL_MS = 20 * 60_000;

/** Channels in which an answer grows right now, in any process: the next one had better go elsewhere. */
export class BusyChannels {
  readonly #store: Store;
  readonly #log: Log;

  constructor({ store, log }: { store: Store; log: Log }) {
    this.#store = store;
    this.#log = log;
  }

  /** @returns Whether the channel is this turn's; also when nobody can tell. */
  async take(channelId: string, turnId: string): Promise<boolean> {
    try {
      if (await this.#store.set(SPACE, channelId, turnId, { ttlMs: TTL_MS, ifAbsent: true })) return true;
      return (await this.#store.get(SPACE, channelId)) === turnId;
    } catch (error) {
      this.#log.debug({ err: error, channelId }, "nobody knows whether the channel is busy");
      return true;
    }
  }

  /** Lets the next one in; does nothing where another turn has the channel. */
  async leave(channelId: string, turnId: string): Promise<void> {
    try {
      if ((await this.#store.get(SPACE, channelId)) !== turnId) return;
      await this.#store.delete(SPACE, channelId);
    } catch (error) {
      this.#log.debug({ err: error, channelId }, "channel stays busy until its time is over");
    }
  }
}
