import { z } from "zod";
import { localeOf } from "../../src/core/locale.ts";
import { MAX_FILES } from "../../src/core/talk-above.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { ifReadable, oddFields, optional, readableOf } from "../../src/wire.ts";
import { messageKey, type SlackAddress } from "./address.ts";
import { mentionedUsers, mentions, type Names, toPlainText, withoutMention } from "./incoming-text.ts";
import {
  fileSchema,
  forwardsOf,
  quoteOf,
  sharedSchema,
  sharedText,
  specialFiles,
  toAttachment,
} from "./message-content.ts";
import type { PeopleInQuestion } from "./people.ts";

const messageEvent = z.object({
  type: z.enum(["app_mention", "message"]),
  subtype: optional(z.string()),
  channel: z.string(),
  channel_type: optional(z.string()),
  user: optional(z.string()),
  bot_id: optional(z.string()),
  app_id: optional(z.string()),
  hidden: optional(z.boolean()),
  text: optional(z.string()),
  ts: z.string(),
  thread_ts: optional(z.string()),
  team: ifReadable(z.string()),
  user_team: ifReadable(z.string()),
  source_team: ifReadable(z.string()),
  files: readableOf(fileSchema),
  attachments: readableOf(sharedSchema),
});

const envelope = z.object({
  team_id: ifReadable(z.string()),
  // The workspace is part of the turn's name.
  context_team_id: optional(z.string()),
  authorizations: readableOf(z.object({ team_id: ifReadable(z.string()) })),
});

const command = z.object({
  team_id: z.string(),
  channel_id: z.string(),
  user_id: z.string(),
  user_name: ifReadable(z.string()),
  text: optional(z.string()),
  response_url: z.string(),
  trigger_id: z.string(),
});

/** Who we are in the workspace (slack.md §3.7). */
export interface SlackSelf {
  readonly userId: string;
  readonly botId: string;
  readonly appId?: string;
  readonly teamId: string;
}

/** What normalizing needs to know beyond the payload. */
export interface NormalizeContext {
  readonly self: SlackSelf;
  readonly names: Names;
  /** The asker's client language, e.g. `zh-CN`. */
  readonly localeHint?: string;
  /** The asker is not known yet. */
  readonly unmet?: boolean;
  /** Whether we take part in a thread, by its key; asked only for replies that do not mention us. */
  readonly isOurThread: (threadKey: string) => boolean;
}

/** A turn, or why it is none; `help` is a mention of us and nothing else, which deserves a sentence. */
export type Normalized =
  | {
      readonly turn: IncomingTurn;
      readonly dropped?: undefined;
      readonly help?: undefined;
      readonly bare?: undefined;
      readonly fields?: undefined;
    }
  | {
      readonly dropped: string;
      readonly turn?: undefined;
      readonly help?: SlackAddress & { readonly locale: "en" | "zh" };
      /** The mention as a question about what stands above it, for a thread that we take no part in. */
      readonly bare?: IncomingTurn;
      /** Paths of those that are not as they have to be. */
      readonly fields?: readonly string[];
    };

/** Subtypes that people's questions come with (slack.md §3.2). */
const QUESTIONS: ReadonlySet<string> = new Set(["file_share", "thread_broadcast"]);

/** A message or mention (slack.md §3.1, §3.2). Pure; never throws, whatever the payload. */
export function normalizeMessage(body: unknown, event: unknown, context: NormalizeContext): Normalized {
  const message = messageEvent.safeParse(event);
  const outer = envelope.safeParse(body);
  if (!message.success) return { dropped: "unreadable", fields: oddFields(message.error) };
  if (!outer.success) return { dropped: "unreadable", fields: oddFields(outer.error) };
  const dropped = reasonToDrop(message.data, context);
  if (dropped !== undefined) return { dropped };
  return toTurn(message.data, teamOf(outer.data, context.self), context);
}

type MessageEvent = z.infer<typeof messageEvent>;

function reasonToDrop(event: MessageEvent, { self, isOurThread }: NormalizeContext): string | undefined {
  if (event.user === self.userId || event.bot_id === self.botId) return "own message";
  if (event.app_id !== undefined && event.app_id === self.appId) return "own message";
  if (event.bot_id !== undefined) return "from another bot";
  if (event.user === undefined || /^USLACK(BOT)?$/.test(event.user)) return "not from a person";
  if (event.subtype !== undefined && !QUESTIONS.has(event.subtype)) return `subtype ${event.subtype}`;
  if (event.hidden === true) return "hidden";
  if (event.type === "app_mention" || isDm(event)) return undefined;
  if (mentions(event.text ?? "", self.userId)) return undefined;
  if (event.thread_ts === undefined) return "not for us";
  // Somebody else is spoken to first (slack.md §3.6).
  if (FOR_OTHERS.test(event.text ?? "")) return "for somebody else";
  return isOurThread(messageKey(event.channel, event.thread_ts)) ? undefined : "a thread without us";
}

