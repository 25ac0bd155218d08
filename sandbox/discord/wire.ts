/** The shapes Discord speaks, as far as the stand-in needs them (API v10). */

/** discord.md §3.1 */
export const INTENTS = {
  guilds: 1,
  guildMessages: 512,
  directMessages: 4_096,
  messageContent: 32_768,
} as const;

/** What the portal has to allow: GUILD_MEMBERS, GUILD_PRESENCES, MESSAGE_CONTENT (discord.md §9.4). */
export const PRIVILEGED_INTENTS: number = (1 << 1) | (1 << 8) | INTENTS.messageContent;
/** From bit 26 on there is none. */
export const MAX_INTENTS: number = 2 ** 26 - 1;

/** discord.md §2.5; LOADING is what a deferred response shows as "thinking…". */
export const FLAGS = {
  suppressEmbeds: 4,
  hasThread: 32,
  ephemeral: 64,
  loading: 128,
  suppressNotifications: 4_096,
  voice: 8_192,
  componentsV2: 32_768,
} as const;

export const CHANNEL_TYPES = { text: 0, dm: 1, publicThread: 11, privateThread: 12, forum: 15 } as const;

export const MESSAGE_TYPES = { normal: 0, pinned: 6, reply: 19, command: 20, threadStarter: 21 } as const;

/** discord.md §6.2 */
export const PERMISSIONS: Readonly<Record<Permission, bigint>> = {
  addReactions: 1n << 6n,
  viewChannel: 1n << 10n,
  sendMessages: 1n << 11n,
  attachFiles: 1n << 15n,
  readHistory: 1n << 16n,
  createThreads: 1n << 35n,
  createPrivateThreads: 1n << 36n,
  sendInThreads: 1n << 38n,
};

export type Permission =
  | "addReactions"
  | "viewChannel"
  | "sendMessages"
  | "attachFiles"
  | "readHistory"
  | "createThreads"
  | "createPrivateThreads"
  | "sendInThreads";

export interface WireUser {
  readonly id: string;
  readonly username: string;
  readonly discriminator: string;
  readonly global_name: string | null;
  readonly avatar: string | null;
  readonly public_flags: number;
  readonly flags: number;
  readonly primary_guild: null;
  readonly bot?: boolean;
}

export interface WireAttachment {
  readonly id: string;
  readonly filename: string;
  readonly size: number;
  readonly url: string;
  readonly proxy_url: string;
  readonly content_type?: string;
  readonly duration_secs?: number;
  readonly waveform?: string;
}

interface WireReference {
  readonly type: number;
  readonly channel_id: string;
  readonly message_id?: string;
  readonly guild_id?: string;
}

interface WireSnapshot {
  readonly message: object;
}

export interface WireMessage {
  readonly id: string;
  readonly type: number;
  readonly channel_id: string;
  readonly author: WireUser;
  readonly timestamp: string;
  readonly tts: boolean;
  readonly pinned: boolean;
  readonly mention_everyone: boolean;
  readonly mention_roles: readonly string[];
  content: string;
  mentions: readonly WireUser[];
  attachments: readonly WireAttachment[];
  embeds: readonly object[];
  components: readonly object[];
  edited_timestamp: string | null;
  flags: number;
  readonly nonce?: string | number;
  readonly webhook_id?: string;
  readonly application_id?: string;
  readonly interaction_metadata?: object;
  readonly sticker_items?: readonly object[];
  readonly message_reference?: WireReference;
  readonly message_snapshots?: readonly WireSnapshot[];
  readonly referenced_message?: WireMessage | null;
  thread?: WireChannel;
}

interface WireThreadMetadata {
  archived: boolean;
  locked: boolean;
  readonly auto_archive_duration: number;
  readonly archive_timestamp: string;
  readonly create_timestamp: string;
}

export interface WireChannel {
  readonly id: string;
  readonly type: number;
  readonly name?: string;
  readonly guild_id?: string;
  readonly parent_id?: string | null;
  readonly owner_id?: string;
  readonly recipients?: readonly WireUser[];
  readonly thread_metadata?: WireThreadMetadata;
  readonly member_count?: number;
  readonly rate_limit_per_user?: number;
  message_count?: number;
  total_message_sent?: number;
  readonly flags: number;
  last_message_id: string | null;
}

export function isThread({ type }: WireChannel): boolean {
  return type >= 10 && type <= 12;
}

/** A refusal as Discord words it. */
export interface ApiError {
  readonly status: number;
  readonly body: {
    readonly code: number;
    readonly message: string;
    readonly errors?: object;
  };
}

export function apiError(status: number, code: number, message: string): ApiError {
  return { status, body: { code, message } };
}

/** Code 50035 with its nested shape: `errors.<field>._errors[]` (discord.md §7.2). */
export function formError(field: string, code: string, message: string): ApiError {
  const errors = field
    .split(".")
    .reduceRight<object>((inner, name) => ({ [name]: inner }), { _errors: [{ code, message }] });
  return { status: 400, body: { code: 50035, message: "Invalid Form Body", errors } };
}

/** First second of 2015: where Discord's ids start. */
const DISCORD_EPOCH_MS = 1_420_070_400_000n;

/** Makes ids: ascending, time-based, 18 or 19 digits (discord.md §7.1). */
export class Snowflakes {
  readonly #now: () => number;
  #last = 0n;

  constructor(now: () => number) {
    this.#now = now;
  }

  next(): string {
    const timed = (BigInt(Math.floor(this.#now())) - DISCORD_EPOCH_MS) << 22n;
    this.#last = timed > this.#last ? timed : this.#last + 1n;
    return String(this.#last);
  }
}
