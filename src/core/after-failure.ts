import { BridgeError, type ErrorCode, PlatformError } from "./errors.ts";

/** What becomes of a turn that failed. */
export type AfterFailure =
  | { readonly do: "retry"; readonly afterMs: number }
  /** Tell the asker. `bury`: the operator can do something about it, so the turn also becomes a dead letter. */
  | { readonly do: "tell"; readonly code: ErrorCode; readonly bury: boolean }
  /** Nobody can be told there: the turn becomes a dead letter for the operator. */
  | { readonly do: "give-up" };

/** Attempts per turn, the first one included. */
const MAX_ATTEMPTS = 3;
/**
 * The same where waiting is all it takes, some 13 minutes: while another chat runs in the conversation, which ends by itself;
 * while the answer is known to be at Coze (coze-api.md §16.3) and Coze is away; while the platform is.
 */
const MAX_PATIENT_ATTEMPTS = 30;
const FIRST_WAIT_MS = 2_000;
const LONGEST_WAIT_MS = 30_000;
/** Who is told to come back later than this gives up: nobody waits that long for an answer, or for its next attempt. */
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
 * shown yet or the chat is known and will be followed. `isFollowed`: the latter. `inTime`: the time of the answer is not over
 * (`ANSWER_MS`).
 * @see docs/reference/coze-api.md §15, §16.4
 */
export function afterFailure(
  error: unknown,
  attempt: number,
  { repeatable, isFollowed, inTime }: { repeatable: boolean; isFollowed: boolean; inTime: boolean },
): AfterFailure {
  if (!(error instanceof BridgeError)) return { do: "tell", code: "INTERNAL", bury: true };
  const backoffMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
  const afterMs = Math.max(error.retryAfterMs ?? 0, backoffMs);
  const tooLate = afterMs > LONGEST_TOLD_MS;
  if (error instanceof PlatformError) {
    // One refused token may be the platform's mistake (slack.md §14.9).
    const mayBeMistaken = error.code === "PLATFORM_AUTH" && attempt < MAX_ATTEMPTS;
    const limit = inTime ? MAX_PATIENT_ATTEMPTS : MAX_ATTEMPTS;
    const mayPass = mayBeMistaken || (error.retryable && !tooLate && attempt < limit);
    return mayPass ? { do: "retry", afterMs } : { do: "give-up" };
  }
  const isPatient = error.code === "COZE_OCCUPIED" || (isFollowed && inTime);
  const usual = isPatient ? MAX_PATIENT_ATTEMPTS : MAX_ATTEMPTS;
  const limit = Math.min(usual, error.maxAttempts ?? usual);
  if (error.retryable && repeatable && !tooLate && attempt < limit) return { do: "retry", afterMs };
  // "Occupied" means nothing to the asker: after all this time it is simply busy.
  const code = error.code === "COZE_OCCUPIED" ? "COZE_BUSY" : error.code;
  return { do: "tell", code, bury: !SETTLED.includes(code) };
}
