import { FLAGS } from "./wire.ts";

/** What Discord shows below a bot's message of the pages it links to, unless it is told not to (discord.md §2.5). */
export function previewsOf(content: string, flags: number): readonly object[] {
  if ((flags & FLAGS.suppressEmbeds) !== 0) return [];
  // An address in angle brackets has none.
  return [...content.matchAll(/(?<!<)https?:\/\/[^\s)>]+/g)].map(([url]) => ({ type: "link", url }));
}
