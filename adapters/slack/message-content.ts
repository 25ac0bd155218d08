import { z } from "zod";
import type { Attachment, Quote } from "../../src/core/turn.ts";
import { ifReadable, readableOf } from "../../src/wire.ts";
import type { SlackAddress } from "./address.ts";
import { type Names, toPlainText } from "./incoming-text.ts";

/** A file of a message (slack.md §3.5). */
export interface SlackFile {
  readonly id: string;
  readonly name?: string | undefined;
  readonly title?: string | undefined;
  readonly mimetype?: string | undefined;
  readonly size?: number | undefined;
  readonly mode?: string | undefined;
  readonly is_external?: boolean | undefined;
  readonly file_access?: string | undefined;
  readonly url_private?: string | undefined;
  readonly url_private_download?: string | undefined;
}

export const fileSchema: z.ZodType<SlackFile> = z.object({
  id: z.string(),
  name: ifReadable(z.string()),
  title: ifReadable(z.string()),
  mimetype: ifReadable(z.string()),
  size: ifReadable(z.number()),
  mode: ifReadable(z.string()),
  is_external: ifReadable(z.boolean()),
  file_access: ifReadable(z.string()),
  url_private: ifReadable(z.string()),
  url_private_download: ifReadable(z.string()),
});

/** What a message passes on, what a program says in it, or a preview of a link (slack.md §3.9). */
export interface Shared {
  readonly is_share?: boolean | undefined;
  readonly author_id?: string | undefined;
  readonly author_name?: string | undefined;
  readonly title?: string | undefined;
  readonly text?: string | undefined;
  readonly fallback?: string | undefined;
  readonly files: readonly SlackFile[];
}

export const sharedSchema: z.ZodType<Shared> = z.object({
  is_share: ifReadable(z.boolean()),
  author_id: ifReadable(z.string()),
  author_name: ifReadable(z.string()),
  title: ifReadable(z.string()),
  text: ifReadable(z.string()),
  fallback: ifReadable(z.string()),
  files: readableOf(fileSchema),
});

const messageSchema = z.object({
  user: ifReadable(z.string()),
  username: ifReadable(z.string()),
  bot_profile: ifReadable(z.object({ name: ifReadable(z.string()) })),
  text: ifReadable(z.string()),
  files: readableOf(fileSchema),
  attachments: readableOf(sharedSchema),
});

/** Messages that one message passes on and we read; more are never seen together. */
const MAX_FORWARDS = 10;

/** The messages that somebody passes on with theirs. */
export function forwardsOf(attachments: readonly Shared[]): readonly Shared[] {
  return attachments.filter((attachment) => attachment.is_share === true).slice(0, MAX_FORWARDS);
}

export function sharedText({ text, fallback }: Shared): string {
  return text || fallback || "";
}

/** What is passed on, as one quote. */
export function quoteOf(forwards: readonly Shared[], names: Names): Quote | undefined {
  const quotes = forwards
    .map((forward) => ({
      author: forward.author_name || names.get(forward.author_id ?? "") || forward.author_id || "?",
      text: toPlainText(sharedText(forward), names).trim(),
    }))
    .filter(({ text }) => text !== "");
  if (quotes.length === 0) return undefined;
  return {
    author: [...new Set(quotes.map(({ author }) => author))].join(", "),
    text: quotes.map(({ text }) => text).join("\n\n"),
  };
}

/** Who wrote a message of the history: a person, or a program under a name of its own. */
export function writerOf(message: unknown, names: Names): string {
  const { user, username, bot_profile: bot } = messageSchema.safeParse(message).data ?? {};
  return username || bot?.name || names.get(user ?? "") || user || "?";
}

/** What a message of the history says, with what it passes on; programs say all of it in attachments. */
export function contentOf(message: unknown, names: Names): { text: string; files: readonly SlackFile[] } {
  const { text = "", files = [], attachments = [] } = messageSchema.safeParse(message).data ?? {};
  const forwards = forwardsOf(attachments);
  const shown = text === "" ? attachments : forwards;
  const parts = [text, ...shown.flatMap((each) => [each.title ?? "", sharedText(each)])];
  return {
    text: parts
      .map((part) => toPlainText(part, names).trim())
      .filter((part) => part !== "")
      .join("\n"),
    files: [...files, ...forwards.flatMap((forward) => forward.files)],
  };
}

export function toAttachment(from: SlackFile): Attachment {
  return {
    id: from.id,
    name: from.name ?? from.title ?? from.id,
    ...(from.size !== undefined && from.size > 0 && { size: from.size }),
    ...(from.mimetype !== undefined && from.mimetype !== "" && { contentType: from.mimetype }),
    url: from.url_private_download ?? from.url_private ?? "",
  };
}

/** Those that cannot simply be fetched, by id (slack.md §3.5). */
export function specialFiles(files: readonly SlackFile[]): Pick<SlackAddress, "files"> {
  const special: Record<string, "external" | "gone" | "stub"> = {};
  for (const { id, mode, is_external, file_access } of files) {
    if (mode === "external" || is_external === true) special[id] = "external";
    else if (mode === "tombstone" || mode === "hidden_by_limit") special[id] = "gone";
    else if (file_access === "check_file_info") special[id] = "stub";
    else if (file_access === "access_denied" || file_access === "file_not_found") special[id] = "gone";
  }
  return Object.keys(special).length === 0 ? {} : { files: special };
}
