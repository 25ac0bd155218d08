import type { Range } from "./parse.ts";

/** Another text for a stretch of the source; an empty stretch is a place to put something in. */
export interface Edit extends Range {
  readonly text: string;
}

/** The source within a range with its edits made. Of two edits that overlap the first one counts. */
export function applyEdits(source: string, edits: readonly Edit[], { start, end }: Range): string {
  let result = "";
  let at = start;
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    if (edit.start < at || edit.end > end) continue;
    result += source.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + source.slice(at, end);
}
