import { request } from "undici";
import { z } from "zod";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import { PlatformError } from "../../src/core/errors.ts";
import type { Json } from "../../src/core/json.ts";
import type { FinishedReply, Reply, ReplyContent } from "../../src/core/ports.ts";
import type { Locale } from "../../src/core/turn.ts";
import { splitMarkdown } from "../../src/markdown/split.ts";
import { toPlatformError, toPlatformFailure } from "./errors.ts";
import { neutralize, toInertText } from "./neutralize.ts";
import { noticeOf } from "./render.ts";
import { CALL_TIMEOUT_MS } from "./web-api.ts";

/** Posts per response URL (slack.md §4.2). */
const POSTS_PER_URL = 5;
/** Those an answer may take: one is kept for a retry. */
const MAX_POSTS = POSTS_PER_URL - 1;
/** `text` of one post (slack.md §1.8). */
const TEXT_LIMIT = 3_500;

/** A response URL must lead to Slack, or to the stand-in that plays Slack (slack.md §4.2). */
export function isResponseUrl(url: string, apiUrl: string): boolean {
  const target = URL.parse(url);
  const api = new URL(apiUrl);
  if (target === null || target.username !== "" || target.password !== "") return false;
  const isSlack = target.protocol === "https:" && target.hostname === "hooks.slack.com" && target.port === "";
  return isSlack || (!isSlackHost(api.hostname) && target.origin === api.origin);
}

export function isSlackHost(hostname: string): boolean {
  return hostname === "slack.com" || hostname.endsWith(".slack.com");
}

export interface ResponseUrlOptions {
  /** The opened response URL; `undefined` when it expired. */
  readonly url: string | undefined;
  readonly apiUrl: string;
}

/** Says one thing to who sent a command, and to nobody else. @throws {PlatformError} */
export async function postToResponseUrl(
  text: string,
  { url, apiUrl }: ResponseUrlOptions,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  if (url === undefined || !isResponseUrl(url, apiUrl)) {
    throw new PlatformError("PLATFORM_GONE", "the command's response URL has expired", { platform: "slack" });
  }
  try {
    const answer = await request(url, {
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-8" },
      body: JSON.stringify({ response_type: "ephemeral", replace_original: false, text }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
    });
    await answer.body.dump();
    if (answer.statusCode === 404) throw toPlatformFailure("response_url", { error: "message_not_found" });
    if (answer.statusCode >= 300) throw toPlatformFailure("response_url", { httpStatus: answer.statusCode });
  } catch (error) {
    throw signal.aborted ? signal.reason : toPlatformError("response_url", error);
  }
}

interface ResponseUrlReplyOptions extends ResponseUrlOptions {
  readonly locale: Locale;
  readonly saved: Json | undefined;
  readonly save: (state: Json) => Promise<void>;
  readonly signal: AbortSignal;
}

const count = z.number().int().nonnegative();
const savedSchema = z.object({ posted: count, doubts: count.default(0) });

/**
 * The reply to a command where we may not write: the final answer only, seen by the asker alone.
 *
 * @see docs/reference/slack.md §4.3
 */
export class ResponseUrlReply implements Reply {
  readonly #options: ResponseUrlReplyOptions;
  /** What went out, in earlier starts, too: whoever tries again goes on after it. */
  #done: { readonly posted: number; readonly doubts: number };

  constructor(options: ResponseUrlReplyOptions) {
    this.#options = options;
    this.#done = savedSchema.safeParse(options.saved).data ?? { posted: 0, doubts: 0 };
  }

  show(): void {
    // Ephemeral messages cannot grow: five posts are all there is.
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    const texts = toTexts(content, this.#options.locale);
    const hasText = answerMarkdown(content.answer).trim() !== "";
    // A sentence of ours has not been said, however much of the answer stands there.
    for (const text of texts.slice(hasText ? this.#done.posted : 0)) {
      await this.#post(text);
      if (hasText) await this.#save({ ...this.#done, posted: this.#done.posted + 1 });
    }
    return { messageKeys: [] };
  }

  async abandon(): Promise<void> {
    // Nothing is on screen.
  }

  /** One that may be there is made again, as long as the URL takes any. */
  async #post(text: string): Promise<void> {
    if (this.#done.posted + this.#done.doubts >= POSTS_PER_URL) {
      throw new PlatformError("PLATFORM_GONE", "the command's response URL is used up", {
        platform: "slack",
      });
    }
    try {
      await postToResponseUrl(text, this.#options, this.#options);
    } catch (error) {
      const mayBeThere = error instanceof PlatformError && error.code === "PLATFORM_UNKNOWN_OUTCOME";
      if (mayBeThere) await this.#save({ ...this.#done, doubts: this.#done.doubts + 1 });
      throw error;
    }
  }

  async #save(done: { readonly posted: number; readonly doubts: number }): Promise<void> {
    this.#done = done;
    await this.#options.save({ ...done });
  }
}

/** Nothing can be posted there but this, so no file either. */
const CUT: Readonly<Record<Locale, string>> = {
  en: "The answer is too long for here; the rest is not shown. Ask in a direct message, or invite the bot, to get all of it.",
  zh: "回答太长，这里放不下，后面的内容已省略。请私信提问，或先邀请机器人加入，即可看到完整回答。",
};

function toTexts(content: ReplyContent, locale: Locale): readonly string[] {
  const markdown = neutralize(answerMarkdown(content.answer));
  const texts =
    markdown.trim() === ""
      ? []
      : splitMarkdown(markdown, { limit: TEXT_LIMIT, measure: (text) => text.length });
  const cut = texts.length > MAX_POSTS ? { cut: CUT[locale] } : {};
  const notice = noticeOf(content, { final: true, locale, shown: texts.length, ...cut });
  const kept = texts.slice(0, MAX_POSTS);
  const last = kept.pop() ?? "";
  const end = notice === undefined ? last : `${last}\n\n_${toInertText(notice)}_`;
  return [...kept, end.trim()];
}
