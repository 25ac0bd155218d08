import type { Quote } from "./turn.ts";

/** Something that somebody said before we were asked. */
export interface Said {
  readonly author: string;
  readonly text: string;
}

/** Messages above a question that Coze reads: the first, which says what it is about, and the last ones. */
export const MAX_ABOVE = 20;
/** Characters read of them in all. */
const MAX_CHARACTERS = 6_000;
/** Characters read of one. */
const MAX_EACH = 2_000;
const LEFT_OUT = "…";

/**
 * What was said above a question, as one quote; `undefined` where nothing was.
 *
 * @param talk - Oldest first, each not empty.
 * @param options - `isWhole`: false where more may stand between the first and the others.
 */
export function quoteAbove(
  talk: readonly Said[],
  { isWhole = true }: { isWhole?: boolean } = {},
): Quote | undefined {
  const [first, ...rest] = talk.map(({ author, text }) => ({ author, text: cut(text) }));
  if (first === undefined) return undefined;
  let left = MAX_CHARACTERS - first.text.length;
  const kept: Said[] = [];
  for (const said of rest.slice(1 - MAX_ABOVE).toReversed()) {
    left -= said.text.length;
    if (left < 0) break;
    kept.unshift(said);
  }
  const authors = [...new Set([first, ...kept].map(({ author }) => author))];
  const line = ({ author, text }: Said): string => (authors.length === 1 ? text : `${author}: ${text}`);
  const gap = kept.length < rest.length || !isWhole ? [LEFT_OUT] : [];
  return { author: authors.join(", "), text: [line(first), ...gap, ...kept.map(line)].join("\n") };
}

/** Never half of a surrogate pair. */
function cut(text: string): string {
  return text.length <= MAX_EACH
    ? text
    : `${text.slice(0, MAX_EACH).replace(/[\uD800-\uDBFF]$/, "")}${LEFT_OUT}`;
}
