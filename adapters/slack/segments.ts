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

/** What to send next, and whether the segment ends with it. */
export interface AppendPlan {
  /** A prefix of what is pending; may be empty when the segment has to end at once. */
  readonly text: string;
  readonly rotate: boolean;
}

/**
 * Decides how much of the pending text still goes into a segment.
 *
 * @param shown - What the segment shows already, with what was reopened at its start.
 * @param ageMs - How long ago it was started.
 */
export function planAppend(shown: string, pending: string, ageMs: number): AppendPlan {
  const { softBytes, hardBytes, softAgeMs, hardAgeMs } = SEGMENT_LIMITS;
  const shownBytes = Buffer.byteLength(shown);
  const tooOld = ageMs >= softAgeMs;
  if (shownBytes + Buffer.byteLength(pending) <= softBytes && !tooOld)
    return { text: pending, rotate: false };
  const fitting = prefixWithin(pending, hardBytes - shownBytes);
  const border = lastBlockBorder(shown, fitting, tooOld ? 0 : softBytes / 2);
  if (border !== undefined) return { text: fitting.slice(0, border), rotate: true };
  if (fitting.length === pending.length && ageMs < hardAgeMs) return { text: pending, rotate: false };
  return { text: fitting.slice(0, bestCut(fitting, pending)), rotate: true };
}

/** The longest prefix of at most so many UTF-8 bytes that ends between characters. */
function prefixWithin(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let bytes = 0;
  let end = 0;
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text)) {
    bytes += Buffer.byteLength(segment);
    if (bytes > maxBytes) break;
    end += segment.length;
  }
  return text.slice(0, end);
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
    return { close: `${shown.endsWith("\n") ? "" : "\n"}${marker}`, reopen: `${fence}\n` };
  }
  return { close: "", reopen: shown.endsWith("\n") ? tableHead(shown) : "" };
}

/** Header and rule of a table that the text ends in (slack.md §1.5). */
function tableHead(shown: string): string {
  const block =
    shown
      .trimEnd()
      .split(/\n[ \t]*\n/)
      .at(-1) ?? "";
  const [head, rule] = block.split("\n");
  const cut = /\n[ \t]*\n$/.test(shown);
  if (cut || head === undefined || rule === undefined) return "";
  return head.includes("|") && /^[\s|:-]+$/.test(rule) && rule.includes("-") ? `${head}\n${rule}\n` : "";
}
