import { isFollowable } from "./followable.ts";

/** An address written out, its host told apart; people see the host, whatever stands before an `@`. */
const ADDRESS = /[a-z][a-z\d+.-]*:\/\/(?:[^\s/?#]*@)?([^\s/?#:]+)[\w./?#:%&=+~@!$,;-]*/gi;
/** A host's name, or what looks like one to people, and the path behind it. */
const NAME = /((?:[\p{L}\p{N}-]+\.)+[\p{L}\p{N}-]+)(?:[/?#:][\w./?#:%&=+~@!$,;-]*)?/giu;
const HOST_OF_NAME = /\.\p{L}{2,}$/u;
const HOST_OF_NUMBERS = /^\d{1,3}(?:\.\d{1,3}){3}$/;
/** Names of files look like hosts and fool nobody. */
const FILE_NAME =
  /^[\p{L}\p{N}-]+\.(?:md|txt|csv|log|[jt]sx?|py|css|html?|json|xml|ya?ml|toml|sql|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg)$/iu;
/** Chinese has no spaces: what stands before or behind a name in Latin letters is the sentence around it. */
const SENTENCE_AROUND = /^\p{Script=Han}+(?=[a-z\d-])|(?<=[a-z\d-])\p{Script=Han}+$/giu;

/**
 * Whether words go with their link: each host that they name is the one that it leads to, and it leads to a kind of place
 * that is allowed. `[bank.example](https://evil.example)` is not honest.
 *
 * @param label - As it was written, or as people read it.
 */
export function isHonest(label: string, url: string): boolean {
  if (/^[a-z][a-z0-9+.-]*:/i.test(url) && !isFollowable(url)) return false;
  const words = visible(label);
  if (words === url) return true;
  const host = bare(hostOf(url));
  return claimedHosts(words).every((claimed) => [claimed, withoutSentence(claimed)].some(leadsTo(host)));
}

function leadsTo(host: string): (claimed: string) => boolean {
  return (claimed) => bare(claimed) === host || bare(URL.parse(`http://${claimed}`)?.hostname ?? "") === host;
}

function claimedHosts(words: string): readonly string[] {
  const claimed: string[] = [];
  const rest = words.replaceAll(ADDRESS, (_address, host: string) => {
    claimed.push(host);
    return " ";
  });
  for (const [, name = ""] of rest.matchAll(NAME)) {
    const isHost = HOST_OF_NAME.test(name) || HOST_OF_NUMBERS.test(name);
    if (isHost && !FILE_NAME.test(name)) claimed.push(name);
  }
  return claimed;
}

function withoutSentence(name: string): string {
  return name.replaceAll(SENTENCE_AROUND, "");
}

function bare(host: string): string {
  return host.toLowerCase().replace(/^www\./, "");
}

/** What a person reads of a label: no marks, nothing that cannot be seen, one spelling of each letter. */
function visible(label: string): string {
  return label
    .replace(/&(?:#46|#x2e|period);/gi, ".")
    .replace(/&(?:#47|#x2f|sol);/gi, "/")
    .replace(/&(?:#58|#x3a|colon);/gi, ":")
    .replace(/\\([!-/:-@[-`{-~])/g, "$1")
    .replace(/[*_~`]|\p{Cf}/gu, "")
    .normalize("NFKC")
    .replace(/\p{M}/gu, "")
    .replace(/(?<=[a-z\d])。(?=[a-z\d])/gi, ".")
    .trim();
}

/** Where a link goes, for people. */
export function hostOf(url: string): string {
  if (url.startsWith("mailto:")) return url.slice(url.lastIndexOf("@") + 1);
  return URL.parse(url)?.hostname ?? url;
}
