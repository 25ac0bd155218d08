import { z } from "zod";
import { BridgeError, PlatformError } from "../../src/core/errors.ts";
import type { Gate } from "../../src/core/gate.ts";
import type { Part, PartWriter } from "../../src/core/growing-reply.ts";
import type { ReplyContent } from "../../src/core/ports.ts";
import type { Locale } from "../../src/core/turn.ts";
import { messageKey } from "./address.ts";
import type { AnswerFile } from "./answer-file.ts";
import { findTurnMessages, turnMetadata } from "./own-messages.ts";
import type { Place } from "./place.ts";
import { createRenderer, type SlackPart, toPlainBlocks } from "./render.ts";
import type { SlackContext } from "./slack-context.ts";
import { anything } from "./web-api.ts";

/** Which reply a writer writes. */
export interface ReplyTarget {
  readonly team: string;
  readonly place: Place;
  /** The question; our messages come after it. */
  readonly after: string | undefined;
  readonly reference: string;
  /** The turn's platform message, whatever its revision. */
  readonly dedupeKey: string;
  readonly locale: Locale;
}

/** Streams that are edited now. */
export interface FormerStreams {
  /** Their messages; they say which turn they belong to from their first edit on. */
  readonly messages: readonly string[];
  /** Where the answer was cut between them, in characters of what was drawn. */
  readonly cuts: readonly number[];
}

const posted = z.object({ ts: z.string() });

/** What Slack says to blocks it cannot digest (slack.md §1.2). */
const BLOCK_TROUBLE = /^(invalid_blocks(_format)?|msg_blocks_too_long|msg_blocks_too_many|block_mismatch)$/;

/** Replies by `chat.postMessage` and `chat.update`. @see docs/reference/slack.md §1.8 */
export class EditWriter implements PartWriter {
  readonly #context: SlackContext;
  readonly #target: ReplyTarget;
  readonly #streams: FormerStreams;
  readonly #file: AnswerFile;
  readonly #unmarked: Set<string>;
  readonly #draw = createRenderer();
  /** Parts that were posted without an answer from Slack. */
  readonly #uncertain = new Set<number>();

  constructor(
    context: SlackContext,
    target: ReplyTarget,
    { streams, file }: { streams: FormerStreams; file: AnswerFile },
  ) {
    this.#context = context;
    this.#target = target;
    this.#streams = streams;
    this.#file = file;
    this.#unmarked = new Set(streams.messages);
  }

  render(content: ReplyContent, { final }: { final: boolean }): readonly SlackPart[] {
    const { cuts } = this.#streams;
    const parts = this.#draw(content, { final, locale: this.#target.locale, cuts, limit: this.#file.limit });
    if (final) this.#file.isWanted = parts.at(-1)?.goesOn === true;
    return parts;
  }

  async create(part: Part, index: number, { signal }: { signal: AbortSignal }): Promise<string> {
    const lost = this.#uncertain.has(index) ? await this.#findPart(index, signal) : undefined;
    if (lost !== undefined) {
      await this.edit(lost, part, { signal });
      return lost;
    }
    try {
      return await withPlainRepeat(asSlackPart(part), (shown) => this.#post(shown, index, signal));
    } catch (error) {
      if (error instanceof BridgeError && error.code === "PLATFORM_UNKNOWN_OUTCOME")
        this.#uncertain.add(index);
      throw error;
    }
  }

  async #post({ text, blocks }: SlackPart, index: number, signal: AbortSignal): Promise<string> {
    const { place, reference } = this.#target;
    const args = {
      channel: place.channel,
      thread_ts: place.thread,
      text,
      blocks,
      // Unfurling would fetch what the model wrote (slack.md §9.4 rule 7).
      unfurl_links: false,
      unfurl_media: false,
      parse: "none",
      metadata: turnMetadata(reference, index),
    };
    return (await this.#context.api.call("chat.postMessage", posted, args, { signal })).ts;
  }

  async #findPart(index: number, signal: AbortSignal): Promise<string | undefined> {
    const messages = await findTurnMessages(this.#context, this.#target, { signal });
    return messages?.findLast(({ part }) => part === index)?.ts;
  }

  async edit(messageId: string, part: Part, { signal }: { signal: AbortSignal }): Promise<void> {
    await withPlainRepeat(asSlackPart(part), (shown) => this.#update(messageId, shown, signal));
  }

  async #update(ts: string, { text, blocks }: SlackPart, signal: AbortSignal): Promise<void> {
    const { channel } = this.#target.place;
    const part = this.#streams.messages.indexOf(ts);
    const metadata = this.#unmarked.has(ts) ? { metadata: turnMetadata(this.#target.reference, part) } : {};
    const args = { channel, ts, text, blocks, parse: "none", ...metadata };
    try {
      await this.#context.api.call("chat.update", anything, args, { signal });
    } catch (error) {
      if (!(error instanceof PlatformError) || error.platformCode !== "streaming_state_conflict") throw error;
      // Left streaming by an earlier process: stopped first, then replaced (slack.md §1.6).
      await this.#context.api.stream("chat.stopStream", anything, { channel, ts }, { signal });
      await this.#context.api.call("chat.update", anything, args, { signal });
    }
    this.#unmarked.delete(ts);
  }

  async remove(messageId: string, { signal }: { signal: AbortSignal }): Promise<void> {
    const args = { channel: this.#target.place.channel, ts: messageId };
    try {
      await this.#context.api.call("chat.delete", anything, args, { signal });
    } catch (error) {
      if (!(error instanceof PlatformError) || error.platformCode !== "message_not_found") throw error;
    }
  }

  gate(call: "create" | "edit"): Gate {
    const { team, place } = this.#target;
    return call === "create"
      ? this.#context.pacer.post(team, place.channel)
      : this.#context.pacer.method(team, "update");
  }

  messageKey(messageId: string): string {
    return messageKey(this.#target.place.channel, messageId);
  }
}

/** All parts come from our own `render`. */
function asSlackPart(part: Part): SlackPart {
  return part as SlackPart;
}

/** One block Slack cannot digest fails the whole call; the text shall be there all the same. */
async function withPlainRepeat<T>(part: SlackPart, send: (part: SlackPart) => Promise<T>): Promise<T> {
  try {
    return await send(part);
  } catch (error) {
    if (!(error instanceof PlatformError) || !BLOCK_TROUBLE.test(error.platformCode ?? "")) throw error;
    return send(toPlainBlocks(part));
  }
}
