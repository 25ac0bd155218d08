import { toInertText } from "./neutralize.ts";
import { NOTICE_MARK } from "./own-messages.ts";
import type { SlackContext } from "./slack-context.ts";
import { anything } from "./web-api.ts";

/** Places remembered as told. */
const MAX_PLACES = 1_000;
/** A place reads the same trouble at most once in so long, in ms. */
const QUIET_MS = 60_000;

/** Sentences of ours that belong to no answer. */
export class Posts {
  readonly #context: Pick<SlackContext, "api" | "log" | "tools">;
  readonly #toldAt = new Map<string, number>();

  constructor(context: Pick<SlackContext, "api" | "log" | "tools">) {
    this.#context = context;
  }

  /** A courtesy: an error is logged, not raised. */
  async post(
    { channel, thread, text }: { channel: string; thread: string | undefined; text: string },
    options: { signal: AbortSignal },
  ): Promise<void> {
    const args = {
      channel,
      ...(thread !== undefined && { thread_ts: thread }),
      text: toInertText(text),
      metadata: NOTICE_MARK,
      unfurl_links: false,
      unfurl_media: false,
    };
    try {
      await this.#context.api.call("chat.postMessage", anything, args, options);
    } catch (error) {
      this.#context.log.warn({ err: error }, "slack notice not posted");
    }
  }

  /** The same, at most once a minute per channel. */
  async postSeldom(
    notice: { channel: string; thread: string | undefined; text: string },
    options: { signal: AbortSignal },
  ): Promise<void> {
    const now = this.#context.tools.clock.now();
    const toldAt = this.#toldAt.get(notice.channel);
    if (toldAt !== undefined && now - toldAt < QUIET_MS) return;
    this.#toldAt.delete(notice.channel);
    this.#toldAt.set(notice.channel, now);
    const oldest = this.#toldAt.keys().next().value;
    if (this.#toldAt.size > MAX_PLACES && oldest !== undefined) this.#toldAt.delete(oldest);
    await this.post(notice, options);
  }
}
