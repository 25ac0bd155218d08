import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadCozeConfig } from "../src/config.ts";
import { requestDeviceCode, waitForDevice } from "../src/coze/auth/device-flow.ts";
import { storeSignIn, toSignIn } from "../src/coze/auth/token-store.ts";
import { type CozeTokens, openCozeTokens, openSignInStore } from "../src/open-coze-tokens.ts";
import { openSealer } from "../src/store/sealer.ts";
import {
  ACCOUNT_ID,
  isAccepted,
  KEYS,
  NATIVE_APP,
  type OAuthPair,
  openOAuthPair,
  SERVICE_APP,
} from "./coze/auth/oauth-kit.ts";
import { errorOf, KeptLog, noAbort } from "./coze/coze-kit.ts";

const signal = noAbort();
const KEY = "k".repeat(32);
type Env = Record<string, string>;
const noFiles = (): string => {
  throw new Error("no such file");
};

function open(pair: OAuthPair, env: Env, readFile = noFiles): Promise<CozeTokens> {
  const config = loadCozeConfig({ COZE_API_BASE: pair.coze.url, ...env }, readFile);
  return openCozeTokens(config, { log: new KeptLog() });
}

it("signs in by a token, with its end", async () => {
  await using pair = await openOAuthPair();
  const env = { COZE_API_TOKEN: "a-token", COZE_API_TOKEN_EXPIRES: "2026-12-20" };
  await using tokens = await open(pair, env);
  await tokens.keep({ signal });
  expect([await tokens.source.token({ signal }), tokens.endsAt()]).toEqual([
    "a-token",
    Date.UTC(2026, 11, 20),
  ]);
});

it("signs in by an OAuth app, in its session, at its organisation", async () => {
  await using pair = await openOAuthPair();
  const { clientId, publicKeyId } = SERVICE_APP;
  await using tokens = await open(pair, {
    COZE_OAUTH_CLIENT_ID: clientId,
    COZE_OAUTH_PUBLIC_KEY_ID: publicKeyId,
    COZE_OAUTH_PRIVATE_KEY: KEYS.privateKey.replaceAll("\n", "\\n"),
    COZE_OAUTH_SESSION_NAME: "ada",
    COZE_OAUTH_ACCOUNT_ID: ACCOUNT_ID,
  });
  await tokens.keep({ signal });
  expect(pair.tokenRequests()).toBe(0);
  expect(await isAccepted(pair, await tokens.source.token({ signal }))).toBe(true);
  expect(pair.coze.oauth.issued).toMatchObject([{ clientId, sessionName: "ada" }]);
  expect(pair.coze.traffic.exchanges[0]?.name).toContain("/account/:account_id/token");
  expect(tokens.endsAt()).toBeUndefined();
});

/** A folder with a person's sign-in, whose access token lives this long from now. */
async function openSignedIn(
  pair: OAuthPair,
  accessMs: number,
): Promise<AsyncDisposable & { readonly env: Env }> {
  const dataDir = await mkdtemp(join(tmpdir(), "coze-tokens-"));
  const code = await requestDeviceCode(pair.endpoint, { clientId: NATIVE_APP }, { signal });
  pair.coze.oauth.decideDevice(code.userCode, "allowed");
  const wait = { signal, sleep: () => Promise.resolve() };
  const tokens = await waitForDevice(pair.endpoint, { clientId: NATIVE_APP, code }, wait);
  const now = Date.now();
  const facts = { app: { clientId: NATIVE_APP }, baseUrl: pair.coze.url, now: now + accessMs - 900_000 };
  const store = openSignInStore(dataDir, await openSealer({ key: KEY }));
  await storeSignIn(store, toSignIn({ ...tokens, expiresAt: now + accessMs }, facts), { signal });
  const dispose = (): Promise<void> => rm(dataDir, { recursive: true });
  return { env: { DATA_DIR: dataDir, SECRET_KEY: KEY }, [Symbol.asyncDispose]: dispose };
}

it("signs in by what a person left in DATA_DIR", async () => {
  await using pair = await openOAuthPair();
  await using signedIn = await openSignedIn(pair, 900_000);
  await using tokens = await open(pair, signedIn.env, () => "sealed");
  await tokens.keep({ signal });
  expect(tokens.endsAt()).toBeGreaterThan(Date.now() + 29 * 24 * 3_600_000);
  expect(await isAccepted(pair, await tokens.source.token({ signal }))).toBe(true);
  expect(pair.tokenRequests()).toBe(1);
});

it("is closed only when a refresh that is under way has been stored", async () => {
  await using pair = await openOAuthPair();
  await using signedIn = await openSignedIn(pair, 0);
  pair.coze.faults.plan(/oauth2\/token/, { do: "delay", ms: 200 });
  {
    await using tokens = await open(pair, signedIn.env, () => "sealed");
    const stop = new AbortController();
    const waiting = errorOf(tokens.source.token(stop));
    await expect.poll(() => pair.coze.connections).toBe(2);
    stop.abort();
    await waiting;
  }
  expect(pair.tokenRequests()).toBe(2);
  await using next = await open(pair, signedIn.env, () => "sealed");
  expect(await isAccepted(pair, await next.source.token({ signal }))).toBe(true);
  expect(pair.tokenRequests()).toBe(2);
});
