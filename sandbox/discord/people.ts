import type { Gateway } from "./gateway.ts";
import type { Interactions } from "./interactions.ts";
import { owners } from "./rest.ts";
import { MAX_FILE_BYTES } from "./validate.ts";
import {
  CHANNEL_TYPES,
  FLAGS,
  MESSAGE_TYPES,
  type WireChannel,
  type WireMessage,
  type WireUser,
} from "./wire.ts";
import type { NewFile, World } from "./world.ts";

export interface SayOptions {
  readonly files?: readonly NewFile[];
  /** Id of the message replied to. */
  readonly replyTo?: string;
  /** Whether the reply pings its author, which counts as a mention; on by default, as in the client. */
  readonly ping?: boolean;
  /** Names of stickers. */
  readonly stickers?: readonly string[];
  /** Forwards this message instead of saying something. */
  readonly forward?: { readonly text: string; readonly files?: readonly NewFile[] };
  /** A recorded voice message. */
  readonly voice?: Uint8Array;
  /** Any other field of the message, e.g. `type` or `webhook_id`. */
  readonly extras?: Partial<WireMessage>;
}

export interface SlashOptions {
  readonly question: string;
  readonly file?: NewFile;
  readonly command?: string;
  readonly locale?: string;
  /** The application is installed for this person only, not in the guild. */
  readonly userInstall?: boolean;
}

export interface PeopleParts {
  readonly world: World;
  readonly gateway: Gateway;
  readonly interactions: Interactions;
  readonly onChange: (place: string) => void;
}

/** Somebody in the guild, as the person in front of the client. */
export class Person {
  readonly user: WireUser;
  readonly #parts: PeopleParts;

  constructor(user: WireUser, parts: PeopleParts) {
    this.user = user;
    this.#parts = parts;
  }

  get id(): string {
    return this.user.id;
  }

  /** The DM with the bot: its channel's id. */
  get dmChannel(): string {
    return this.#parts.world.dmWith(this.user).id;
  }

  /** Writes into a channel or thread; `@Coze` becomes a mention of the bot. @returns The message's id. */
  say(channelId: string, text: string, options: SayOptions = {}): string {
    const { world, gateway, onChange } = this.#parts;
    const channel = world.channels.get(channelId);
    if (channel !== undefined) gateway.openThread(channel);
    const message = world.addMessage({
      channelId,
      author: this.user,
      content: this.#typed(text),
      ...(options.replyTo !== undefined && { replyTo: options.replyTo }),
      ...(options.files !== undefined && { files: options.files }),
      ...this.#special(channelId, options),
    });
    if (/@everyone|@here/.test(text)) Object.assign(message, { mention_everyone: true });
    this.#ping(message, options);
    gateway.dispatchMessage("MESSAGE_CREATE", message);
    onChange(channelId);
    return message.id;
  }

  /** Writes to the bot alone. @returns The message's id. */
  dm(text: string, options: SayOptions = {}): string {
    return this.say(this.dmChannel, text, options);
  }

  /** Uses the slash command. @returns The interaction's id. */
  slash(channelId: string, options: SlashOptions): string {
    const { world, gateway, interactions } = this.#parts;
    const command = options.command ?? "coze";
    const interaction = interactions.add({
      channelId,
      userId: this.id,
      command,
      userInstall: options.userInstall ?? false,
    });
    const channel = world.channels.get(channelId);
    const inGuild = channel?.guild_id !== undefined;
    gateway.dispatch("INTERACTION_CREATE", {
      id: interaction.id,
      application_id: world.applicationId,
      type: 2,
      version: 1,
      token: interaction.token,
      data: this.#commandData(command, channelId, options),
      channel_id: channelId,
      channel: partialChannel(channel),
      context: inGuild ? 0 : 1,
      locale: options.locale ?? "en-US",
      app_permissions: channel === undefined ? "0" : world.permissionsIn(channel),
      attachment_size_limit: MAX_FILE_BYTES,
      authorizing_integration_owners: owners(interaction, world),
      entitlements: [],
      ...(inGuild
        ? {
            guild_id: world.guildId,
            guild: { id: world.guildId, locale: "en-US", features: [] },
            guild_locale: "en-US",
            member: this.#member(),
          }
        : { user: this.user }),
    });
    return interaction.id;
  }

