import type { Definition, Nodes } from "mdast";
import { parseMarkdown, type Range, rangeOf, walk } from "./parse.ts";

/**
 * Where the source is code: fences (an open one runs to the end) and code spans, in source order.
 *
 * Indented code is left out on purpose: Discord draws it as text, with live mentions.
 */
export function codeRanges(markdown: string): readonly Range[] {
  if (!/`|~{3}/.test(markdown)) return [];
  return rangesOf(markdown, (node, source) =>
    node.type === "inlineCode" || isFence(node, source) ? rangeOf(node) : undefined,
  );
}

/**
 * Rewrites what a reader sees as text, and leaves code and the URLs of links, images, autolinks and link definitions
 * as they are.
 *
 * @param replace - Gets each stretch between two protected ones; must not rely on seeing a whole line.
 */
export function neutralizeOutsideCode(markdown: string, replace: (text: string) => string): string {
  let result = "";
  let at = 0;
  for (const { start, end } of rangesOf(markdown, protectedRange)) {
    result += replace(markdown.slice(at, start)) + markdown.slice(start, end);
    at = end;
  }
  return result + replace(markdown.slice(at));
}

function rangesOf(
  markdown: string,
  pick: (node: Nodes, source: string) => Range | undefined,
): readonly Range[] {
  const found: Range[] = [];
  for (const node of walk(parseMarkdown(markdown))) {
    const range = pick(node, markdown);
    if (range !== undefined) found.push(range);
  }
  return found.sort((a, b) => a.start - b.start);
}

function protectedRange(node: Nodes, source: string): Range | undefined {
  const range = rangeOf(node);
  if (node.type === "inlineCode" || isFence(node, source)) return range;
  if (node.type === "link" && source[range.start] === "<") return range;
  if (node.type === "link" || node.type === "image") return afterLast("](", range, source);
  return node.type === "definition" ? definedAddress(node, source) : undefined;
}

/** The address of a definition, without its title; a note such as `[^1]: @everyone` reads as one and has none. */
function definedAddress(node: Definition, source: string): Range | undefined {
  const { start, end } = rangeOf(node);
  const text = source.slice(start, end);
  const at = text.indexOf(node.url, text.indexOf("]:"));
  if (at < 0 || !/^[a-z][a-z\d+.-]*:/i.test(node.url)) return undefined;
  return { start: start + at, end: start + at + node.url.length };
}

/** From behind the last `mark` in the range to its end. The last one: rather touch an odd URL than spare a label. */
function afterLast(mark: string, { start, end }: Range, source: string): Range | undefined {
  const index = source.slice(start, end).lastIndexOf(mark);
  return index < 0 ? undefined : { start: start + index + mark.length, end };
}

function isFence(node: Nodes, source: string): boolean {
  return node.type === "code" && /^(?:`{3}|~{3})/.test(source.slice(rangeOf(node).start, rangeOf(node).end));
}
