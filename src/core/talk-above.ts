import { cutText } from "./cut-text.ts";
import { LINE_END } from "./question-text.ts";
import type { Attachment, Quote, Turn } from "./turn.ts";

/** A message above a question; without words its text is empty. */
export interface Above extends Quote {
  readonly attachments: readonly Attachment[];
}

/** Messages right above a question that are read, beside the first, which says what it is about. */
export const MAX_LAST = 20;
/** Characters read of them in all, and of one. */
const MAX_CHARACTERS = 6_000;
const MAX_EACH = 2_000;
const MAX_NAME = 80;
/** Files of a turn, with those that it is asked about. */
export const MAX_FILES = 20;
const LEFT_OUT = "…";

/** Which messages above a question are read; the rest is not looked at. */
export function selectAbove<T>(messages: readonly T[]): {
  readonly read: readonly T[];
  readonly isWhole: boolean;
} {
  const read = messages.filter((_, index) => index === 0 || index >= messages.length - MAX_LAST);
  return { read, isWhole: read.length === messages.length };
}

/**
 * A turn's part of what stands above it: what was said, as one quote, and the files of the first message and of the one
 * right above.
 *
 * @param read - Oldest first.
 * @param options - `isWhole`: false where more stands between the first and the others.
 */
export function askedAbout(
  { attachments }: Pick<Turn, "attachments">,
  read: readonly Above[],
  { isWhole }: { isWhole: boolean },
): Partial<Pick<Turn, "quote" | "attachments">> {
  const quote = quoteAbove(
    read.filter(({ text }) => text !== ""),
    isWhole,
  );
  const [first, last] = [read.at(0), read.at(-1)];
  const files = [...(first?.attachments ?? []), ...(last === first ? [] : (last?.attachments ?? []))];
  return {
    ...(quote !== undefined && { quote }),
    attachments: [...attachments, ...files].slice(0, Math.max(attachments.length, MAX_FILES)),
  };
}

function quoteAbove(talk: readonly Quote[], isWhole: boolean): Quote | undefined {
  const [first, ...rest] = talk.map(({ author, text }) => ({
    author: cutText(author, MAX_NAME),
    text: cutText(text, MAX_EACH),
  }));
  if (first === undefined) return undefined;
  let left = MAX_CHARACTERS - lineOf(first).length;
  const kept: Quote[] = [];
  for (const said of rest.toReversed()) {
    left -= lineOf(said).length + 1;
    if (left < 0) break;
    kept.unshift(said);
  }
  const gap = isWhole && kept.length === rest.length ? [] : [{ author: "", text: LEFT_OUT }];
  return quoteTalk([first, ...gap, ...kept]);
}

/**
 * What several people said, as one quote: under the name of one, or each with theirs.
 *
 * @param talk - Oldest first; without an author it is nobody's word.
 */
export function quoteTalk(talk: readonly Quote[]): Quote | undefined {
  if (talk.length === 0) return undefined;
  const authors = [...new Set(talk.map(({ author }) => author).filter((author) => author !== ""))];
  const lines = authors.length === 1 ? talk.map(({ text }) => text) : talk.map(lineOf);
  return { author: authors.join(", "), text: lines.join("\n") };
}

/** Further lines are set in: nobody puts words into another's mouth. */
function lineOf({ author, text }: Quote): string {
  const [first = "", ...rest] = text.split(LINE_END);
  const name = author === "" ? "" : `${author.replaceAll(/\s+/g, " ")}: `;
  return [`${name}${first}`, ...rest.map((line) => `  ${line}`)].join("\n");
}
