import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { requestDeviceCode, waitForDevice } from "../../../src/coze/auth/device-flow.ts";
import { storeSignIn, toSignIn } from "../../../src/coze/auth/token-store.ts";
import { openSealer } from "../../../src/store/sealer.ts";
import { SecretFile } from "../../../src/store/secret-file.ts";
import { noAbort } from "../coze-kit.ts";
import { isAccepted, NATIVE_APP, type OAuthPair, openOAuthPair } from "./oauth-kit.ts";

const signal = noAbort();

interface FolderPair extends OAuthPair {
  readonly path: string;
}

/** A sign-in in a file, whose access token is about to end. */
async function openSignedIn(): Promise<FolderPair> {
  const pair = await openOAuthPair();
  const folder = await mkdtemp(join(tmpdir(), "coze-sign-in-"));
  const path = join(folder, "sign-in", "coze.tokens");
  const code = await requestDeviceCode(pair.endpoint, { clientId: NATIVE_APP }, { signal });
  pair.coze.oauth.decideDevice(code.userCode, "allowed");
  const wait = { signal, sleep: () => Promise.resolve() };
  const tokens = await waitForDevice(pair.endpoint, { clientId: NATIVE_APP, code }, wait);
  const now = Date.now();
  const facts = { app: { clientId: NATIVE_APP }, baseUrl: pair.endpoint.baseUrl, now: now - 900_000 };
  const store = new SecretFile(path, await openSealer({ key: "k".repeat(32) }));
  await storeSignIn(store, toSignIn({ ...tokens, expiresAt: now }, facts), { signal });
  const dispose = async (): Promise<void> => {
    await pair[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  };
  return { ...pair, path, [Symbol.asyncDispose]: dispose };
}

function start({ coze, path }: FolderPair, mode: "go" | "stop-before-store" = "go"): ChildProcess {
  const program = join(import.meta.dirname, "refreshing-process.ts");
  return spawn(process.execPath, [program, coze.url, path, mode], { stdio: ["ignore", "pipe", "inherit"] });
}

async function said(child: ChildProcess): Promise<string> {
  return child.stdout === null ? "" : (await text(child.stdout)).trim();
}

it("four processes of one sign-in ask Coze once, and all go on with the same pair", async () => {
  await using pair = await openSignedIn();
  const tokens = await Promise.all([1, 2, 3, 4].map(() => said(start(pair))));
  expect(new Set(tokens).size).toBe(1);
  expect(await isAccepted(pair, tokens[0] ?? "")).toBe(true);
  expect(pair.tokenRequests()).toBe(2);
});

it("a kill between the answer and its storing loses the sign-in, and the next start says so (§22.45)", async () => {
  await using pair = await openSignedIn();
  const victim = start(pair, "stop-before-store");
  await once(victim.stdout ?? victim, "data");
  const waiting = start(pair);
  victim.kill("SIGKILL");
  const words = await said(waiting);
  expect(words).toMatch(
    /^CozeError: .*The answer to a refresh at \S+Z was lost, by a broken connection or a kill/,
  );
  expect(words).toMatch(/run `coze-bridge auth login` again$/);
  expect(pair.tokenRequests()).toBe(3);
});

it("a kill before the request reached Coze loses nothing", async () => {
  await using pair = await openSignedIn();
  const met = Promise.withResolvers<void>();
  pair.coze.faults.plan(/oauth2\/token/, { do: "hang", met: () => met.resolve() });
  const victim = start(pair);
  await met.promise;
  victim.kill("SIGKILL");
  expect(await isAccepted(pair, await said(start(pair)))).toBe(true);
});
