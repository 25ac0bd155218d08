import { ANSWER_FILE_NAME, type MessageLimit } from "../../src/core/answer-file.ts";
import { BridgeError, PlatformError } from "../../src/core/errors.ts";
import type { Gate } from "../../src/core/gate.ts";
import type { Part, PartWriter } from "../../src/core/growing-reply.ts";
import type { Log, ReplyContent } from "../../src/core/ports.ts";
import type { Turn } from "../../src/core/turn.ts";
import { ACKNOWLEDGE_WITHIN_MS } from "./acknowledge.ts";
import type { Address } from "./address.ts";
import { findMessage } from "./find-message.ts";
import { NO_MENTIONS } from "./mentions.ts";
import { nonceOf } from "./nonce.ts";
import { messageKey, triggerOf } from "./normalize.ts";
import type { DiscordPacer } from "./pacer.ts";
import { createRenderer, type DiscordPart } from "./render.ts";
import type { CommandResponse } from "./responses.ts";
import type { DiscordAnswer, DiscordCall, DiscordRest } from "./rest-client.ts";

export interface WriterOptions {
  readonly turn: Pick<Turn, "id" | "locale" | "sentAt">;
  readonly address: Address;
  /** The interaction's token, opened; `undefined` once it has expired. */
  readonly token: string | undefined;
  /** What is known by now of the command's acknowledgement. */
  readonly response: () => Promise<CommandResponse | undefined>;
  readonly rest: DiscordRest;
  readonly pacer: DiscordPacer;
  readonly log: Log;
  /** Messages of the answer; a longer one ends as a file. */
  readonly maxParts: number;
  /** Messages that an earlier process made and saved. */
  readonly saved: readonly string[];
  /** It may have made further ones that it did not live to save. */
  readonly again: boolean;
}

interface Signal {
  readonly signal: AbortSignal;
}

/** The token lives 15 min; the last minute is nothing to plan on (discord.md §1.6): 14 min. */
export const TOKEN_USABLE_MS = 840_000;
/** Where the bot itself may not write, the answer ends in that minute: until then its last state can be tried. */
const TOKEN_ENDS_MS = 894_000;
/** A nonce is remembered for "the past few minutes" (discord.md §2.3); this long for certain. */
const NONCE_HOLDS_MS = 60_000;
/**
 * SUPPRESS_EMBEDS: what the model links to is not fetched and shown. An edit that names no flags leaves it; a deferred
 * response cannot have it before its first one (discord.md §1.6, §2.5).
 */
const NO_PREVIEWS = 1 << 2;
/** Of the file. */
const MARKDOWN = "text/markdown; charset=utf-8";
/** Marks ids of messages that were made through the interaction's webhook. */
const HOOK_MARK = "w:";
/** Refusals because of the message replied to, with nothing sent (discord.md §6.3). */
const NO_HISTORY = "160002";
const BAD_FORM = "50035";
/** A thread that was archived meanwhile: nothing in it can be changed (discord.md §6.1). */
const ARCHIVED = "50083";
/** Where Discord does not say when a thread can be opened. */
const OPENED_AFTER_MS = 1_000;
/** A webhook without an acknowledgement, and the token's end (discord.md §1.6). */
const NOT_ACKNOWLEDGED = "10015";
const HOOK_GONE: ReadonlySet<string> = new Set(["50027", NOT_ACKNOWLEDGED]);
/** After this no acknowledgement is taken any more, by Discord's clock, which we know to about a second. */
const ACKNOWLEDGED_BY_MS = ACKNOWLEDGE_WITHIN_MS + 1_500;
const ACKNOWLEDGED_SOON_MS = 300;
/** Follow-ups where a command was used that the bot itself is not in (discord.md §1.6). */
const MAX_FOLLOW_UPS = 5;

