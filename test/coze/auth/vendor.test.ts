import {
  APIError,
  CozeAPI,
  getDeviceCode,
  getDeviceToken,
  getJWTToken,
  getPKCEAuthenticationUrl,
  getPKCEOAuthToken,
  getWebAuthenticationUrl,
  getWebOAuthToken,
  type OAuthToken,
  refreshOAuthToken,
} from "@coze/api";
import { describe, expect, it } from "vitest";
import { authorizeUrl, createPkce, exchangeCode, parseRedirect } from "../../../src/coze/auth/code-flow.ts";
import { requestDeviceCode, waitForDevice } from "../../../src/coze/auth/device-flow.ts";
import { createJwtTokenSource } from "../../../src/coze/auth/jwt-token-source.ts";
import { TOKEN_PATH } from "../../../src/coze/auth/oauth-endpoint.ts";
import type { OAuthTokens } from "../../../src/coze/auth/tokens.ts";
import { errorOf, noAbort } from "../coze-kit.ts";
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
  WEB_SECRET,
} from "./oauth-kit.ts";

const signal = noAbort();
const STATE = "a-state";

/** Where a browser that says yes at once comes back to; the code in it works once. */
async function browse(url: string): Promise<string> {
  const response = await fetch(url, { redirect: "manual" });
  return parseRedirect(response.headers.get("location") ?? "", { state: STATE });
}

/** The same of both: a token that the API takes and its app's, a refresh token, and when it ends. */
async function expectSame(
  pair: OAuthPair,
  theirs: OAuthToken,
  ours: OAuthTokens,
  clientId: string,
): Promise<void> {
  const issued = pair.coze.oauth.issued.slice(-2);
  expect(issued.map((token) => token.clientId)).toEqual([clientId, clientId]);
  expect(issued.map(({ token }) => token)).toEqual([theirs.access_token, ours.accessToken]);
  const [first, second] = issued.map(({ expiresAt }) => Math.floor(expiresAt / 1000));
  expect(theirs.expires_in).toBe(first);
  // Ours counts from the answer's date, which has whole seconds.
  expect(Math.abs(ours.expiresAt / 1000 - (second ?? 0))).toBeLessThan(2);
  for (const token of [theirs.refresh_token, ours.refreshToken]) expect(token).toMatch(/^[\w-]{32}$/);
  expect(await isAccepted(pair, theirs.access_token)).toBe(true);
  expect(await isAccepted(pair, ours.accessToken)).toBe(true);
}

describe("signing in on a device", () => {
  it("getDeviceCode, getDeviceToken: the same code, page, life and tokens", async () => {
    await using pair = await openOAuthPair();
    const { coze, endpoint } = pair;
    const app = { clientId: NATIVE_APP, baseURL: coze.url };
    const theirs = await getDeviceCode(app);
    const ours = await requestDeviceCode(endpoint, { clientId: NATIVE_APP }, { signal });
    expect(ours.verificationUrl).toBe(`${theirs.verification_uri}?user_code=${ours.userCode}`);
    expect(ours.intervalMs).toBe(theirs.interval * 1000);
    expect(theirs.expires_in).toBe(coze.switches.deviceCodeLifeSeconds);
    const pending = await errorOf(getDeviceToken({ ...app, deviceCode: theirs.device_code }));
    expect(pending).toBeInstanceOf(APIError);
    expect(pending).toMatchObject({ rawError: { error: "authorization_pending" } });
    // A second code: who was told to wait and does not is told to slow down.
    const again = await getDeviceCode(app);
    for (const code of [again.user_code, ours.userCode]) coze.oauth.decideDevice(code, "allowed");
    const token = await getDeviceToken({ ...app, deviceCode: again.device_code, poll: true });
    const waiting = { signal, sleep: () => Promise.resolve() };
    const tokens = await waitForDevice(endpoint, { clientId: NATIVE_APP, code: ours }, waiting);
    await expectSame(pair, token, tokens, NATIVE_APP);
  });

  it("a no is a no to both", async () => {
    await using pair = await openOAuthPair();
    const app = { clientId: NATIVE_APP, baseURL: pair.coze.url };
    const theirs = await getDeviceCode(app);
    const ours = await requestDeviceCode(pair.endpoint, { clientId: NATIVE_APP }, { signal });
    for (const code of [theirs.user_code, ours.userCode]) pair.coze.oauth.decideDevice(code, "denied");
    const polled = getDeviceToken({ ...app, deviceCode: theirs.device_code, poll: true });
    expect(await errorOf(polled)).toMatchObject({ rawError: { error: "access_denied" } });
    const waiting = { signal, sleep: () => Promise.resolve() };
    const waited = waitForDevice(pair.endpoint, { clientId: NATIVE_APP, code: ours }, waiting);
    expect(await errorOf(waited)).toMatchObject({ code: "COZE_AUTH" });
    // Nobody asked again.
    expect(pair.tokenRequests()).toBe(2);
  });
});

/** Both addresses without what is random in them. */
function withoutChallenge(url: string): string {
  const plain = new URL(url);
  plain.searchParams.set("code_challenge", "");
  return plain.href;
}

