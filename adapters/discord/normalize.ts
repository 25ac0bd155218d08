import { localeOf } from "../../src/core/locale.ts";
import { quoteTalk } from "../../src/core/talk-above.ts";
import type { Attachment, IncomingTurn, Locale, Quote } from "../../src/core/turn.ts";
import { toJson } from "./address.ts";
import type { WireInteraction, WireMessage } from "./gateway-events.ts";
import {
  contentOf,
  filesIn,
  nameOf,
  stickersOf,
  toAttachment,
  wholeContentOf,
  withNames,
} from "./message-content.ts";

/** Who we are, and what the event itself may not say. */
export interface NormalizeContext {
  readonly applicationId: string;
  readonly botId: string;
  /** Type of a channel we know, for events without `channel_type`. */
  readonly channelType: (channelId: string) => number | undefined;
  /** Whether we are asked things in a channel. */
  readonly answersIn: (channelId: string) => boolean;
  /** Language of a guild, if known. */
  readonly guildLocale: (guildId: string) => string | undefined;
}

/** Why an event is no turn. */
type DropReason =
  | "malformed"
  | "own"
  | "bot"
  | "webhook"
  | "system"
  | "not-addressed"
  /** Addressed, but nothing in it. */
  | "empty"
  /** A reply to us whose text Discord keeps from us (no ping, no Message Content intent). */
  | "unreadable"
  | "unknown-command"
  | "not-edited";

/** A person who is owed a sentence although there is no turn. */
export interface Help {
  readonly channelId: string;
  readonly messageId: string;
  readonly locale: Locale;
}

export interface Dropped {
  readonly dropped: DropReason;
  readonly help?: Help;
}

/** A slash command before it is acknowledged: its turn still lacks the address. */
export interface Command {
  readonly interactionId: string;
  readonly token: string;
  readonly applicationId: string;
  readonly channelId: string;
  readonly viaChannel: boolean;
  readonly turn: Omit<IncomingTurn, "address">;
}

/** discord.md §3.1, §6.1 */
const DM_CHANNEL = 1;
const GROUP_DM_CHANNEL = 3;
const THREAD_CHANNELS: ReadonlySet<number> = new Set([10, 11, 12]);
/** Default and reply: what people write themselves (discord.md §9.3). */
const PEOPLE_WRITE: ReadonlySet<number> = new Set([0, 19]);
const COMMAND_INTERACTION = 2;
const CHAT_INPUT_COMMAND = 1;
/** VIEW_CHANNEL, SEND_MESSAGES, SEND_MESSAGES_IN_THREADS (discord.md §6.2). */
const VIEW_CHANNEL = 1n << 10n;
const SEND_MESSAGES = 1n << 11n;
const SEND_IN_THREADS = 1n << 38n;
const DISCORD_EPOCH_MS = 1_420_070_400_000n;
/** Everybody, or a role. */
const CALLS_MANY = /@everyone|@here|<@&\d+>/;
/** Discord's own limit (discord.md §2.1); a hostile event shall not bring more. */
const MAX_ATTACHMENTS = 20;

/** Name of our slash command and of its options. */
export const COMMAND_NAME = "coze";
export const QUESTION_OPTION = "question";
export const FILE_OPTION = "file";

/** When an id was made, in ms since the epoch. */
export function timeOfId(id: string): number {
  return Number((BigInt(id) >> 22n) + DISCORD_EPOCH_MS);
}

/** The smallest id that can be made at a moment, in ms since the epoch. */
export function idOfTime(ms: number): string {
  const since = BigInt(Math.floor(ms)) - DISCORD_EPOCH_MS;
  return String(since > 0n ? since << 22n : 0n);
}

/** Key of a message, as replies name it. */
export function messageKey(channelId: string, messageId: string): string {
  return `discord:${channelId}:${messageId}`;
}

/** A MESSAGE_CREATE as a turn, or why it is none. */
export function normalizeMessage(
  message: WireMessage,
  context: NormalizeContext,
): { readonly turn: IncomingTurn } | Dropped {
  const ignored = ignoredAuthor(message, context);
  if (ignored !== undefined) return { dropped: ignored };
  const isDm = message.guild_id === undefined;
  const mentioned = message.mentions.some(({ id }) => id === context.botId);
  const repliesToUs = message.referenced_message?.author.id === context.botId;
  if (!isDm && !mentioned && !repliesToUs && !goesOnInThread(message, context)) {
    return { dropped: "not-addressed" };
  }
  const text = textOf(message, context);
  const attachments = filesOf(message, context);
  const hint = message.guild_id === undefined ? undefined : context.guildLocale(message.guild_id);
  const quote = quoteOf(message, context);
  const locale = localeOf(text === "" ? (quote?.text ?? "") : text, hint);
  const isBare = text === "" && attachments.length === 0 && quote === undefined;
  if (isBare && mentioned && isBelowTalk(message, context)) {
    // A mention and nothing else asks about what stands above it.
    const bare = withNames(message.content, message.mentions).trim();
    return { turn: toTurn(message, { context, text: bare, attachments, locale }) };
  }
  if (isBare) {
    const help = { channelId: message.channel_id, messageId: message.id, locale };
    return { dropped: isDm || mentioned ? "empty" : "unreadable", help };
  }
  return { turn: toTurn(message, { context, text, attachments, locale }) };
}

