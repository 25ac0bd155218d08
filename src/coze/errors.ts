import { type CallOutcome, CozeError, type CozeErrorOptions, type ErrorCode } from "../core/errors.ts";
import { regionHint } from "./auth/region.ts";

/** What a code of Coze means to us. */
export interface CodeMeaning {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** `refused` only where no chat can have been started (coze-api.md §7.1). */
  readonly outcome: CallOutcome;
}

const no = (code: ErrorCode): CodeMeaning => ({ code, retryable: false, outcome: "refused" });
const later = (code: ErrorCode): CodeMeaning => ({ code, retryable: true, outcome: "refused" });
const unsure = (code: ErrorCode): CodeMeaning => ({ code, retryable: true, outcome: "unknown" });

/** Every code of coze-api.md §15, in its order. Codes that bring chats to an end are never asked twice blindly. */
export const COZE_CODES: ReadonlyMap<number, CodeMeaning> = new Map([
  [4000, no("COZE_BAD_REQUEST")],
  [4001, no("COZE_NOT_FOUND")],
  [4002, later("COZE_CONVERSATION_GONE")],
  [4003, no("COZE_BAD_REQUEST")],
  [4004, no("COZE_BAD_REQUEST")],
  [4005, no("COZE_BAD_REQUEST")],
  [4006, no("COZE_NOT_FOUND")],
  [4007, no("COZE_BAD_REQUEST")],
  [4008, no("COZE_USER_QUOTA")],
  [4009, unsure("COZE_BUSY")],
  [4010, no("COZE_PROMPT_TOO_LONG")],
  [4011, no("COZE_QUOTA")],
  [4012, no("COZE_NOT_FOUND")],
  [4013, unsure("COZE_BUSY")],
  [4014, no("COZE_REFUSED")],
  [4015, no("COZE_BOT_UNPUBLISHED")],
  [4016, later("COZE_OCCUPIED")],
  [4019, no("COZE_QUOTA")],
  [4020, later("COZE_BUSY")],
  [4021, no("COZE_BAD_REQUEST")],
  [4022, no("COZE_QUOTA")],
  [4027, no("COZE_QUOTA")],
  [4028, no("COZE_QUOTA")],
  [4033, no("COZE_QUOTA")],
  [4100, no("COZE_AUTH")],
  [4101, no("COZE_PERMISSION")],
  [4102, later("COZE_BUSY")],
  [4104, no("COZE_BAD_REQUEST")],
  [4105, no("COZE_BAD_REQUEST")],
  [4200, no("COZE_NOT_FOUND")],
  [4201, no("COZE_BAD_REQUEST")],
  [4300, no("FILE_EMPTY")],
  [4301, no("COZE_BAD_REQUEST")],
  [4302, no("FILE_TOO_LARGE")],
  [4303, no("FILE_TYPE")],
  [4304, no("FILE_TYPE")],
  [4314, no("COZE_NOT_FOUND")],
  [4315, no("COZE_BAD_REQUEST")],
  [5000, unsure("COZE_FAILED")],
  [6003, no("COZE_QUOTA")],
  [6006, later("COZE_FAILED")],
  [700012006, no("COZE_AUTH")],
  [702093018, later("COZE_BUSY")],
  [720711011, no("COZE_FAILED")],
  [708230702, later("COZE_FAILED")],
  [708232001, no("COZE_FAILED")],
  [708232003, no("COZE_PERMISSION")],
  [710005002, later("COZE_BUSY")],
  [720701013, no("COZE_FAILED")],
  [720702011, no("COZE_NOT_FOUND")],
  [720702085, later("COZE_FAILED")],
  [720702204, no("COZE_NOT_FOUND")],
  [788788103, no("COZE_QUOTA")],
]);

/** Unknown codes: one reconciled retry, unless something of the answer was seen already (coze-api.md §15). */
const UNKNOWN_CODE: CodeMeaning = unsure("COZE_FAILED");

/** `4104`: the chat cannot be cancelled any more, it is over (coze-api.md §8.4). */
export const NOT_CANCELLABLE = 4104;

/** Longest piece of Coze's own words kept in an error, in characters. */
const MAX_VENDOR_TEXT = 300;

