import type { StandInClock } from "../stand-in.ts";
import { previewsOf } from "./previews.ts";
import {
  CHANNEL_TYPES,
  isThread,
  MESSAGE_TYPES,
  PERMISSIONS,
  type Permission,
  Snowflakes,
  type WireAttachment,
  type WireChannel,
  type WireMessage,
  type WireUser,
} from "./wire.ts";

/** Lifetime of a signed file address (discord.md §5.2). */
const SIGNED_FOR_MS = 24 * 3_600_000;

interface StoredFile {
  readonly attachment: Omit<WireAttachment, "url" | "proxy_url">;
  readonly channelId: string;
  readonly bytes: Uint8Array;
}

export interface NewFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly contentType?: string;
}

export interface NewMessage {
  readonly channelId: string;
  readonly author: WireUser;
  readonly content?: string;
  readonly type?: number;
  readonly flags?: number;
  readonly nonce?: string | number;
  readonly files?: readonly NewFile[];
  readonly fileExtras?: Partial<WireAttachment>;
  readonly replyTo?: string;
  readonly mentionEveryone?: boolean;
  readonly extras?: Partial<WireMessage>;
}

export interface NewThread {
  /** Default a new one; a thread under a message has the message's. */
  readonly id?: string;
  /** Default public. */
  readonly type?: number;
  /** Default a day. */
  readonly archiveAfterMin?: number;
}

/** How often a message changed, and who may see it: what is not on the wire. */
export interface MessageState {
  edits: number;
  readonly ephemeral: boolean;
  /** What the bot reacted with. */
  readonly reactions: Set<string>;
}

/** GATEWAY_MESSAGE_CONTENT_LIMITED: switched on in the portal, without Discord's review. */
const MESSAGE_CONTENT_LIMITED = 1 << 19;

/** One guild with its channels, people, DMs and threads, and every message in them. */
export class World {
  readonly ids: Snowflakes;
  readonly bot: WireUser;
  readonly applicationId: string;
  readonly guildId: string;
  readonly ownerId: string;
  /** Whether "Message Content Intent" is switched on for the application. */
  messageContent = false;
  readonly channels: Map<string, WireChannel> = new Map();
  readonly users: Map<string, WireUser> = new Map();
  readonly messages: Map<string, WireMessage> = new Map();
  readonly states: Map<string, MessageState> = new Map();
  readonly #files = new Map<string, StoredFile>();
  readonly #clock: StandInClock;
  readonly #denied = new Map<string, Set<Permission>>();
  #cdnUrl = "";

  /** As the application tells them. */
  get applicationFlags(): number {
    return this.messageContent ? MESSAGE_CONTENT_LIMITED : 0;
  }

  constructor(clock: StandInClock) {
    this.#clock = clock;
    this.ids = new Snowflakes(() => clock.now());
    this.applicationId = this.ids.next();
    // Since 2016 an application and its bot user share one id.
    this.bot = { ...this.#newUser("Coze", this.applicationId), bot: true };
    this.users.set(this.bot.id, this.bot);
    this.guildId = this.ids.next();
    this.ownerId = this.addUser("Owner").id;
  }

  set cdnUrl(url: string) {
    this.#cdnUrl = url;
  }

  #newUser(name: string, id: string): WireUser {
    return {
      id,
      username: name.toLowerCase().replaceAll(/\s/g, "_"),
      discriminator: "0",
      global_name: name,
      avatar: null,
      public_flags: 0,
      flags: 0,
      primary_guild: null,
    };
  }

