/** Inline marks in one paragraph, at most: the parser's time grows with their square, for images with their cube. */
const MAX_MARKS = 1_000;
/** Quotes and lists inside each other, at most: the parser's stack ends at a few thousand. */
const MAX_DEPTH = 50;

/** Openings of emphasis, strike-through, links and images. */
const MARKS = /[*_~[]/g;
const FENCE_LINE = /^[ \t>]*(?:`{3}|~{3})/;
/** Starts a new paragraph wherever it stands; an indented one or a number other than 1 need not. */
const BULLET = /^ {0,3}[-+*][ \t]+\S/;
/** A rule however long it is, and no list in a list. */
const RULE_LINE = /^ {0,3}([-*])(?:[ \t]*\1){2,}[ \t]*\r?\n?$/;
const CONTAINERS = /^(?:[ \t]*(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t])))+/;
const CONTAINER = />|[-+*]|\d{1,9}[.)]/g;

/**
 * A text of the same length for the parser, with letters in place of marks where nobody writes so many of them:
 * whoever makes a bot repeat `![` ten thousand times must not make the bridge stand still. All offsets stay.
 */
export function tameMarkdown(markdown: string): string {
  if (markdown.length <= MAX_DEPTH) return markdown;
  let tamed = "";
  for (const paragraph of paragraphsOf(markdown)) {
    const marks = paragraph.match(MARKS)?.length ?? 0;
    tamed += marks > MAX_MARKS ? withoutMarks(paragraph) : paragraph;
  }
  return tamed;
}

/** Stretches of lines that hold at least one whole paragraph each, and no more than one where that is certain. */
function* paragraphsOf(markdown: string): Generator<string, void, undefined> {
  let paragraph = "";
  for (const [line] of markdown.matchAll(/[^\n]*\n|[^\n]+$/g)) {
    if (BULLET.test(line) || line.trim() === "") {
      yield paragraph;
      paragraph = "";
    }
    paragraph += withoutDepth(line);
  }
  yield paragraph;
}

function withoutMarks(paragraph: string): string {
  const lines = paragraph.split("\n");
  return lines.map((line) => (FENCE_LINE.test(line) ? line : line.replaceAll(MARKS, "x"))).join("\n");
}

function withoutDepth(line: string): string {
  const [lead = ""] = CONTAINERS.exec(line) ?? [];
  if (lead.length <= MAX_DEPTH || RULE_LINE.test(line)) return line;
  let depth = 0;
  const shallow = lead.replaceAll(CONTAINER, (marker) =>
    ++depth > MAX_DEPTH ? "x".repeat(marker.length) : marker,
  );
  return shallow + line.slice(lead.length);
}
