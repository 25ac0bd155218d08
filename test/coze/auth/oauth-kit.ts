import { generateKeyPairSync } from "node:crypto";
import { type CozeStandIn, type CozeStandInOptions, startCoze } from "../../../sandbox/coze/coze-stand-in.ts";
import type { VirtualClock } from "../../../sandbox/stand-in.ts";
import { requestDeviceCode, waitForDevice } from "../../../src/coze/auth/device-flow.ts";
import { type JwtApp, parsePrivateKey } from "../../../src/coze/auth/jwt.ts";
import { OAuthEndpoint, type OAuthEndpointOptions } from "../../../src/coze/auth/oauth-endpoint.ts";
import type { OAuthTokens } from "../../../src/coze/auth/tokens.ts";
import { KeptLog, noAbort } from "../coze-kit.ts";

/** A service app's pair of keys, as Coze hands it out. */
export const KEYS: { readonly publicKey: string; readonly privateKey: string } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});

export const SERVICE_APP: JwtApp = {
  clientId: "1100000000001",
  publicKeyId: "fingerprint-1",
  privateKey: parsePrivateKey(KEYS.privateKey),
};
export const ACCOUNT_ID = "7400000000000000001";
export const NATIVE_APP = "1100000000002.app.coze";
export const WEB_APP = "1100000000003.app.coze";
export const WEB_SECRET: string = ["web", "client", "secret", "value"].join("-");
export const REDIRECT_URI = "http://127.0.0.1:8721/callback";

/** Stand-in with one app of each kind, and the real endpoint client. */
export interface OAuthPair extends AsyncDisposable {
  readonly coze: CozeStandIn;
  readonly endpoint: OAuthEndpoint;
  readonly log: KeptLog;
  /** How many token requests there were, of all grants. */
  tokenRequests(): number;
}

/** One app of each kind. */
export function addOAuthApps(coze: CozeStandIn): void {
  coze.oauth.apps.set(SERVICE_APP.clientId, {
    kind: "service",
    publicKeys: new Map([[SERVICE_APP.publicKeyId, KEYS.publicKey]]),
    accountId: ACCOUNT_ID,
  });
  coze.oauth.apps.set(NATIVE_APP, { kind: "native", redirectUris: [REDIRECT_URI] });
  coze.oauth.apps.set(WEB_APP, { kind: "web", clientSecret: WEB_SECRET, redirectUris: [REDIRECT_URI] });
}

export async function openOAuthPair(
  options: CozeStandInOptions & Partial<OAuthEndpointOptions> = {},
): Promise<OAuthPair> {
  const coze = await startCoze(options);
  addOAuthApps(coze);
  const endpoint = new OAuthEndpoint({ ...options, baseUrl: coze.url });
  const dispose = async (): Promise<void> => {
    await endpoint[Symbol.asyncDispose]();
    await coze[Symbol.asyncDispose]();
  };
  const isToken = ({ name }: { name: string }): boolean => /^POST \/api\/permission\/.*token$/.test(name);
  return {
    coze,
    endpoint,
    log: new KeptLog(),
    tokenRequests: () => coze.traffic.exchanges.filter(isToken).length,
    [Symbol.asyncDispose]: dispose,
  };
}

/** Whether the API takes this token now. */
export async function isAccepted({ coze }: OAuthPair, token: string): Promise<boolean> {
  const response = await fetch(`${coze.url}/v1/conversation/create`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: "{}",
  });
  return ((await response.json()) as { code: number }).code === 0;
}

/** A person signs in by a device code; stand-in and endpoint share this clock. */
export async function signInByDevice(pair: OAuthPair, clock: VirtualClock): Promise<OAuthTokens> {
  const options = { signal: noAbort(), sleep: async (ms: number): Promise<void> => clock.advance(ms) };
  const code = await requestDeviceCode(pair.endpoint, { clientId: NATIVE_APP }, options);
  pair.coze.oauth.decideDevice(code.userCode, "allowed");
  return waitForDevice(pair.endpoint, { clientId: NATIVE_APP, code }, options);
}
