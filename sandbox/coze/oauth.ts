import { randomBytes } from "node:crypto";
import type { StandInClock } from "../stand-in.ts";
import {
  type Challenge,
  checkChallenge,
  checkDuration,
  checkJwt,
  fitsChallenge,
  invalidRequest,
  isOAuthRefusal,
  type OAuthApp,
  type OAuthRefusal,
  refuseOAuth,
} from "./oauth-rules.ts";
import type { Fields } from "./rules.ts";
import type { CozeSwitches } from "./switches.ts";

export interface OAuthServiceOptions {
  readonly clock: StandInClock;
  readonly switches: CozeSwitches;
  /** Tokens that the API accepts; issued ones come in and go out here. */
  readonly tokens: Set<string>;
  /** Host of the API without scheme; known once it listens. */
  readonly host: () => string;
}

/** A request to a token or code endpoint. */
export interface OAuthRequest {
  readonly body: Fields;
  /** What came as `Authorization: Bearer`; empty when absent. */
  readonly bearer: string;
  /** Of the path, for an organisation's endpoint. */
  readonly accountId?: string | undefined;
  /** Of the path, for a workspace's endpoint. */
  readonly workspaceId?: string | undefined;
}

export type OAuthOutcome = { readonly body: object } | OAuthRefusal;

/** A token that was handed out. */
export interface IssuedToken {
  readonly token: string;
  readonly clientId: string;
  /** Separates users below one account; only a JWT has one. */
  readonly sessionName: string | undefined;
  /** Ms since the epoch. */
  readonly expiresAt: number;
}

interface DeviceCode {
  readonly clientId: string;
  readonly userCode: string;
  readonly expiresAt: number;
  askedAt: number;
  state: "pending" | "allowed" | "denied";
}

interface AuthorizationCode {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: Challenge | undefined;
  readonly expiresAt: number;
}

/** What a person's access token lives, in s (coze-api.md §2.1). */
const ACCESS_LIFE_S = 900;
const REFRESH_LIFE_MS = 30 * 24 * 3_600_000;
/** [uncertain]; the documentation names none. Codes of others live ten minutes at most (RFC 6749 §4.1.2). */
const CODE_LIFE_MS = 600_000;
/** Who asks again sooner is told to slow down, in s (coze-api.md §2.4). */
const DEVICE_INTERVAL_S = 5;

/** OAuth as Coze does it: apps, codes and tokens. Knows nothing of HTTP. */
export class OAuthService {
  readonly apps: Map<string, OAuthApp> = new Map();
  /** Tokens handed out so far, oldest first. */
  readonly issued: IssuedToken[] = [];
  readonly #options: OAuthServiceOptions;
  /** JWTs that were used, by their id. */
  readonly #usedJwts = new Set<string>();
  readonly #devices = new Map<string, DeviceCode>();
  readonly #codes = new Map<string, AuthorizationCode>();
  /** The living refresh tokens. */
  readonly #refreshes = new Map<string, { clientId: string; expiresAt: number }>();

  constructor(options: OAuthServiceOptions) {
    this.#options = options;
  }

  /** Takes tokens whose time is over out of those that are accepted. */
  expire(): void {
    const now = this.#now();
    for (const { token, expiresAt } of this.issued) if (expiresAt <= now) this.#options.tokens.delete(token);
  }

  /** `POST …/token`, for all grants. */
  token(request: OAuthRequest): OAuthOutcome {
    switch (request.body["grant_type"]) {
      case "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return this.#byJwt(request);
      case "urn:ietf:params:oauth:grant-type:device_code":
        return this.#byDeviceCode(request.body);
      case "authorization_code":
        return this.#byCode(request);
      case "refresh_token":
        return this.#byRefreshToken(request);
      default:
        return refuseOAuth("unsupported_grant_type");
    }
  }

