/** A stretch of the source, in UTF-16 code units; `end` is the first one after it. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Where the source is code: fences (an open one runs to the end) and code spans, in source order. */
export function codeRanges(markdown: string): readonly Range[] {
  const found: Range[] = [];
  const code =
    /^(`{3,}|~{3,})[^\n]*(?:\n[\s\S]*?(?:^\1[^\n]*$|$(?![\s\S]))|$(?![\s\S]))|(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\2(?!`)/gm;
  for (const match of markdown.matchAll(code)) {
    found.push({ start: match.index, end: match.index + match[0].length });
  }
  return found;
}
