import type { Locale } from "../../src/core/turn.ts";
import type { SlackAddress } from "./address.ts";
import type { Posts } from "./posts.ts";

const HELP: Readonly<Record<Locale, string>> = {
  en: "Ask me something: mention me with your question, write me a direct message, or use the slash command.",
  zh: "请向我提问：在消息里提到我并写上问题，给我发私信，或者使用斜杠命令。",
};

const MAX_REMEMBERED = 1_000;

/** The answer to somebody who mentioned us and said nothing: one sentence, once per message. */
export class Help {
  readonly #posts: Posts;
  readonly #answered = new Set<string>();

  constructor(posts: Posts) {
    this.#posts = posts;
  }

  /** Never throws. Twins and redeliveries of the message get no second one. */
  async answer(
    { channel, thread, message, locale }: SlackAddress & { locale: Locale },
    options: { signal: AbortSignal },
  ): Promise<void> {
    const key = `${channel}:${message}`;
    if (this.#answered.has(key)) return;
    this.#answered.add(key);
    const [oldest] = this.#answered;
    if (this.#answered.size > MAX_REMEMBERED && oldest !== undefined) this.#answered.delete(oldest);
    await this.#posts.post({ channel, thread, text: HELP[locale] }, options);
  }
}

export function helpText(locale: Locale): string {
  return HELP[locale];
}
