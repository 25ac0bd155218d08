import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sandbox/stand-in.ts";
import { authorizeUrl, exchangeCode, parseRedirect } from "../../../src/coze/auth/code-flow.ts";
import { StoredTokenSource } from "../../../src/coze/auth/stored-token-source.ts";
import { storeSignIn, type TokenStore, toSignIn } from "../../../src/coze/auth/token-store.ts";
import { openSealer } from "../../../src/store/sealer.ts";
import { SecretFile } from "../../../src/store/secret-file.ts";
import { errorOf, noAbort } from "../coze-kit.ts";
import {
  isAccepted,
  NATIVE_APP,
  type OAuthPair,
  openOAuthPair,
  REDIRECT_URI,
  signInByDevice,
  WEB_APP,
  WEB_SECRET,
} from "./oauth-kit.ts";

const NOON = Date.UTC(2026, 10, 26, 12);
const signal = noAbort();
const KEY = "k".repeat(32);

interface StoredPair extends OAuthPair {
  readonly clock: VirtualClock;
  readonly path: string;
  /** The same file each time, as another process would open it. */
  openStore(key?: string): Promise<TokenStore>;
  openSource(): Promise<StoredTokenSource>;
  signIn(): Promise<string>;
}

/** A folder of its own; a person signs in into it. */
async function openStored(): Promise<StoredPair> {
  const clock = new VirtualClock(NOON);
  const pair = await openOAuthPair({ clock, now: () => clock.now(), timeouts: { totalMs: 2_000 } });
  const folder = await mkdtemp(join(tmpdir(), "coze-sign-in-"));
  const path = join(folder, "sign-in", "coze.tokens");
  const openStore = async (key = KEY): Promise<TokenStore> => new SecretFile(path, await openSealer({ key }));
  return {
    ...pair,
    clock,
    path,
    openStore,
    openSource: async () => new StoredTokenSource({ ...pair, store: await openStore() }),
    async signIn() {
      const tokens = await signInByDevice(pair, clock);
      const facts = { app: { clientId: NATIVE_APP }, baseUrl: pair.endpoint.baseUrl, now: clock.now() };
      await storeSignIn(await openStore(), toSignIn(tokens, facts), { signal });
      return tokens.accessToken;
    },
    async [Symbol.asyncDispose]() {
      await pair[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

/** Refreshes so far: the sign-in itself was one request. */
function refreshes(pair: StoredPair): number {
  return pair.tokenRequests() - 1;
}

/** The access token is about to end. */
const TO_THE_END_MS = 800_000;

describe("a stored sign-in", () => {
  it("is used as it is while it is good, and refreshed once for all who wait", async () => {
    await using pair = await openStored();
    const first = await pair.signIn();
    const source = await pair.openSource();
    expect(await source.token({ signal })).toBe(first);
    expect(refreshes(pair)).toBe(0);
    pair.clock.advance(TO_THE_END_MS);
    const all = await Promise.all(Array.from({ length: 50 }, () => source.token({ signal })));
    expect(new Set(all).size).toBe(1);
    expect(all[0]).not.toBe(first);
    expect(await isAccepted(pair, all[0] ?? "")).toBe(true);
    expect(refreshes(pair)).toBe(1);
  });

  it("goes on from the pair that was stored last, refresh after refresh, by whichever process", async () => {
    await using pair = await openStored();
    await pair.signIn();
    for (let count = 1; count <= 4; count += 1) {
      pair.clock.advance(TO_THE_END_MS);
      const [one, two] = [await pair.openSource(), await pair.openSource()];
      const [first, second] = await Promise.all([one.token({ signal }), two.token({ signal })]);
      expect(first).toBe(second);
      expect(refreshes(pair)).toBe(count);
    }
  });

  it("is refreshed at a refusal, unless another process has done it (§22.35)", async () => {
    await using pair = await openStored();
    const first = await pair.signIn();
    const [one, two] = [await pair.openSource(), await pair.openSource()];
    await Promise.all([one.token({ signal }), two.token({ signal })]);
    pair.coze.tokens.delete(first);
    expect(await one.renew(first, { signal })).toBe(true);
    expect(await two.renew(first, { signal })).toBe(true);
    expect(await one.token({ signal })).toBe(await two.token({ signal }));
    expect(refreshes(pair)).toBe(1);
  });

  it("is a sealed file of its owner's in a folder of its owner's", async () => {
    await using pair = await openStored();
    const token = await pair.signIn();
    const text = await readFile(pair.path, "utf8");
    expect(text).toMatch(/^s1\.[\w-]+\.\w+\.[\w-]+\n$/);
    expect(text).not.toContain(token);
    expect(((await stat(pair.path)).mode & 0o777).toString(8)).toBe("600");
    expect(((await stat(join(pair.path, ".."))).mode & 0o777).toString(8)).toBe("700");
    expect((await readdir(join(pair.path, ".."))).toSorted()).toEqual(["coze.tokens", "coze.tokens.lock"]);
  });

  it("stays closed to others although a killed writer left its file open to them", async () => {
    await using pair = await openStored();
    await pair.signIn();
    await writeFile(`${pair.path}.new`, "half");
    await chmod(`${pair.path}.new`, 0o644);
    const store = await pair.openStore();
    await store.write("next");
    expect(((await stat(pair.path)).mode & 0o777).toString(8)).toBe("600");
    expect(await store.read()).toBe("next");
  });

  it("of another key, or altered, is told as that", async () => {
    await using pair = await openStored();
    await pair.signIn();
    const words = "was sealed with another SECRET_KEY, or altered";
    const other = await pair.openStore("o".repeat(32));
    expect(await errorOf(other.read())).toMatchObject({ code: "CONFIG_INVALID" });
    expect(String(await errorOf(other.read()))).toContain(words);
    await writeFile(pair.path, "s1.nonsense");
    expect(String(await errorOf((await pair.openSource()).token({ signal })))).toContain(words);
  });

  it("that is not there, not readable, or for another host is told as that", async () => {
    await using pair = await openStored();
    const error = async (): Promise<unknown> => errorOf((await pair.openSource()).token({ signal }));
    expect(await error()).toMatchObject({
      code: "COZE_AUTH",
      message: "nobody has signed in to Coze: run `coze-bridge auth login`, or set COZE_API_TOKEN",
    });
    const store = await pair.openStore();
    await pair.signIn();
    const signIn = JSON.parse((await store.read()) ?? "") as object;
    await store.write(JSON.stringify({ ...signIn, baseUrl: "https://api.coze.com" }));
    expect(String(await error())).toContain("is for https://api.coze.com, but COZE_API_BASE is http://127");
    await store.write("{}");
    expect(String(await error())).toContain(
      "the stored sign-in can't be read: run `coze-bridge auth login` again",
    );
    expect(refreshes(pair)).toBe(0);
  });

  it("waits for another process that is at it, however long it takes", async () => {
    await using pair = await openStored();
    const first = await pair.signIn();
    pair.clock.advance(TO_THE_END_MS);
    const store = await pair.openStore();
    const lock = await store.lock({ signal });
    const waiting = (await pair.openSource()).token({ signal });
    const signIn = JSON.parse((await store.read()) ?? "") as object;
    await store.write(
      JSON.stringify({
        ...signIn,
        accessToken: "of-another",
        receivedAt: pair.clock.now(),
        expiresAt: NOON * 2,
      }),
    );
    lock[Symbol.dispose]();
    expect(await waiting).toBe("of-another");
    expect(await waiting).not.toBe(first);
    expect(refreshes(pair)).toBe(0);
  });
});

describe("a sign-in through a web app", () => {
  it("proves itself by the secret at each refresh", async () => {
    await using pair = await openStored();
    const page = { redirectUri: REDIRECT_URI, state: "s" };
    const app = { clientId: WEB_APP, clientSecret: WEB_SECRET };
    const url = authorizeUrl({ ...page, baseUrl: pair.coze.url, clientId: WEB_APP });
    const { headers } = await fetch(url, { redirect: "manual" });
    const code = parseRedirect(headers.get("location") ?? "", page);
    const tokens = await exchangeCode(pair.endpoint, { app, redirectUri: REDIRECT_URI, code }, { signal });
    const facts = { app, baseUrl: pair.endpoint.baseUrl, now: pair.clock.now() };
    await storeSignIn(await pair.openStore(), toSignIn(tokens, facts), { signal });
    for (let time = 0; time < 2; time += 1) {
      pair.clock.advance(TO_THE_END_MS);
      expect(await isAccepted(pair, await (await pair.openSource()).token({ signal }))).toBe(true);
    }
    expect(refreshes(pair)).toBe(2);
  });
});

describe("a sign-in that nobody uses", () => {
  it("is refreshed after half of its life, and known by its end", async () => {
    await using pair = await openStored();
    await pair.signIn();
    const source = await pair.openSource();
    expect(source.endsAt).toBeUndefined();
    await source.keep({ signal });
    const day = 24 * 3_600_000;
    const end = source.endsAt ?? 0;
    expect(end - pair.clock.now()).toBe(30 * day);
    pair.clock.advance(15 * day);
    await source.keep({ signal });
    expect(refreshes(pair)).toBe(0);
    pair.clock.advance(1);
    await source.keep({ signal });
    expect(refreshes(pair)).toBe(1);
    expect(source.endsAt).toBe(pair.clock.now() + 30 * day);
  });
});

describe("a refresh", () => {
  it("whose answer is lost is told as that, and what must be done (§22.45)", async () => {
    await using pair = await openStored();
    const first = await pair.signIn();
    const source = await pair.openSource();
    await source.token({ signal });
    pair.clock.advance(TO_THE_END_MS);
    pair.coze.faults.plan(/oauth2\/token/, { do: "commit-then-reset" });
    // The old access token is still good for a while: nobody has to notice yet.
    expect(await source.token({ signal })).toBe(first);
    pair.clock.advance(100_000);
    const error = await errorOf(source.token({ signal }));
    expect(error).toMatchObject({ code: "COZE_AUTH", retryable: false, outcome: "refused" });
    expect(String(error)).toMatch(
      /invalid request: refresh_token .*The answer to a refresh at 2026-11-26T12:13:25\.000Z was lost.*run `coze-bridge auth login` again/,
    );
    // Not a request each time: the pair is dead, until somebody signs in.
    await errorOf(source.token({ signal }));
    await errorOf(source.renew(first, { signal }));
    expect(refreshes(pair)).toBe(2);
    const fresh = await pair.signIn();
    expect(await source.token({ signal })).toBe(fresh);
  });

  it("that Coze has never seen does no harm, however it broke", async () => {
    await using pair = await openStored();
    const first = await pair.signIn();
    const source = await pair.openSource();
    for (const fault of [{ do: "reset" }, { do: "answer", status: 503 }] as const) {
      pair.clock.advance(TO_THE_END_MS + 100_000);
      pair.coze.faults.plan(/oauth2\/token/, fault);
      expect(await errorOf(source.token({ signal }))).toMatchObject({
        code: "COZE_UNREACHABLE",
        retryable: true,
      });
      expect(await isAccepted(pair, await source.token({ signal }))).toBe(true);
    }
    expect(await source.token({ signal })).not.toBe(first);
  });

  it("that brings no new refresh token goes on with the old one", async () => {
    await using pair = await openStored();
    await pair.signIn();
    pair.clock.advance(TO_THE_END_MS);
    const body = { access_token: "next", expires_in: 900 };
    pair.coze.faults.plan(/oauth2\/token/, { do: "answer", status: 200, body });
    const source = await pair.openSource();
    expect(await source.token({ signal })).toBe("next");
    pair.clock.advance(TO_THE_END_MS);
    expect(await isAccepted(pair, await source.token({ signal }))).toBe(true);
  });

  it("that is refused outright is not told as lost", async () => {
    await using pair = await openStored();
    await pair.signIn();
    pair.clock.advance(31 * 24 * 3_600_000);
    for (let start = 1; start <= 2; start += 1) {
      const error = String(await errorOf((await pair.openSource()).token({ signal })));
      expect(error).toContain("run `coze-bridge auth login` again");
      expect(error).not.toContain("lost");
    }
  });

  it("is not begun when the new pair could not be stored", async () => {
    await using pair = await openStored();
    await pair.signIn();
    pair.clock.advance(TO_THE_END_MS);
    // Not even the superuser can write where a folder is in the way.
    await mkdir(`${pair.path}.new`);
    expect(await errorOf((await pair.openSource()).token({ signal }))).toMatchObject({
      code: "QUEUE_UNAVAILABLE",
      message: `${pair.path} can't be written: check the disk and the rights of DATA_DIR`,
    });
    await rm(`${pair.path}.new`, { recursive: true });
    expect(refreshes(pair)).toBe(0);
    expect(await isAccepted(pair, await (await pair.openSource()).token({ signal }))).toBe(true);
  });
});