/**
 * A MESSAGE_UPDATE as the question it is now, and when it was changed; or why it is no change: previews, pins and flags
 * come as updates too, and one without our mention asks us nothing (discord.md §10).
 */
export function normalizeEdit(
  message: WireMessage,
  context: NormalizeContext,
): { readonly turn: IncomingTurn; readonly changedAt: number } | { readonly dropped: DropReason } {
  const changedAt = Date.parse(message.edited_timestamp ?? "");
  if (Number.isNaN(changedAt)) return { dropped: "not-edited" };
  const outcome = normalizeMessage(message, context);
  return "turn" in outcome ? { turn: outcome.turn, changedAt } : { dropped: outcome.dropped };
}

/**
 * Said to nobody else, in a thread that we answer in. Comes with words only where the Message Content intent is on
 * (discord.md §3.1, §10).
 */
function goesOnInThread(message: WireMessage, context: NormalizeContext): boolean {
  const { channel_id: channelId, content, attachments, mentions, referenced_message: answered } = message;
  if (!isThread(message, context) || !context.answersIn(channelId)) return false;
  const isEmpty = content.trim() === "" && attachments.length === 0 && message.message_snapshots.length === 0;
  return !isEmpty && !answered && mentions.length === 0 && !CALLS_MANY.test(content);
}

/** Whether others have talked above it, of which we know nothing. */
function isBelowTalk(message: WireMessage, context: NormalizeContext): boolean {
  return isThread(message, context) && !context.answersIn(message.channel_id);
}

function isThread(message: WireMessage, context: NormalizeContext): boolean {
  const type = message.channel_type ?? context.channelType(message.channel_id);
  return type !== undefined && THREAD_CHANNELS.has(type);
}

function ignoredAuthor(message: WireMessage, context: NormalizeContext): DropReason | undefined {
  if (message.author.id === context.botId) return "own";
  if (message.webhook_id !== undefined) return "webhook";
  if (message.author.bot === true) return "bot";
  return message.author.system === true || !PEOPLE_WRITE.has(message.type) ? "system" : undefined;
}

function toTurn(
  message: WireMessage,
  parts: {
    readonly context: NormalizeContext;
    readonly text: string;
    readonly attachments: readonly Attachment[];
    readonly locale: Locale;
  },
): IncomingTurn {
  const { context, text, attachments, locale } = parts;
  const { id, channel_id: channelId, author } = message;
  const dedupeKey = dedupeKeyOf(context.applicationId, channelId, id);
  const quote = quoteOf(message, context);
  return {
    id: `${dedupeKey}#r0`,
    dedupeKey,
    platform: "discord",
    installation: message.guild_id ?? "dm",
    conversation: conversationOf(message, context),
    asker: { key: askerKey(context.applicationId, author.id), name: nameOf(author, message.member?.nick) },
    text,
    ...(quote !== undefined && { quote }),
    attachments,
    locale,
    sentAt: timeOfId(id),
    address: toJson({ kind: "message", channelId, messageId: id }),
    ...continuesOf(message, context),
    ...(quote === undefined && isBelowTalk(message, context) && { belowTalk: true }),
  };
}

/** What was answered, and what a thread began with, lead to their conversation where that is known. */
function continuesOf(message: WireMessage, context: NormalizeContext): { continues?: string } {
  const { channel_id: channelId, message_reference: answered } = message;
  if (answered?.type === 0 && answered.message_id !== undefined) {
    return { continues: messageKey(answered.channel_id ?? channelId, answered.message_id) };
  }
  return isThread(message, context) ? { continues: threadKey(channelId) } : {};
}

/** Key of the thread that was opened for an answer: what is said there goes on with its conversation. */
export function threadKey(threadId: string): string {
  return messageKey(threadId, threadId);
}

/** Id of the message or interaction that a turn answers. */
export function triggerOf(turnId: string): string {
  return /(\d+)#r\d+$/.exec(turnId)?.[1] ?? "0";
}

/** Names a message among all that may have become turns. */
export function dedupeKeyOf(applicationId: string, channelId: string, messageId: string): string {
  return `discord:${applicationId}:${channelId}:${messageId}`;
}

function askerKey(applicationId: string, userId: string): string {
  return `discord:${applicationId}:${userId}`;
}

