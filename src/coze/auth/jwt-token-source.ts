import type { Log } from "../../core/ports.ts";
import { type JwtApp, signJwt } from "./jwt.ts";
import { type OAuthEndpoint, TOKEN_PATH } from "./oauth-endpoint.ts";
import { RenewedToken } from "./renewed-token.ts";
import { renewAt } from "./tokens.ts";

export interface JwtTokenSourceOptions {
  readonly app: JwtApp;
  readonly endpoint: OAuthEndpoint;
  readonly log: Log;
  /** Organisation of an enterprise plan, which has its own endpoint (coze-api.md §2.3). */
  readonly accountId?: string;
  /** How long each token lives, in s, 1 to 86399; default the longest. */
  readonly durationSeconds?: number;
}

/** What Coze allows at most (coze-api.md §2.3). */
const LONGEST_DURATION_S = 86_399;

/** Tokens of a service app: a new JWT for each, renewed before the end. */
export function createJwtTokenSource(options: JwtTokenSourceOptions): RenewedToken {
  const { app, endpoint, log, accountId, durationSeconds = LONGEST_DURATION_S } = options;
  const path =
    accountId === undefined
      ? TOKEN_PATH
      : `/api/permission/oauth2/account/${encodeURIComponent(accountId)}/token`;
  const audience = new URL(endpoint.baseUrl).host;
  const json = {
    grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
    duration_seconds: durationSeconds,
  };
  return new RenewedToken({
    now: endpoint.now,
    onLate: (error) =>
      log.warn({ err: error }, "coze token could not be renewed in time, the old one is used"),
    fetch: async () => {
      const bearer = signJwt(app, { audience, now: endpoint.now() });
      // Every caller may have gone; who waits has its own signal, and the endpoint its own time-out.
      const { signal } = new AbortController();
      const { accessToken, expiresAt } = await endpoint.tokens({ path, json, bearer }, { signal });
      log.debug({ expiresAt: new Date(expiresAt).toISOString() }, "coze token received");
      return {
        token: accessToken,
        renewAt: renewAt({ receivedAt: endpoint.now(), expiresAt }),
        expiresAt,
      };
    },
  });
}
