import { BridgeError, type ErrorCode, PlatformError } from "./errors.ts";

/** What becomes of a turn that failed. */
export type AfterFailure =
  | { readonly do: "retry"; readonly afterMs: number }
  /** Tell the asker. `bury`: the operator can do something about it, so the turn also becomes a dead letter. */
  | { readonly do: "tell"; readonly code: ErrorCode; readonly bury: boolean }
  /** Nobody can be told there: the turn becomes a dead letter for the operator. */
  | { readonly do: "give-up" };

/** Attempts per turn, whatever the cause, the first one included. */
const MAX_ATTEMPTS = 3;
/** A running chat of the same conversation ends by itself; it may take as long as an answer takes. */
const MAX_ATTEMPTS_WHILE_OCCUPIED = 30;
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
/** Who is told to come back later than this gives up: nobody waits that long for an answer. */
const LONGEST_TOLD_MS = 5 * 60_000;

/** Ends that are answers in their own way: asking again, by whomever, would end the same. */
const SETTLED: readonly ErrorCode[] = [
  "COZE_REFUSED",
  "COZE_PROMPT_TOO_LONG",
  "COZE_USER_QUOTA",
  "COZE_BAD_REQUEST",
  "COZE_CANCELED",
  "COZE_NO_ANSWER",
  "COZE_ACTION_REQUIRED",
  "COZE_ANSWER_TOO_LONG",
];

/**
 * Decides between another attempt and a notice.
 *
 * @param attempt - 1 for the first.
 * @param options - `repeatable`: another attempt shows nothing twice and asks nothing twice, because nothing was
 * shown yet or the chat is known and will be followed.
 * @see docs/reference/coze-api.md §15, §16.4
 */
export function afterFailure(
  error: unknown,
  attempt: number,
  options: { repeatable: boolean },
): AfterFailure {
  if (!(error instanceof BridgeError)) return { do: "tell", code: "INTERNAL", bury: true };
  const backoffMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
  const afterMs = Math.max(error.retryAfterMs ?? 0, backoffMs);
  if (error instanceof PlatformError) {
    return error.retryable && attempt < MAX_ATTEMPTS ? { do: "retry", afterMs } : { do: "give-up" };
  }
  const usual = error.code === "COZE_OCCUPIED" ? MAX_ATTEMPTS_WHILE_OCCUPIED : MAX_ATTEMPTS;
  const limit = Math.min(usual, error.maxAttempts ?? usual);
  const tooLate = afterMs > LONGEST_TOLD_MS;
  if (error.retryable && options.repeatable && !tooLate && attempt < limit) return { do: "retry", afterMs };
  // "Occupied" means nothing to the asker: after all this time it is simply busy.
  const code = error.code === "COZE_OCCUPIED" ? "COZE_BUSY" : error.code;
  return { do: "tell", code, bury: !SETTLED.includes(code) };
}
