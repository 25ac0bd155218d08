/**
 * What the token endpoints refuse, and in which words. Pure but for the signature's check; written from the
 * documentation only.
 *
 * @see docs/reference/coze-api.md §2.3–2.6
 */
import { createHash, createPublicKey, createVerify, type KeyObject } from "node:crypto";
import { type Fields, isFields } from "./rules.ts";

/** An OAuth app that exists. Its kind decides how its people or programs sign in. */
export type OAuthApp =
  | {
      readonly kind: "service";
      /** By fingerprint; PEM. */
      readonly publicKeys: ReadonlyMap<string, string>;
      /** The organisation whose endpoint may be used, too. */
      readonly accountId?: string;
    }
  | { readonly kind: "web"; readonly clientSecret: string; readonly redirectUris: readonly string[] }
  /** Mobile, desktop or single-page: PKCE and device codes. */
  | { readonly kind: "native"; readonly redirectUris: readonly string[] };

/** The `error` of §2.6, by one of its names. */
export interface OAuthRefusal {
  readonly error: string;
  readonly text: string;
}

export function refuseOAuth(error: string, text: string = error): OAuthRefusal {
  return { error, text };
}

export function isOAuthRefusal(value: object): value is OAuthRefusal {
  return "error" in value && "text" in value;
}

export function invalidRequest(parameter: string): OAuthRefusal {
  return refuseOAuth("invalid_request", `invalid request: ${parameter}`);
}

/** What a signed JWT claims, after it passed. */
export interface JwtClaims {
  readonly clientId: string;
  readonly jwtId: string;
  readonly sessionName: string | undefined;
}

export interface JwtFacts {
  readonly apps: ReadonlyMap<string, OAuthApp>;
  /** Host of the API, without scheme. */
  readonly host: string;
  /** Ms since the epoch. */
  readonly now: number;
  /** How far the signer's clock may be off, in ms. */
  readonly toleranceMs: number;
}

const MAX_SESSION_NAME = 100;

/** Checks a JWT but for its single use. */
export function checkJwt(jwt: string, facts: JwtFacts): JwtClaims | OAuthRefusal {
  const { apps, host, now, toleranceMs } = facts;
  const parts = jwt.split(".");
  const [header, payload] = [readPart(parts[0]), readPart(parts[1])];
  if (parts.length !== 3 || header === undefined || payload === undefined) return invalidRequest("jwt");
  if (header["alg"] !== "RS256") return invalidRequest("alg");
  if (header["typ"] !== "JWT") return invalidRequest("typ");
  const { iss, aud, iat, exp, jti, session_name: sessionName } = payload;
  const app = typeof iss === "string" ? apps.get(iss) : undefined;
  if (typeof iss !== "string" || app === undefined) return refuseOAuth("invalid_client", "unknown iss");
  if (app.kind !== "service") return refuseOAuth("access_deny", "the app is no service app");
  const kid = header["kid"];
  const pem = typeof kid === "string" ? app.publicKeys.get(kid) : undefined;
  if (pem === undefined) return invalidRequest("kid");
  if (!isSigned(parts, createPublicKey(pem))) return refuseOAuth("invalid_client", "signature does not fit");
  if (aud !== host) return invalidRequest("aud");
  if (!isSeconds(iat) || iat * 1000 > now + toleranceMs) return invalidRequest("iat");
  if (!isSeconds(exp) || exp <= iat || exp * 1000 < now - toleranceMs) return invalidRequest("exp");
  if (typeof jti !== "string" || jti === "") return invalidRequest("jti");
  if (sessionName !== undefined && !isName(sessionName)) return invalidRequest("session_name");
  return { clientId: iss, jwtId: jti, sessionName };
}

function isSigned([header, payload, signature = ""]: readonly string[], key: KeyObject): boolean {
  const verify = createVerify("RSA-SHA256").update(`${header}.${payload}`);
  return verify.verify(key, Buffer.from(signature, "base64url"));
}

/** Base64 of the URL kind, without padding, as RFC 7515 wants it. */
function readPart(part: string | undefined): Fields | undefined {
  if (part === undefined || !/^[\w-]+$/.test(part)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return isFields(value) ? value : undefined;
  } catch {
    // No JSON: no JWT.
    return undefined;
  }
}

function isSeconds(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_SESSION_NAME;
}

const DEFAULT_DURATION_S = 900;
const LONGEST_DURATION_S = 86_399;

/** How long a token shall live, in s. */
export function checkDuration(value: unknown): number | OAuthRefusal {
  if (value === undefined) return DEFAULT_DURATION_S;
  const fits = isSeconds(value) && value >= 1 && value <= LONGEST_DURATION_S;
  return fits ? value : invalidRequest("duration_seconds");
}

export type ChallengeMethod = "plain" | "S256";

/** A challenge as `authorize` was given it. */
export interface Challenge {
  readonly value: string;
  readonly method: ChallengeMethod;
}

/** Characters of a verifier (RFC 7636 §4.1); a plain challenge is one. */
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

/** @returns `undefined` for an app that sends none. */
export function checkChallenge(query: (name: string) => string): Challenge | undefined | OAuthRefusal {
  const value = query("code_challenge");
  if (value === "") return undefined;
  const method = query("code_challenge_method") || "plain";
  if (method !== "plain" && method !== "S256") return invalidRequest("code_challenge_method");
  return VERIFIER.test(value) ? { value, method } : invalidRequest("code_challenge");
}

export function fitsChallenge({ value, method }: Challenge, verifier: unknown): boolean {
  if (typeof verifier !== "string" || !VERIFIER.test(verifier)) return false;
  return method === "plain" ? verifier === value : toS256(verifier) === value;
}

function toS256(verifier: string): string {
  return createHash("sha256").update(verifier).digest("base64url");
}
