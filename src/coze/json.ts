/** What V8 tells a reviver about the source text of a primitive; not in TypeScript's library yet. */
interface ReviverContext {
  readonly source?: string;
}

/**
 * `JSON.parse` for Coze: integers beyond 2^53 stay exact, as strings of their digits (coze-api.md §1.6, §22.42).
 *
 * @throws {SyntaxError}
 */
export function parseCozeJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // Ids stand in quotes nearly always, and a reviver takes five times as long.
  return isExact(value) ? value : JSON.parse(text, keepLongNumber);
}

/** Whether all numbers in it are what the text said; fractions count as doubtful. */
function isExact(value: unknown): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value);
  if (typeof value !== "object" || value === null) return true;
  // `JSON.parse` makes own keys only. `Object.values` would take twice as long.
  for (const key in value) if (!isExact((value as Readonly<Record<string, unknown>>)[key])) return false;
  return true;
}

function keepLongNumber(_key: string, value: unknown, context?: ReviverContext): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return /^-?\d+$/.test(source) ? source : value;
}

/** `undefined` when the text is no JSON object. */
export function parseJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseCozeJson(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    // Proven one line above: an object that is no array has string keys.
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    // Coze's own gateway and old servers answer in HTML or plain text; the caller decides what that means.
    return undefined;
  }
}
