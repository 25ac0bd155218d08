import type { Attachment } from "../../src/core/turn.ts";
import type { WireAttachment, WireContent, WireEmbed, WireFullContent, WireUser } from "./gateway-events.ts";

/** What a message says by itself, with the names of its stickers; a program's often says all of it in embeds. */
export function contentOf({ content, sticker_items: stickers, embeds }: WireContent): string {
  const typed = content.trim();
  const shown = typed === "" ? embeds.map(embedText) : [typed];
  return joined([...shown, stickersOf(stickers)]);
}

export function stickersOf(stickers: WireContent["sticker_items"]): string {
  return stickers.map(({ name }) => `[${name}]`).join(" ");
}

function embedText({ title, description, fields }: WireEmbed): string {
  return joined([title ?? "", description ?? "", ...fields.map(({ name, value }) => `${name}: ${value}`)]);
}

/** What a message says, with what it forwards. */
export function wholeContentOf(message: WireFullContent): string {
  return joined([contentOf(message), ...message.message_snapshots.map((each) => contentOf(each.message))]);
}

/** Files of a message and of what it forwards. */
export function filesIn(message: WireFullContent): readonly WireAttachment[] {
  return [
    ...message.attachments,
    ...message.message_snapshots.flatMap((snapshot) => snapshot.message.attachments),
  ];
}

export function toAttachment(attachment: WireAttachment): Attachment {
  return {
    id: attachment.id,
    name: attachment.filename,
    url: attachment.url,
    ...(attachment.size !== undefined && { size: attachment.size }),
    ...(attachment.content_type !== undefined && { contentType: attachment.content_type }),
  };
}

/** @param nick - The person's name in the guild, where it is known. */
export function nameOf(user: WireUser, nick: string | undefined): string {
  return nick || user.global_name || user.username;
}

function joined(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("\n");
}
