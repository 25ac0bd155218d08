import { join } from "node:path";
import { expect, it } from "vitest";
import { startBridge } from "../../sandbox/bridge-child.ts";
import { type Services, startServices } from "../../sandbox/services.ts";
import { requestDeviceCode, waitForDevice } from "../../src/coze/auth/device-flow.ts";
import { OAuthEndpoint } from "../../src/coze/auth/oauth-endpoint.ts";
import { storeSignIn, toSignIn } from "../../src/coze/auth/token-store.ts";
import { openSignInStore } from "../../src/open-coze-tokens.ts";
import { openSealer } from "../../src/store/sealer.ts";
import { addOAuthApps, KEYS, NATIVE_APP, SERVICE_APP } from "../coze/auth/oauth-kit.ts";
import { noAbort } from "../coze/coze-kit.ts";
import { makeTestFolder } from "../queue/embedded.ts";

const poll = { timeout: 60_000, interval: 20 };
const signal = noAbort();
const SECRET_KEY = "0123456789abcdef0123456789abcdef";

/** Asks in Discord, and waits for the answer. */
async function askAndWait({ discord }: Services, text: string): Promise<void> {
  discord.person("Ada").say(discord.general, `@Coze ${text}`);
  const said = (): string[] => discord.view(discord.general).messages.map((message) => message.text);
  await expect.poll(said, poll).toContainEqual(expect.stringContaining(`You said: ${text}`));
}

async function metricsOf(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

it("a bridge that signs in by an OAuth app goes on when its token is refused, and logs no secret (§22.35)", async () => {
  await using services = await startServices({ env: {}, speed: 20 });
  await using folder = await makeTestFolder();
  addOAuthApps(services.coze);
  let log = "";
  await using bridge = await startBridge({
    env: {
      ...services.bridgeEnv,
      COZE_API_TOKEN: "",
      COZE_OAUTH_CLIENT_ID: SERVICE_APP.clientId,
      COZE_OAUTH_PUBLIC_KEY_ID: SERVICE_APP.publicKeyId,
      COZE_OAUTH_PRIVATE_KEY: KEYS.privateKey,
      COZE_OAUTH_SESSION_NAME: "bridge",
      DATA_DIR: folder.path,
      PORT: "0",
      LOG_LEVEL: "debug",
    },
    trustedOrigins: services.fileOrigins,
    stderr: (text) => {
      log += text;
    },
  });
  await askAndWait(services, "one");
  services.coze.tokens.clear();
  await askAndWait(services, "two");
  const { issued } = services.coze.oauth;
  expect(issued.map(({ sessionName }) => sessionName)).toEqual(["bridge", "bridge"]);
  expect(await metricsOf(bridge.port)).not.toMatch(/^coze_token_expires_seconds /m);
  expect(log).toContain("coze token received");
  for (const secret of [...issued.map(({ token }) => token), ...KEYS.privateKey.split("\n").slice(1, -2)]) {
    expect(log).not.toContain(secret);
  }
});

it("a bridge finds what a person signed in in its DATA_DIR, keeps it going, and shows its end", async () => {
  await using services = await startServices({ env: {}, speed: 20 });
  await using folder = await makeTestFolder();
  addOAuthApps(services.coze);
  const dataDir = join(folder.path, "data");
  await using endpoint = new OAuthEndpoint({ baseUrl: services.coze.url });
  const code = await requestDeviceCode(endpoint, { clientId: NATIVE_APP }, { signal });
  services.coze.oauth.decideDevice(code.userCode, "allowed");
  const tokens = await waitForDevice(
    endpoint,
    { clientId: NATIVE_APP, code },
    { signal, sleep: () => Promise.resolve() },
  );
  const day = 24 * 3_600_000;
  // Twenty days ago, and not used since.
  const facts = { app: { clientId: NATIVE_APP }, baseUrl: endpoint.baseUrl, now: Date.now() - 20 * day };
  const store = openSignInStore(dataDir, await openSealer({ key: SECRET_KEY }));
  await storeSignIn(store, toSignIn({ ...tokens, expiresAt: facts.now }, facts), { signal });
  await using bridge = await startBridge({
    env: {
      ...services.bridgeEnv,
      COZE_API_TOKEN: "",
      SECRET_KEY,
      DATA_DIR: dataDir,
      PORT: "0",
      LOG_LEVEL: "silent",
    },
    trustedOrigins: services.fileOrigins,
    stderr: "inherit",
  });
  const end = async (): Promise<number> =>
    Number(/^coze_token_expires_seconds (\d+)$/m.exec(await metricsOf(bridge.port))?.[1] ?? 0);
  await expect.poll(end, poll).toBeGreaterThan((Date.now() + 29 * day) / 1000);
  await askAndWait(services, "one");
  expect(services.coze.oauth.issued).toHaveLength(2);
});
