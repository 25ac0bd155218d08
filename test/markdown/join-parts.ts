/**
 * Undoes what splitting puts in: the closing and reopening of a fence at a border, repeated table headers. White space
 * at the borders comes back as one line end, so compare with {@link withoutSpace}.
 */
export function joinParts(parts: readonly string[]): string {
  return parts.reduce((joined, part) => joinTwo(joined, part), "");
}

/** Everything but white space and quote marks at line starts, which a border may add or take. */
export function withoutSpace(markdown: string): string {
  return markdown.replace(/^[ \t]*(?:>[ \t]*)+/gm, "").replace(/\s+/g, "");
}

function joinTwo(before: string, part: string): string {
  if (before === "") return part;
  const closing = /\n[ \t>]*(`{3,}|~{3,})$/.exec(before);
  const opening = /^[ \t>]*(`{3,}|~{3,})[^\n]*\n/.exec(part);
  if (closing !== null && opening !== null && closing[1] === opening[1]) {
    return `${before.slice(0, closing.index)}\n${part.slice(opening[0].length)}`;
  }
  const header = /^[^\n]*\|[^\n]*\n[ >]*\|?[ :-]*-[-:| ]*(?:\n|$)/.exec(part)?.[0];
  const repeated = header !== undefined && withoutSpace(before).includes(withoutSpace(header));
  return `${before}\n${repeated ? part.slice(header.length) : part}`;
}
