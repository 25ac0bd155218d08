import { BridgeError } from "../../src/core/errors.ts";
import type { FinishedReply, Log, Reply, ReplyContent } from "../../src/core/ports.ts";
import type { TypingSign } from "./typing-sign.ts";

export interface DiscordReplyOptions {
  readonly growing: Reply;
  readonly typing: TypingSign | undefined;
  /** Further keys that lead to the turn's conversation. */
  readonly keys: readonly string[];
  /** Says that the answer could not be shown, in a message of its own. */
  readonly sayRejected: () => Promise<void>;
  /** Told why the reply could not be finished. */
  readonly onFailure: (error: unknown) => void;
  /** Called once nothing is shown any more; never rejects. */
  readonly onEnd: () => Promise<void>;
  readonly log: Log;
}

/** A growing reply with the sign of life before it, and a word after it when Discord refuses the text. */
export class DiscordReply implements Reply {
  readonly #options: DiscordReplyOptions;

  constructor(options: DiscordReplyOptions) {
    this.#options = options;
  }

  show(content: ReplyContent): void {
    this.#options.growing.show(content);
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    const { growing, keys, log, onFailure } = this.#options;
    try {
      const { messageKeys } = await growing.finish(content);
      return { messageKeys: [...keys, ...messageKeys] };
    } catch (error) {
      onFailure(error);
      // AutoMod and the like (discord.md §6.3, 200000): what is on screen stays, and somebody has to say why it stops.
      if (error instanceof BridgeError && error.code === "PLATFORM_REJECTED") {
        await this.#options.sayRejected().catch((cause: unknown) => {
          log.warn({ err: cause }, "notice could not be posted");
        });
      }
      throw error;
    } finally {
      await this.#end();
    }
  }

  async abandon(): Promise<void> {
    this.#options.typing?.stop();
    await this.#options.growing.abandon();
    await this.#end();
  }

  async #end(): Promise<void> {
    const { typing, onEnd } = this.#options;
    typing?.stop();
    await typing?.settled();
    await onEnd();
  }
}