/** A thread and a DM are conversations of their own; elsewhere each asker has one per channel (design.md §5). */
function conversationOf(message: WireMessage, context: NormalizeContext): string {
  const { guild_id: guildId, channel_id: channelId, author } = message;
  if (guildId === undefined) {
    const type = message.channel_type ?? context.channelType(channelId);
    return type === GROUP_DM_CHANNEL ? `discord:dm:${channelId}:${author.id}` : `discord:dm:${channelId}`;
  }
  return isThread(message, context)
    ? `discord:${guildId}:${channelId}`
    : `discord:${guildId}:${channelId}:${author.id}`;
}

/** What was said: typed text, names of stickers. Our mention goes, others become names. */
function textOf(message: WireMessage, context: NormalizeContext): string {
  const typed = withNames(message.content, message.mentions, context.botId);
  return [typed.trim(), stickersOf(message.sticker_items)].filter((text) => text !== "").join("\n");
}

/** Files of the message, of what it forwards, and of somebody else's message that it asks about. */
function filesOf(message: WireMessage, context: NormalizeContext): readonly Attachment[] {
  const answered = message.referenced_message;
  const others = answered && answered.author.id !== context.botId ? answered.attachments : [];
  return [...filesIn(message), ...others].slice(0, MAX_ATTACHMENTS).map(toAttachment);
}

/** The message replied to, unless it is ours: then its conversation knows it already; or what is forwarded. */
function quoteOf(message: WireMessage, context: NormalizeContext): Quote | undefined {
  const answered = message.referenced_message;
  if (!answered || answered.author.id === context.botId) {
    // Discord does not say who wrote what is forwarded (discord.md §5.1).
    const forwards = message.message_snapshots.map((each) => ({ author: "", text: contentOf(each.message) }));
    return quoteTalk(forwards.filter(({ text }) => text !== ""));
  }
  const text = wholeContentOf(answered);
  return text === "" ? undefined : { author: nameOf(answered.author, undefined), text };
}

/** An INTERACTION_CREATE as a command to acknowledge, or why it is none. */
export function normalizeInteraction(
  interaction: WireInteraction,
  context: NormalizeContext,
): { readonly command: Command } | Dropped {
  const { data, channel_id: channelId } = interaction;
  const user = interaction.member?.user ?? interaction.user;
  if (interaction.type !== COMMAND_INTERACTION || data?.name !== COMMAND_NAME) {
    return { dropped: "unknown-command" };
  }
  if ((data.type ?? CHAT_INPUT_COMMAND) !== CHAT_INPUT_COMMAND) return { dropped: "unknown-command" };
  if (user === undefined || channelId === undefined) return { dropped: "malformed" };
  const text = optionOf(interaction, QUESTION_OPTION).trim();
  const fileId = optionOf(interaction, FILE_OPTION);
  const file = data.resolved?.attachments.find(({ id }) => id === fileId);
  const dedupeKey = `discord:${context.applicationId}:i:${interaction.id}`;
  const turn = {
    id: `${dedupeKey}#r0`,
    alone: true,
    dedupeKey,
    platform: "discord",
    installation: interaction.guild_id ?? "dm",
    conversation: commandConversation(interaction, channelId, user.id),
    asker: { key: askerKey(context.applicationId, user.id), name: nameOf(user, interaction.member?.nick) },
    text,
    attachments: file === undefined ? [] : [toAttachment(file)],
    locale: localeOf(text, interaction.locale),
    sentAt: timeOfId(interaction.id),
  };
  return {
    command: {
      interactionId: interaction.id,
      token: interaction.token,
      applicationId: context.applicationId,
      channelId,
      viaChannel: mayWrite(interaction),
      turn,
    },
  };
}

function optionOf(interaction: WireInteraction, name: string): string {
  const value = interaction.data?.options.find((option) => option.name === name)?.value;
  return typeof value === "string" ? value : "";
}

function commandConversation(interaction: WireInteraction, channelId: string, userId: string): string {
  const type = interaction.channel?.type;
  const place = `discord:${interaction.guild_id ?? "dm"}:${channelId}`;
  const shared = type === DM_CHANNEL || (type !== undefined && THREAD_CHANNELS.has(type));
  return shared ? place : `${place}:${userId}`;
}

/** Whether the bot is here itself and may write: owner `0` is the guild, or the DM with the bot (discord.md §4.2). */
function mayWrite(interaction: WireInteraction): boolean {
  if (interaction.authorizing_integration_owners["0"] === undefined) return false;
  if (interaction.guild_id === undefined) return interaction.channel?.type === DM_CHANNEL;
  const thread = THREAD_CHANNELS.has(interaction.channel?.type ?? 0);
  const needed = VIEW_CHANNEL | (thread ? SEND_IN_THREADS : SEND_MESSAGES);
  const permissions = interaction.app_permissions ?? "0";
  return /^\d+$/.test(permissions) && (BigInt(permissions) & needed) === needed;
}
