import type {
  Delete,
  Emphasis,
  Heading,
  Image,
  Link,
  Nodes,
  Paragraph,
  Root,
  Strong,
  Table,
  TableCell,
} from "mdast";
import { boundUrls } from "../../src/markdown/bare-urls.ts";
import { editsBelow, type Rules } from "../../src/markdown/dialect.ts";
import { applyEdits, type Edit } from "../../src/markdown/edits.ts";
import { isFollowable } from "../../src/markdown/followable.ts";
import { hostOf, isHonest } from "../../src/markdown/honest-links.ts";
import { flatQuotes, marginAt } from "../../src/markdown/margin.ts";
import { contentOf, parseMarkdown, type Range, rangeOf } from "../../src/markdown/parse.ts";
import { formulaForms, lineBreakForm, tableForm } from "../../src/markdown/readable-forms.ts";
import { LINE_END_IN_LINE, plainWords } from "../../src/markdown/table-text.ts";
import { unlinked } from "./neutralize.ts";

/** Columns that a code block shows without breaking its lines, on most screens. */
export const TABLE_COLUMNS = 80;
/** What a table of Slack's own holds, and how many a message has (slack.md §1.8); a little less, for safety. */
export const TABLE_ROWS = 100;
const TABLE_CELLS_IN_ROW = 20;
export const TABLE_CHARACTERS = 9_000;
/** White space for a parser, next to nothing for a reader. */
const HAIR_SPACE = "\u200a";
/** An empty cell can make Slack refuse the message (slack.md §9.1). */
const EMPTY_CELL = "–";

interface Place {
  readonly source: string;
  /** The one table that Slack draws itself. */
  readonly native: Nodes | undefined;
  /** It is bold already, and marks inside would end that. */
  readonly bold: boolean;
  /** A line end would end the block: a heading, a cell. */
  readonly oneLine: boolean;
  /** What further lines of the paragraph start with. */
  readonly margin: string;
}

/**
 * Which tables are left to Slack: the first one if it is small enough, or whatever its length, where the message ends
 * when a table is full; `none` where the message has one already.
 */
export type NativeTables = "none" | "small" | "any";

/** Text for a markdown block, and whether it holds a table. */
export interface SlackMarkdown {
  readonly text: string;
  readonly hasTable: boolean;
}

/**
 * Markdown in the dialect of Slack's markdown blocks: what these do not show becomes something that they do.
 *
 * @see docs/reference/slack.md §9.1
 */
export function toSlackMarkdown(
  markdown: string,
  { tables }: { readonly tables: NativeTables },
): SlackMarkdown {
  if (!MAY_CHANGE.test(markdown)) return { text: markdown, hasTable: false };
  const tree = parseMarkdown(markdown);
  const native = nativeTableOf(tree, tables);
  const edits = below(tree, { source: markdown, native, bold: false, oneLine: false, margin: "" });
  return {
    text: applyEdits(markdown, edits, { start: 0, end: markdown.length }),
    hasTable: native !== undefined,
  };
}

/**
 * A character that each change of a rule needs: marks, formulas, addresses, quotes, what makes a table. Without one the
 * parser need not be asked.
 */
