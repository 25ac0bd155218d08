import type { Nodes } from "mdast";
import { plainWords, withoutTags } from "../../src/markdown/table-text.ts";

/** What a person reads of a link or a picture, without tags and what would be marks in a label. */
export function wordsOf(node: Nodes): string {
  return withoutTags(plainWords(node))
    .replaceAll(/[[\]<>]/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}
