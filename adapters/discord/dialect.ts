import type { Code, Heading, Image, Link, ListItem, Nodes, Paragraph, Strong, Table, Text } from "mdast";
import { boundUrls } from "../../src/markdown/bare-urls.ts";
import { editsBelow, type Rules } from "../../src/markdown/dialect.ts";
import { applyEdits, type Edit } from "../../src/markdown/edits.ts";
import { isFollowable } from "../../src/markdown/followable.ts";
import { isHonest } from "../../src/markdown/honest-links.ts";
import { flatQuotes, marginAt } from "../../src/markdown/margin.ts";
import { contentOf, parseMarkdown, type Range, rangeOf } from "../../src/markdown/parse.ts";
import { formulaForms, lineBreakForm, tableForm } from "../../src/markdown/readable-forms.ts";
import { toFence } from "../../src/markdown/reopen.ts";
import { wordsOf } from "./link-words.ts";

/** Columns that a code block shows without breaking its lines, on most screens. */
export const TABLE_COLUMNS = 60;
const ZERO_WIDTH_SPACE = "\u200b";

/** What is known of the place of a node. */
interface Place {
  readonly source: string;
  /** All of it is bold already: marks inside would end that. */
  readonly bold: boolean;
  /** A line end would end the block: a heading, a cell. */
  readonly oneLine: boolean;
  /** What further lines of the paragraph start with. */
  readonly margin: string;
}

/**
 * Markdown in Discord's dialect: what Discord does not show becomes something that it does. Everything else stays as
 * the model wrote it.
 *
 * @see docs/reference/discord.md §2.5
 */
export function toDiscordMarkdown(markdown: string): string {
  if (!MAY_CHANGE.test(markdown)) return markdown;
  const tree = parseMarkdown(markdown);
  const edits = below(tree, { source: markdown, bold: false, oneLine: false, margin: "" });
  return applyEdits(markdown, edits, { start: 0, end: markdown.length });
}

/**
 * A character that each change of a rule needs: marks, escapes, formulas, addresses, bullets and numbers, what
 * underlines, separates or makes a table. Without one the parser need not be asked.
 */
const MAY_CHANGE = /[#>`*_~[<|&\\$+]|:\/\/|\d\)|[-=][ \t]*(?:[\r\n]|$)|:-|-:/;

const RULES: Rules<Place> = {
  heading: headingEdits,
  thematicBreak: (node) => [{ ...rangeOf(node), text: "───" }],
  table: (node, place) => [tableEdit(node, place)],
  listItem: (node, place) => [...itemEdits(node, place), ...below(node, place)],
  blockquote: (node, place) => [...flatQuotes(node, place.source), ...below(node, place)],
  code: codeEdits,
  paragraph: paragraphEdits,
  html: (node, place) => lineBreakForm(node, place.source, place),
  link: linkEdits,
  image: imageEdits,
  strong: strongEdits,
  break: (node, { source }) =>
    source[rangeOf(node).start] === "\\" ? [withoutOne(rangeOf(node).start)] : [],
  text: textEdits,
};

function below(node: Nodes, place: Place): readonly Edit[] {
  return editsBelow(node, place, RULES);
}

function withoutOne(start: number): Edit {
  return { start, end: start + 1, text: "" };
}

/** Three sizes of headings, each on one line behind its marks; the smaller ones are bold. */
function headingEdits(node: Heading, place: Place): readonly Edit[] {
  const content = contentOf(node);
  if (content === undefined) return [];
  const { start, end } = rangeOf(node);
  const underlined = place.source[start] !== "#";
  const lines = place.source.slice(content.start, content.end).includes("\n");
  const bold = node.depth > 3 || lines;
  const marks = bold ? "**" : `${"#".repeat(node.depth)} `;
  return [
    ...(bold || underlined ? [{ start, end: content.start, text: marks }] : []),
    ...below(node, { ...place, bold, oneLine: true }),
    ...(bold || content.end < end ? [{ start: content.end, end, text: bold ? "**" : "" }] : []),
  ];
}

function tableEdit(node: Table, place: Place): Edit {
  return tableForm(node, place.source, {
    maxColumns: TABLE_COLUMNS,
    editsIn: (cell, { bold }) => below(cell, { ...place, bold, oneLine: true }),
  });
}

/** Boxes are signs; bullets are `-`, numbers end with a dot. */
function itemEdits(node: ListItem, { source }: Place): readonly Edit[] {
  const { start } = rangeOf(node);
  const marker = /^(?:\+|\d{1,9}\))/.exec(source.slice(start, start + 10))?.[0];
  const edits: Edit[] = [];
  if (marker === "+") edits.push({ start, end: start + 1, text: "-" });
  else if (marker !== undefined)
    edits.push({ start: start + marker.length - 1, end: start + marker.length, text: "." });
  if (typeof node.checked === "boolean") {
    const box = source.indexOf("[", start);
    edits.push({ start: box, end: box + 3, text: node.checked ? "☑" : "☐" });
  }
  return edits;
}

