import { createHash, createSign, generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sandbox/stand-in.ts";
import {
  ACCOUNT_ID,
  isAccepted,
  KEYS,
  NATIVE_APP,
  type OAuthPair,
  openOAuthPair,
  REDIRECT_URI,
  SERVICE_APP,
  WEB_APP,
} from "./oauth-kit.ts";

const NOON = Date.UTC(2026, 10, 26, 12);
const ROOT = "/api/permission/oauth2";
const JWT_BEARER = { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer" };

interface Answer {
  readonly status: number;
  readonly access_token?: string;
  readonly refresh_token?: string;
  readonly expires_in?: number;
  readonly error_code?: string;
  readonly error_message?: string;
}

async function post(pair: OAuthPair, path: string, body: unknown, bearer?: string): Promise<Answer> {
  const response = await fetch(`${pair.coze.url}${ROOT}${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
    },
    body: JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

async function openAtNoon(): Promise<OAuthPair & { readonly clock: VirtualClock }> {
  const clock = new VirtualClock(NOON);
  return { ...(await openOAuthPair({ clock })), clock };
}

interface JwtChanges {
  readonly header?: object;
  readonly claims?: object;
  readonly key?: KeyObject | string;
}

/** A JWT made without the product's signer. */
function jwt(pair: OAuthPair, { header, claims, key = KEYS.privateKey }: JwtChanges = {}): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const iat = NOON / 1000;
  const host = new URL(pair.coze.url).host;
  const text = [
    encode({ alg: "RS256", typ: "JWT", kid: SERVICE_APP.publicKeyId, ...header }),
    encode({ iss: SERVICE_APP.clientId, aud: host, iat, exp: iat + 600, jti: randomUUID(), ...claims }),
  ].join(".");
  return `${text}.${createSign("RSA-SHA256").update(text).sign(key, "base64url")}`;
}

describe("the stand-in takes a JWT", () => {
  it("once: its repeat is refused (§22.35)", async () => {
    await using pair = await openAtNoon();
    const signed = jwt(pair);
    expect(await post(pair, "/token", JWT_BEARER, signed)).toMatchObject({ status: 200 });
    expect(await post(pair, "/token", JWT_BEARER, signed)).toMatchObject({
      ...{ status: 400, error_code: "invalid_request", error_message: "invalid request: jti" },
    });
    expect(await post(pair, `/account/${ACCOUNT_ID}/token`, JWT_BEARER, jwt(pair))).toMatchObject({
      status: 200,
    });
  });

  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const now = NOON / 1000;
  it.each<[string, JwtChanges, string]>([
    ["signed by another key", { key: stranger }, "signature does not fit"],
    ["of an unknown key", { header: { kid: "other" } }, "invalid request: kid"],
    ["without a signature", { header: { alg: "none" } }, "invalid request: alg"],
    ["of another type", { header: { typ: "JOSE" } }, "invalid request: typ"],
    ["of an unknown app", { claims: { iss: "1" } }, "unknown iss"],
    ["of an app of another type", { claims: { iss: NATIVE_APP } }, "the app is no service app"],
    ["for another host", { claims: { aud: "api.coze.cn" } }, "invalid request: aud"],
    ["for a host with its scheme", { claims: { aud: "http://127.0.0.1" } }, "invalid request: aud"],
    ["of the future", { claims: { iat: now + 1, exp: now + 100 } }, "invalid request: iat"],
    ["of the past", { claims: { iat: now - 100, exp: now - 1 } }, "invalid request: exp"],
    ["that ends before it begins", { claims: { exp: now } }, "invalid request: exp"],
    ["with times as words", { claims: { iat: String(now) } }, "invalid request: iat"],
    ["without an id", { claims: { jti: undefined } }, "invalid request: jti"],
    ["with an empty session", { claims: { session_name: "" } }, "invalid request: session_name"],
  ])("but none %s", async (_name, changes, words) => {
    await using pair = await openAtNoon();
    const answer = await post(pair, "/token", JWT_BEARER, jwt(pair, changes));
    expect([answer.status, answer.error_message]).toEqual([400, words]);
    expect(pair.coze.oauth.issued).toEqual([]);
  });

  it("as far off as the switch allows", async () => {
    await using pair = await openAtNoon();
    const ask = async (claims: object): Promise<number> =>
      (await post(pair, "/token", JWT_BEARER, jwt(pair, { claims }))).status;
    for (const [seconds, status] of [
      [0, 400],
      [59, 400],
      [60, 200],
    ] as const) {
      pair.coze.switches.jwtToleranceSeconds = seconds;
      expect(await ask({ iat: now + 60, exp: now + 100 })).toBe(status);
      expect(await ask({ iat: now - 100, exp: now - 60 })).toBe(status);
    }
  });

  it("for 1 to 86399 s, 900 by default, and refuses its token after that", async () => {
    await using pair = await openAtNoon();
    const ask = (seconds?: unknown): Promise<Answer> =>
      post(pair, "/token", { ...JWT_BEARER, duration_seconds: seconds }, jwt(pair));
    for (const seconds of [0, 86_400, 1.5, "900"]) {
      expect((await ask(seconds)).error_message).toBe("invalid request: duration_seconds");
    }
    expect((await ask(86_399)).expires_in).toBe(now + 86_399);
    const { access_token: token = "", expires_in: end } = await ask();
    expect(end).toBe(now + 900);
    pair.coze.switches.tokenExpiresIn = "duration";
    expect((await ask()).expires_in).toBe(900);
    pair.clock.advance(899_999);
    expect(await isAccepted(pair, token)).toBe(true);
    pair.clock.advance(1);
    expect(await isAccepted(pair, token)).toBe(false);
  });
});

describe("the stand-in refuses", () => {
  it.each([
    ["no grant", {}, "unsupported_grant_type"],
    ["a JWT grant without a JWT", JWT_BEARER, "invalid_request"],
    ["an unknown app", { grant_type: "refresh_token", client_id: "1" }, "invalid_client"],
    [
      "a service app's code",
      { grant_type: "authorization_code", client_id: SERVICE_APP.clientId },
      "access_deny",
    ],
    [
      "an unknown refresh token",
      { grant_type: "refresh_token", client_id: NATIVE_APP, refresh_token: "r" },
      "invalid_request",
    ],
  ])("%s", async (_name, body, name) => {
    await using pair = await openAtNoon();
    expect(await post(pair, "/token", body)).toMatchObject({ status: 400, error_code: name });
  });

  it("a device code of a web app, of a workspace without a number, and of another app", async () => {
    await using pair = await openAtNoon();
    expect((await post(pair, "/device/code", { client_id: WEB_APP })).error_code).toBe("access_deny");
    const named = await post(pair, "/workspace_id/mine/device/code", { client_id: NATIVE_APP });
    expect(named.error_message).toBe("invalid request: workspace_id");
    const grant = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", client_id: NATIVE_APP };
    const unknown = await post(pair, "/token", { ...grant, device_code: "d" });
    expect(unknown.error_message).toBe("invalid request: device_code");
  });

  it.each([
    [{ response_type: "token" }, "invalid request: response_type"],
    [{ client_id: "1" }, "unknown client_id"],
    [{ client_id: SERVICE_APP.clientId }, "a service app has no people"],
    [{ redirect_uri: `${REDIRECT_URI}/more` }, "invalid request: redirect_uri"],
    [{ code_challenge: "" }, "invalid request: code_challenge"],
    [{ code_challenge: "short" }, "invalid request: code_challenge"],
    [{ code_challenge_method: "MD5" }, "invalid request: code_challenge_method"],
  ])("to authorize %j", async (changes, words) => {
    await using pair = await openAtNoon();
    const query = {
      ...{ response_type: "code", client_id: NATIVE_APP, redirect_uri: REDIRECT_URI, state: "s" },
      ...{ code_challenge: "c".repeat(43), code_challenge_method: "S256", ...changes },
    };
    const response = await fetch(
      `${pair.coze.url}${ROOT}/authorize?${new URLSearchParams(query).toString()}`,
    );
    expect(((await response.json()) as Answer).error_message).toBe(words);
  });
});

it("the stand-in knows a challenge as it is, too, and ends a code after ten minutes", async () => {
  await using pair = await openAtNoon();
  const verifier = "v".repeat(43);
  const authorize = async (challenge: object): Promise<string> => {
    const page = { response_type: "code", client_id: NATIVE_APP, redirect_uri: REDIRECT_URI, ...challenge };
    const url = `${pair.coze.url}${ROOT}/workspace_id/7/authorize?${new URLSearchParams(page).toString()}`;
    const { headers } = await fetch(url, { redirect: "manual" });
    return new URL(headers.get("location") ?? "").searchParams.get("code") ?? "";
  };
  const exchange = (code: string): Promise<Answer> =>
    post(pair, "/token", {
      ...{ grant_type: "authorization_code", client_id: NATIVE_APP, redirect_uri: REDIRECT_URI },
      ...{ code, code_verifier: verifier },
    });
  const s256 = createHash("sha256").update(verifier).digest("base64url");
  expect((await exchange(await authorize({ code_challenge: verifier }))).status).toBe(200);
  const hashed = { code_challenge: s256, code_challenge_method: "S256" };
  expect((await exchange(await authorize(hashed))).status).toBe(200);
  // The hash where the word itself is expected.
  expect((await exchange(await authorize({ code_challenge: s256 }))).status).toBe(400);
  const late = await authorize(hashed);
  pair.clock.advance(600_000);
  expect((await exchange(late)).error_message).toBe("invalid request: code");
});
