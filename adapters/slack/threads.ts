import { messageKey } from "./address.ts";
import { type HistoryMessage, readHistory, SMALL_PAGE } from "./history.ts";
import { mentions } from "./incoming-text.ts";
import type { SlackSelf } from "./normalize.ts";
import type { SlackContext } from "./slack-context.ts";

const MAX_THREADS = 10_000;
/** The acknowledgement waits for the answer, in ms. */
const LOOKUP_TIMEOUT_MS = 1_500;
/** After a look that failed, none is tried for so long: some apps have one a minute (slack.md §8.4). */
const PAUSE_MS = 60_000;

/** Whether we take part in a thread: we wrote in it, or were mentioned at its root. */
function takesPart(messages: readonly HistoryMessage[], self: SlackSelf): boolean {
  return messages.some(
    (message, index) =>
      message.user === self.userId ||
      message.bot_id === self.botId ||
      (index === 0 && mentions(message.text ?? "", self.userId)),
  );
}

/** The threads we take part in, as far as this process knows or may look up. */
export class Threads {
  readonly #context: Pick<SlackContext, "api" | "latches" | "pacer" | "tools">;
  /** By thread key; the newest last. */
  readonly #known = new Map<string, boolean>();
  #pausedUntil = 0;

  constructor(context: Pick<SlackContext, "api" | "latches" | "pacer" | "tools">) {
    this.#context = context;
  }

  /** We answer in it. */
  join(channel: string, thread: string): void {
    this.#remember(messageKey(channel, thread), true);
  }

  /** Asks Slack at most once per thread (slack.md §8.4); no answer counts as no, and is asked again next time. */
  async isOurs(
    where: { team: string; channel: string; thread: string },
    { self, signal }: { self: SlackSelf; signal: AbortSignal },
  ): Promise<boolean> {
    const key = messageKey(where.channel, where.thread);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]);
    const { clock } = this.#context.tools;
    if (clock.now() < this.#pausedUntil) return false;
    const query = { ...where, maxPages: 1, pageSize: SMALL_PAGE, permit: "first" } as const;
    const messages = await readHistory(this.#context, query, { signal: limit }).catch(() => undefined);
    if (messages === undefined) this.#pausedUntil = clock.now() + PAUSE_MS;
    // Meanwhile we may have answered there.
    const now = this.#known.get(key);
    if (now !== undefined || messages === undefined) return now ?? false;
    const ours = takesPart(messages, self);
    this.#remember(key, ours);
    return ours;
  }

  #remember(key: string, ours: boolean): void {
    this.#known.delete(key);
    this.#known.set(key, ours);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size > MAX_THREADS && oldest !== undefined) this.#known.delete(oldest);
  }
}
