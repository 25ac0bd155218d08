import { z } from "zod";
import { ifReadable, oddFields, optional, readableIn, readableOf } from "../../src/wire.ts";

/** The fields we read of what the gateway says (discord.md §4.2, §5.1); all others pass. */

export interface WireUser {
  readonly id: string;
  readonly username: string;
  readonly global_name?: string | undefined;
  readonly bot?: boolean | undefined;
  readonly system?: boolean | undefined;
}

export interface WireAttachment {
  readonly id: string;
  readonly filename: string;
  readonly size?: number | undefined;
  readonly url: string;
  readonly content_type?: string | undefined;
}

/** A box below a message: what a program says, or a preview of a link. */
export interface WireEmbed {
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly fields: readonly { readonly name: string; readonly value: string }[];
}

/** What a message says, wherever it stands: by itself, forwarded, or replied to. */
export interface WireContent {
  readonly content: string;
  readonly mentions: readonly WireUser[];
  readonly embeds: readonly WireEmbed[];
  readonly attachments: readonly WireAttachment[];
  readonly sticker_items: readonly { readonly name: string }[];
}

/** A content with what it forwards. */
export interface WireFullContent extends WireContent {
  readonly message_snapshots: readonly { readonly message: WireContent }[];
}

export interface WireMessage extends WireFullContent {
  readonly id: string;
  readonly channel_id: string;
  readonly guild_id?: string | undefined;
  readonly channel_type?: number | undefined;
  readonly type: number;
  /** Absent until somebody changes what it says; previews, pins and flags leave it alone (discord.md §10). */
  readonly edited_timestamp?: string | undefined;
  readonly author: WireUser;
  readonly webhook_id?: string | undefined;
  /** Of a message of ours that was made a moment ago (discord.md §2.3). */
  readonly nonce?: string | number | undefined;
  /** The command that it answers. */
  readonly interaction_metadata?: { readonly id: string } | undefined;
  readonly member?: { readonly nick?: string | undefined } | undefined;
  readonly message_reference?:
    | {
        readonly type: number;
        readonly channel_id?: string | undefined;
        readonly message_id?: string | undefined;
      }
    | undefined;
  /** `null`: deleted; absent: not fetched. */
  readonly referenced_message?: (WireFullContent & { readonly author: WireUser }) | null | undefined;
}

/** A message as a fetch returns it. */
export interface FetchedMessage extends WireFullContent {
  readonly referenced_message?: WireFullContent | undefined;
}

export interface WireInteraction {
  readonly id: string;
  readonly token: string;
  readonly type: number;
  readonly channel_id?: string | undefined;
  readonly guild_id?: string | undefined;
  readonly channel?: { readonly type: number } | undefined;
  readonly locale?: string | undefined;
  readonly app_permissions?: string | undefined;
  readonly authorizing_integration_owners: Readonly<Record<string, string>>;
  readonly member?: { readonly nick?: string | undefined; readonly user: WireUser } | undefined;
  readonly user?: WireUser | undefined;
  readonly data?: WireCommandData | undefined;
}

export interface WireGuild {
  readonly id: string;
  readonly channels: readonly WireChannel[];
  readonly threads: readonly WireChannel[];
}

interface WireChannel {
  readonly id: string;
  readonly last_message_id?: string | undefined;
}

interface WireCommandData {
  readonly name: string;
  readonly type?: number | undefined;
  readonly options: readonly { readonly name: string; readonly value?: unknown }[];
  readonly resolved?: { readonly attachments: readonly WireAttachment[] } | undefined;
}

export interface WireReady {
  readonly user: { readonly id: string };
  readonly application: { readonly id: string };
}

const userSchema = z.object({
  id: z.string(),
  username: z.string().catch(""),
  global_name: ifReadable(z.string()),
  bot: optional(z.boolean()),
  system: optional(z.boolean()),
});

const attachmentSchema = z.object({
  id: z.string(),
  filename: z.string().catch("file"),
  size: ifReadable(z.number()),
  // Without one it is a file that can't be fetched, which its asker is told.
  url: z.string().catch(""),
  content_type: ifReadable(z.string()),
});

const embedSchema = z.object({
  title: ifReadable(z.string()),
  description: ifReadable(z.string()),
  fields: readableOf(z.object({ name: z.string(), value: z.string() })),
});

const contentShape = {
  content: z.string().catch(""),
  mentions: readableOf(userSchema),
  embeds: readableOf(embedSchema),
  attachments: readableOf(attachmentSchema),
  sticker_items: readableOf(z.object({ name: z.string() })),
};

const fullShape = {
  ...contentShape,
  message_snapshots: readableOf(z.object({ message: z.object(contentShape) })),
};

const fetchedSchema = z.object({ ...fullShape, referenced_message: ifReadable(z.object(fullShape)) });

const messageSchema = z.object({
  ...fullShape,
  // Ids carry their time: what is no number is no id.
  id: z.string().regex(/^\d+$/),
  channel_id: z.string(),
  guild_id: optional(z.string()),
  channel_type: optional(z.number()),
  type: z.number(),
  edited_timestamp: optional(z.string()),
  author: userSchema,
  webhook_id: optional(z.string()),
  nonce: optional(z.union([z.string(), z.number()])),
  interaction_metadata: ifReadable(z.object({ id: z.string() })),
  member: ifReadable(z.object({ nick: ifReadable(z.string()) })),
  message_reference: ifReadable(
    z.object({
      type: optional(z.number()).transform((type) => type ?? 0),
      channel_id: optional(z.string()),
      message_id: optional(z.string()),
    }),
  ),
  referenced_message: z
    .object({ ...fullShape, author: userSchema })
    .nullish()
    .catch(undefined),
});

