import type { OAuthOutcome, OAuthRequest, OAuthService } from "./oauth.ts";
import { invalidRequest, isOAuthRefusal } from "./oauth-rules.ts";
import type { Outcome, Route } from "./routes.ts";
import { refuse } from "./rules.ts";
import type { CozeSwitches } from "./switches.ts";

const ROOT = "/api/permission/oauth2";

/** Signing in: endpoints that need no token, but hand them out (coze-api.md §2.3–2.5). */
export function oauthRoutes(service: OAuthService, switches: CozeSwitches): readonly Route[] {
  const post = (path: string, use: (request: OAuthRequest) => OAuthOutcome): Route => ({
    method: "POST",
    path: `${ROOT}${path}`,
    open: true,
    handle({ json, bearer, params }) {
      const body = json();
      if (body === undefined) return toOutcome(invalidRequest("body"), switches);
      const { account_id: accountId, workspace_id: workspaceId } = params;
      return toOutcome(use({ body, bearer, accountId, workspaceId }), switches);
    },
  });
  const authorize = (path: string): Route => ({
    method: "GET",
    path: `${ROOT}${path}`,
    open: true,
    handle({ query }) {
      const outcome = service.authorize(query);
      return isOAuthRefusal(outcome) ? toOutcome(outcome, switches) : outcome;
    },
  });
  return [
    post("/token", (request) => service.token(request)),
    post("/account/:account_id/token", (request) => service.token(request)),
    post("/device/code", (request) => service.deviceCode(request)),
    post("/workspace_id/:workspace_id/device/code", (request) => service.deviceCode(request)),
    authorize("/authorize"),
    authorize("/workspace_id/:workspace_id/authorize"),
  ];
}

/** A refusal in one of the three shapes that are known; with HTTP 400 where it was seen (coze-api.md §2.6). */
function toOutcome(outcome: OAuthOutcome, { oauthErrorShape }: CozeSwitches): Outcome {
  if (!isOAuthRefusal(outcome)) return { bare: outcome.body, status: 200 };
  const { error, text } = outcome;
  switch (oauthErrorShape) {
    case "error_code":
      return { bare: { error_code: error, error_message: text, error: text }, status: 400 };
    case "error":
      return { bare: { error, error_description: text }, status: 400 };
    case "envelope":
      return refuse(4100, text);
  }
}
