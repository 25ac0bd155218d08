import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadCozeConfig } from "../src/config.ts";
import { storeSignIn, toSignIn } from "../src/coze/auth/token-store.ts";
import { type CozeTokens, openCozeTokens, openSignInStore } from "../src/open-coze-tokens.ts";
import { openSealer } from "../src/store/sealer.ts";
import {
  isAccepted,
  KEYS,
  NATIVE_APP,
  type OAuthPair,
  openOAuthPair,
  SERVICE_APP,
} from "./coze/auth/oauth-kit.ts";
import { KeptLog, noAbort } from "./coze/coze-kit.ts";

const signal = noAbort();
const KEY = "k".repeat(32);
const noFiles = (): string => {
  throw new Error("no such file");
};

function open(pair: OAuthPair, env: Record<string, string>, readFile = noFiles): Promise<CozeTokens> {
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

it("signs in by an OAuth app, in its session", async () => {
  await using pair = await openOAuthPair();
  const { clientId, publicKeyId } = SERVICE_APP;
  await using tokens = await open(pair, {
    COZE_OAUTH_CLIENT_ID: clientId,
    COZE_OAUTH_PUBLIC_KEY_ID: publicKeyId,
    COZE_OAUTH_PRIVATE_KEY: KEYS.privateKey.replaceAll("\n", "\\n"),
    COZE_OAUTH_SESSION_NAME: "ada",
  });
  await tokens.keep({ signal });
  expect(pair.tokenRequests()).toBe(0);
  expect(await isAccepted(pair, await tokens.source.token({ signal }))).toBe(true);
  expect(pair.coze.oauth.issued).toMatchObject([{ clientId, sessionName: "ada" }]);
  expect(tokens.endsAt()).toBeUndefined();
});

it("signs in by what a person left in DATA_DIR", async () => {
  await using pair = await openOAuthPair();
  const dataDir = await mkdtemp(join(tmpdir(), "coze-tokens-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(dataDir, { recursive: true }));
  const now = Date.now();
  const signIn = toSignIn(
    { accessToken: "a-token", refreshToken: "r", expiresAt: now + 900_000 },
    { app: { clientId: NATIVE_APP }, baseUrl: pair.coze.url, now },
  );
  const store = openSignInStore(dataDir, await openSealer({ key: KEY }));
  await storeSignIn(store, signIn, { signal });
  const env = { DATA_DIR: dataDir, SECRET_KEY: KEY };
  const tokens = stack.use(await open(pair, env, () => "sealed"));
  await tokens.keep({ signal });
  expect(tokens.endsAt()).toBe(now + 30 * 24 * 3_600_000);
  expect(await tokens.source.token({ signal })).toBe("a-token");
});
