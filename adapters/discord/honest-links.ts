import type { Nodes } from "mdast";
import { plainWords } from "../../src/markdown/table-text.ts";

/** A host's name, as somebody would write one, at the start of a word. */
const HOST_IN_WORDS = /(?:^|[\s("'])(?:https?:\/\/)?((?:[\p{L}\p{N}-]+\.)+\p{L}{2,})/iu;
/** Names of files look like hosts and fool nobody. */
const FILE_NAME = /^[\p{L}\p{N}-]+\.(?:md|txt|js|ts|py|json|html?|pdf|docx?)$/iu;

/** What a person reads of a link or a picture, without what would be marks in a label. */
export function wordsOf(node: Nodes): string {
  return plainWords(node)
    .replaceAll(/[[\]<>]/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** Whether words that name a host name the one that the link goes to: `[bank.example](https://evil.example)` does not. */
export function isHonest(label: string, url: string): boolean {
  const claimed = HOST_IN_WORDS.exec(label)?.[1];
  if (claimed === undefined || FILE_NAME.test(claimed)) return true;
  const bare = (host: string): string => host.toLowerCase().replace(/^www\./, "");
  return bare(claimed) === bare(URL.parse(url)?.hostname ?? "");
}
