import type { Nodes } from "mdast";
import { parseMarkdown, type Range, rangeOf, walk } from "./parse.ts";

/**
 * Where the source is code: fences (an open one runs to the end) and code spans, in source order.
 *
 * Indented code is left out on purpose: Discord draws it as text, with live mentions.
 */
export function codeRanges(markdown: string): readonly Range[] {
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
    // Links nest in nothing that is protected, but an image stands in a link's label: the outer end counts.
    if (end <= at) continue;
    result += replace(markdown.slice(at, Math.max(at, start))) + markdown.slice(Math.max(at, start), end);
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
  return node.type === "definition" ? afterLast("]:", range, source) : undefined;
}

/** From behind the last `mark` in the range to its end. The last one: rather touch an odd URL than spare a label. */
function afterLast(mark: string, { start, end }: Range, source: string): Range | undefined {
  const index = source.slice(start, end).lastIndexOf(mark);
  return index < 0 ? undefined : { start: start + index + mark.length, end };
}

function isFence(node: Nodes, source: string): boolean {
  return node.type === "code" && /^(?:`{3}|~{3})/.test(source.slice(rangeOf(node).start, rangeOf(node).end));
}
