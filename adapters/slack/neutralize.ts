import { codeRanges } from "../../src/markdown/code-ranges.ts";
import { isFollowable } from "../../src/markdown/followable.ts";
import { hostOf, isHonest } from "../../src/markdown/honest-links.ts";
import { linkAt } from "./inline-links.ts";

const ZERO_WIDTH_SPACE = "\u200B";
const WORD_JOINER = "\u2060";

/** What may end in the middle of a token is held back while more text may come, at most this long. */
const MAX_HELD_BACK = 300;

/**
 * Makes Markdown of the model, or of a person, harmless: no pings, no links that say one host and go to another, no
 * invisible direction changes. Repeatable character by character: what was made of a text stays as it is when the
 * text goes on, as long as {@link stableLength} was obeyed.
 *
 * @see docs/reference/slack.md §9.4
 */
export function neutralize(markdown: string): string {
  const clean = withoutControls(markdown);
  let result = "";
  let at = 0;
  for (const { start, end } of codeRanges(clean)) {
    if (end <= at) continue;
    const from = Math.max(at, start);
    result += inText(clean.slice(at, from)) + inCode(clean.slice(from, end));
    at = end;
  }
  return result + inText(clean.slice(at));
}

/** Bidirectional controls, NUL and friends; Slack rejects some of them (slack.md §9.4 rule 9). */
function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u0008\u000B-\u001F\u007F\u200E\u200F\u202A-\u202E\u2066-\u2069]/g, "");
}

/** Tokens may be parsed in code as well; nothing else in code is touched (slack.md §9.4 rule 3). */
function inCode(code: string): string {
  return code.replace(/<(?=[@#!])/g, `<${ZERO_WIDTH_SPACE}`);
}

function inText(text: string): string {
  const tokens = text
    .replace(/<([a-z][a-z0-9+.-]*:[^<>|\s]*)\|([^<>\n]*)>/gi, (_token, url: string, label: string) =>
      toLink(url, label),
    )
    .replace(/<([@#!][^<>\n]*)>/g, "&lt;$1&gt;")
    .replace(/<(?=[@#!])/g, "&lt;");
  return honestLinks(tokens)
    .replace(/^([ \t>*+\d.)-]*\[(?:\\.|[^[\]\\]){1,999}\]):/gm, String.raw`$1\:`)
    .replace(/(?<![\w.])@(?=(?:here|channel|everyone)\b)/gi, `@${WORD_JOINER}`);
}

/**
 * Links whose words are another address lose it, or are text if nobody could go there; those inside of a label come
 * first.
 */
function honestLinks(text: string, depth = 0): string {
  let result = "";
  let at = 0;
  for (let start = text.indexOf("["); start >= 0; start = text.indexOf("[", Math.max(at, start + 1))) {
    const link = linkAt(text, start);
    if (link === undefined || link === "open" || text[start - 1] === "\\") continue;
    const label = depth < 3 ? honestLinks(link.label, depth + 1) : link.label;
    const target = text.slice(start + 1 + link.label.length, link.end);
    const honest = isHonest(label, link.url);
    const staysInBrackets = honest || !isFollowable(link.url);
    const image = text[start - 1] === "!";
    result += text.slice(at, image && !staysInBrackets ? start - 1 : start);
    if (!staysInBrackets) result += toLink(link.url, label);
    else result += `[${label}${honest ? target : unlinked(target)}`;
    at = link.end;
  }
  return result + text.slice(at);
}

/** What is behind the words of a link, or a whole picture, as text: it looks the same and leads nowhere. */
export function unlinked(target: string): string {
  return target.replaceAll("](", `]${WORD_JOINER}(`);
}

/** A link whose words cannot be taken for another address. */
function toLink(url: string, label: string): string {
  if (!isFollowable(url)) return label === "" ? url : `${label} (${url})`;
  if (isHonest(label, url)) return `[${label === "" ? url : label}](${url})`;
  return `${label} (${hostOf(url)})`;
}

/**
 * How much of a growing text may be shown: everything before a token that may still go on, and before half a
 * character. Tokens, links, mentions and code spans are kept back until they are whole, up to 300 characters.
 */
export function stableLength(markdown: string): number {
  const from = Math.max(0, markdown.length - MAX_HELD_BACK);
  const tail = markdown.slice(from);
  const open = [
    /<[^<>\n]*$/.exec(tail),
    openLink(tail),
    /@[a-z]{0,8}$/i.exec(tail),
    /!$/.exec(tail),
    /[\uD800-\uDBFF]$/.exec(tail),
    openCodeSpan(tail),
  ];
  const starts = open.flatMap((match) => (match === null ? [] : [match.index]));
  return starts.length === 0 ? markdown.length : from + Math.min(...starts);
}

/** The first link that is not whole yet, with the sign that makes it a picture. */
function openLink(tail: string): { index: number } | null {
  for (let start = tail.indexOf("["); start >= 0; start = tail.indexOf("[", start + 1)) {
    if (linkAt(tail, start) === "open") return { index: tail[start - 1] === "!" ? start - 1 : start };
  }
  return null;
}

/** A run of backticks in the last line that nothing closes yet; a fence's own line counts until it ends. */
function openCodeSpan(tail: string): { index: number } | null {
  const lineStart = tail.lastIndexOf("\n") + 1;
  const line = tail.slice(lineStart);
  if (/^\s*(?:`{1,}|~{1,})[^`]*$/.test(line) && /^\s*(?:`{3,}|~{3,}|`{1,2}$|~{1,2}$)/.test(line)) {
    return { index: lineStart };
  }
  let open: { index: number; run: string } | undefined;
  for (const match of line.matchAll(/`+/g)) {
    if (open === undefined) open = { index: match.index, run: match[0] };
    else if (open.run === match[0]) open = undefined;
  }
  return open === undefined ? null : { index: lineStart + open.index };
}

/** Text for `mrkdwn` and plain fields: nothing in it is markup any more (slack.md §9.4 rule 2). */
export function toInertText(text: string): string {
  return withoutControls(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replace(/@(?=(?:here|channel|everyone)\b)/gi, `@${WORD_JOINER}`);
}
