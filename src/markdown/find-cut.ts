import type { Nodes, Root } from "mdast";
import { healForRanges } from "./heal.ts";
import { parseMarkdown, type Range, rangeOf, walk } from "./parse.ts";
import { type Fence, lineStart, type Reopening, reopen, toFence } from "./reopen.ts";

/** How far behind a cut is looked, to see how the text goes on. */
export const FOLLOWING = 200;

/** Where a part ends, where the next begins in the source, and what is closed and reopened there. */
export interface Cut {
  readonly end: number;
  readonly next: number;
  readonly after: string;
  readonly open: Reopening;
}

/** What is known about the text of a part: offsets count from its start, the reopened text included. */
interface Scene {
  readonly text: string;
  /** Length of the reopened text: no cut before or at it. */
  readonly from: number;
  readonly tree: Root;
  readonly fences: readonly Fence[];
  /** Never cut inside: links, code spans, mentions, escapes. */
  readonly whole: readonly Range[];
  /** Better not cut inside: bold, italic, strike-through, table rows. */
  readonly pairs: readonly Range[];
}

/** What was looked at last: until it is certain how the text goes on behind a cut, the same text is cut again and again. */
export interface Sight {
  last?: Scene;
}

/**
 * Finds the best place to end a part.
 *
 * Looks at nothing behind `length` but whether a line ends there, so the answer stays the same when text is appended.
 */
export function findCut(before: string, rest: string, length: number, sight: Sight = {}): Cut {
  const full = isNewlineAt(rest, length) ? newlineEnd(rest, length) : length;
  const text = before + rest.slice(0, length);
  const from = before.length;
  const seen = sight.last;
  const scene = seen?.text === text && seen.from === from ? seen : lookAt(text, from);
  sight.last = scene;
  const lineEnd = full > length ? before.length + full : undefined;
  const at = bestCut(scene, lineEnd) - before.length;
  return toCut(scene, rest, at);
}

function isNewlineAt(text: string, index: number): boolean {
  return text[index] === "\n" || (text[index] === "\r" && text[index + 1] === "\n");
}

function newlineEnd(text: string, index: number): number {
  return text[index] === "\n" ? index + 1 : index + 2;
}

function lookAt(text: string, from: number): Scene {
  // What is half-written at the end of the window is read as if it were closed, so that no cut falls into it.
  const tree = parseMarkdown(healForRanges(text));
  const fences: Fence[] = [];
  const whole: Range[] = [...text.matchAll(WHOLE)].map(({ index, 0: token }) => ({
    start: index,
    end: index + token.length,
  }));
  const pairs: Range[] = [];
  for (const node of walk(tree)) {
    if (node.type === "code") {
      const fence = toFence(node, text);
      if (fence !== undefined) fences.push(fence);
    } else if (WHOLE_TYPES.has(node.type)) whole.push(rangeOf(node));
    else if (PAIR_TYPES.has(node.type)) pairs.push(rangeOf(node));
  }
  return { text, from, tree, fences, whole, pairs };
}