  /** `POST …/device/code` */
  deviceCode({ body, workspaceId }: OAuthRequest): OAuthOutcome {
    const clientId = this.#clientOf(body, "native");
    if (typeof clientId !== "string") return clientId;
    if (workspaceId !== undefined && !/^\d+$/.test(workspaceId)) return invalidRequest("workspace_id");
    const deviceCode = secret();
    const userCode = randomBytes(4).toString("hex").toUpperCase();
    const lifeS = this.#options.switches.deviceCodeLifeSeconds;
    const expiresAt = this.#now() + lifeS * 1000;
    const device: DeviceCode = {
      ...{ clientId, userCode, expiresAt },
      ...{ askedAt: Number.NEGATIVE_INFINITY, state: "pending" },
    };
    this.#devices.set(deviceCode, device);
    return {
      body: {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri: `http://${this.#options.host()}/device`,
        expires_in: lifeS,
        interval: DEVICE_INTERVAL_S,
      },
    };
  }

  /** The person typed the code of their screen, and said yes or no. */
  decideDevice(userCode: string, state: "allowed" | "denied"): void {
    for (const device of this.#devices.values()) if (device.userCode === userCode) device.state = state;
  }

  /**
   * `GET …/authorize`: the person is signed in and says yes at once.
   *
   * @returns Where the browser goes.
   */
  authorize(query: (name: string) => string): { readonly location: string } | OAuthRefusal {
    if (query("response_type") !== "code") return invalidRequest("response_type");
    const clientId = query("client_id");
    const app = this.apps.get(clientId);
    if (app === undefined) return refuseOAuth("invalid_client", "unknown client_id");
    if (app.kind === "service") return refuseOAuth("access_deny", "a service app has no people");
    const redirectUri = query("redirect_uri");
    if (!app.redirectUris.includes(redirectUri)) return invalidRequest("redirect_uri");
    const challenge = checkChallenge(query);
    if (challenge !== undefined && isOAuthRefusal(challenge)) return challenge;
    if (app.kind === "native" && challenge === undefined) return invalidRequest("code_challenge");
    const code = secret();
    this.#codes.set(code, { clientId, redirectUri, challenge, expiresAt: this.#now() + CODE_LIFE_MS });
    const location = new URL(redirectUri);
    location.searchParams.set("code", code);
    location.searchParams.set("state", query("state"));
    return { location: location.href };
  }

  #byJwt({ body, bearer, accountId }: OAuthRequest): OAuthOutcome {
    if (bearer === "") return invalidRequest("authorization");
    const claims = checkJwt(bearer, {
      apps: this.apps,
      host: this.#options.host(),
      now: this.#now(),
      toleranceMs: this.#options.switches.jwtToleranceSeconds * 1000,
    });
    if (isOAuthRefusal(claims)) return claims;
    const app = this.apps.get(claims.clientId);
    if (accountId !== undefined && (app?.kind !== "service" || app.accountId !== accountId)) {
      return refuseOAuth("access_deny", "the app does not belong to this account");
    }
    if (this.#usedJwts.has(claims.jwtId)) return invalidRequest("jti");
    this.#usedJwts.add(claims.jwtId);
    const durationS = checkDuration(body["duration_seconds"]);
    if (typeof durationS !== "number") return durationS;
    return { body: this.#issue(claims.clientId, durationS, claims.sessionName) };
  }

  #byDeviceCode(body: Fields): OAuthOutcome {
    const clientId = this.#clientOf(body, "native");
    if (typeof clientId !== "string") return clientId;
    const deviceCode = body["device_code"];
    const device = typeof deviceCode === "string" ? this.#devices.get(deviceCode) : undefined;
    if (device === undefined || device.clientId !== clientId) return invalidRequest("device_code");
    const now = this.#now();
    if (device.expiresAt <= now) return refuseOAuth("expired_token");
    const early = now < device.askedAt + DEVICE_INTERVAL_S * 1000;
    device.askedAt = now;
    if (early) return refuseOAuth("slow_down");
    if (device.state === "pending") return refuseOAuth("authorization_pending");
    this.#devices.delete(String(deviceCode));
    return device.state === "denied"
      ? refuseOAuth("access_denied")
      : { body: this.#issueForPerson(clientId) };
  }

  #byCode({ body, bearer }: OAuthRequest): OAuthOutcome {
    const clientId = this.#provenClient(body, bearer);
    if (typeof clientId !== "string") return clientId;
    const code = typeof body["code"] === "string" ? body["code"] : "";
    const authorized = this.#codes.get(code);
    // Used up by the first who shows it, right or wrong.
    this.#codes.delete(code);
    if (authorized === undefined || authorized.clientId !== clientId) return invalidRequest("code");
    if (authorized.expiresAt <= this.#now()) return invalidRequest("code");
    if (authorized.redirectUri !== body["redirect_uri"]) return invalidRequest("redirect_uri");
    const { challenge } = authorized;
    if (challenge !== undefined && !fitsChallenge(challenge, body["code_verifier"])) {
      return invalidRequest("code_verifier");
    }
    return { body: this.#issueForPerson(clientId) };
  }

  #byRefreshToken({ body, bearer }: OAuthRequest): OAuthOutcome {
    const clientId = this.#provenClient(body, bearer);
    if (typeof clientId !== "string") return clientId;
    const token = typeof body["refresh_token"] === "string" ? body["refresh_token"] : "";
    const refresh = this.#refreshes.get(token);
    if (refresh === undefined || refresh.clientId !== clientId) return invalidRequest("refresh_token");
    // The old one is dead at once (coze-api.md §2.5).
    this.#refreshes.delete(token);
    if (refresh.expiresAt <= this.#now()) return invalidRequest("refresh_token");
    return { body: this.#issueForPerson(clientId) };
  }

  /** The app of a code or refresh token; a web app proves itself by its secret. */
  #provenClient(body: Fields, bearer: string): string | OAuthRefusal {
    const clientId = typeof body["client_id"] === "string" ? body["client_id"] : "";
    const app = this.apps.get(clientId);
    if (app === undefined) return refuseOAuth("invalid_client", "unknown client_id");
    if (app.kind === "service") return refuseOAuth("access_deny", "a service app signs JWTs");
    if (app.kind === "native") return clientId;
    // The words that a PKCE request to a web app gets (coze-api.md §2.6).
    if (bearer === "") return invalidRequest("client_secret");
    return bearer === app.clientSecret ? clientId : refuseOAuth("invalid_client", "wrong secret");
  }

  #clientOf(body: Fields, kind: OAuthApp["kind"]): string | OAuthRefusal {
    const clientId = typeof body["client_id"] === "string" ? body["client_id"] : "";
    const app = this.apps.get(clientId);
    if (app === undefined) return refuseOAuth("invalid_client", "unknown client_id");
    return app.kind === kind ? clientId : refuseOAuth("access_deny", "the app is of another type");
  }

  #issueForPerson(clientId: string): object {
    const refreshToken = secret();
    this.#refreshes.set(refreshToken, { clientId, expiresAt: this.#now() + REFRESH_LIFE_MS });
    return { ...this.#issue(clientId, ACCESS_LIFE_S, undefined), refresh_token: refreshToken };
  }

  #issue(clientId: string, lifeS: number, sessionName: string | undefined): object {
    const token = secret();
    const now = this.#now();
    const expiresAt = now + lifeS * 1000;
    this.issued.push({ token, clientId, sessionName, expiresAt });
    this.#options.tokens.add(token);
    const absolute = this.#options.switches.tokenExpiresIn === "absolute";
    return {
      access_token: token,
      expires_in: absolute ? Math.floor(expiresAt / 1000) : lifeS,
      token_type: "Bearer",
    };
  }

  #now(): number {
    return this.#options.clock.now();
  }
}

/** Opaque, without a prefix: nobody may tell its kind by looking (coze-api.md §2.1). */
function secret(): string {
  return randomBytes(24).toString("base64url");
}

/** Fields of requests and answers that must not be recorded. Coze's own `code` is a number. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  "access_token",
  "refresh_token",
  "device_code",
  "code",
  "code_verifier",
]);

/** What may be kept of a body. */
export function withoutTokens(body: object): object {
  const kept = Object.entries(body).map(([name, value]) => [
    name,
    SECRET_FIELDS.has(name) && typeof value === "string" ? "[secret]" : (value as unknown),
  ]);
  return Object.fromEntries(kept) as object;
}
