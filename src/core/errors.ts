/**
 * Everything that can go wrong, by the reaction it asks for. `docs/errors.md` has a row for each, `notices.ts` a
 * sentence for each.
 */
export const ERROR_CODES = [
  "CONFIG_INVALID",
  "INTERNAL",
  // Coze said no, or could not be reached.
  "COZE_AUTH",
  "COZE_PERMISSION",
  "COZE_BOT_UNPUBLISHED",
  "COZE_NOT_FOUND",
  "COZE_CONVERSATION_GONE",
  "COZE_BAD_REQUEST",
  "COZE_SENSITIVE",
  "COZE_QUOTA",
  "COZE_USER_QUOTA",
  "COZE_BUSY",
  "COZE_OCCUPIED",
  "COZE_PROMPT_TOO_LONG",
  "COZE_REFUSED",
  "COZE_FAILED",
  "COZE_UNREACHABLE",
  "COZE_TIMEOUT",
  "COZE_STREAM_BROKEN",
  "COZE_NO_ANSWER",
  "COZE_ANSWER_TOO_LONG",
  "COZE_ACTION_REQUIRED",
  "COZE_CANCELED",
  // Files.
  "FILE_TOO_LARGE",
  "FILE_TYPE",
  "FILE_EMPTY",
  "FILE_TOO_MANY",
  "FILE_GONE",
  "FILE_FORBIDDEN_HOST",
  "FILE_TIMEOUT",
  // The chat platform said no, or could not be reached.
  "PLATFORM_AUTH",
  "PLATFORM_PERMISSION",
  "PLATFORM_GONE",
  "PLATFORM_RATE_LIMITED",
  "PLATFORM_REJECTED",
  "PLATFORM_UNREACHABLE",
  "PLATFORM_UNKNOWN_OUTCOME",
  // The queue and the store.
  "QUEUE_OWNED",
  "QUEUE_UNAVAILABLE",
  "QUEUE_FULL",
  "TURN_UNREADABLE",
  "TURN_KILLS_PROCESS",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface BridgeErrorOptions {
  readonly cause?: unknown;
  /** True when the same call may succeed later without anyone changing anything. */
  readonly retryable?: boolean;
  /** Earliest sensible retry, in ms from now, when the other side told us. */
  readonly retryAfterMs?: number;
  /** How often the whole is tried at most, where that is less than usual; the first time counts. */
  readonly maxAttempts?: number;
}

/**
 * Base of every error the bridge raises on purpose.
 *
 * `message` is for the operator: it names ids and says what to do. It is never shown in a chat; what the asker
 * reads comes from `noticeFor`.
 */
export class BridgeError extends Error {
  override readonly name: string = "BridgeError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly maxAttempts: number | undefined;

  constructor(code: ErrorCode, message: string, options: BridgeErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.maxAttempts = options.maxAttempts;
  }
}

export interface CozeErrorOptions extends BridgeErrorOptions {
  readonly cozeCode?: number;
  readonly httpStatus?: number;
  readonly logId?: string;
  readonly outcome?: CallOutcome;
  /** The chat this is about, as far as it was known: what recovery has to look for. */
  readonly chatId?: string;
  readonly conversationId?: string;
}

/** `refused`: nothing happened, another try is safe. `unknown`: it may have happened; never repeat blindly. */
export type CallOutcome = "refused" | "unknown";

/** Coze said no, or we do not know what it did. Carries what Coze's support asks for. */
export class CozeError extends BridgeError {
  override readonly name = "CozeError";
  /** Coze's own code (coze-api.md §15), if the answer had one. */
  readonly cozeCode: number | undefined;
  readonly httpStatus: number | undefined;
  /** `x-tt-logid` (coze-api.md §1.4). */
  readonly logId: string | undefined;
  readonly outcome: CallOutcome;
  readonly chatId: string | undefined;
  readonly conversationId: string | undefined;

  constructor(code: ErrorCode, message: string, options: CozeErrorOptions = {}) {
    super(code, message, options);
    this.cozeCode = options.cozeCode;
    this.httpStatus = options.httpStatus;
    this.logId = options.logId;
    this.outcome = options.outcome ?? "refused";
    this.chatId = options.chatId;
    this.conversationId = options.conversationId;
  }
}

export interface PlatformErrorOptions extends BridgeErrorOptions {
  readonly platform: string;
  /** The platform's own code or error name, e.g. `50013` or `msg_too_long`. */
  readonly platformCode?: string;
  readonly httpStatus?: number;
}

/** A chat platform said no, or we do not know what it did. */
export class PlatformError extends BridgeError {
  override readonly name = "PlatformError";
  readonly platform: string;
  readonly platformCode: string | undefined;
  readonly httpStatus: number | undefined;

  constructor(code: ErrorCode, message: string, options: PlatformErrorOptions) {
    super(code, message, options);
    this.platform = options.platform;
    this.platformCode = options.platformCode;
    this.httpStatus = options.httpStatus;
  }
}

/** The other side said "too fast": nothing happened. */
export function isRateLimit(
  error: unknown,
): error is BridgeError & { readonly code: "PLATFORM_RATE_LIMITED" } {
  return error instanceof BridgeError && error.code === "PLATFORM_RATE_LIMITED";
}

/** Nothing can be shown in its place any more, whatever the text and whoever tries. */
export function isPlaceLost(error: unknown): error is BridgeError {
  return (
    error instanceof BridgeError && (error.code === "PLATFORM_GONE" || error.code === "PLATFORM_PERMISSION")
  );
}

/** Nothing more is tried: the place is lost, or the token is refused, which says nothing about the place. */
export function isTerminal(error: unknown): error is BridgeError {
  return isPlaceLost(error) || (error instanceof BridgeError && error.code === "PLATFORM_AUTH");
}
