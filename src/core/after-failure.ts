import { BridgeError, CozeError, type ErrorCode, PlatformError } from "./errors.ts";

/** What becomes of a turn that failed. */
export type AfterFailure =
  | { readonly do: "retry"; readonly afterMs: number }
  /** Tell the asker; the turn is over. */
  | { readonly do: "tell"; readonly code: ErrorCode }
  /** Nobody can be told there: the turn becomes a dead letter for the operator. */
  | { readonly do: "give-up" };

/** Attempts per turn, whatever the cause, the first one included. */
const MAX_ATTEMPTS = 3;
/** A running chat of the same conversation ends by itself; it may take as long as an answer takes. */
const MAX_ATTEMPTS_WHILE_OCCUPIED = 9;
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
/** Who is told to come back later than this gives up: nobody waits that long for an answer. */
const LONGEST_TOLD_MS = 5 * 60_000;

/**
 * Decides between another attempt and a notice. Another attempt only when the same call may succeed, Coze certainly
 * did not take the question, and the asker has not seen any of the answer. What the platform refused to show is
 * answered again into the same messages.
 *
 * @param attempt - 1 for the first.
 * @see docs/reference/coze-api.md §15, §16.4
 */
export function afterFailure(error: unknown, attempt: number, options: { textShown: boolean }): AfterFailure {
  if (!(error instanceof BridgeError)) return { do: "tell", code: "INTERNAL" };
  const backoffMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
  const afterMs = Math.max(error.retryAfterMs ?? 0, backoffMs);
  if (error instanceof PlatformError) {
    return error.retryable && attempt < MAX_ATTEMPTS ? { do: "retry", afterMs } : { do: "give-up" };
  }
  const mayHaveHappened = error instanceof CozeError && error.outcome === "unknown";
  const tooLate = afterMs > LONGEST_TOLD_MS;
  const limit = error.code === "COZE_OCCUPIED" ? MAX_ATTEMPTS_WHILE_OCCUPIED : MAX_ATTEMPTS;
  if (!error.retryable || mayHaveHappened || options.textShown || tooLate || attempt >= limit) {
    return { do: "tell", code: error.code };
  }
  return { do: "retry", afterMs };
}
