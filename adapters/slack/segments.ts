import { TABLE_CHARACTERS, TABLE_ROWS } from "./dialect.ts";

/** Limits of one native stream; measured by others, not documented (slack.md §1.5). */
export const SEGMENT_LIMITS = {
  /** From here on the next block border ends the segment, in UTF-8 bytes. */
  softBytes: 9_000,
  /** 11,000 less the room for a fence that has to be closed. */
  hardBytes: 10_900,
  /** Age from which the next block border ends the segment, in ms. */
  softAgeMs: 240_000,
  /** Age at which it ends wherever it is, in ms. Slack ends it at 306 s. */
  hardAgeMs: 270_000,
};

/** In UTF-16 units. The longest emoji, families with skin colours, have some twenty. */
const LONGEST_CHARACTER = 200;
/** What follows a fence's sign, in UTF-16 units; more than that names no language and is not repeated. */
const LONGEST_FENCE = 200;

/** What to send next, and whether the segment ends with it. */
export interface AppendPlan {
  /** A prefix of what is pending; may be empty when the segment has to end at once. */
  readonly text: string;
  readonly rotate: boolean;
}

/** How a new segment begins: with what is open where the one before it ended. */
export interface SegmentPlan extends AppendPlan {
  readonly reopen: string;
}

/** What counts against the limits of a segment besides its text. */
interface SegmentState {
  /** How long ago it was started. */
  readonly ageMs: number;
  /** UTF-8 bytes of what its task cards say. */
  readonly cardBytes?: number;
}

/**
 * Decides how much of the pending text still goes into a segment.
 *
 * @param shown - What the segment shows already, with what was reopened at its start.
 */
export function planAppend(
  shown: string,
  pending: string,
  { ageMs, cardBytes = 0 }: SegmentState,
): AppendPlan {
  const { softBytes, hardBytes, softAgeMs, hardAgeMs } = SEGMENT_LIMITS;
  const shownBytes = Buffer.byteLength(shown) + cardBytes;
  const tooOld = ageMs >= softAgeMs;
  const tableEnd = fullTableEnd(shown + pending);
  if (shownBytes + Buffer.byteLength(pending) <= softBytes && !tooOld && tableEnd === undefined)
    return { text: pending, rotate: false };
  const whole = tableEnd === undefined ? pending : pending.slice(0, Math.max(0, tableEnd - shown.length));
  const fitting = prefixWithin(whole, hardBytes - shownBytes);
  const border = lastBlockBorder(shown, fitting, tooOld ? 0 : softBytes / 2);
  if (border !== undefined) return { text: fitting.slice(0, border), rotate: true };
  if (fitting.length === pending.length && ageMs < hardAgeMs) return { text: pending, rotate: false };
  return { text: fitting.slice(0, bestCut(fitting, pending)), rotate: true };
}

/**
 * Decides what a new segment begins with. Some of what is pending always goes into it: where the head of a table leaves no
 * room for its next row, the row goes without.
 *
 * @param previous - What the segment before it shows.
 */
export function planSegment(previous: string, pending: string, cardBytes: number): SegmentPlan {
  const { reopen } = borderOf(previous);
  const plan = planAppend(reopen, pending, { ageMs: 0, cardBytes });
  if (plan.text !== "" || pending === "") return { ...plan, reopen };
  return { ...planAppend("", pending, { ageMs: 0, cardBytes }), reopen: "" };
}

/** Where a table of Slack's own holds as much as it may: in front of the row that is too much. */
export function fullTableEnd(text: string): number | undefined {
  let at = 0;
  let fence = "";
  let table: { readonly start: number; rows: number } | undefined;
  let previous = "";
  for (const line of text.split(/(?<=\n)/)) {
    fence = fenceAfter(fence, line);
    if (fence !== "" || line.trim() === "") table = undefined;
    else if (table !== undefined) {
      table.rows += 1;
      if (table.rows > TABLE_ROWS || at + line.length - table.start > TABLE_CHARACTERS) return at;
    } else if (isRule(line) && previous.includes("|")) table = { start: at - previous.length, rows: 1 };
    previous = line;
    at += line.length;
  }
  return undefined;
}

/** The line between a table's head and its rows. */
function isRule(line: string): boolean {
  return /^[\s|:-]+$/.test(line) && line.includes("-") && line.includes("|");
}

/** The longest prefix of at most so many UTF-8 bytes that ends between characters. */
function prefixWithin(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let bytes = 0;
  let end = 0;
  for (const character of charactersOf(text)) {
    bytes += Buffer.byteLength(character);
    if (bytes > maxBytes) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/** As people see them; one that goes on and on is none, and comes in pieces. */
function* charactersOf(text: string): Iterable<string> {
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text)) {
    if (segment.length <= LONGEST_CHARACTER) yield segment;
    else yield* segment;
  }
}

/** Where in `pending` the last block begins: after a blank line outside of fences. */
function lastBlockBorder(shown: string, pending: string, minBytes: number): number | undefined {
  const whole = shown + pending;
  let at = 0;
  let found: number | undefined;
  let fence = "";
  for (const line of whole.split(/(?<=\n)/)) {
    at += line.length;
    fence = fenceAfter(fence, line);
    const blank = fence === "" && line.trim() === "" && line.endsWith("\n");
    if (blank && at >= shown.length && Buffer.byteLength(whole.slice(0, at)) >= minBytes)
      found = at - shown.length;
  }
  return found;
}

/** The end of a line, else of a word, else as much as fits; never inside an entity. */
function bestCut(fitting: string, pending: string): number {
  if (fitting.length === pending.length) return fitting.length;
  const line = fitting.lastIndexOf("\n") + 1;
  if (line > 0) return line;
  const word = Math.max(fitting.lastIndexOf(" "), fitting.lastIndexOf("，"), fitting.lastIndexOf("。")) + 1;
  if (word > 0) return word;
  const entity = /&[a-z]{0,3}$/.exec(fitting);
  return entity === null ? fitting.length : entity.index;
}

/** The open fence after a line: its opening line, or nothing. */
function fenceAfter(open: string, line: string): string {
  const marker = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
  if (marker === undefined) return open;
  if (open === "") return line.trim();
  const opener = /^(`{3,}|~{3,})/.exec(open)?.[1] ?? "";
  const closes = marker[0] === opener[0] && marker.length >= opener.length && line.trim() === marker;
  return closes ? "" : open;
}

/** What has to be added at the end of a segment, and at the beginning of the next, so that both read well. */
export function borderOf(shown: string): { readonly close: string; readonly reopen: string } {
  let fence = "";
  for (const line of shown.split(/(?<=\n)/)) fence = fenceAfter(fence, line);
  if (fence !== "") {
    const marker = /^(`{3,}|~{3,})/.exec(fence)?.[1] ?? "```";
    const opening = fence.length <= LONGEST_FENCE ? fence : marker;
    return { close: `${shown.endsWith("\n") ? "" : "\n"}${marker}`, reopen: `${opening}\n` };
  }
  return { close: "", reopen: shown.endsWith("\n") ? tableHead(shown) : "" };
}

/** Header and rule of a table that the text ends in (slack.md §1.5). */
function tableHead(shown: string): string {
  if (/\n[ \t]*\n$/.test(shown)) return "";
  const [block = ""] = shown
    .trimEnd()
    .split(/\n[ \t]*\n/)
    .slice(-1);
  const lines = block.split("\n");
  const rule = lines.findLastIndex((line, index) => isRule(line) && lines[index - 1]?.includes("|") === true);
  return rule < 0 ? "" : `${lines[rule - 1]}\n${lines[rule]}\n`;
}