/** Somebody, a group or everybody is called first. */
const FOR_OTHERS = /^\s*<(?:@|!(?:here|channel|everyone|subteam\^))/;

const deletion = z.object({
  subtype: z.enum(["message_deleted", "message_changed"]),
  channel: z.string(),
  deleted_ts: optional(z.string()),
  /** A deleted message that has replies stays as a tombstone. */
  message: optional(z.object({ ts: z.string(), subtype: optional(z.string()) })),
});

/** The dedupe key of a message that somebody deleted (slack.md §3.2). */
export function deletedMessage(body: unknown, event: unknown, self: SlackSelf): string | undefined {
  const parsed = deletion.safeParse(event);
  const outer = envelope.safeParse(body);
  if (!parsed.success || !outer.success) return undefined;
  const { subtype, channel, deleted_ts: deleted, message } = parsed.data;
  const buried = message?.subtype === "tombstone" ? message.ts : undefined;
  const ts = subtype === "message_deleted" ? deleted : buried;
  return ts === undefined ? undefined : `slack:${teamOf(outer.data, self)}:${channel}:${ts}`;
}

const ownChange = z.object({
  event: z.object({
    subtype: z.literal("message_changed"),
    message: z.object({ bot_id: z.string(), subtype: optional(z.string()) }),
  }),
});

/** Whether a payload only says that a message of ours reads otherwise now, as each edit of an answer does. */
export function isOwnChange(body: unknown, self: SlackSelf): boolean {
  const { message } = ownChange.safeParse(body).data?.event ?? {};
  // A message that was deleted may be a question, posted by us for a command.
  return message?.bot_id === self.botId && message.subtype !== "tombstone";
}

const edition = z.object({
  subtype: z.literal("message_changed"),
  channel: z.string(),
  channel_type: optional(z.string()),
  message: z.looseObject({
    ts: z.string(),
    text: optional(z.string()),
    thread_ts: optional(z.string()),
    edited: z.object({ ts: z.string() }),
  }),
  previous_message: z.object({
    text: optional(z.string()),
    edited: optional(z.object({ ts: z.string() })),
  }),
});

/**
 * What somebody made of their message, as if it were said now, and when. Previews, reply counts and streams change
 * messages too (slack.md §3.2): only another text, written at another time, is an edit.
 */
export function editedMessage(
  event: unknown,
): { readonly event: Readonly<Record<string, unknown>>; readonly changedAt: number } | undefined {
  const parsed = edition.safeParse(event);
  if (!parsed.success) return undefined;
  const { channel, channel_type: kind, message, previous_message: before } = parsed.data;
  if (message.edited.ts === before.edited?.ts || message.text === before.text) return undefined;
  const { thread_ts: thread, ...said } = message;
  return {
    event: {
      ...said,
      type: "message",
      channel,
      ...(kind !== undefined && { channel_type: kind }),
      // A root that has replies names itself; when it was asked it did not.
      ...(thread !== undefined && thread !== message.ts && { thread_ts: thread }),
    },
    changedAt: Math.round(Number(message.edited.ts) * 1000),
  };
}

/** The thread whose membership decides about an event, or `undefined` when it does not matter. */
export function threadInQuestion(
  event: unknown,
  self: SlackSelf,
): { channel: string; thread: string } | undefined {
  const parsed = messageEvent.safeParse(event);
  if (!parsed.success || parsed.data.thread_ts === undefined) return undefined;
  let asked = false;
  const isOurThread = (): boolean => {
    asked = true;
    return false;
  };
  reasonToDrop(parsed.data, { self, names: new Map(), isOurThread });
  return asked ? { channel: parsed.data.channel, thread: parsed.data.thread_ts } : undefined;
}

/** The people whose names a message needs. */
export function usersOf(event: unknown, self: SlackSelf): PeopleInQuestion {
  const { data } = messageEvent.safeParse(event);
  const asked = withoutMention(data?.text ?? "", self.userId);
  const said = asked.trim() === "" ? (data?.text ?? "") : asked;
  const quoted = forwardsOf(data?.attachments ?? []).map(sharedText);
  return { asker: data?.user, mentioned: mentionedUsers([said, ...quoted].join("\n")) };
}