const MAY_CHANGE = /[>*_~[<|\\$]|:\/\/|:-|-:/;

/** The table that is left to Slack. */
export function nativeTableOf({ children }: Root, tables: NativeTables): Table | undefined {
  if (tables === "none") return undefined;
  return children.find(
    (node): node is Table => node.type === "table" && isNarrow(node) && (tables === "any" || isSmall(node)),
  );
}

function isNarrow({ children: [header] }: Table): boolean {
  return (header?.children.length ?? 0) <= TABLE_CELLS_IN_ROW;
}

function isSmall(table: Table): boolean {
  const { start, end } = rangeOf(table);
  return table.children.length <= TABLE_ROWS && end - start <= TABLE_CHARACTERS;
}

const RULES: Rules<Place> = {
  heading: headingEdits,
  table: (node, place) => [node === place.native ? nativeTable(node, place) : tableAsText(node, place)],
  blockquote: (node, place) => [...flatQuotes(node, place.source), ...below(node, place)],
  paragraph: paragraphEdits,
  html: (node, place) => lineBreakForm(node, place.source, place),
  strong: (node, place) =>
    place.bold ? withoutMarks(node, place) : [...below(node, place), ...hairSpaces(node, place.source)],
  delete: markEdits,
  emphasis: markEdits,
  link: linkEdits,
  image: imageEdits,
  text: (node, place) => boundUrls(node, place.source),
};

function below(node: Nodes, place: Place): readonly Edit[] {
  return editsBelow(node, place, RULES);
}

function tableAsText(node: Table, place: Place): Edit {
  return tableForm(node, place.source, {
    maxColumns: TABLE_COLUMNS,
    editsIn: (cell, { bold }) => below(cell, { ...place, bold, oneLine: true }),
  });
}

const DELIMITERS = { left: ":--", right: "--:", center: ":-:" };

/** The same table with something in every cell; what has no column of its own goes into the last one. */
function nativeTable(node: Table, place: Place): Edit {
  const [header, ...rows] = node.children.map(({ children }) =>
    children.map((cell) => cellText(cell, place)),
  );
  const columns = header?.length ?? 1;
  const toLine = (texts: readonly string[]): string => {
    const cells = Array.from({ length: columns }, (_, column) => texts[column] ?? EMPTY_CELL);
    const last = texts.slice(columns - 1).join(LINE_END_IN_LINE);
    return `| ${[...cells.slice(0, -1), last === "" ? EMPTY_CELL : last].join(" | ")} |`;
  };
  const delimiters = Array.from({ length: columns }, (_, column) => {
    const align = node.align?.[column];
    return align ? DELIMITERS[align] : "---";
  });
  return {
    ...rangeOf(node),
    text: [toLine(header ?? []), toLine(delimiters), ...rows.map(toLine)].join("\n"),
  };
}

function cellText(cell: TableCell, place: Place): string {
  const content = contentOf(cell);
  if (content === undefined) return EMPTY_CELL;
  return applyEdits(place.source, below(cell, { ...place, oneLine: true }), content);
}

/** An underlined heading may have several lines. */
function headingEdits(node: Heading, place: Place): readonly Edit[] {
  const { start } = rangeOf(node);
  const oneLine = place.source[start] === "#";
  return formulaForms(
    node,
    place.source,
    below(node, { ...place, oneLine, margin: marginAt(place.source, start) }),
  );
}

function paragraphEdits(node: Paragraph, place: Place): readonly Edit[] {
  const margin = marginAt(place.source, rangeOf(node).start);
  return formulaForms(node, place.source, below(node, { ...place, margin }));
}

/** Slack makes a link of a picture's words (slack.md §9.1); without words its address says more than nothing. */
function imageEdits(node: Image, { source }: Place): readonly Edit[] {
  const range = rangeOf(node);
  if (!isFollowable(node.url)) return [unlinkedEdit({ start: range.start + 1, end: range.end }, source)];
  return node.alt || !/^https?:/i.test(node.url) ? [] : [{ ...range, text: `<${node.url}>` }];
}

/**
 * Words that name another host than the link's lose it. What leads nowhere from a chat is no link but the text that was
 * written.
 */
function linkEdits(node: Link, place: Place): readonly Edit[] {
  const content = contentOf(node);
  const { start, end } = rangeOf(node);
  const isAutolink = place.source[start] === "<";
  if (!isFollowable(node.url)) {
    const asText = isAutolink
      ? { start, end: start + 1, text: "&lt;" }
      : unlinkedEdit({ start: content?.end ?? start + 1, end }, place.source);
    return [...below(node, place), asText];
  }
  const words = plainWords(node);
  // Links with code in their words, which nobody has looked at so far.
  if (!isAutolink && !isHonest(words, node.url))
    return [{ start, end, text: `${words} (${hostOf(node.url)})` }];
  return below(node, place);
}

function unlinkedEdit(range: Range, source: string): Edit {
  return { ...range, text: unlinked(source.slice(range.start, range.end)) };
}

function markEdits(node: Emphasis | Delete, place: Place): readonly Edit[] {
  return [...below(node, place), ...hairSpaces(node, place.source)];
}

function withoutMarks(node: Strong, place: Place): readonly Edit[] {
  const { start, end } = rangeOf(node);
  return [{ start, end: start + 2, text: "" }, ...below(node, place), { start: end - 2, end, text: "" }];
}

/**
 * Room beside marks that CommonMark does not take for marks: `**注意：**请` has punctuation inside and a letter outside,
 * as Chinese has it, which has no spaces between words (slack.md §9.2). A hair space counts as white space for every
 * parser, a space of no width does not.
 */
function hairSpaces(node: Strong | Emphasis | Delete, source: string): readonly Edit[] {
  const content = contentOf(node);
  if (content === undefined) return [];
  const { start, end } = rangeOf(node);
  const edits: Edit[] = [];
  if (isStuck(first(source.slice(content.start, end)), last(source.slice(0, start))))
    edits.push({ start, end: start, text: HAIR_SPACE });
  if (isStuck(last(source.slice(start, content.end)), first(source.slice(end))))
    edits.push({ start: end, end, text: HAIR_SPACE });
  return edits;
}

/** Punctuation inside of a mark and a letter outside; other marks inside are not seen apart from this one. */
export function isStuck(inside: string, outside: string): boolean {
  return /[\p{P}\p{S}]/u.test(inside) && !/[*_~]/.test(inside) && /[^\s\p{P}\p{S}]/u.test(outside);
}

function first(text: string): string {
  return [...text.slice(0, 2)][0] ?? "";
}

function last(text: string): string {
  return [...text.slice(-2)].at(-1) ?? "";
}
