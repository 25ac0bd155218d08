import { BridgeError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";

/** Longest payload or checkpoint, in characters of JSON: far above any message, far below what hurts. */
const MAX_JSON_CHARACTERS = 1_000_000;

/**
 * JSON as text, of a size the queue takes.
 *
 * @throws {BridgeError} `INTERNAL` when it is longer than a million characters.
 */
export function toJsonText(value: Json, what: string): string {
  const text = JSON.stringify(value);
  if (text.length <= MAX_JSON_CHARACTERS) return text;
  throw new BridgeError(
    "INTERNAL",
    `${what} of ${text.length} characters, the queue takes ${MAX_JSON_CHARACTERS}`,
  );
}

/** What a queue has stored. @throws {SyntaxError} when it is not JSON. */
export function parseJson(text: string): Json {
  // JSON.parse returns nothing else.
  return JSON.parse(text) as Json;
}
