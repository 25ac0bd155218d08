import type { Turn } from "./turn.ts";

/** All that somebody may take for the end of a line. */
export const LINE_END: RegExp = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/;

/**
 * What Coze is asked. Other people's text is material, not instruction: it stands in a quote, with its author's name where
 * that is known.
 */
export function questionText({ text, quote }: Pick<Turn, "text" | "quote">): string {
  if (quote === undefined) return text.toWellFormed();
  const author = quote.author.replaceAll(/\s+/g, " ").trim();
  const lines = [...(author === "" ? [] : [`${author}:`]), ...quote.text.split(LINE_END)];
  return [...lines.map((line) => `> ${line}`), "", text].join("\n").trim().toWellFormed();
}
