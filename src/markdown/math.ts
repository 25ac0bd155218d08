import type { Heading, Paragraph } from "mdast";
import { type Range, rangeOf, walk } from "./parse.ts";

/** A formula in the source. */
export interface Formula extends Range {
  /** Without its marks. */
  readonly tex: string;
  /** Stands alone, in lines of its own. */
  readonly display: boolean;
}

/** Openings of formulas, each with its closing. A longer one comes first. */
const MARKS: readonly (readonly [open: string, close: string])[] = [
  ["$$", "$$"],
  ["\\[", "\\]"],
  ["\\(", "\\)"],
  ["$", "$"],
];

/** LaTeX in a paragraph or heading, as bots write it: `$x$`, `\(x\)`, `$$x$$`, `\[x\]`; prices and code are none. */
export function formulasOf(paragraph: Paragraph | Heading, source: string): readonly Formula[] {
  const { start, end } = rangeOf(paragraph);
  const text = source.slice(start, end);
  if (!text.includes("$") && !text.includes("\\(") && !text.includes("\\[")) return [];
  const code = [...walk(paragraph)].filter(({ type }) => type === "inlineCode").map(rangeOf);
  const found: Formula[] = [];
  const absent = new Set<string>();
  for (let at = start; at < end; at += 1) {
    const span = code.find((range) => range.start === at);
    if (span !== undefined) at = span.end - 1;
    else {
      const formula = formulaAt(source, at, { limit: end, absent });
      if (formula !== undefined) {
        const alone = formula.start === start && formula.end === end;
        found.push({ ...formula, display: alone && paragraph.type === "paragraph" });
        at = formula.end - 1;
      } else if (source[at] === "\\") at += 1;
    }
  }
  return found;
}

/** @param options - `absent`: closings that don't come again before the limit; each is looked for to the end once only. */
function formulaAt(
  source: string,
  start: number,
  { limit, absent }: { limit: number; absent: Set<string> },
): Omit<Formula, "display"> | undefined {
  const [open, close] = MARKS.find(([mark]) => source.startsWith(mark, start)) ?? [];
  if (open === undefined || close === undefined || absent.has(close)) return undefined;
  const from = start + open.length;
  const to = source.indexOf(close, from);
  const isAbsent = to < 0 || to + close.length > limit;
  if (isAbsent) absent.add(close);
  if (isAbsent || to === from) return undefined;
  const tex = source.slice(from, to);
  if (tex.includes("`") || tex.trim() === "") return undefined;
  if (open === "$" && !isFormula(tex, source[to + 1])) return undefined;
  return { start, end: to + close.length, tex: tex.trim() };
}

/** Longer ones are no formulas that somebody still writes. */
const LONGEST_HALF_FORMULA = 1_000;

/** Whether a formula begins at `start` that ends behind the text, for all that can be told yet. */
export function isHalfFormula(text: string, start: number): boolean {
  const [open, close] = MARKS.find(([mark]) => text.startsWith(mark, start)) ?? [];
  if (open === undefined || close === undefined || text.length - start > LONGEST_HALF_FORMULA) return false;
  const tex = text.slice(start + open.length);
  if (tex.includes(close) || tex.includes("`")) return false;
  return open !== "$" || !(/^\s/.test(tex) || tex.includes("\n") || isPrice(tex));
}

/** An amount with a word behind it: `5 a month`, `5，`. */
function isPrice(tex: string): boolean {
  return /^\d[\d.,]*[kKMB]?(?:[\s/-]+(?:a )?[a-zA-Z]{2}|\p{Script=Han}|[，。、；：！？（）])/u.test(tex);
}

/** `$5 and $6` is about money: no space beside the marks, no digit behind, and something that only TeX has. */
function isFormula(tex: string, next: string | undefined): boolean {
  if (tex !== tex.trim() || tex.includes("\n") || isPrice(tex) || (next !== undefined && /\d/.test(next)))
    return false;
  return /^[a-zA-Z]$/.test(tex) || /[\\^_{}=]/.test(tex);
}
