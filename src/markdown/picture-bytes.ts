import { codeRanges } from "./code-ranges.ts";

/** A picture that is written into the text, bytes and all; in the last alternative its end has not come yet. */
const PICTURE = /!\[([^[\]\n]*)\]\(\s*<?data:(?:[^\s()<>]*>?\s*\)|([^\s()<>]{200,}))/gi;

/**
 * The text with its words for each picture that is written into it, outside of code: nobody can read bytes, and a picture
 * that is cut in two is none.
 */
export function withoutPictureBytes(markdown: string): string {
  if (!/data:/i.test(markdown)) return markdown;
  let code: ReturnType<typeof codeRanges> | undefined;
  return markdown.replaceAll(PICTURE, (found, words: string, open: string | undefined, at: number) => {
    code ??= codeRanges(markdown);
    if (code.some((range) => range.start <= at && at < range.end)) return found;
    return open === undefined ? words || "–" : `![${words}](data:`;
  });
}
