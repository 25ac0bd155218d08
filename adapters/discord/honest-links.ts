import type { Nodes } from "mdast";
import { parseMarkdown, rangeOf, walk } from "../../src/markdown/parse.ts";

/** A host's name, as somebody would write one, at the start of a word. */
const HOST_IN_WORDS = /(?:^|[\s("'])(?:https?:\/\/)?((?:[\p{L}\p{N}-]+\.)+\p{L}{2,})/iu;
/** Names of files look like hosts and fool nobody. */
const FILE_NAME = /^[\p{L}\p{N}-]+\.(?:md|txt|js|ts|py|json|html?|pdf|docx?)$/iu;

/**
 * Shows where a link goes whose words name another host: `[bank.example](https://evil.example)` becomes
 * `bank.example (<https://evil.example>)`. All other Markdown stays as it is.
 */
export function withHonestLinks(markdown: string): string {
  if (!markdown.includes("](")) return markdown;
  let result = markdown;
  for (const node of [...walk(parseMarkdown(markdown))].reverse()) {
    if (node.type !== "link") continue;
    const { start, end } = rangeOf(node);
    const label = wordsOf(node);
    if (markdown[start] !== "[" || isHonest(label, node.url)) continue;
    result = `${result.slice(0, start)}${label} (<${node.url}>)${result.slice(end)}`;
  }
  return result;
}

function wordsOf(node: Nodes): string {
  const words = [...walk(node)].map((each) => ("value" in each ? each.value : ""));
  return words.join("").replaceAll(/[[\]<>]/g, "");
}

function isHonest(label: string, url: string): boolean {
  const claimed = HOST_IN_WORDS.exec(label)?.[1];
  if (claimed === undefined || FILE_NAME.test(claimed)) return true;
  const bare = (host: string): string => host.toLowerCase().replace(/^www\./, "");
  return bare(claimed) === bare(URL.parse(url)?.hostname ?? "");
}