function isDm(event: MessageEvent): boolean {
  // A mention has no channel type, but is never sent for DMs. Ids that begin with D are DMs everywhere else.
  return event.channel_type === "im" || (event.channel_type === undefined && event.channel.startsWith("D"));
}

/** The workspace through which we see the event; `team_id` may be a guest's (slack.md §3.1). */
function teamOf(outer: z.infer<typeof envelope>, self: SlackSelf): string {
  return outer.context_team_id ?? outer.authorizations[0]?.team_id ?? outer.team_id ?? self.teamId;
}

function toTurn(event: MessageEvent, team: string, context: NormalizeContext): Normalized {
  const { self, names, localeHint } = context;
  const user = event.user ?? "";
  const dm = isDm(event);
  const text = toPlainText(withoutMention(event.text ?? "", self.userId), names).trim();
  const forwards = forwardsOf(event.attachments);
  const quote = quoteOf(forwards, names);
  const locale = localeOf(text === "" ? (quote?.text ?? "") : text, localeHint);
  const others = forwards.flatMap((forward) => forward.files);
  const files = [...event.files, ...others].slice(0, Math.max(event.files.length, MAX_FILES));
  const key = `slack:${team}:${event.channel}:${event.ts}`;
  const address: SlackAddress = {
    team,
    channel: event.channel,
    thread: event.thread_ts ?? event.ts,
    message: event.ts,
    user,
    userTeam: event.user_team ?? event.source_team ?? event.team ?? team,
    kind: dm ? "dm" : "channel",
    ...specialFiles(files),
    ...(context.unmet === true && { unmet: true }),
  };
  // A channel's conversation is the thread; a DM is one, unless somebody opens a thread in it (design.md §5).
  const thread = dm ? event.thread_ts : (event.thread_ts ?? event.ts);
  const turn: IncomingTurn = {
    id: `${key}#r0`,
    dedupeKey: key,
    platform: "slack",
    installation: team,
    conversation: `slack:${team}:${event.channel}${thread === undefined ? "" : `:${thread}`}`,
    asker: { key: `slack:${team}:${user}`, name: names.get(user) ?? user },
    text,
    ...(quote !== undefined && { quote }),
    attachments: files.map(toAttachment),
    locale,
    sentAt: Math.floor(Number(event.ts) * 1000) || 0,
    address,
    ...(event.thread_ts !== undefined && { continues: messageKey(event.channel, event.thread_ts) }),
  };
  if (text !== "" || quote !== undefined || files.length > 0) return { turn };
  const help = { ...address, locale };
  if (dm || event.thread_ts === undefined) return { dropped: "empty", help };
  return { dropped: "empty", help, bare: { ...turn, text: toPlainText(event.text ?? "", names).trim() } };
}

/** How long Slack lets a response URL live, in ms (slack.md §4.2). */
export const RESPONSE_URL_TTL_MS = 1_800_000;

/**
 * A slash command (slack.md §4.1). It has no message: its question is posted when its turn runs.
 *
 * @param seal - Makes the response URL unreadable at rest.
 * @param now - Ms since the epoch: a command carries no time.
 */
export function normalizeCommand(
  body: unknown,
  context: Pick<NormalizeContext, "names" | "localeHint"> & {
    seal: (secret: string) => string;
    now: number;
  },
): Normalized {
  const parsed = command.safeParse(body);
  if (!parsed.success) return { dropped: "unreadable", fields: oddFields(parsed.error) };
  const { team_id: team, channel_id: channel, user_id: user, trigger_id: trigger } = parsed.data;
  const text = toPlainText(parsed.data.text ?? "", context.names).trim();
  const locale = localeOf(text, context.localeHint);
  const address: SlackAddress = {
    team,
    channel,
    user,
    userTeam: team,
    kind: channel.startsWith("D") ? "dm" : "channel",
    command: { responseUrl: context.seal(parsed.data.response_url), question: text },
  };
  if (text === "") return { dropped: "empty", help: { ...address, locale } };
  const key = `slack:${team}:${channel}:${trigger}`;
  return {
    turn: {
      id: `${key}#r0`,
      dedupeKey: key,
      alone: true,
      platform: "slack",
      installation: team,
      // Until its question is posted the command is a place of its own; replies in the thread continue it.
      conversation: key,
      asker: { key: `slack:${team}:${user}`, name: context.names.get(user) ?? parsed.data.user_name ?? user },
      text,
      attachments: [],
      locale,
      sentAt: context.now,
      address,
    },
  };
}

/** The people whose names a command needs. */
export function usersOfCommand(body: unknown): PeopleInQuestion {
  const { user_id: asker, text } = command.safeParse(body).data ?? {};
  return { asker, mentioned: mentionedUsers(text ?? "") };
}
