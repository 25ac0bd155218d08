import { FOLLOWING, findCut, type Sight } from "./find-cut.ts";
import { closingLength, dedentList, NOTHING_OPEN, type Reopening } from "./reopen.ts";

export interface SplitOptions {
  /** Largest measure of a part. */
  readonly limit: number;
  /** Size of a text as the platform counts it; must not shrink when text is appended. */
  readonly measure: (text: string) => number;
  /** Where the same answer was cut before, when it was shorter. */
  readonly memory?: CutMemory;
}

/** The cuts of one growing answer by one limit: what is before the last part is not looked at again. */
export class CutMemory {
  readonly steps: CutStep[] = [];
  readonly sight: Sight = {};
}

interface CutStep {
  readonly before: string;
  /** All that the cut was chosen by. */
  readonly seen: string;
  readonly taken: Omit<Taken, "rest"> & { readonly next: number };
}

/** One part and what of it is ours: `before + body + after` is the part, the bodies are the source. */
export interface Piece {
  /** A reopened fence, a repeated table header, quote marks. */
  readonly before: string;
  /** The source between two cuts; white space at the cuts is gone, deep list indentation may be smaller. */
  readonly body: string;
  /** The closing of a fence that goes on in the next part. */
  readonly after: string;
}

/**
 * Cuts Markdown into parts that each stand alone: at block, line, sentence, word or character borders, in this order of
 * preference; never inside a link, a code span, a mention or a character. Fences are closed and reopened, table
 * headers repeated.
 *
 * Where a part ends depends only on text within its own budget: while an answer grows, all parts but the last stay
 * as they are.
 *
 * @returns No part for blank text. A single character over the limit still makes a part.
 */
export function splitMarkdown(markdown: string, options: SplitOptions): readonly string[] {
  return cutMarkdown(markdown, options).map(({ before, body, after }) => before + body + after);
}

/** {@link splitMarkdown} with the inserted text told apart. */
export function cutMarkdown(markdown: string, options: SplitOptions): readonly Piece[] {
  const pieces: Piece[] = [];
  let rest = withoutBlankLines(markdown);
  let open: Reopening = NOTHING_OPEN;
  while (rest.trim() !== "") {
    const taken =
      remembered(open, rest, pieces.length, options) ?? takeNext(open, rest, pieces.length, options);
    if (taken === undefined) {
      pieces.push({ before: open.before, body: rest.trimEnd(), after: "" });
      break;
    }
    pieces.push(taken.piece);
    ({ rest, open } = goOn(taken.rest, taken.open, options));
  }
  return pieces;
}

function remembered(
  open: Reopening,
  rest: string,
  index: number,
  { memory }: SplitOptions,
): Taken | undefined {
  const step = memory?.steps[index];
  if (step === undefined || step.before !== open.before || !rest.startsWith(step.seen)) return undefined;
  return { ...step.taken, rest: rest.slice(step.taken.next) };
}

/** @returns Nothing when all of the rest fits. */
function takeNext(open: Reopening, rest: string, index: number, options: SplitOptions): Taken | undefined {
  const fits = fittingLength(open.before, rest, options);
  if (fits >= rest.length) return undefined;
  const taken = takePiece(open, rest, fits, options);
  const next = rest.length - taken.rest.length;
  const reach = Math.max(fits, next) + FOLLOWING;
  if (options.memory !== undefined && reach < rest.length) {
    options.memory.steps[index] = {
      before: open.before,
      seen: rest.slice(0, reach),
      taken: { piece: taken.piece, open: taken.open, next },
    };
  }
  return taken;
}

function withoutBlankLines(text: string): string {
  return text.replace(/^(?:[ \t]*\r?\n)+/, "");
}

/** How many code units of `rest` a part may hold at most. Found by halving: `measure` may be anything that grows. */
function fittingLength(before: string, rest: string, { limit, measure }: SplitOptions): number {
  const fits = (length: number): boolean => measure(before + rest.slice(0, length)) <= limit;
  // Most measures count characters, so the answer is near the limit: look there first.
  let low = Math.min(rest.length, Math.max(0, limit - before.length));
  let high = low + 1;
  for (let step = 64; high <= rest.length && fits(high); step *= 2) [low, high] = [high, high + step];
  if (low > 0 && !fits(low)) [low, high] = [0, low];
  high = Math.min(high, rest.length + 1);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

interface Taken {
  readonly piece: Piece;
  readonly rest: string;
  readonly open: Reopening;
}

/** Each try parses; the second one is about the closing of a fence, more are for odd measures. */
const MAX_TRIES = 8;

function takePiece(open: Reopening, rest: string, fits: number, options: SplitOptions): Taken {
  const { limit, measure, memory } = options;
  let length = fits;
  for (let tries = 0; tries < MAX_TRIES && length > 0; tries += 1) {
    const cut = findCut(open.before, rest, length, memory?.sight);
    const body = rest.slice(0, cut.end).trimEnd();
    const part = open.before + body + cut.after;
    const excess = measure(part) - limit;
    if (excess <= 0 && body !== "") {
      return {
        piece: { before: open.before, body, after: cut.after },
        rest: rest.slice(cut.next),
        open: cut.open,
      };
    }
    // The closing of a fence has to fit, too.
    length = Math.min(length, cut.end) - Math.max(1, Math.min(excess, length - 1));
  }
  return takeAnything(open, rest, fits, options);
}

/** There is no room for what would have to be reopened: plain text, at least one character. */
function takeAnything(open: Reopening, rest: string, fits: number, options: SplitOptions): Taken {
  const length = open.before === "" ? fits : fittingLength("", rest, options);
  const end = Math.max(1, Math.min(length, rest.length));
  const whole = isHighSurrogate(rest, end - 1) ? (end > 1 ? end - 1 : 2) : end;
  const body = rest.slice(0, whole);
  return { piece: { before: "", body, after: "" }, rest: rest.slice(whole), open: NOTHING_OPEN };
}

function isHighSurrogate(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code >= 0xd800 && code < 0xdc00;
}

/** What the next part starts with. */
function goOn(
  rest: string,
  open: Reopening,
  { limit, measure }: SplitOptions,
): { rest: string; open: Reopening } {
  const dedented = open.dedent > 0 ? dedentList(rest, open.dedent) : rest;
  // Deep quotes, wide tables: at least a quarter of each part is for new text, or there would be no end of parts.
  if (measure(open.before) > limit * 0.75) return { rest: dedented, open: NOTHING_OPEN };
  if (open.fence === undefined) return { rest: dedented, open };
  // The fence ends right here: it was closed in the part before, an empty one need not be opened for that.
  const closing = closingLength(dedented, open.fence);
  return closing > 0
    ? { rest: withoutBlankLines(dedented.slice(closing)), open: NOTHING_OPEN }
    : { rest: dedented, open };
}
