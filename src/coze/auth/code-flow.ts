import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { CozeError } from "../../core/errors.ts";
import type { Abortable } from "../../core/ports.ts";
import { type OAuthEndpoint, TOKEN_PATH } from "./oauth-endpoint.ts";
import type { PersonApp } from "./token-store.ts";
import type { OAuthTokens } from "./tokens.ts";

/** A secret of one sign-in, and what may be shown of it (coze-api.md §2.5, RFC 7636). */
export interface Pkce {
  readonly verifier: string;
  /** S256. */
  readonly challenge: string;
}

/** 43 characters, the shortest that RFC 7636 §4.1 allows, and 256 random bits. */
const VERIFIER_BYTES = 32;

export function createPkce(): Pkce {
  const verifier = randomBytes(VERIFIER_BYTES).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
}

/** Ties a redirect to the browser window that was opened for it. */
export function createState(): string {
  return randomBytes(VERIFIER_BYTES).toString("base64url");
}

export interface AuthorizeOptions {
  /** The API's host; the page is on the `www` beside its `api` (coze-api.md §1.1). */
  readonly baseUrl: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state: string;
  /** Absent for a web app, which has a secret instead. */
  readonly challenge?: string;
  /** The person chooses nothing: the tokens are for this workspace. */
  readonly workspaceId?: string;
}

/** The address at which a person says yes. */
export function authorizeUrl(options: AuthorizeOptions): string {
  const { baseUrl, clientId, redirectUri, state, challenge, workspaceId } = options;
  const url = new URL(baseUrl);
  url.hostname = url.hostname.replace(/^api\./, "www.");
  url.pathname = `/api/permission/oauth2/${workspacePart(workspaceId)}authorize`;
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    state,
    ...(challenge !== undefined && { code_challenge: challenge, code_challenge_method: "S256" }),
  }).toString();
  return url.href;
}

/** Of the paths that have a workspace variant. */
export function workspacePart(workspaceId: string | undefined): string {
  return workspaceId === undefined ? "" : `workspace_id/${encodeURIComponent(workspaceId)}/`;
}

/**
 * Takes the code out of the address that the browser came back to.
 *
 * @throws {CozeError} `COZE_AUTH` when the person said no, or the redirect is not the one we wait for.
 */
export function parseRedirect(url: string, { state }: { state: string }): string {
  const query = new URL(url).searchParams;
  if (!isSame(query.get("state") ?? "", state)) {
    throw new CozeError(
      "COZE_AUTH",
      "the browser came back with another state than it was sent with: somebody else's link was opened; sign in again",
    );
  }
  const code = query.get("code") ?? "";
  if (code !== "") return code;
  const denied = query.get("error") === "access_denied";
  throw new CozeError(
    "COZE_AUTH",
    denied
      ? "the person said no; start again and allow it"
      : "the browser came back without a code; sign in again",
  );
}

/** Takes the same time wherever the two differ. */
function isSame(one: string, other: string): boolean {
  const [first, second] = [one, other].map((text) => createHash("sha256").update(text).digest());
  return first !== undefined && second !== undefined && timingSafeEqual(first, second);
}

export interface CodeGrant {
  readonly app: PersonApp;
  readonly redirectUri: string;
  readonly code: string;
  /** Absent for a web app. */
  readonly verifier?: string;
}

/** Turns a code into tokens; it works once. @throws {CozeError} */
export async function exchangeCode(
  endpoint: OAuthEndpoint,
  { app, redirectUri, code, verifier }: CodeGrant,
  options: Abortable,
): Promise<OAuthTokens> {
  const json = {
    grant_type: "authorization_code",
    client_id: app.clientId,
    redirect_uri: redirectUri,
    code,
    ...(verifier !== undefined && { code_verifier: verifier }),
  };
  const bearer = app.clientSecret;
  return endpoint.tokens({ path: TOKEN_PATH, json, ...(bearer !== undefined && { bearer }) }, options);
}
