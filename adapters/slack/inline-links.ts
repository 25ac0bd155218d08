/** A Markdown link as it stands in a text. */
export interface InlineLink {
  /** Behind its last character. */
  readonly end: number;
  readonly label: string;
  readonly url: string;
}

/** Longer ones are no links to us, nor do they hold a growing text back. */
const MAX_LINK = 2_000;

/**
 * The link that begins with the bracket at `start`; `"open"` when the text ends before it can be told; `undefined`
 * when it is none. Labels may hold brackets and line ends, addresses balanced parentheses, as CommonMark has it.
 */
export function linkAt(text: string, start: number): InlineLink | "open" | undefined {
  const labelEnd = closingBracket(text, start);
  if (typeof labelEnd !== "number") return labelEnd;
  if (labelEnd + 1 >= text.length) return "open";
  if (text[labelEnd + 1] !== "(") return undefined;
  const target = TARGET.exec(text.slice(labelEnd + 2, labelEnd + 2 + MAX_LINK));
  const label = text.slice(start + 1, labelEnd);
  if (target !== null) {
    return { label, url: target[1] ?? target[2] ?? "", end: labelEnd + 2 + target[0].length };
  }
  const rest = text.slice(labelEnd + 2);
  return rest.length < MAX_LINK && !/\n[ \t]*\n/.test(rest) && HALF_TARGET.test(rest) ? "open" : undefined;
}

/** An address in angle brackets, or a bare one with at most two levels of parentheses; then perhaps a title. */
const BARE = String.raw`(?:\\.|[^\s()\\<]|\((?:\\.|[^\s()\\]|\((?:\\.|[^\s()\\])*\))*\))(?:\\.|[^\s()\\]|\((?:\\.|[^\s()\\]|\((?:\\.|[^\s()\\])*\))*\))*`;
const TITLE = String.raw`"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\((?:\\.|[^()\\])*\)`;
const TARGET = new RegExp(String.raw`^\s*(?:<((?:\\.|[^<>\\\n])*)>|(${BARE}))(?:\s+(?:${TITLE}))?\s*\)`);
/** What may still become one: an address without a space in it, or with the beginning of a title behind it. */
const HALF_TARGET = /^\s*(?:<[^<>\n]*>?|[^\s<][^\s]*)?(?:\s+(?:"[^"]*"?|'[^']*'?|\([^()]*\)?)?)?\s*$/;

function closingBracket(text: string, start: number): number | "open" | undefined {
  let depth = 0;
  const most = Math.min(text.length, start + MAX_LINK);
  for (let at = start; at < most; at += 1) {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === "[") depth += 1;
    else if (char === "]") depth -= 1;
    else if (char === "\n" && /^\n[ \t]*\n/.test(text.slice(at, at + 20))) return undefined;
    if (depth === 0) return at;
  }
  return most === text.length ? "open" : undefined;
}
