import type { Attachment } from "../../src/core/turn.ts";
import { neutralizeOutsideCode } from "../../src/markdown/code-ranges.ts";
import type { WireAttachment, WireContent, WireEmbed, WireFullContent, WireUser } from "./gateway-events.ts";

/** What a message says by itself, with the names of its stickers; a program's often says all of it in embeds. */
export function contentOf({ content, mentions, sticker_items: stickers, embeds }: WireContent): string {
  const typed = withNames(content, mentions).trim();
  const shown = typed === "" ? embeds.map(embedText) : [typed];
  return joined([...shown, stickersOf(stickers)]);
}

/** A text in which mentions read as names. @param without - Whose mention goes. */
export function withNames(text: string, mentions: readonly WireUser[], without?: string): string {
  // Finding out what is code costs more than all else that is done with a message.
  if (!text.includes("<@")) return text;
  const names = new Map(mentions.map((user) => [user.id, nameOf(user, undefined)]));
  return neutralizeOutsideCode(text, (outside) =>
    outside.replaceAll(/<@!?(\d+)>[ \t]?/g, (token, id: string) => {
      if (id === without) return "";
      const name = names.get(id);
      return name === undefined ? token : token.replace(/<@!?\d+>/, `@${name}`);
    }),
  );
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
  return nick || user.global_name || user.username || user.id;
}

function joined(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("\n");
}