/**
 * Fences of three backticks with the name of a language, and none of those inside. What is only indented is no code to
 * Discord: a link in it would be one.
 */
function codeEdits(node: Code, { source }: Place): readonly Edit[] {
  const fence = toFence(node, source);
  if (fence === undefined)
    return asWritten(rangeOf(node), source).filter(({ start }) => source[start] === "[");
  const language = /^[a-z0-9_+\-.#]+$/i.exec(fence.info.split(/\s/, 1)[0] ?? "")?.[0] ?? "";
  const { end } = rangeOf(node);
  const isClosed = fence.end === end;
  const edits: Edit[] = [];
  if (fence.marker !== "```" || language !== fence.info)
    edits.push({ start: fence.start, end: endOfLine(source, fence.start), text: `\`\`\`${language}` });
  if (fence.marker === "```") return edits;
  const closingStart = isClosed ? closingMarkAt(source, end, fence.marker) : end;
  for (const { index } of source.slice(fence.content, closingStart).matchAll(/```/g))
    edits.push({
      start: fence.content + index + 2,
      end: fence.content + index + 2,
      text: ZERO_WIDTH_SPACE,
    });
  if (isClosed) edits.push({ start: closingStart, end, text: "```" });
  return edits;
}

function endOfLine(source: string, start: number): number {
  const end = source.indexOf("\n", start);
  const line = end < 0 ? source.length : end;
  return source[line - 1] === "\r" ? line - 1 : line;
}

/** Where the closing marks begin, the last thing before `end` but white space. */
function closingMarkAt(source: string, end: number, marker: string): number {
  let start = source.lastIndexOf(marker, end - marker.length);
  while (source[start - 1] === marker[0]) start -= 1;
  return start;
}

function paragraphEdits(node: Paragraph, place: Place): readonly Edit[] {
  const margin = marginAt(place.source, rangeOf(node).start);
  return formulaForms(node, place.source, below(node, { ...place, margin }));
}

/** Links that say where they go, to places that people can go to; others are the text that was written. */
function linkEdits(node: Link, place: Place): readonly Edit[] {
  const { start, end } = rangeOf(node);
  const { source } = place;
  const label = wordsOf(node);
  const content = contentOf(node);
  if (!isFollowable(node.url)) {
    const target = { start: content?.end ?? start + 1, end };
    return [
      escaped(start),
      ...below(node, place),
      ...(source[start] === "[" ? asWritten(target, source) : []),
    ];
  }
  const address = node.url.replace(/^mailto:/i, "");
  if (address !== node.url) return [{ start, end, text: withAddress(label, address) }];
  if (source[start] !== "[") return [];
  if (label === "" || (/^https?:\/\/\S+$/.test(label) && isHonest(label, node.url)))
    return [{ start, end, text: bracketed(node.url) }];
  if (!isHonest(label, node.url) || content === undefined)
    return [{ start, end, text: `${label} (${bracketed(node.url)})` }];
  const picture = node.children.find((child) => child.type === "image");
  const inside =
    picture === undefined ? below(node, place) : [{ ...content, text: wordsOf(picture) || label }];
  const titled = node.title !== null && node.title !== undefined;
  return titled ? [...inside, { start: content.end, end, text: `](${node.url})` }] : inside;
}

/** Discord makes no links to mailboxes. */
function withAddress(label: string, address: string): string {
  return label === "" || label === address ? address : `${label} (${address})`;
}

function escaped(start: number): Edit {
  return { start, end: start, text: "\\" };
}

/** Each bracket and mark shows itself in what was no Markdown; marks behind a line end are left, nobody writes so. */
function asWritten({ start, end }: Range, source: string): readonly Edit[] {
  const text = source.slice(start, end);
  const lineEnd = text.indexOf("\n");
  return [...text.matchAll(/(?<=(?<!\\)(?:\\\\)*)[[*_~`|]/g)]
    .filter(({ index, 0: mark }) => mark === "[" || lineEnd < 0 || index < lineEnd)
    .map(({ index }) => escaped(start + index));
}

/** A link to the picture; angle brackets keep Discord from fetching it (discord.md §2.5). */
function imageEdits(node: Image, { source }: Place): readonly Edit[] {
  const words = wordsOf(node);
  const range = rangeOf(node);
  // The bytes of a picture are no text.
  if (/^data:/i.test(node.url)) return [{ ...range, text: words || "–" }];
  if (!/^https?:/i.test(node.url)) return asWritten(range, source);
  const address = bracketed(node.url);
  if (words === "") return [{ ...range, text: address }];
  return [{ ...range, text: isHonest(words, node.url) ? `[${words}](${address})` : `${words} (${address})` }];
}

/** What would end the brackets is encoded: behind it another link could stand, which nobody has looked at. */
function bracketed(url: string): string {
  return `<${url.replaceAll(/[\s<>]/g, encodeURIComponent)}>`;
}

/** Two underscores are underline on Discord, and bold inside of bold would end it. */
function strongEdits(node: Strong, place: Place): readonly Edit[] {
  const { start, end } = rangeOf(node);
  const marks = place.bold ? "" : "**";
  const inside = below(node, { ...place, bold: true });
  if (marks === place.source.slice(start, start + 2)) return inside;
  return [{ start, end: start + 2, text: marks }, ...inside, { start: end - 2, end, text: marks }];
}

/** What Discord would take for marks in plain text. */
const TEXT_MARKS = new RegExp(
  [
    String.raw`(?<escape>\\[!-/:-@[-\x60{-~])`,
    String.raw`(?<entity>&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z]{2,8}\d?);)`,
    String.raw`(?<spoiler>\|\|)`,
    // The parser has found no marks there, Discord would: `的__init__方法`.
    "(?<underline>__+)",
    "(?<underscore>_)",
  ].join("|"),
  "gi",
);

function textEdits(node: Text, { source }: Place): readonly Edit[] {
  const { start, end } = rangeOf(node);
  const text = source.slice(start, end);
  const urls = boundUrls(node, source);
  // Nothing is escaped in an address: it stands there as it is.
  const marks = [...text.matchAll(TEXT_MARKS)].filter(
    ({ index, 0: found }) =>
      !urls.some((url) => start + index < url.end && start + index + found.length > url.start),
  );
  const closers = closersOfItalics(
    text,
    marks.filter(({ groups }) => groups?.["underscore"] !== undefined).map(({ index }) => index),
  );
  const edits = marks.map(({ index, 0: found, groups = {} }) => ({
    start: start + index,
    end: start + index + found.length,
    text: closers.has(index) ? String.raw`\_` : markText(found, groups),
  }));
  return [...urls, ...edits];
}

/**
 * Which of a text's single underscores Discord would take for the end of italics that nobody meant, by the one before:
 * before anything but a Latin letter or a digit it does, as in `user_name_和`, `销售_数据_最终`. `于_作用域_，` was meant.
 */
function closersOfItalics(text: string, underscores: readonly number[]): ReadonlySet<number> {
  const closers = new Set<number>();
  let opener: number | undefined;
  for (const at of underscores) {
    const next = String.fromCodePoint(text.codePointAt(at + 1) ?? 0);
    if (opener === undefined || /\w/.test(next)) opener = at;
    else if (isLatin(text[opener - 1]) || isLatin(text[at - 1]) || /[\p{L}\p{N}]/u.test(next))
      closers.add(at);
    else opener = undefined;
  }
  return closers;
}

function isLatin(letter: string | undefined): boolean {
  return letter !== undefined && /[a-z\d]/i.test(letter);
}

function markText(found: string, { entity, spoiler, underline }: Record<string, string | undefined>): string {
  if (entity !== undefined) return ENTITIES[found.toLowerCase()] ?? found;
  if (spoiler !== undefined) return String.raw`\|\|`;
  return underline === undefined ? found : underline.replaceAll("_", String.raw`\_`);
}

/** References to characters that bots write; Discord shows them as they stand. */
const ENTITIES: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&amp;": "&",
  "&quot;": '"',
  "&apos;": "'",
  "&#39;": "'",
  "&nbsp;": "\u00a0",
  "&mdash;": "—",
  "&ndash;": "–",
  "&hellip;": "…",
  "&copy;": "©",
  "&times;": "×",
};
