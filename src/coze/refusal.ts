import { CozeError, type ErrorCode } from "../core/errors.ts";

/**
 * Refuses what Coze would refuse anyway, before it is sent, in words that say what to change.
 *
 * @throws {CozeError} `COZE_BAD_REQUEST`, unless `code` says otherwise.
 */
export function refuse(what: string, code: ErrorCode = "COZE_BAD_REQUEST"): never {
  throw new CozeError(code, `Nothing was sent to Coze: ${what}`, { outcome: "refused" });
}

/** @throws {CozeError} `COZE_BAD_REQUEST` when a text, if there is one, is too long or too short. */
export function checkLength(
  what: string,
  text: string | undefined,
  { least = 0, most }: { least?: number; most: number },
): void {
  if (text === undefined || hasLength(text, { least, most })) return;
  refuse(`${what} has not ${least} to ${most} characters`);
}

/** An id as a part of a path. @throws {CozeError} `COZE_BAD_REQUEST` for what would lead to another path. */
export function toPathPart(id: string): string {
  if (/^\.{0,2}$/.test(id)) refuse(`"${id}" is no id`);
  return encodeURIComponent(id);
}

/**
 * Whether a text has so many characters. Nobody says how Coze counts them (coze-api.md §22.43): here by code point, the
 * fewest there can be, so that nothing is refused that Coze might take.
 */
function hasLength(text: string, { least = 0, most }: { least?: number; most: number }): boolean {
  // No code point has more than two units: what is that long need not be counted.
  if (text.length > 2 * most) return false;
  const characters = Array.from(text).length;
  return characters >= least && characters <= most;
}
