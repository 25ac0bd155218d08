import type { Turn } from "./turn.ts";

/** What Coze is asked. Other people's text is material, not instruction: it stands in a quote with its author's name. */
export function questionText({ text, quote }: Pick<Turn, "text" | "quote">): string {
  if (quote === undefined) return text;
  const lines = quote.text.split("\n").map((line) => `> ${line}`);
  return [`> ${quote.author}:`, ...lines, "", text].join("\n").trim();
}
