import { type ApiError, apiError, FLAGS, formError, type WireAttachment } from "./wire.ts";
import type { NewFile } from "./world.ts";

/** A create's or edit's body, JSON or multipart, before it is believed. */
export interface MessageBody {
  readonly content?: unknown;
  readonly embeds?: unknown;
  readonly components?: unknown;
  readonly sticker_ids?: unknown;
  readonly flags?: unknown;
  readonly nonce?: unknown;
  readonly enforce_nonce?: unknown;
  readonly allowed_mentions?: unknown;
  readonly message_reference?: unknown;
  readonly attachments?: unknown;
  readonly [key: string]: unknown;
}

/** discord.md §2.1 */
const MAX_CONTENT = 2_000;
const MAX_EMBEDS = 10;
const MAX_FILES = 10;
const MAX_NONCE = 25;
/** Of a whole request (discord.md §2.1: what Discord documents; others measured more). */
export const MAX_REQUEST_BYTES: number = 25 * 1024 * 1024;
/** Default size limit of a guild without boosts, in bytes (discord.md §2.1). */
export const MAX_FILE_BYTES = 10_485_760;

/** Refuses what Discord refuses in a message body (discord.md §7.2); `undefined` when it would take it. */
export function checkMessageBody(
  body: MessageBody,
  files: readonly NewFile[],
  call: "create" | "edit",
  had: readonly WireAttachment[] = [],
): ApiError | undefined {
  return (
    checkContent(body) ??
    checkLists(body, files) ??
    checkNonce(body) ??
    checkAllowedMentions(body.allowed_mentions) ??
    checkFlags(body, call) ??
    checkAttachments(body.attachments, files, had) ??
    checkEmpty(body, files, call)
  );
}

function checkContent({ content }: MessageBody): ApiError | undefined {
  if (content === undefined || content === null) return undefined;
  if (typeof content !== "string") {
    return formError("content", "STRING_TYPE_CONVERT", `Could not interpret "${typeof content}" as string.`);
  }
  // Code points, not UTF-16 units (discord.md §2.1).
  if ([...content].length <= MAX_CONTENT) return undefined;
  return formError("content", "BASE_TYPE_MAX_LENGTH", `Must be ${MAX_CONTENT} or fewer in length.`);
}

function checkLists({ embeds }: MessageBody, files: readonly NewFile[]): ApiError | undefined {
  if (Array.isArray(embeds) && embeds.length > MAX_EMBEDS) {
    return formError("embeds", "BASE_TYPE_MAX_LENGTH", `Must be ${MAX_EMBEDS} or fewer in length.`);
  }
  const tooMany = checkCount(files);
  if (tooMany !== undefined) return tooMany;
  if (files.some((file) => file.bytes.byteLength > MAX_FILE_BYTES)) {
    return apiError(400, 50045, "File uploaded exceeds the maximum size");
  }
  return undefined;
}

/** Refuses more files than a message takes. */
export function checkCount(files: readonly unknown[]): ApiError | undefined {
  if (files.length <= MAX_FILES) return undefined;
  return apiError(400, 30015, "Maximum number of attachments in a message reached (10)");
}

function checkNonce({ nonce }: MessageBody): ApiError | undefined {
  if (nonce === undefined || nonce === null || typeof nonce === "number") return undefined;
  if (typeof nonce === "string" && nonce.length <= MAX_NONCE) return undefined;
  return formError("nonce", "NONCE_TYPE_TOO_LONG", `Must be ${MAX_NONCE} or fewer in length.`);
}

function checkAllowedMentions(value: unknown): ApiError | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "object")
    return formError("allowed_mentions", "DICT_TYPE_CONVERT", "Only dictionaries");
  const { parse, users, roles } = value as Record<string, unknown>;
  const parsed = Array.isArray(parse) ? (parse as unknown[]) : [];
  for (const [name, list] of [
    ["users", users],
    ["roles", roles],
  ] as const) {
    if (parsed.includes(name) && Array.isArray(list)) {
      const message = `parse:["${name}"] and ${name}: [ids...] are mutually exclusive.`;
      return formError("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message);
    }
  }
  return undefined;
}

/** What may be sent: on an edit only two of them (discord.md §2.5). */
const SENDABLE: Readonly<Record<"create" | "edit", number>> = {
  create: FLAGS.suppressEmbeds | FLAGS.ephemeral | FLAGS.suppressNotifications | FLAGS.componentsV2,
  edit: FLAGS.suppressEmbeds | FLAGS.componentsV2,
};

function checkFlags({ flags, content, embeds }: MessageBody, call: "create" | "edit"): ApiError | undefined {
  if (typeof flags === "number" && (flags & ~SENDABLE[call]) !== 0) {
    return formError("flags", "MESSAGE_FLAGS_INVALID", "These flags cannot be sent.");
  }
  if (typeof flags !== "number" || (flags & FLAGS.componentsV2) === 0) return undefined;
  if (!content && !(Array.isArray(embeds) && embeds.length > 0)) return undefined;
  return formError(
    "content",
    "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
    "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
  );
}

function checkAttachments(
  attachments: unknown,
  files: readonly NewFile[],
  had: readonly WireAttachment[],
): ApiError | undefined {
  if (!Array.isArray(attachments)) return undefined;
  for (const attachment of attachments as { id?: unknown }[]) {
    const id = String(attachment.id);
    // Short ids point into `files[n]`, long ones at files the message has already.
    const isThere = id.length < 17 ? files[Number(id)] !== undefined : had.some((each) => each.id === id);
    if (!isThere) {
      return formError("attachments", "ATTACHMENT_NOT_FOUND", `The attachment ${id} could not be found`);
    }
  }
  return undefined;
}

function checkEmpty(body: MessageBody, files: readonly NewFile[], call: string): ApiError | undefined {
  const has = (list: unknown): boolean => Array.isArray(list) && list.length > 0;
  // An edit that does not name the content leaves it.
  if (call === "edit" && body.content === undefined) return undefined;
  const content = typeof body.content === "string" ? body.content.trim() : "";
  if (content !== "" || files.length > 0) return undefined;
  if (has(body.embeds) || has(body.components) || has(body.sticker_ids) || has(body.attachments)) {
    return undefined;
  }
  return apiError(400, 50006, "Cannot send an empty message");
}
