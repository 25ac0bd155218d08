import { z } from "zod";
import { cutText } from "../../src/core/cut-text.ts";
import { quoteTalk } from "../../src/core/talk-above.ts";
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

/** A message of the history, as far as it says something. */
export interface SlackContent {
  readonly user?: string | undefined;
  /** A program's, where it has one of its own. */
  readonly username?: string | undefined;
  readonly bot_profile?: { readonly name?: string | undefined } | undefined;
  readonly text?: string | undefined;
  readonly files: readonly SlackFile[];
  readonly attachments: readonly Shared[];
}

const contentSchema: z.ZodType<SlackContent> = z.object({
  user: ifReadable(z.string()),
  username: ifReadable(z.string()),
  bot_profile: ifReadable(z.object({ name: ifReadable(z.string()) })),
  text: ifReadable(z.string()),
  files: readableOf(fileSchema),
  attachments: readableOf(sharedSchema),
});

/** Characters of one that are read, more than somebody writes by hand. */
const MAX_FORWARDED = 10_000;
/** Messages that one message passes on and that are read. */
const MAX_FORWARDS = 10;

/** The messages that somebody passes on with theirs. */
export function forwardsOf(attachments: readonly Shared[]): readonly Shared[] {
  return attachments.filter((attachment) => attachment.is_share === true).slice(0, MAX_FORWARDS);
}

/** The fallback of one that has only files says that there is nothing to see. */
export function sharedText({ text, fallback, files }: Shared): string {
  return text || (files.length === 0 ? fallback : "") || "";
}

/** What is passed on, as one quote. */
export function quoteOf(forwards: readonly Shared[], names: Names): Quote | undefined {
  return quoteTalk(forwards.map((each) => said(each, names)).filter(({ text }) => text !== ""));
}

function said(forward: Shared, names: Names): Quote {
  return {
    author: forward.author_name || names.get(forward.author_id ?? "") || forward.author_id || "",
    text: cutText(toPlainText(sharedText(forward), names).trim(), MAX_FORWARDED),
  };
}

/** Subtypes of messages that somebody wrote; others say that something happened, e.g. `tombstone` (slack.md §3.2). */
const WRITTEN: ReadonlySet<unknown> = new Set([
  undefined,
  "bot_message",
  "file_share",
  "me_message",
  "thread_broadcast",
]);

export function saysSomething({ subtype, hidden }: Readonly<Record<string, unknown>>): boolean {
  return WRITTEN.has(subtype) && hidden !== true;
}

export function parseContent(message: unknown): SlackContent {
  return contentSchema.safeParse(message).data ?? { files: [], attachments: [] };
}

/** Who wrote a message: a person, or a program under a name of its own. */
export function writerOf({ user, username, bot_profile: bot }: SlackContent, names: Names): string {
  return username || bot?.name || names.get(user ?? "") || user || "";
}

/** What a message says, with what it forwards; a program's often says all of it in attachments. */
export function wholeContentOf({ text = "", attachments }: SlackContent, names: Names): string {
  const shown = text === "" ? attachments.filter((each) => each.is_share !== true) : [];
  const parts = [text, ...shown.flatMap((each) => [each.title ?? "", sharedText(each)])].map((part) =>
    toPlainText(part, names).trim(),
  );
  const forwarded = forwardsOf(attachments).map((each) => said(each, names));
  return [
    ...parts,
    ...forwarded.map(({ author, text: words }) => (author === "" ? words : `${author}: ${words}`)),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

/** Files of a message and of what it forwards. */
export function filesIn({ files, attachments }: SlackContent): readonly SlackFile[] {
  return [...files, ...forwardsOf(attachments).flatMap((forward) => forward.files)];
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
