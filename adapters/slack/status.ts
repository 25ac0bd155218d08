import { PlatformError } from "../../src/core/errors.ts";
import type { Locale } from "../../src/core/turn.ts";
import type { Place } from "./place.ts";
import type { SlackContext } from "./slack-context.ts";
import { anything } from "./web-api.ts";

const THINKING: Readonly<Record<Locale, string>> = { en: "is thinking…", zh: "正在思考…" };

/**
 * The line "… is thinking" under a thread. A nicety: nothing waits for it and its errors end nothing. Slack takes it
 * away with our next message in the thread (slack.md §2.3).
 */
export class StatusLine {
  readonly #context: SlackContext;
  readonly #team: string;
  readonly #place: Place;
  #last: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(context: SlackContext, { team, place }: { team: string; place: Place }) {
    this.#context = context;
    this.#team = team;
    this.#place = place;
  }

  /** A status is on its way: it may arrive after our first message, and then stay. */
  get isLate(): boolean {
    return this.#busy;
  }

  show(locale: Locale, options: { signal: AbortSignal }): void {
    this.#busy = true;
    this.#last = this.#set(THINKING[locale], options).finally(() => {
      this.#busy = false;
    });
  }

  /** For a reply that ends without a message. */
  async clear(options: { signal: AbortSignal }): Promise<void> {
    await this.#last;
    await this.#set("", options);
  }

  async #set(status: string, options: { signal: AbortSignal }): Promise<void> {
    const { api, latches, log } = this.#context;
    if (latches.isOff("status", this.#team)) return;
    const args = { channel_id: this.#place.channel, thread_ts: this.#place.thread, status };
    try {
      await api.call("assistant.threads.setStatus", anything, args, options);
    } catch (error) {
      const lasting = error instanceof PlatformError && !error.retryable && error.code !== "PLATFORM_GONE";
      if (lasting) latches.turnOff("status", this.#team, error);
      else log.debug({ err: error }, "slack status not set");
    }
  }
}
