import type { Nodes } from "mdast";
import remend, { INCOMPLETE_IMAGE_PLACEHOLDER } from "remend";
import { parseMarkdown, rangeOf, walk } from "./parse.ts";
import { toFence } from "./reopen.ts";

/**
 * Closes what a half-written answer leaves open (`**`, code spans, half links), so that it looks right on screen. For
 * display only: never for the last state, which is shown as it was written.
 */
export function healMarkdown(markdown: string): string {
  // Nothing inline reaches over a block, so only the last one can be open.
  const start = lastBlockOfText(markdown);
  if (start === undefined) return markdown;
  // `- > 25` stays as written: the last state would show it unescaped, and the text should not jump.
  const tail = remend(markdown.slice(start), {
    linkMode: "text-only",
    singleTilde: false,
    comparisonOperators: false,
  });
  return markdown.slice(0, start) + withoutHalfImages(tail);
}

/** A paragraph of one line, whatever marks are in it. */
const ONE_LINE = /^(?:\*\*)?\p{L}[^\r\n]*$/u;
/** What may be left open, or be code, or underline what is above it; without any of it, it does not matter where a block begins. */
const MAY_MATTER = /[`*_~[\]<$\t]| {4}|[-=]\s*$|^\s*$/;

/** Where the last block begins; `undefined` when it ends in code, or there is none. */
function lastBlockOfText(markdown: string): number | undefined {
  if (ONE_LINE.test(markdown) || !MAY_MATTER.test(markdown)) return 0;
  const last = parseMarkdown(markdown).children.at(-1);
  return last === undefined || lastLeaf(last).type === "code" ? undefined : rangeOf(last).start;
}

/** Closes a fence that is open at the end and holds something already; for display only, as {@link healMarkdown}. */
export function closeOpenFence(markdown: string): string {
  if (!/`{3}|~{3}/.test(markdown)) return markdown;
  const last = lastLeaf(parseMarkdown(markdown));
  const fence = last.type === "code" && last.value.trim() !== "" ? toFence(last, markdown) : undefined;
  if (fence === undefined || fence.end !== Number.POSITIVE_INFINITY) return markdown;
  return `${markdown.trimEnd()}\n${fence.margin}${fence.marker}`;
}

/**
 * Closes what is open at the end without changing any offset before it, so that a tree of the result tells what a cut
 * at the end would tear apart.
 */
export function healForRanges(markdown: string): string {
  const start = markdown.lastIndexOf("\n\n") + 1;
  const tail = markdown.slice(start);
  const healed = remend(tail, {
    linkMode: "protocol",
    singleTilde: false,
    comparisonOperators: false,
    htmlTags: false,
    katex: false,
    setextHeadings: false,
  });
  return markdown.slice(0, start) + healed;
}

function lastLeaf(node: Nodes): Nodes {
  const last = "children" in node ? node.children.at(-1) : undefined;
  return last === undefined ? node : lastLeaf(last);
}

/** remend gives a half image an address of its own; nothing could be loaded from there. */
function withoutHalfImages(markdown: string): string {
  if (!markdown.includes(INCOMPLETE_IMAGE_PLACEHOLDER)) return markdown;
  let result = markdown;
  for (const node of [...walk(parseMarkdown(markdown))].reverse()) {
    if (node.type !== "image" || node.url !== INCOMPLETE_IMAGE_PLACEHOLDER) continue;
    const { start, end } = rangeOf(node);
    result = result.slice(0, start) + result.slice(end);
  }
  return result;
}
