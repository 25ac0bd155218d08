import { z } from "zod";
import { CozeError } from "../../core/errors.ts";
import { type CallFacts, clip, toCozeError } from "../errors.ts";
import { parseJsonObject } from "../json.ts";
import { regionHint } from "./region.ts";

/** What an OAuth endpoint said: what was asked for, or a refusal with its name. */
export type OAuthAnswer<T> =
  | { readonly kind: "granted"; readonly value: T }
  | { readonly kind: "refused"; readonly refusal: OAuthRefusal };

export interface OAuthRefusal {
  /** E.g. `authorization_pending`; empty when only a code of Coze came. */
  readonly name: string;
  /** Coze's own code, where the refusal came in its envelope. */
  readonly cozeCode: number | undefined;
  readonly text: string;
  readonly logId: string | undefined;
}

/** A field that is there in one shape of refusals and anything or nothing in another. */
const word = z
  .union([z.string(), z.number().transform(String)])
  .optional()
  .catch(undefined);

/** All three shapes of coze-api.md §2.6 at once. */
const refusalSchema = z.object({
  error_code: word,
  error_message: word,
  error: word,
  error_description: word,
  code: word,
  msg: word,
  detail: z.object({ logid: word }).optional().catch(undefined),
});

/** Words of the protocol; in the envelope they can only stand where else a sentence does (coze-api.md §2.4, §2.6). */
const NAMES: ReadonlySet<string> = new Set([
  "invalid_request",
  "invalid_client",
  "invalid_grant",
  "unsupported_grant_type",
  "access_deny",
  "internal_error",
  "authorization_pending",
  "slow_down",
  "access_denied",
  "expired_token",
]);

/**
 * Reads the body of an OAuth endpoint, which has no envelope (coze-api.md §1.3).
 *
 * @returns `undefined` when it is neither what was asked for nor a refusal.
 */
export function parseOAuthAnswer<T>(
  text: string,
  httpStatus: number,
  schema: z.ZodType<T>,
): OAuthAnswer<T> | undefined {
  const body = parseJsonObject(text);
  if (body === undefined) return undefined;
  const refusal = toRefusal(refusalSchema.parse(body));
  if (refusal !== undefined) return { kind: "refused", refusal };
  const parsed = schema.safeParse(body);
  return parsed.success && httpStatus < 400 ? { kind: "granted", value: parsed.data } : undefined;
}

function toRefusal(body: z.infer<typeof refusalSchema>): OAuthRefusal | undefined {
  const { msg = "", detail } = body;
  const code = Number(body.code ?? 0);
  const name = filled(body.error_code) ?? filled(body.error) ?? (NAMES.has(msg) ? msg : "");
  if (name === "" && code === 0) return undefined;
  const text = filled(body.error_message) ?? filled(body.error_description) ?? msg;
  return { name, cozeCode: code === 0 ? undefined : code, text, logId: detail?.logid };
}

function filled(text: string | undefined): string | undefined {
  return text === "" || text === "0" ? undefined : text;
}

/** What the operator does about a refusal, by its name (coze-api.md §2.4, §2.6). */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  [
    "invalid_client",
    "check the OAuth app's id, and the public key or the secret that belongs to it; after a change at Coze wait some seconds",
  ],
  [
    "invalid_request",
    "check the OAuth app's type at Coze: a service app has a public key, a web app a secret, and a mobile or desktop app neither",
  ],
  ["unsupported_grant_type", "the OAuth app at Coze is of another type than this way of signing in needs"],
  ["access_deny", "the OAuth app at Coze is disabled or of another type, or the sign-in is no longer valid"],
  ["access_denied", "the person said no; start again and allow it"],
  ["expired_token", "the code was not entered in time; start again"],
  ["invalid_grant", "the code or refresh token is used up or too old; sign in again"],
]);

/**
 * A refusal as our error. Nothing happened, so it may be tried again; but for `internal_error`, where nobody knows.
 *
 * @param skew - A sentence about the clocks, when they differ.
 */
export function toOAuthError(refusal: OAuthRefusal, facts: CallFacts, skew = ""): CozeError {
  const { name, cozeCode, text } = refusal;
  const logId = facts.logId ?? refusal.logId;
  if (name === "" && cozeCode !== undefined) {
    return toCozeError({ code: cozeCode, text: `${text}${skew}` }, { ...facts, logId });
  }
  const remedy = REMEDIES.get(name);
  const failed = name === "internal_error";
  const said = [clip(name), clip(text)].filter((part) => part !== "").join(": ");
  const hint = name === "invalid_client" ? regionHint(facts.baseUrl ?? "") : "";
  const home = hint === "" ? "" : `. ${hint}`;
  const sentence = `Coze ${facts.call}: ${said}${remedy === undefined ? "" : ` (${remedy})`}${skew}${home}`;
  return new CozeError(failed ? "COZE_FAILED" : "COZE_AUTH", sentence, {
    retryable: failed,
    outcome: failed ? "unknown" : "refused",
    ...(cozeCode !== undefined && { cozeCode }),
    ...(facts.httpStatus !== undefined && { httpStatus: facts.httpStatus }),
    ...(logId !== undefined && { logId }),
  });
}

/** Clocks further apart than this are worth a word, in ms; `Date` itself counts whole seconds. */
const NOTABLE_SKEW_MS = 30_000;

/**
 * Says that this machine's clock is wrong, which spoils `iat` and `exp` (coze-api.md §2.3).
 *
 * @returns Empty when the clocks agree.
 */
export function skewSentence({ now, serverNow }: { now: number; serverNow: number }): string {
  const aheadMs = now - serverNow;
  if (Math.abs(aheadMs) < NOTABLE_SKEW_MS) return "";
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  return `; this machine's clock is ${seconds} s ${aheadMs > 0 ? "ahead of" : "behind"} Coze's: set it right, e.g. by NTP`;
}
