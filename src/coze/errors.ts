import { hasNoTunnel, neverConnected } from "../connections.ts";
import { CozeError, type CozeErrorOptions } from "../core/errors.ts";
import { toPlainLine } from "../core/plain-line.ts";
import { regionHint } from "./auth/region.ts";
import { COZE_CODES, type CodeMeaning, later, no, unsure } from "./error-codes.ts";

/** Unknown codes: one reconciled retry, unless something of the answer was seen already (coze-api.md §15). */
const UNKNOWN_CODE: CodeMeaning = unsure("COZE_FAILED");

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
  /** Where people can look at the run of a workflow. */
  readonly debugUrl?: string | undefined;
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
  const hints = [hintFor(failure), homeHint(meaning, facts)];
  return new CozeError(meaning.code, words(facts, said(failure), hints), {
    ...options(facts),
    cozeCode: failure.code,
    retryable: meaning.retryable && !answered,
    outcome: meaning.outcome,
  });
}

/** The error of a chat that failed, also where Coze has no words for it. */
export function chatFailed(
  failure: VendorFailure | undefined,
  facts: CallFacts,
  options?: { answered?: boolean },
): CozeError {
  return toCozeError(failure ?? { code: 0, text: "" }, facts, options);
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
  const hints = [homeHint(meaning, facts), isRedirect(httpStatus) ? REDIRECT_HINT : ""];
  return new CozeError(meaning.code, words(facts, said, hints), {
    ...options({ ...facts, httpStatus }),
    retryable: meaning.retryable,
    outcome: meaning.outcome,
  });
}

/**
 * An error about a chat that Coze has told us of. Only Coze itself says that it is gone: an HTTP 404 without its envelope
 * is a gateway's on the way, and passes.
 */
export function ofKnownChat(error: unknown): unknown {
  if (!(error instanceof CozeError) || error.code !== "COZE_NOT_FOUND") return error;
  const { cozeCode, httpStatus, logId } = error;
  if (cozeCode !== undefined || httpStatus === undefined) return error;
  return new CozeError("COZE_UNREACHABLE", error.message, {
    retryable: true,
    outcome: "unknown",
    httpStatus,
    ...(logId !== undefined && { logId }),
    cause: error,
  });
}

/** A token that Coze does not know may be known in its other region (coze-api.md §17). */
function homeHint({ code }: CodeMeaning, { baseUrl }: CallFacts): string {
  return code === "COZE_AUTH" && baseUrl !== undefined ? regionHint(baseUrl) : "";
}

/** Followed nowhere: the token would go along. */
function isRedirect(httpStatus: number): boolean {
  return httpStatus >= 300 && httpStatus < 400;
}

const REDIRECT_HINT =
  "It sends us elsewhere, where we do not go: check that COZE_API_BASE is the API's own address";

/** Status classes for answers that carry no code. */
function meaningOfStatus(httpStatus: number): CodeMeaning {
  if (httpStatus === 401) return no("COZE_AUTH");
  if (httpStatus === 403) return no("COZE_PERMISSION");
  if (httpStatus === 404 || httpStatus === 405 || isRedirect(httpStatus)) return no("COZE_NOT_FOUND");
  if (httpStatus === 413) return no("COZE_PROMPT_TOO_LONG");
  if (httpStatus === 429) return later("COZE_BUSY");
  if (httpStatus === 408) return unsure("COZE_TIMEOUT");
  if (httpStatus >= 500) return unsure("COZE_UNREACHABLE");
  return httpStatus >= 400 ? no("COZE_BAD_REQUEST") : unsure("COZE_FAILED");
}

/** A failure below HTTP. A connection that never stood is a refusal; one that broke leaves the outcome open. */
export function toTransportError(error: unknown, facts: CallFacts): CozeError {
  const why = hasNoTunnel(error) ? "the proxy refuses, see HTTPS_PROXY" : transportCode(error);
  return new CozeError("COZE_UNREACHABLE", words(facts, `no answer, ${why || "connection lost"}`), {
    ...options(facts),
    cause: error,
    retryable: true,
    outcome: neverConnected(error) ? "refused" : "unknown",
  });
}

/** The stream ended without telling how the chat did (coze-api.md §7.5). */
export function streamBroken(why: string, facts: CallFacts, failure?: VendorFailure): CozeError {
  const what = failure === undefined ? why : `${why}, ${said(failure)}`;
  return new CozeError("COZE_STREAM_BROKEN", words(facts, what, failure && [hintFor(failure)]), {
    ...options(facts),
    ...(failure !== undefined && { cozeCode: failure.code }),
    retryable: true,
    outcome: "unknown",
  });
}

/** The stream ended before it told anything (coze-api.md §22.11). */
export function streamSilent(
  facts: CallFacts,
  { hint, maxAttempts }: { hint: string; maxAttempts?: number },
): CozeError {
  const what = "the stream stopped before the chat ended, without a single event";
  return new CozeError("COZE_STREAM_BROKEN", words(facts, what, [hint]), {
    ...options(facts),
    retryable: true,
    outcome: "unknown",
    ...(maxAttempts !== undefined && { maxAttempts }),
  });
}

/** What stopped a body that was being read: our own error, or the transport's failure. */
export function toBrokenBody(error: unknown, facts: CallFacts): CozeError {
  if (error instanceof CozeError) return error;
  return streamBroken("the connection broke", { ...facts, cause: error });
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
    ...(facts.logId !== undefined && { logId: clip(facts.logId) }),
    ...(facts.chatId !== undefined && { chatId: facts.chatId }),
    ...(facts.conversationId !== undefined && { conversationId: facts.conversationId }),
    ...(facts.retryAfterMs !== undefined && { retryAfterMs: facts.retryAfterMs }),
  };
}

/** @param hints - Sentences that follow; empty ones do not. */
function words(facts: CallFacts, what: string, hints: readonly string[] = []): string {
  const logId = facts.logId === undefined ? [] : [`log id ${clip(facts.logId)}`];
  const debugUrl = facts.debugUrl === undefined ? [] : [`see ${facts.debugUrl}`];
  const found = [...logId, ...debugUrl].join(", ");
  const said = `Coze ${facts.call}: ${what}${found === "" ? "" : ` (${found})`}`;
  const advice = hints.filter((hint) => hint !== "").join(" ");
  return advice === "" ? said : `${said}. ${advice}`;
}

/** Coze's words, or ours where it has none; a hint may follow, so they do not end the sentence. */
function said({ code, text }: VendorFailure): string {
  const what = clip(text) || (COZE_CODES.get(code)?.meaning ?? "no words");
  return `code ${code}: ${what.replace(/[.。]$/, "")}`;
}

/** What the operator has to do, where that is all that helps. */
function hintFor({ code }: VendorFailure): string {
  const known = COZE_CODES.get(code);
  return known?.mustAct === true ? known.operator : "";
}

/** At most so much of what Coze wrote goes into an error, and on one line. */
export function clip(text: string): string {
  const plain = toPlainLine(text.slice(0, MAX_VENDOR_TEXT));
  return text.length > MAX_VENDOR_TEXT ? `${plain}…` : plain;
}

function transportCode(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const code: unknown = "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}