/** Writes one turn's messages: into its channel, or through its interaction while that lasts. */
export class DiscordWriter implements PartWriter {
  readonly #options: WriterOptions;
  #token: string | undefined;
  #hasFirst: boolean;
  #withReference = true;
  /** Own messages of this reply, in the order of its parts. */
  readonly #known: Set<string>;
  #mayAttach = true;
  /** Why no further follow-up is made: nobody knows whether the last one is there. */
  #lostFollowUp: PlatformError | undefined;
  /** A thread that was archived has been opened again. */
  #hasOpened = false;
  readonly #draw = createRenderer();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#token = options.token;
    this.#hasFirst = options.saved.length > 0;
    this.#known = new Set(options.saved.map(plainId));
  }

  render(content: ReplyContent, { final }: { final: boolean }): readonly DiscordPart[] {
    return this.#draw(content, { final, locale: this.#options.turn.locale, limit: this.#limit() });
  }

  #limit(): MessageLimit {
    const { maxParts } = this.#options;
    const most = this.#viaChannel() ? Number.POSITIVE_INFINITY : MAX_FOLLOW_UPS;
    // What may not go as a file goes on in messages: as many as it takes, if the bot may write them.
    if (!this.#mayAttach) return { messages: most, rest: "notice" };
    return { messages: Math.min(maxParts, most), rest: "file" };
  }

  /** Without its file: that comes by an edit, which is the same however often it is repeated. */
  asCreated(part: Part): DiscordPart {
    const { file: _file, ...rest } = asDiscordPart(part);
    return rest;
  }

  async create(part: Part, index: number, { signal }: Signal): Promise<string> {
    const made = await this.#createAnywhere(asDiscordPart(part), index, signal);
    this.#hasFirst = true;
    this.#known.add(plainId(made.id));
    // A repeat returns the message as the first try made it, perhaps with older text (discord.md §2.3).
    const isShown = sameText(made.content, asDiscordPart(part).content);
    if (!isShown) await this.edit(made.id, part, { signal, final: true });
    return made.id;
  }

  async edit(messageId: string, part: Part, options: Signal & { readonly final: boolean }): Promise<void> {
    const write: Writing = { part: asDiscordPart(part), ...options };
    try {
      await this.#withHook(
        messageId.startsWith(HOOK_MARK),
        (hook) => this.#edit(`${hook}/messages/${plainId(messageId)}`, { ...write, hook: true }),
        () => {
          const { channelId } = this.#options.address;
          return this.#edit(`/channels/${channelId}/messages/${plainId(messageId)}`, write);
        },
      );
    } catch (error) {
      throw write.part.file === undefined ? error : this.#afterFile(error);
    }
  }

  /** A file that is refused, for lack of the right or whatever it is, leaves the answer to the messages. */
  #afterFile(error: unknown): unknown {
    if (!(error instanceof PlatformError) || error.retryable) return error;
    if (error.code === "PLATFORM_GONE" || error.code === "PLATFORM_AUTH") return error;
    // Messages then hold all of it.
    this.#mayAttach = false;
    const { log, address } = this.#options;
    log.warn({ err: error, channelId: address.channelId, right: "Attach Files" }, "discord took no file");
    return tryAgain(error, 0);
  }

  async remove(messageId: string, { signal }: Signal): Promise<void> {
    const { channelId } = this.#options.address;
    const remove = async (route: `/${string}`, auth: boolean): Promise<void> => {
      await this.#options.rest.main({ method: "DELETE", route, auth, name: "delete message", signal });
    };
    try {
      await this.#withHook(
        messageId.startsWith(HOOK_MARK),
        (hook) => remove(`${hook}/messages/${plainId(messageId)}`, false),
        () => remove(`/channels/${channelId}/messages/${plainId(messageId)}`, true),
      );
    } catch (error) {
      // Somebody else has removed it: that is what was wanted.
      if (!(error instanceof PlatformError && error.platformCode === "10008")) {
        throw await this.#afterArchiving(error, signal);
      }
    }
  }

  gate(call: "create" | "edit", messageId?: string): Gate {
    const isHooks =
      call === "edit" && messageId !== undefined
        ? messageId.startsWith(HOOK_MARK)
        : // Later parts of a command's answer are channel messages where the bot may write: they have nonces.
          !this.#hasFirst || !this.#viaChannel();
    return this.#gateOf(call, { hook: isHooks && this.#hook() !== undefined });
  }

  #gateOf(call: "create" | "edit", { hook }: { hook: boolean }): Gate {
    const { turn, address, pacer } = this.#options;
    return hook ? pacer.hook(turn.id) : pacer.messages(call, address.channelId);
  }

  messageKey(messageId: string): string {
    return messageKey(this.#options.address.channelId, plainId(messageId));
  }

  /**
   * Posts a sentence of ours in a message of its own.
   *
   * @param purpose - Tells it from the answer, so that Discord does not take one for the other.
   */
  async post(text: string, purpose: string, { signal }: Signal): Promise<string> {
    const made = await this.#post({ content: text }, 0, purpose, signal);
    return made.id;
  }

  // ------------------------------------------------------------------------------------------- where to

  async #createAnywhere(part: DiscordPart, index: number, signal: AbortSignal): Promise<Made> {
    const { address } = this.#options;
    if (address.kind === "message") return this.#postOrFind(part, index, signal);
    if (index === 0) return this.#fillResponse(address.channelId, part, signal);
    if (address.viaChannel) return this.#postOrFind(part, index, signal);
    return this.#followUp(part, signal);
  }

  /** The deferred response becomes the first message; where it is out of reach, a channel message does. */
  async #fillResponse(channelId: string, part: DiscordPart, signal: AbortSignal): Promise<Made> {
    const write: Writing = { part, signal, final: true, isFirst: true };
    return this.#withHook(
      true,
      async (hook) => marked(await this.#edit(`${hook}/messages/@original`, { ...write, hook: true })),
      async () => {
        const messageId = (await this.#options.response())?.messageId;
        if (messageId === undefined) return this.#postOrFind(part, 0, signal);
        try {
          const route: `/${string}` = `/channels/${channelId}/messages/${messageId}`;
          return marked(await this.#edit(route, write));
        } catch (error) {
          if (!(error instanceof PlatformError) || error.code !== "PLATFORM_GONE") throw error;
          return this.#postOrFind(part, 0, signal);
        }
      },
    );
  }

  /**
   * Posts a part of the answer, unless an earlier process did so. Within the minute the nonce takes care of that;
   * later the message is looked for.
   */
  async #postOrFind(part: DiscordPart, index: number, signal: AbortSignal): Promise<Made> {
    const { turn, address, rest, pacer, again } = this.#options;
    if (!again || rest.discordNow() - turn.sentAt < NONCE_HOLDS_MS) {
      return this.#post(part, index, "answer", signal);
    }
    const trigger = triggerOf(turn.id);
    const lost = {
      channelId: address.channelId,
      trigger,
      nonce: nonceOf(turn.id, index, "answer"),
      answers: index > 0 ? this.#before(part) : isInThread(address) ? undefined : trigger,
      text: part.content,
      known: this.#known,
    };
    const found = await findMessage(lost, { rest, pacer, signal });
    return found ?? this.#post(part, index, "answer", signal);
  }

  /** Follow-ups have no nonce: one whose outcome is unknown is not repeated, nor made again of newer text (discord.md §2.3). */
  async #followUp({ content }: DiscordPart, signal: AbortSignal): Promise<Made> {
    if (this.#lostFollowUp !== undefined) throw this.#lostFollowUp;
    const hook = this.#hook();
    if (hook === undefined) throw this.#nowhere();
    const body = { content, flags: NO_PREVIEWS, allowed_mentions: NO_MENTIONS };
    const query = new URLSearchParams({ wait: "true" });
    try {
      const call = { method: "POST", route: hook, body, query, auth: false } as const;
      return marked(this.#made(await this.#options.rest.main({ ...call, name: "create follow-up", signal })));
    } catch (error) {
      if (!(error instanceof BridgeError) || error.code !== "PLATFORM_UNKNOWN_OUTCOME") throw error;
      this.#lostFollowUp = new PlatformError("PLATFORM_UNKNOWN_OUTCOME", error.message, {
        platform: "discord",
        cause: error,
      });
      throw this.#lostFollowUp;
    }
  }

  /** Through the webhook while it lasts, else through the channel if the bot may. */
  async #withHook<T>(
    wanted: boolean,
    throughHook: (hook: `/${string}`) => Promise<T>,
    throughChannel: () => Promise<T>,
  ): Promise<T> {
    const hook = wanted ? this.#hook() : undefined;
    if (hook !== undefined) {
      try {
        return await throughHook(hook);
      } catch (error) {
        if (!(error instanceof PlatformError) || !HOOK_GONE.has(error.platformCode ?? "")) throw error;
        if (error.platformCode === NOT_ACKNOWLEDGED && (await this.#mayBeAcknowledged()))
          throw tooEarly(error);
        this.#token = undefined;
      }
    }
    if (!this.#viaChannel()) throw this.#nowhere();
    return throughChannel();
  }

  /** The command was stored before it was acknowledged: an answer may be faster than that. */
  async #mayBeAcknowledged(): Promise<boolean> {
    const { address, rest, response } = this.#options;
    if (address.kind === "message" || rest.ageMs(address.at) > ACKNOWLEDGED_BY_MS) return false;
    return (await response()) === undefined;
  }

  #hook(): `/${string}` | undefined {
    const { address, rest } = this.#options;
    if (address.kind === "message" || this.#token === undefined) return undefined;
    const usableMs = address.viaChannel ? TOKEN_USABLE_MS : TOKEN_ENDS_MS;
    if (rest.discordNow() - address.at > usableMs) return undefined;
    return `/webhooks/${address.applicationId}/${this.#token}`;
  }

  #viaChannel(): boolean {
    const { address } = this.#options;
    return address.kind === "message" || address.viaChannel;
  }

  #nowhere(): PlatformError {
    const message = "the interaction is over and the bot itself may not write in its channel";
    return new PlatformError("PLATFORM_GONE", message, { platform: "discord" });
  }

  // ------------------------------------------------------------------------------------------- calls

  async #edit(
    route: `/${string}`,
    { part: { content, file }, signal, final, isFirst = false, hook = false }: Writing,
  ): Promise<Made> {
    const { rest } = this.#options;
    const flags = isFirst ? { flags: NO_PREVIEWS } : {};
    const files = file === undefined ? [] : [{ name: ANSWER_FILE_NAME, data: file, contentType: MARKDOWN }];
    // Files that are not named go (discord.md §11.41): a repeat replaces its own, and a new answer the former one's.
    const attachments = files.map(({ name }, index) => ({ id: String(index), filename: name }));
    const body = { content, attachments, ...flags, allowed_mentions: NO_MENTIONS };
    const call: DiscordCall = {
      method: "PATCH",
      route,
      body,
      ...(files.length > 0 && { files }),
      auth: !hook,
      name: "edit message",
      signal,
    };
    // A first message has nothing on screen yet: it must arrive, and goes the way of the finals.
    try {
      const answer = final ? await rest.main(call) : await rest.draft(call);
      return this.#made(answer, this.#gateOf("edit", { hook }));
    } catch (error) {
      throw final ? await this.#afterArchiving(error, signal) : error;
    }
  }

  /**
   * Nothing can be changed in a thread that somebody has archived meanwhile. It is opened again for what must arrive,
   * once: whoever archived it did not mean to keep half an answer.
   *
   * @returns What to throw: an error that says to try again, if the thread was opened, or why it could not be.
   */
  async #afterArchiving(error: unknown, signal: AbortSignal): Promise<unknown> {
    const isArchived = error instanceof PlatformError && error.platformCode === ARCHIVED;
    if (!isArchived || this.#hasOpened || !this.#viaChannel()) return error;
    const { rest, pacer, address } = this.#options;
    try {
      await pacer.overall.acquire("final", { signal });
      const route: `/${string}` = `/channels/${address.channelId}`;
      await rest.main({
        method: "PATCH",
        route,
        body: { archived: false },
        name: "open thread again",
        signal,
      });
      this.#hasOpened = true;
      return tryAgain(error, 0);
    } catch (refusal) {
      // Its limit is not that of the messages, which is why it may not close their gate.
      if (!(refusal instanceof PlatformError) || !refusal.retryable) return refusal;
      return tryAgain(error, refusal.retryAfterMs ?? OPENED_AFTER_MS);
    }
  }

  async #post(part: DiscordPart, index: number, purpose: string, signal: AbortSignal): Promise<Made> {
    const { turn, address, rest } = this.#options;
    // In its thread the question stands above (discord.md §6.1).
    const isReply = index === 0 && address.kind === "message" && !isInThread(address);
    const target = isReply ? address.messageId : this.#before(part);
    const reply = target !== undefined && this.#withReference;
    const body = {
      content: part.content,
      nonce: nonceOf(turn.id, index, purpose),
      enforce_nonce: true,
      flags: NO_PREVIEWS,
      allowed_mentions: NO_MENTIONS,
      ...(reply && { message_reference: { message_id: target, fail_if_not_exists: false } }),
    };
    try {
      const route: `/${string}` = `/channels/${address.channelId}/messages`;
      const answer = await rest.main({ method: "POST", route, body, name: "create message", signal });
      return this.#made(answer, this.#gateOf("create", { hook: false }));
    } catch (error) {
      if (!reply || !isAboutReference(error)) throw error;
      this.#withReference = false;
      return this.#post(part, index, purpose, signal);
    }
  }

  /**
   * The message that says that a file comes replies to the one before it: all of them read alike, and a lost one must
   * not be taken for that of another answer.
   */
  #before({ last }: DiscordPart): string | undefined {
    return last === true ? [...this.#known].at(-1) : undefined;
  }

  #made({ data, rate }: DiscordAnswer, gate?: Gate): Made {
    if (rate !== undefined) gate?.learn(rate);
    // Discord's own answer to a call of ours; `id` and `content` are required there (its OpenAPI: MessageResponse).
    const { id, content } = data as { readonly id: string; readonly content: string };
    return { id, content };
  }
}

