import { codeRanges } from "./code-ranges.ts";

/** A picture that is written into the text, bytes and all; in the last alternative its end is missing. */
const PICTURE =
  /(?<!\\)!\[([^[\]\n]{0,200})\]\(\s*<?data:(?:[^\s()<>]*>?(?:\s+"[^"\n]*")?\s*\)|([^\s()<>]{200,})|([^\s()<>]*)$)/gi;

/**
 * The text with its words for each picture that is written into it, outside of code: nobody can read bytes, and a picture
 * that is cut in two is none. While more may come, it ends before a picture that is not whole.
 */
export function withoutPictureBytes(markdown: string, { final }: { final: boolean }): string {
  if (!/data:/i.test(markdown)) return markdown;
  const code = codeRanges(markdown);
  let result = "";
  let at = 0;
  for (const { index, 0: found, 1: words = "", 2: long, 3: short } of markdown.matchAll(PICTURE)) {
    const isCode = code.some(({ start, end }) => start <= index && index < end);
    if (isCode || (!final && isInOpenSpan(markdown, index))) continue;
    const isHalf = long !== undefined || short !== undefined;
    if (isHalf && !final && index + found.length === markdown.length) {
      return result + markdown.slice(at, index);
    }
    result += markdown.slice(at, index);
    if (short !== undefined) result += found;
    else result += isHalf ? `![${words}](data:` : words || "–";
    at = index + found.length;
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
