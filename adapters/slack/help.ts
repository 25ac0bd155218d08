import { z } from "zod";
import type { Locale } from "../../src/core/turn.ts";
import type { SlackAddress } from "./address.ts";
import { NOTICE_MARK } from "./own-messages.ts";
import type { SlackContext } from "./slack-context.ts";

const HELP: Readonly<Record<Locale, string>> = {
  en: "Ask me something: mention me with your question, write me a direct message, or use the slash command.",
  zh: "请向我提问：在消息里提到我并写上问题，给我发私信，或者使用斜杠命令。",
};

const MAX_REMEMBERED = 1_000;

/** The answer to somebody who mentioned us and said nothing: one sentence, once per message. */
export class Help {
  readonly #context: Pick<SlackContext, "api" | "log">;
  readonly #answered = new Set<string>();

  constructor(context: Pick<SlackContext, "api" | "log">) {
    this.#context = context;
  }

  /** A courtesy: an error is logged, not raised. Twins and redeliveries of the message get no second one. */
  async answer(
    { channel, thread, message, locale }: SlackAddress & { locale: Locale },
    options: { signal: AbortSignal },
  ): Promise<void> {
    const key = `${channel}:${message}`;
    if (this.#answered.has(key)) return;
    this.#answered.add(key);
    const [oldest] = this.#answered;
    if (this.#answered.size > MAX_REMEMBERED && oldest !== undefined) this.#answered.delete(oldest);
    try {
      const args = {
        channel,
        thread_ts: thread,
        text: HELP[locale],
        metadata: NOTICE_MARK,
        unfurl_links: false,
        unfurl_media: false,
      };
      await this.#context.api.call("chat.postMessage", z.object({}), args, options);
    } catch (error) {
      this.#context.log.warn({ err: error }, "slack help not posted");
    }
  }
}

export function helpText(locale: Locale): string {
  return HELP[locale];
}