describe("signing in in a browser", () => {
  it("PKCE: the same address; each takes the code of the other's", async () => {
    await using pair = await openOAuthPair();
    const { coze, endpoint } = pair;
    const theirs = await getPKCEAuthenticationUrl({
      ...{ baseURL: coze.url, clientId: NATIVE_APP, redirectUrl: REDIRECT_URI, state: STATE },
    });
    const { verifier, challenge } = createPkce();
    const ours = authorizeUrl({
      ...{ baseUrl: coze.url, clientId: NATIVE_APP, redirectUri: REDIRECT_URI, state: STATE, challenge },
    });
    expect(withoutChallenge(ours)).toBe(withoutChallenge(theirs.url));
    const token = await getPKCEOAuthToken({
      ...{ baseURL: coze.url, clientId: NATIVE_APP, redirectUrl: REDIRECT_URI },
      ...{ code: await browse(ours), codeVerifier: verifier },
    });
    const code = await browse(theirs.url);
    const grant = {
      app: { clientId: NATIVE_APP },
      redirectUri: REDIRECT_URI,
      code,
      verifier: theirs.codeVerifier,
    };
    await expectSame(pair, token, await exchangeCode(endpoint, grant, { signal }), NATIVE_APP);
  });

  it("a web app with its secret: the same address; each takes the code of the other's", async () => {
    await using pair = await openOAuthPair();
    const { coze, endpoint } = pair;
    const theirs = getWebAuthenticationUrl({
      ...{ baseURL: coze.url, clientId: WEB_APP, redirectUrl: REDIRECT_URI, state: STATE },
    });
    const ours = authorizeUrl({
      baseUrl: coze.url,
      clientId: WEB_APP,
      redirectUri: REDIRECT_URI,
      state: STATE,
    });
    expect(ours).toBe(theirs);
    const token = await getWebOAuthToken({
      ...{ baseURL: coze.url, clientId: WEB_APP, clientSecret: WEB_SECRET, redirectUrl: REDIRECT_URI },
      code: await browse(ours),
    });
    const app = { clientId: WEB_APP, clientSecret: WEB_SECRET };
    const grant = { app, redirectUri: REDIRECT_URI, code: await browse(theirs) };
    await expectSame(pair, token, await exchangeCode(endpoint, grant, { signal }), WEB_APP);
  });

  it("refreshOAuthToken: each refreshes what the other one got, and the old pair is dead for both", async () => {
    await using pair = await openOAuthPair();
    const { coze, endpoint } = pair;
    const web = { baseURL: coze.url, clientId: WEB_APP, clientSecret: WEB_SECRET };
    const url = getWebAuthenticationUrl({ ...web, redirectUrl: REDIRECT_URI, state: STATE });
    const theirs = await getWebOAuthToken({ ...web, redirectUrl: REDIRECT_URI, code: await browse(url) });
    const app = { clientId: WEB_APP, clientSecret: WEB_SECRET };
    const grant = { app, redirectUri: REDIRECT_URI, code: await browse(url) };
    const { refreshToken = "" } = await exchangeCode(endpoint, grant, { signal });
    const refresh = (token: string): Promise<OAuthTokens> => {
      const json = { grant_type: "refresh_token", client_id: WEB_APP, refresh_token: token };
      return endpoint.tokens({ path: TOKEN_PATH, bearer: WEB_SECRET, json }, { signal });
    };
    const token = await refreshOAuthToken({ ...web, refreshToken });
    await expectSame(pair, token, await refresh(theirs.refresh_token), WEB_APP);
    const dead = await errorOf(refreshOAuthToken({ ...web, refreshToken: theirs.refresh_token }));
    expect(dead).toMatchObject({ rawError: { error_code: "invalid_request" } });
    expect(await errorOf(refresh(refreshToken))).toMatchObject({ code: "COZE_AUTH" });
  });
});

describe("a service app", () => {
  it.each<[string, { accountId?: string }, { sessionName?: string }]>([
    ["of a person", {}, {}],
    ["of an organisation, with a session", { accountId: ACCOUNT_ID }, { sessionName: "ada" }],
  ])("%s: getJWTToken gets what our token source gets", async (_name, account, session) => {
    await using pair = await openOAuthPair();
    const { coze, endpoint, log } = pair;
    const { sessionName } = session;
    const theirs = await getJWTToken({
      ...{
        baseURL: coze.url,
        appId: SERVICE_APP.clientId,
        keyid: SERVICE_APP.publicKeyId,
        privateKey: KEYS.privateKey,
      },
      ...{ aud: new URL(coze.url).host, durationSeconds: 3_600, ...account, ...session },
    });
    const source = createJwtTokenSource({
      ...{ endpoint, log, app: { ...SERVICE_APP, ...session }, durationSeconds: 3_600, ...account },
    });
    const ours = await source.token({ signal });
    expect(coze.oauth.issued.map(({ token }) => token)).toEqual([theirs.access_token, ours]);
    expect(coze.oauth.issued.map((issued) => issued.sessionName)).toEqual([sessionName, sessionName]);
    const [first, second] = coze.oauth.issued.map(({ expiresAt }) => Math.floor(expiresAt / 1000));
    expect(theirs.expires_in).toBe(first);
    expect((second ?? 0) - (first ?? 0)).toBeLessThan(60);
    // A function that gives tokens, as their README shows it; here it is our token source.
    const vendor = new CozeAPI({ baseURL: coze.url, token: () => source.token({ signal }) });
    expect(await vendor.users.me()).toMatchObject({ user_name: "sandbox" });
    expect(await isAccepted(pair, theirs.access_token)).toBe(true);
  });
});
