import { codeRanges } from "./code-ranges.ts";

/** A picture that is written into the text, bytes and all; of the last two its end is missing, or has not come yet. */
const PICTURE =
  /(?<!\\)!\[([^[\]\n]{0,200})\]\(\s*<?data:(?:[^\s()<>]*>?(?:\s+"[^"\n]*")?\s*\)|(?<long>[^\s()<>]{200,})|(?<short>[^\s()<>]*)$)/gi;
/** Without it there is none, and the parser need not be asked. */
const BEGINNING = /\]\(\s*<?data:/i;

/**
 * The text with its words for each picture that is written into it, outside of code: nobody can read bytes, and a picture
 * that is cut in two is none. While more may come, it ends before a picture that is not whole.
 */
export function withoutPictureBytes(markdown: string, { final }: { final: boolean }): string {
  if (!BEGINNING.test(markdown)) return markdown;
  const code = codeRanges(markdown);
  let result = "";
  let at = 0;
  for (const { index, 0: found, 1: words = "", groups } of markdown.matchAll(PICTURE)) {
    const isCode = code.some(({ start, end }) => start <= index && index < end);
    if (isCode || (!final && isInOpenSpan(markdown, index))) continue;
    const isWhole = groups?.["long"] === undefined && groups?.["short"] === undefined;
    const end = index + found.length;
    if (!isWhole && !final && end === markdown.length) return result + markdown.slice(at, index);
    if (groups?.["short"] !== undefined) continue;
    result += markdown.slice(at, index) + (isWhole ? words || "–" : `![${words}](data:`);
    at = end;
  }
  return result + markdown.slice(at);
}

/** Backticks before it in its paragraph are not closed yet: it may become code. */
function isInOpenSpan(markdown: string, at: number): boolean {
  const before = markdown.slice(markdown.lastIndexOf("\n\n", at) + 1, at);
  let open: string | undefined;
  for (const [run] of before.matchAll(/`+/g)) {
    if (open === undefined) open = run;
    else if (open === run) open = undefined;
  }
  return open !== undefined;
}
