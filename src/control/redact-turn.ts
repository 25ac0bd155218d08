import type { Json } from "../core/json.ts";
import { hideSecrets } from "../log.ts";

/** Characters shown of a text that nobody asked for. */
const PREVIEW_CHARACTERS = 120;
/** Form of a sealed secret, see `src/store/sealer.ts`. */
const SEALED = /s1\.[\w-]+\.[0-9a-z]+\.[\w-]+/g;
/** A signed address is a secret in its query and fragment. */
const ADDRESS_TAIL = /(https?:\/\/[^\s"'<>?#]*)[?#][^\s"'<>]*/g;

/**
 * A stored turn as an operator may see it: no sealed tokens, no signed parts of addresses, nothing that looks like a
 * token; texts cut to a preview unless `text`. Knows no version of a turn, so that it can show one that no longer reads.
 */
export function redactTurn(payload: Json, { text }: { text: boolean }): Json {
  return mapStrings(payload, (value) => {
    const safe = hideSecrets(value.replace(SEALED, "[sealed]").replace(ADDRESS_TAIL, "$1?[hidden]"), []);
    const rest = [...safe].length - PREVIEW_CHARACTERS;
    if (text || rest <= 0) return safe;
    return `${[...safe].slice(0, PREVIEW_CHARACTERS).join("")}… (${rest} more characters)`;
  });
}

function mapStrings(value: Json, change: (text: string) => string): Json {
  if (typeof value === "string") return change(value);
  if (typeof value !== "object" || value === null) return value;
  if (isList(value)) return value.map((item) => mapStrings(item, change));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapStrings(item, change)]));
}

/** `Array.isArray` does not narrow readonly lists. */
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
