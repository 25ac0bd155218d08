import { isFollowable } from "./followable.ts";
import { withoutTags } from "./table-text.ts";

/** An address written out, with who signs in there, its host and its path. */
const ADDRESS =
  /[a-z][a-z\d+.-]{0,20}:\/\/(?:([^\s/?#@]*)@)?([^\s/?#:@]+)(?::\d+)?(?:[/?#][\w./?#:%&=+~@!$,;-]*)?/gi;
/** A host's name, or what looks like one to people, and what of an address stands behind it. */
const NAME =
  /(?<![\p{L}\p{N}-])((?:[\p{L}\p{N}-]+\.)+[\p{L}\p{N}-]+)((?::\d+)?(?:[/?#][\w./?#:%&=+~@!$,;-]*)?)/giu;
/** Ends as hosts do: of the names in Chinese only those that a registry has, since `1.概述` is a heading. */
const HOST_OF_NAME =
  /\.(?:[^\P{L}\p{Script=Han}]{2,}|中[国國]|公司|网[络址站店]|網絡|在线|中文网|集团|商[标店城]|政务|公益|移动|手机|信息|香港|台[湾灣]|澳[门門]|新加坡)$/u;
const HOST_OF_NUMBERS = /^\d{1,3}(?:\.\d{1,3}){3}$/;
/** Names of files look like hosts and fool nobody; `md` and `py` are countries as well. */
const FILE_NAME =
  /^(?:[\p{L}\p{N}-]+\.(?:md|py)|(?:[\p{L}\p{N}-]+\.)+(?:txt|csv|log|[jt]sx?|css|vue|html?|json|xml|ya?ml|toml|lock|cfg|sql|go|java|kt|rb|cpp|ipynb|gz|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg))$/iu;
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
  if (words === url || !/\.|:\/\//.test(words)) return true;
  const host = bare(hostOf(url));
  return claimedHosts(words).every((claimed) => leadsTo(claimed, host));
}

function claimedHosts(words: string): readonly string[] {
  const claimed: string[] = [];
  const rest = words.replaceAll(ADDRESS, (_address, signsIn: string | undefined, host: string) => {
    claimed.push(host, ...(signsIn?.includes(".") === true ? [signsIn] : []));
    return " ";
  });
  for (const { index, 1: name = "", 2: behind = "" } of rest.matchAll(NAME)) {
    const isMailbox = behind === "" && /[\p{L}\p{N}]@$/u.test(rest.slice(Math.max(0, index - 3), index));
    if (isMailbox) continue;
    if ([name, withoutSentence(name)].some((each) => looksLikeHost(each, behind))) claimed.push(name);
  }
  return claimed;
}

/** Four numbers alone are a version. */
function looksLikeHost(name: string, behind: string): boolean {
  if (HOST_OF_NUMBERS.test(name)) return behind !== "";
  return HOST_OF_NAME.test(name) && !FILE_NAME.test(name);
}

function leadsTo(claimed: string, host: string): boolean {
  const spellings = [claimed, withoutSentence(claimed), URL.parse(`http://${claimed}`)?.hostname ?? ""];
  return spellings.some((spelling) => bare(spelling) === host);
}

function withoutSentence(name: string): string {
  return name.replaceAll(SENTENCE_AROUND, "");
}

function bare(host: string): string {
  return host.toLowerCase().replace(/^www\./, "");
}

/** What a person reads of a label: no marks and tags, nothing that cannot be seen, one spelling of each letter. */
function visible(label: string): string {
  const text = label
    .replace(/&(?:#46|#x2e|period);/gi, ".")
    .replace(/&(?:#47|#x2f|sol);/gi, "/")
    .replace(/&(?:#58|#x3a|colon);/gi, ":")
    .replace(/\\([!-/:-@[-`{-~])/g, "$1");
  return withoutTags(text)
    .replace(/[*_~`\u2800]|\p{Cf}/gu, "")
    .normalize("NFKC")
    .replace(/\p{M}/gu, "")
    .replace(/(?<=[a-z\d])[。·‧۔](?=[a-z\d])/gi, ".")
    .trim();
}

/** Where a link goes, for people. */
export function hostOf(url: string): string {
  if (url.startsWith("mailto:")) return url.slice(url.lastIndexOf("@") + 1);
  return URL.parse(url)?.hostname ?? url;
}