  /** Changes what was written; `@Coze` becomes a mention here too. */
  edit(messageId: string, text: string): void {
    const { world, gateway, onChange } = this.#parts;
    const message = world.messages.get(messageId);
    if (message === undefined) return;
    const content = this.#typed(text);
    world.edit(message, { content, mentions: world.mentionedIn(content) });
    gateway.dispatchMessage("MESSAGE_UPDATE", message);
    onChange(message.channel_id);
  }

  #typed(text: string): string {
    return text.replaceAll(/@Coze\b/g, `<@${this.#parts.world.bot.id}>`);
  }

  #special(
    channelId: string,
    options: SayOptions,
  ): { flags?: number; files?: readonly NewFile[]; fileExtras?: object; extras?: Partial<WireMessage> } {
    if (options.voice !== undefined) {
      const file = { name: "voice-message.ogg", bytes: options.voice, contentType: "audio/ogg" };
      const fileExtras = { duration_secs: 1.5, waveform: "AAAA" };
      return { flags: FLAGS.voice, files: [file], fileExtras };
    }
    return {
      extras: { ...this.#stickers(options), ...this.#forwarded(channelId, options), ...options.extras },
    };
  }

  #stickers({ stickers }: SayOptions): Partial<WireMessage> {
    if (stickers === undefined) return {};
    const { ids } = this.#parts.world;
    return { sticker_items: stickers.map((name) => ({ id: ids.next(), name, format_type: 1 })) };
  }

  /** A forward is an empty message that holds a snapshot (discord.md §5.1). */
  #forwarded(channelId: string, { forward }: SayOptions): Partial<WireMessage> {
    if (forward === undefined) return {};
    const { world } = this.#parts;
    const attachments = (forward.files ?? []).map((file) => world.addFile(channelId, file));
    return {
      message_reference: { type: 1, channel_id: channelId, message_id: world.ids.next() },
      message_snapshots: [
        {
          message: {
            type: MESSAGE_TYPES.normal,
            content: forward.text,
            attachments,
            sticker_items: [],
            stickers: [],
            embeds: [],
            components: [],
            mentions: [],
            mention_roles: [],
            flags: 0,
            timestamp: new Date().toISOString(),
            edited_timestamp: null,
          },
        },
      ],
    };
  }

  #ping(message: WireMessage, { ping = true }: SayOptions): void {
    const target = message.referenced_message;
    // Replying to a response of a command does not count as a mention (discord.md §3.1).
    if (!ping || !target || target.type === MESSAGE_TYPES.command) return;
    if (!message.mentions.some(({ id }) => id === target.author.id)) {
      message.mentions = [...message.mentions, target.author];
    }
  }

  #commandData(command: string, channelId: string, { question, file }: SlashOptions): object {
    const { world } = this.#parts;
    const attachment = file === undefined ? undefined : world.addFile(channelId, file, {});
    return {
      id: world.applicationId,
      name: command,
      type: 1,
      options: [
        { name: "question", type: 3, value: question },
        ...(attachment === undefined ? [] : [{ name: "file", type: 11, value: attachment.id }]),
      ],
      ...(attachment !== undefined && {
        resolved: { attachments: { [attachment.id]: { ...attachment, ephemeral: true } } },
      }),
    };
  }

  #member(): object {
    return {
      user: this.user,
      roles: [],
      premium_since: null,
      permissions: "274878008320",
      pending: false,
      nick: null,
      mute: false,
      joined_at: "2026-01-01T00:00:00.000000+00:00",
      flags: 0,
      deaf: false,
      communication_disabled_until: null,
      banner: null,
      avatar: null,
    };
  }
}

function partialChannel(channel: WireChannel | undefined): object | undefined {
  if (channel === undefined) return undefined;
  const { id, type, name, parent_id: parentId, guild_id: guildId } = channel;
  const thread = type === CHANNEL_TYPES.publicThread || type === CHANNEL_TYPES.privateThread;
  return {
    id,
    type,
    flags: 0,
    ...(name !== undefined && { name }),
    ...(guildId !== undefined && { guild_id: guildId, permissions: "274878008320" }),
    ...(thread && { parent_id: parentId, thread_metadata: channel.thread_metadata }),
  };
}