/** Where a refusal came from; ids for the log, never bodies. */
export interface CallFacts {
  /** Method and path. */
  readonly call: string;
  /** Where it went, for a refused token's error: the token may be another region's. */
  readonly baseUrl?: string;
  readonly httpStatus?: number;
  readonly logId?: string | undefined;
  readonly chatId?: string | undefined;
  readonly conversationId?: string | undefined;
  /** From `Retry-After`. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Coze's words for a failure. */
export interface VendorFailure {
  readonly code: number;
  readonly text: string;
}

/**
 * A business code of Coze as our error.
 *
 * @param answered - Something of the answer was seen: it stays, and the question is not asked again by itself.
 */
export function toCozeError(
  failure: VendorFailure,
  facts: CallFacts,
  { answered = false }: { answered?: boolean } = {},
): CozeError {
  const meaning = meaningOfCode(failure.code);
  const said = `code ${failure.code}: ${clip(failure.text)}`;
  return new CozeError(meaning.code, words(facts, said) + homeHint(meaning, facts), {
    ...options(facts),
    cozeCode: failure.code,
    retryable: meaning.retryable && !answered,
    outcome: meaning.outcome,
  });
}

/** Self-hosted servers answer with the HTTP status as the code (coze-api.md §18). */
function meaningOfCode(code: number): CodeMeaning {
  const known = COZE_CODES.get(code);
  if (known !== undefined) return known;
  return code >= 400 && code < 600 ? meaningOfStatus(code) : UNKNOWN_CODE;
}

/** An answer without Coze's envelope: a gateway spoke, or something that is no Coze (coze-api.md §1.5). */
export function toGatewayError(httpStatus: number, facts: CallFacts): CozeError {
  const meaning = meaningOfStatus(httpStatus);
  const said = `HTTP ${httpStatus} without Coze's envelope`;
  return new CozeError(meaning.code, words(facts, said) + homeHint(meaning, facts), {
    ...options({ ...facts, httpStatus }),
    retryable: meaning.retryable,
    outcome: meaning.outcome,
  });
}

/** A token that Coze does not know may be known in its other region (coze-api.md §17). */
function homeHint({ code }: CodeMeaning, { baseUrl }: CallFacts): string {
  return code === "COZE_AUTH" && baseUrl !== undefined ? regionHint(baseUrl) : "";
}

/** Status classes for answers that carry no code. */
function meaningOfStatus(httpStatus: number): CodeMeaning {
  if (httpStatus === 401) return no("COZE_AUTH");
  if (httpStatus === 403) return no("COZE_PERMISSION");
  if (httpStatus === 404 || httpStatus === 405) return no("COZE_NOT_FOUND");
  if (httpStatus === 413) return no("COZE_PROMPT_TOO_LONG");
  if (httpStatus === 429) return later("COZE_BUSY");
  if (httpStatus === 408) return unsure("COZE_TIMEOUT");
  if (httpStatus >= 500) return unsure("COZE_UNREACHABLE");
  return httpStatus >= 400 ? no("COZE_BAD_REQUEST") : unsure("COZE_FAILED");
}

/** Errors of the transport that prove that no byte of the request arrived. */
const NOT_CONNECTED = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** A failure below HTTP. A connection that never stood is a refusal; one that broke leaves the outcome open. */
export function toTransportError(error: unknown, facts: CallFacts): CozeError {
  const code = transportCode(error);
  const arrived =
    !NOT_CONNECTED.has(code) && !/^(CERT_|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code);
  return new CozeError("COZE_UNREACHABLE", words(facts, `no answer, ${code || "connection lost"}`), {
    ...options(facts),
    cause: error,
    retryable: true,
    outcome: arrived ? "unknown" : "refused",
  });
}

/** The stream ended without telling how the chat did (coze-api.md §7.5). */
export function streamBroken(why: string, facts: CallFacts, failure?: VendorFailure): CozeError {
  const said = failure === undefined ? "" : `, code ${failure.code}: ${clip(failure.text)}`;
  return new CozeError("COZE_STREAM_BROKEN", words(facts, `${why}${said}`), {
    ...options(facts),
    ...(failure !== undefined && { cozeCode: failure.code }),
    retryable: true,
    outcome: "unknown",
  });
}

/** One of our own time-outs fired. */
export function timedOut(what: string, ms: number, facts: CallFacts): CozeError {
  return new CozeError("COZE_TIMEOUT", words(facts, `${what} for ${ms} ms`), {
    ...options(facts),
    retryable: true,
    outcome: "unknown",
  });
}

function options(facts: CallFacts): CozeErrorOptions {
  return {
    cause: facts.cause,
    ...(facts.httpStatus !== undefined && { httpStatus: facts.httpStatus }),
    ...(facts.logId !== undefined && { logId: facts.logId }),
    ...(facts.chatId !== undefined && { chatId: facts.chatId }),
    ...(facts.conversationId !== undefined && { conversationId: facts.conversationId }),
    ...(facts.retryAfterMs !== undefined && { retryAfterMs: facts.retryAfterMs }),
  };
}

function words(facts: CallFacts, what: string): string {
  const logId = facts.logId === undefined ? "" : ` (log id ${facts.logId})`;
  return `Coze ${facts.call}: ${what}${logId}`;
}

/** At most so much of what Coze wrote goes into an error. */
export function clip(text: string): string {
  return text.length > MAX_VENDOR_TEXT ? `${text.slice(0, MAX_VENDOR_TEXT)}…` : text;
}

function transportCode(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const code: unknown = "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}
