import type { Text } from "mdast";
import type { Edit } from "./edits.ts";
import { rangeOf } from "./parse.ts";

/**
 * Addresses in plain text. Chinese characters belong to one in its path or query (`…/wiki/北京`), not right behind a
 * word (`…/guide请看`).
 */
const BARE_URL = /(?<![a-z\d])https?:\/\/(?:[!#-;=?-~]|(?<=[/=_+-])\p{Script=Han}+)+/giu;

/**
 * Angle brackets around addresses that Chinese follows: chats take all up to the next white space into an address, also
 * the sentence behind it.
 */
export function boundUrls(node: Text, source: string): readonly Edit[] {
  const { start, end } = rangeOf(node);
  const text = source.slice(start, end);
  return [...text.matchAll(BARE_URL)].flatMap(({ index, 0: found }): readonly Edit[] => {
    if (!/[\u2e80-\uffef]/.test(text.charAt(index + found.length))) return [];
    const url = found.includes("(") ? found : withoutMarks(found);
    return [{ start: start + index, end: start + index + url.length, text: `<${url}>` }];
  });
}

/** An address without the marks that end its sentence. */
function withoutMarks(url: string): string {
  let end = url.length;
  while (end > 0 && ").,:;!?'*_]".includes(url.charAt(end - 1))) end -= 1;
  return url.slice(0, end);
}

/** Where an address begins, or the beginning of one, that may go on behind the text. */
export function halfUrl(text: string): number | undefined {
  const found = [...text.matchAll(BARE_URL)].at(-1);
  if (found !== undefined && found.index + found[0].length === text.length) return found.index;
  const begun = /(?<![a-z\d])h(?:t(?:t(?:ps?(?::\/{0,2})?)?)?)?$/i.exec(text);
  return begun?.index;
}
