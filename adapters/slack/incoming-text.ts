/** Names for ids; an id without a name is shown as it is. */
export type Names = ReadonlyMap<string, string>;

/** Users a text mentions, each once. */
export function mentionedUsers(text: string): readonly string[] {
  return [
    ...new Set([...text.matchAll(/<@([UW][A-Z0-9]+)(?:\|[^<>\n]*)?>/g)].map((match) => match[1] ?? "")),
  ];
}

export function mentions(text: string, user: string): boolean {
  return mentionedUsers(text).includes(user);
}

/** Takes the first mention of us away, wherever it stands; a second one is part of the sentence. */
export function withoutMention(text: string, user: string): string {
  const found = new RegExp(`<@${user}(?:\\|[^<>\\n]*)?>[,:：，]?`).exec(text);
  if (found === null) return text.trim();
  let end = found.index;
  while (end > 0 && /[ \t]/.test(text.charAt(end - 1))) end -= 1;
  const before = text.slice(0, end);
  const after = text.slice(found.index + found[0].length).replace(/^[ \t]+/, "");
  // Its line stays one of its own: what stands there may be code or a list.
  const isAtBorder = /(?:^|\n)$/.test(before) || /^(?:\n|$)/.test(after);
  return `${before}${isAtBorder ? "" : " "}${after}`.trim();
}

/**
 * Slack's markup to what a person would read: tokens first, entities last (slack.md §9.3).
 *
 * @param names - Display names by user id.
 */
export function toPlainText(text: string, names: Names): string {
  return text
    .replace(/<([^<>\n]+)>/g, (_token, inner: string) => toWords(inner, names))
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

function toWords(inner: string, names: Names): string {
  const bar = inner.indexOf("|");
  const target = bar < 0 ? inner : inner.slice(0, bar);
  const label = bar < 0 ? "" : inner.slice(bar + 1);
  if (target.startsWith("@")) return `@${names.get(target.slice(1)) ?? (label || target.slice(1))}`;
  if (target.startsWith("#")) return `#${label || target.slice(1)}`;
  if (target.startsWith("!")) return specialMention(target, label);
  if (target.startsWith("mailto:")) return label || target.slice("mailto:".length);
  // Slack makes a link of what looks like one.
  const written = target.replace(/^(?:https?:\/\/|tel:)/, "");
  if (label === "" || label === target) return target;
  return label === written || label.replaceAll(" ", "") === written ? label : `${label} (${target})`;
}

/** `<!here>`, `<!subteam^S1|@group>`, `<!date^…|fallback>`. */
function specialMention(target: string, label: string): string {
  if (label !== "") return label;
  const name = target.slice(1).split("^")[0] ?? "";
  return `@${name}`;
}