const interactionSchema = z.object({
  id: z.string().regex(/^\d+$/),
  token: z.string(),
  type: z.number(),
  channel_id: optional(z.string()),
  guild_id: optional(z.string()),
  channel: optional(z.object({ type: z.number() })),
  locale: ifReadable(z.string()),
  app_permissions: ifReadable(z.string()),
  authorizing_integration_owners: z.record(z.string(), z.string()).catch({}),
  member: optional(z.object({ nick: ifReadable(z.string()), user: userSchema })),
  user: optional(userSchema),
  data: optional(
    z.object({
      name: z.string().catch(""),
      type: optional(z.number()),
      options: readableOf(z.object({ name: z.string(), value: z.unknown() })),
      resolved: ifReadable(z.object({ attachments: readableIn(attachmentSchema) })),
    }),
  ),
});

const readySchema = z.object({
  user: z.object({ id: z.string() }),
  application: z.object({ id: z.string() }),
});

const channelSchema = z.object({ id: z.string(), last_message_id: ifReadable(z.string().regex(/^\d+$/)) });

const guildSchema = z.object({
  id: z.string(),
  // A guild in an outage comes without its channels, which says nothing about them.
  unavailable: optional(z.literal(false)),
  channels: readableOf(channelSchema),
  threads: readableOf(channelSchema),
});

const deletionSchema = z.object({
  channel_id: z.string(),
  id: optional(z.string()),
  ids: readableOf(z.string()),
});

const placeSchema = z.object({ channel_id: z.string() });

const authoredSchema = z.object({ author: z.object({ id: z.string() }) });

const threadSchema = z.object({ id: z.string().regex(/^\d+$/), owner_id: z.string(), guild_id: z.string() });

const dispatchSchema = z.object({ t: z.string(), d: z.unknown() });

/** @param onOdd - Gets the fields by which it has not the shape of a message. */
export function parseMessage(
  data: unknown,
  onOdd?: (fields: readonly string[]) => void,
): WireMessage | undefined {
  const parsed = messageSchema.safeParse(data);
  if (!parsed.success) onOdd?.(oddFields(parsed.error));
  return parsed.data;
}

/** @throws {z.ZodError} */
export function parseFetchedMessage(data: unknown): FetchedMessage {
  return fetchedSchema.parse(data);
}

/** @param onOdd - Gets the fields by which it has not the shape of an interaction. */
export function parseInteraction(
  data: unknown,
  onOdd?: (fields: readonly string[]) => void,
): WireInteraction | undefined {
  const parsed = interactionSchema.safeParse(data);
  if (!parsed.success) onOdd?.(oddFields(parsed.error));
  return parsed.data;
}

/** What is switched on for an application; nothing that we know when it does not say. */
export function applicationFlags(data: unknown): number {
  return z.object({ flags: z.number() }).safeParse(data).data?.flags ?? 0;
}

/** @returns `undefined` when a READY lacks what nothing works without. */
export function parseReady(data: unknown): WireReady | undefined {
  return readySchema.safeParse(data).data;
}

/** @returns `undefined` for what has not the shape of a GUILD_CREATE, e.g. an outage. */
export function parseGuild(data: unknown): WireGuild | undefined {
  return guildSchema.safeParse(data).data;
}

/** Last message of each channel and thread that a guild holds open for us; it may have been deleted since. */
export function newestMessages({ channels, threads }: WireGuild): ReadonlyMap<string, string | undefined> {
  return new Map([...channels, ...threads].map((each) => [each.id, each.last_message_id ?? undefined]));
}

/** @returns The messages that one or many deletions name. */
export function parseDeletion(data: unknown): { channelId: string; ids: readonly string[] } | undefined {
  const { data: parsed } = deletionSchema.safeParse(data);
  if (parsed === undefined) return undefined;
  const { channel_id: channelId, id, ids } = parsed;
  return { channelId, ids: id === undefined ? ids : [id, ...ids] };
}

/** @returns A thread and who opened it. */
export function parseThread(data: unknown): { id: string; ownerId: string; guildId: string } | undefined {
  const { data: parsed } = threadSchema.safeParse(data);
  if (parsed === undefined) return undefined;
  return { id: parsed.id, ownerId: parsed.owner_id, guildId: parsed.guild_id };
}

/** @returns The channel of an event, or nothing that any channel is named. */
export function parsePlace(data: unknown): string {
  return placeSchema.safeParse(data).data?.channel_id ?? "";
}

/** @returns Who wrote the message of an event, if it says so. */
export function parseAuthor(data: unknown): string | undefined {
  return authoredSchema.safeParse(data).data?.author.id;
}

/** @returns Name and data of a dispatch; `undefined` for any other frame. */
export function parseDispatch(packet: unknown): { name: string; data: unknown } | undefined {
  const { data } = dispatchSchema.safeParse(packet);
  return data === undefined ? undefined : { name: data.t, data: data.d };
}
