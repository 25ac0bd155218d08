import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Environment, loadLoginConfig, signInPath } from "../config.ts";
import type { Abortable } from "../core/ports.ts";
import { requestDeviceCode, waitForDevice } from "../coze/auth/device-flow.ts";
import { OAuthEndpoint } from "../coze/auth/oauth-endpoint.ts";
import { storeSignIn, toSignIn } from "../coze/auth/token-store.ts";
import { openSignInStore } from "../open-coze-tokens.ts";
import { openBridgeSealer } from "../open-sealer.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { toLine } from "./lines.ts";
import type { Terminal } from "./terminal.ts";

/** What `coze-bridge auth login` is asked to do. */
export interface LoginCommand {
  readonly act: "auth login";
  /** Of an OAuth app for devices. */
  readonly clientId: string;
  readonly workspace: string | undefined;
  readonly json: boolean;
}

/**
 * Lets a person sign in with any browser (coze-api.md §2.4), and keeps what that brings, sealed, for the bridge and for
 * every command on this machine.
 *
 * @throws {CozeError} `COZE_AUTH` when they said no or took too long.
 */
export async function authLogin(
  { clientId, workspace, json }: LoginCommand,
  { env, terminal, signal }: { env: Environment; terminal: Terminal } & Abortable,
): Promise<ExitCode> {
  const config = loadLoginConfig(env, (path) => readFileSync(path, "utf8"));
  const { baseUrl, dataDir, proxy } = config;
  await using endpoint = new OAuthEndpoint({ baseUrl, proxy });
  // Opened before anybody signs in: a folder that can't be written to is told now.
  const store = openSignInStore(dataDir, await openBridgeSealer(config));
  (await store.lock({ signal }))[Symbol.dispose]();
  const app = { clientId, ...(workspace !== undefined && { workspaceId: workspace }) };
  const code = await requestDeviceCode(endpoint, app, { signal });
  const until = new Date(code.expiresAt).toISOString();
  if (json) terminal.write(toLine({ url: code.verificationUrl, code: code.userCode, until }));
  else terminal.write(`Open ${code.verificationUrl}\nand check that it shows ${code.userCode}.\n`);
  terminal.status("waiting for you to agree there …");
  const tokens = await waitForDevice(
    endpoint,
    { clientId, code },
    { sleep: (ms, options) => sleep(ms, undefined, options), signal },
  );
  const signIn = toSignIn(tokens, { app: { clientId }, baseUrl, now: Date.now() });
  await storeSignIn(store, signIn, { signal });
  const endsAt = new Date(signIn.endsAt).toISOString();
  if (json) terminal.write(toLine({ signedIn: true, endsAt }));
  terminal.say(
    `Signed in at ${baseUrl}. It is kept in ${signInPath(dataDir)} and renews itself; unused, it ends on ${endsAt.slice(0, 10)}.`,
  );
  return EXIT.ok;
}