/** Mentions, autolinks and tags, also half-written at the end; escapes; character references. */
const WHOLE = /<[@#!:/a-zA-Z][^<>\n]{0,250}(?:>|$)|\\[!-/:-@[-`{-~]|&#?\w{1,31};/g;
const WHOLE_TYPES: ReadonlySet<Nodes["type"]> = new Set([
  "link",
  "linkReference",
  "image",
  "imageReference",
  "inlineCode",
  "definition",
]);
const PAIR_TYPES: ReadonlySet<Nodes["type"]> = new Set(["strong", "emphasis", "delete", "tableRow"]);

/** Kinds of borders, each with the share of the budget that must be filled for it to be taken. */
function bestCut(scene: Scene, lineEnd: number | undefined): number {
  const lines = lineCuts(scene, lineEnd);
  const blocks = blockCuts(scene, lines);
  const items = itemCuts(scene, lines);
  const breaks = textCuts(scene, BREAKS);
  const words = textCuts(scene, WORDS);
  const { pairs, whole } = scene;
  const hard = [...whole];
  const soft = [...whole, ...pairs];
  const tries: readonly [cuts: readonly number[], fill: number, forbidden: readonly Range[]][] = [
    [blocks, 0.5, soft],
    [items, 0.5, soft],
    [lines, 0.5, soft],
    [breaks, 0.5, soft],
    [words, 0.5, soft],
    [lines, 0.25, soft],
    [breaks, 0.25, soft],
    [words, 0.25, hard],
    [lines, 0.1, hard],
    [words, 0.1, hard],
  ];
  for (const [cuts, fill, forbidden] of tries) {
    const found = lastOf(cuts, scene, fill, forbidden);
    if (found !== undefined) return found;
  }
  const characters = characterCuts(scene);
  return lastOf(characters, scene, 0, hard) ?? lastOf(characters, scene, 0, []) ?? wholeCodePoint(scene.text);
}

function lastOf(
  cuts: readonly number[],
  { text, from }: Scene,
  fill: number,
  forbidden: readonly Range[],
): number | undefined {
  const blank = /^\s*/.exec(text.slice(from))?.[0].length ?? 0;
  const least = from + Math.max(blank + 1, (text.length - from) * fill);
  return cuts.findLast(
    (cut) => cut >= least && !forbidden.some(({ start, end }) => start < cut && cut < end),
  );
}

/** Starts of lines, without those that would tear apart what belongs together. */
function lineCuts(scene: Scene, lineEnd: number | undefined): readonly number[] {
  const cuts = [...scene.text.matchAll(/\n/g)].map(({ index }) => index + 1);
  if (lineEnd !== undefined) cuts.push(lineEnd);
  const heads = tableHeads(scene);
  return cuts.filter(
    (cut) =>
      !heads.some(({ start, end }) => start < cut && cut <= end) &&
      !scene.fences.some((fence) => fence.start < cut && cut <= fence.content) &&
      !(isUnderline(scene.text, cut) && fenceAt(scene, cut) === undefined),
  );
}

/** From a table's start to the start of its second row: a header is never left alone. */
function tableHeads({ tree, text }: Scene): readonly Range[] {
  const heads: Range[] = [];
  for (const node of walk(tree)) {
    if (node.type !== "table") continue;
    const [, row] = node.children;
    const end = row === undefined ? text.length : rangeOf(row).end;
    heads.push({ start: rangeOf(node).start, end });
  }
  return heads;
}

/** A line of `---`, `===` or `|--` below text: a heading's underline, or a table's, perhaps not yet whole. */
function isUnderline(text: string, cut: number): boolean {
  const [line = ""] = text.slice(cut).split("\n", 1);
  const above = text.slice(lineStart(text, cut - 1), cut);
  return /^[ >\t]*[|:=-][|:=\s-]*$/.test(line) && above.trim() !== "" && cut < text.length;
}

function fenceAt({ fences }: Scene, cut: number): Fence | undefined {
  return fences.find(({ start, end }) => start < cut && cut < end);
}

/** Starts of top-level blocks; a heading goes with what it heads. */
function blockCuts({ tree, text }: Scene, lines: readonly number[]): readonly number[] {
  const starts = tree.children
    .filter((_, index) => tree.children[index - 1]?.type !== "heading")
    .map((node) => lineStart(text, rangeOf(node).start));
  return lines.filter((cut) => starts.includes(cut));
}

/** Starts of list items and table rows. */
function itemCuts({ tree, text }: Scene, lines: readonly number[]): readonly number[] {
  const starts = new Set<number>();
  for (const node of walk(tree)) {
    if (node.type === "listItem" || node.type === "tableRow")
      starts.add(lineStart(text, rangeOf(node).start));
  }
  return lines.filter((cut) => starts.has(cut));
}

/** After a sentence. */
const BREAKS = /[。！？；…](?:[”’」』）】]*)|[.!?;:]["')\]]*(?=\s)/gu;
/** After white space or Chinese punctuation. */
const WORDS = /[ \t]+|[，、：。！？；…）」』】》”]/gu;
/** What would begin a list, a heading, a quote, a table or a fence if it stood at the start of a part. */
const BLOCK_START = /^(?:[-+*](?:\s|$)|[-=]{2}|#{1,6}(?:\s|$)|[>|]|`{3}|~{3}|\d{1,9}[.)])/;
/** Belongs to the character or sentence before it. */
const CLINGS = /^(?:\p{M}|\p{Emoji_Modifier}|\u200d|[，、：。！？；…）」』】》”’,.!?;:)\]])/u;

function textCuts(scene: Scene, border: RegExp): readonly number[] {
  const { text } = scene;
  return [...text.matchAll(border)]
    .map(({ index, 0: match }) => {
      const cut = index + match.length;
      return cut + (/^[ \t]+/.exec(text.slice(cut, cut + 20))?.[0].length ?? 0);
    })
    .filter((cut) => {
      const ahead = text.slice(cut, cut + 12);
      if (ahead === "" || CLINGS.test(ahead)) return false;
      return fenceAt(scene, cut) !== undefined || !BLOCK_START.test(ahead);
    });
}

const GRAPHEMES = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Borders of characters as people see them; the last one is left out, it may still grow. */
function characterCuts({ text }: Scene): readonly number[] {
  return [...GRAPHEMES.segment(text)].map(({ index }) => index);
}

/** The end of the text, without half a surrogate pair. */
function wholeCodePoint(text: string): number {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last < 0xdc00 ? text.length - 1 : text.length;
}

function toCut(scene: Scene, rest: string, end: number): Cut {
  const { text, from } = scene;
  const at = from + end;
  const atLineStart = rest[end - 1] === "\n";
  // A first line that is itself too long for a part is text.
  const open = fenceAt(scene, at);
  const fence = open !== undefined && at > open.content ? open : undefined;
  const next = skipBlank(rest, end, atLineStart);
  const following = rest.slice(next, next + FOLLOWING);
  const ancestors = ancestorsAt(scene, at, next > end ? "#" : following);
  const after = fence === undefined ? "" : `\n${fence.margin}${fence.marker}`;
  return { end, next, after, open: reopen({ ancestors, fence, following, atLineStart }, text) };
}

/** Blank lines at a cut go; so do spaces, but a line keeps its indentation. */
function skipBlank(rest: string, index: number, atLineStart: boolean): number {
  const blank = /^\s*/.exec(rest.slice(index))?.[0] ?? "";
  if (!atLineStart && !blank.includes("\n")) return index + blank.length;
  return index + blank.lastIndexOf("\n") + 1;
}

/** What a cut is inside of. A cut at the window's end is inside what goes on in the following line. */
function ancestorsAt({ tree, text }: Scene, at: number, following: string): readonly Nodes[] {
  const reach = text.trimEnd().length;
  const goesOn = text.slice(at).trim() === "" && !/^ {0,3}(?:#|`{3}|~{3}|[-*+] )/.test(following);
  return [...walk(tree)].filter((node) => {
    const { start, end } = rangeOf(node);
    return node.type !== "root" && start < at && (at < end || (goesOn && end >= reach));
  });
}