  addUser(name: string, options: { bot?: boolean } = {}): WireUser {
    const user = { ...this.#newUser(name, this.ids.next()), ...(options.bot === true && { bot: true }) };
    this.users.set(user.id, user);
    return user;
  }

  addChannel(name: string): WireChannel {
    return this.#keep({
      id: this.ids.next(),
      type: CHANNEL_TYPES.text,
      name,
      guild_id: this.guildId,
      parent_id: null,
      flags: 0,
      last_message_id: null,
    });
  }

  addThread(parentId: string, name: string, ownerId: string, options: NewThread = {}): WireChannel {
    const { id = this.ids.next(), type = CHANNEL_TYPES.publicThread, archiveAfterMin = 1_440 } = options;
    const at = new Date(this.#clock.now()).toISOString();
    return this.#keep({
      id,
      type,
      name,
      guild_id: this.guildId,
      parent_id: parentId,
      owner_id: ownerId,
      flags: 0,
      rate_limit_per_user: 0,
      last_message_id: null,
      message_count: 0,
      member_count: 1,
      total_message_sent: 0,
      thread_metadata: {
        archived: false,
        locked: false,
        auto_archive_duration: archiveAfterMin,
        archive_timestamp: at,
        create_timestamp: at,
      },
    });
  }

  dmWith(user: WireUser): WireChannel {
    for (const channel of this.channels.values()) {
      if (channel.type === CHANNEL_TYPES.dm && channel.recipients?.[0]?.id === user.id) return channel;
    }
    return this.#keep({
      id: this.ids.next(),
      type: CHANNEL_TYPES.dm,
      recipients: [user],
      flags: 0,
      last_message_id: null,
    });
  }

  #keep(channel: WireChannel): WireChannel {
    this.channels.set(channel.id, channel);
    return channel;
  }

  /** Takes a permission from the bot in one channel. */
  deny(channelId: string, permission: Permission): void {
    const denied = this.#denied.get(channelId) ?? new Set();
    this.#denied.set(channelId, denied.add(permission));
  }

  may(channel: WireChannel, permission: Permission): boolean {
    const places = [channel.id, ...(channel.parent_id ? [channel.parent_id] : [])];
    return !places.some((id) => this.#denied.get(id)?.has(permission));
  }

  /** The bot's rights in a channel, as an interaction tells them. */
  permissionsIn(channel: WireChannel): string {
    const granted = (Object.keys(PERMISSIONS) as Permission[]).filter((name) => this.may(channel, name));
    return String(granted.reduce((bits, name) => bits | PERMISSIONS[name], 0n));
  }

  addMessage(message: NewMessage): WireMessage {
    const { channelId, author, content = "", replyTo } = message;
    const text = content.trim();
    const stored: WireMessage = {
      id: this.ids.next(),
      type: message.type ?? (replyTo === undefined ? MESSAGE_TYPES.normal : MESSAGE_TYPES.reply),
      channel_id: channelId,
      author,
      content: text,
      timestamp: new Date(this.#clock.now()).toISOString(),
      edited_timestamp: null,
      tts: false,
      pinned: false,
      mention_everyone: message.mentionEveryone ?? false,
      mention_roles: [],
      mentions: this.mentionedIn(text),
      attachments: (message.files ?? []).map((file) => this.addFile(channelId, file, message.fileExtras)),
      embeds: author.bot === true ? previewsOf(text, message.flags ?? 0) : [],
      components: [],
      flags: message.flags ?? 0,
      ...(message.nonce !== undefined && { nonce: message.nonce }),
      ...(replyTo !== undefined && this.#reference(channelId, replyTo)),
      ...message.extras,
    };
    this.messages.set(stored.id, stored);
    this.states.set(stored.id, {
      edits: 0,
      ephemeral: (stored.flags & 64) !== 0,
      reactions: new Set(),
    });
    const channel = this.channels.get(channelId);
    if (channel !== undefined) countMessage(channel, stored);
    return stored;
  }

  /** A thread's first message refers to its parent's channel, any other one to its own. */
  #reference(channelId: string, messageId: string): Partial<WireMessage> {
    const guildId = this.channels.get(channelId)?.guild_id;
    const target = this.messages.get(messageId);
    return {
      message_reference: {
        type: 0,
        channel_id: target?.channel_id ?? channelId,
        message_id: messageId,
        ...(guildId !== undefined && { guild_id: guildId }),
      },
      referenced_message: target ?? null,
    };
  }

  /** Whom a text mentions; what stands in code mentions nobody (discord.md §11.11). */
  mentionedIn(text: string): readonly WireUser[] {
    const outsideCode = text.replaceAll(/```[\s\S]*?```|`[^`]*`/g, "");
    const ids = [...outsideCode.matchAll(/<@!?(\d+)>/g)].map((match) => match[1] ?? "");
    return [...new Set(ids)].map((id) => this.users.get(id)).filter((user) => user !== undefined);
  }

  addFile(channelId: string, file: NewFile, extras: Partial<WireAttachment> = {}): WireAttachment {
    const id = this.ids.next();
    const attachment = {
      id,
      filename: file.name,
      size: file.bytes.byteLength,
      ...(file.contentType !== undefined && { content_type: file.contentType }),
      ...extras,
    };
    this.#files.set(id, { attachment, channelId, bytes: file.bytes });
    return this.#signed({ attachment, channelId });
  }

  /** Payloads always hold an address that is valid now (discord.md §5.2). */
  #signed({ attachment, channelId }: Pick<StoredFile, "attachment" | "channelId">): WireAttachment {
    const now = this.#clock.now();
    const hex = (ms: number): string => Math.floor(ms / 1000).toString(16);
    const path = `attachments/${channelId}/${attachment.id}/${encodeURIComponent(attachment.filename)}`;
    const url = `${this.#cdnUrl}/${path}?ex=${hex(now + SIGNED_FOR_MS)}&is=${hex(now)}&hm=${attachment.id}`;
    return { ...attachment, url, proxy_url: url };
  }

  /** A message with addresses signed anew, as a fetch returns it. */
  fresh(message: WireMessage): WireMessage {
    const attachments = message.attachments.map((attachment) => {
      const stored = this.#files.get(attachment.id);
      return stored === undefined ? attachment : this.#signed(stored);
    });
    return { ...message, attachments };
  }

  file(id: string): StoredFile | undefined {
    return this.#files.get(id);
  }

  /** Messages of a place, oldest first. */
  messagesIn(channelId: string): readonly WireMessage[] {
    return [...this.messages.values()].filter((message) => message.channel_id === channelId);
  }

  edit(message: WireMessage, change: Partial<WireMessage>): void {
    Object.assign(message, change, { edited_timestamp: new Date(this.#clock.now()).toISOString() });
    const state = this.states.get(message.id);
    if (state !== undefined) state.edits += 1;
  }

  remove(messageId: string): boolean {
    this.states.delete(messageId);
    return this.messages.delete(messageId);
  }
}

/** A thread counts what is written in it, without the message it starts with. */
function countMessage(channel: WireChannel, { id, type }: WireMessage): void {
  channel.last_message_id = id;
  if (!isThread(channel) || type === MESSAGE_TYPES.threadStarter) return;
  channel.message_count = (channel.message_count ?? 0) + 1;
  channel.total_message_sent = (channel.total_message_sent ?? 0) + 1;
}
