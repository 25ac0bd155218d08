/** A run of digits too long for a JS number to be exact, outside quotes often enough to be worth the slow road. */
const LONG_NUMBER = /\d{16}/;

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
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return JSON.parse(text, keepLongNumber);
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