interface Writing extends Signal {
  readonly part: DiscordPart;
  readonly final: boolean;
  /** It fills a response that only said "thinking…". */
  readonly isFirst?: boolean;
  readonly hook?: boolean;
}

interface Made {
  readonly id: string;
  readonly content: string;
}

function marked({ id, content }: Made): Made {
  return { id: `${HOOK_MARK}${id}`, content };
}

function plainId(messageId: string): string {
  return messageId.startsWith(HOOK_MARK) ? messageId.slice(HOOK_MARK.length) : messageId;
}

/** All parts come from our own `render`. */
function asDiscordPart(part: Part): DiscordPart {
  return part as DiscordPart;
}

/** In a thread of its own question. */
function isInThread(address: Address): boolean {
  return address.kind === "message" && address.inThread === true;
}

/** Nothing happened, and it is said when to come back: as with any limit. */
function tooEarly(cause: PlatformError): PlatformError {
  return new PlatformError("PLATFORM_RATE_LIMITED", "the command is not acknowledged yet", {
    platform: "discord",
    retryable: true,
    retryAfterMs: ACKNOWLEDGED_SOON_MS,
    cause,
  });
}

/** Nothing happened, and the next try is another one: without the file, or in a thread that is open again. */
function tryAgain(cause: PlatformError, afterMs: number): PlatformError {
  return new PlatformError("PLATFORM_REJECTED", cause.message, {
    platform: "discord",
    retryable: true,
    retryAfterMs: afterMs,
    cause,
  });
}

function isAboutReference(error: unknown): boolean {
  if (!(error instanceof PlatformError)) return false;
  return error.platformCode === NO_HISTORY || error.platformCode === BAD_FORM;
}

/** Discord trims, and strips characters it does not like (discord.md §2.4): only what can be read is compared. */
function sameText(shown: string, wanted: string): boolean {
  const readable = (text: string): string => text.replaceAll(/[\s\p{C}]+/gu, "");
  return readable(shown) === readable(wanted);
}
