import type { Text } from "mdast";
import type { Edit } from "./edits.ts";
import { rangeOf } from "./parse.ts";

/**
 * Addresses in plain text. Chinese characters belong to one in its path or query (`…/wiki/北京`), not right behind a
 * word (`…/guide请看`).
 */
const BARE_URL = /https?:\/\/(?:[!#-;=?-~]|(?<=[/=_+-])\p{Script=Han}+)+/giu;

/**
 * Angle brackets around addresses that Chinese follows: chats take all up to the next white space into an address, also
 * the sentence behind it.
 */
export function boundUrls(node: Text, source: string): readonly Edit[] {
  const { start, end } = rangeOf(node);
  const text = source.slice(start, end);
  return [...text.matchAll(BARE_URL)].flatMap(({ index, 0: found }): readonly Edit[] => {
    if (!/[\u2e80-\uffef]/.test(text.charAt(index + found.length))) return [];
    const url = found.includes("(") ? found : found.replace(/[).,:;!?'*_\]]+$/, "");
    return [{ start: start + index, end: start + index + url.length, text: `<${url}>` }];
  });
}
