import { createPrivateKey, createVerify, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sandbox/stand-in.ts";
import { type JwtApp, parsePrivateKey, signJwt } from "../../../src/coze/auth/jwt.ts";
import { createJwtTokenSource, type JwtTokenSourceOptions } from "../../../src/coze/auth/jwt-token-source.ts";
import type { RenewedToken } from "../../../src/coze/auth/renewed-token.ts";
import { errorOf, noAbort } from "../coze-kit.ts";
import { ACCOUNT_ID, isAccepted, KEYS, type OAuthPair, openOAuthPair, SERVICE_APP } from "./oauth-kit.ts";

const NOON = Date.UTC(2026, 10, 26, 12);
const signal = noAbort();

function source(pair: OAuthPair, changes: Partial<JwtTokenSourceOptions> = {}): RenewedToken {
  return createJwtTokenSource({ app: SERVICE_APP, endpoint: pair.endpoint, log: pair.log, ...changes });
}

/** Stand-in and client on one clock that tests turn. */
async function openTimed(): Promise<OAuthPair & { readonly clock: VirtualClock }> {
  const clock = new VirtualClock(NOON);
  return { ...(await openOAuthPair({ clock, now: () => clock.now() })), clock };
}

describe("a private key", () => {
  it("may be PKCS#1 or PKCS#8, and have its line ends as two characters", () => {
    const pkcs1 = createPrivateKey(KEYS.privateKey).export({ type: "pkcs1", format: "pem" });
    expect(pkcs1).toContain("BEGIN RSA PRIVATE KEY");
    for (const pem of [KEYS.privateKey, String(pkcs1), KEYS.privateKey.replaceAll("\n", "\\n")]) {
      expect(parsePrivateKey(pem).equals(createPrivateKey(KEYS.privateKey))).toBe(true);
    }
  });

  it.each([
    ["the public half", KEYS.publicKey, "is the public half"],
    ["no key", "hidden-nonsense", "is no private key in PEM form"],
    ["half a key", KEYS.privateKey.slice(0, 400), "is no private key in PEM form"],
    [
      "a key with a password",
      createPrivateKey(KEYS.privateKey).export({
        ...{ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
      }) as string,
      "is protected by a password",
    ],
    [
      "a key of another kind",
      generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string,
      "is of type ed25519",
    ],
  ])("is not %s, and the error says so without quoting it", (_name, pem, words) => {
    expect(() => parsePrivateKey(pem)).toThrow(`COZE_OAUTH_PRIVATE_KEY ${words}`);
    try {
      parsePrivateKey(pem);
    } catch (error) {
      expect(error).toMatchObject({ code: "CONFIG_INVALID" });
      expect(String(error)).not.toContain(pem.slice(60, 90) || "hidden-nonsense");
    }
  });
});

describe("a JWT", () => {
  it("says what Coze asks for, each under an id of its own, and is signed", () => {
    const app: JwtApp = { ...SERVICE_APP, sessionName: "ada" };
    const [first, second] = [0, 1].map(() => signJwt(app, { audience: "api.coze.cn", now: NOON + 999 }));
    const [header = "", payload = "", signature = ""] = (first ?? "").split(".");
    const read = (part: string): object => JSON.parse(Buffer.from(part, "base64url").toString()) as object;
    expect(read(header)).toEqual({ alg: "RS256", typ: "JWT", kid: "fingerprint-1" });
    const iat = NOON / 1000;
    expect(read(payload)).toEqual({
      ...{ iss: SERVICE_APP.clientId, aud: "api.coze.cn", iat, exp: iat + 600, session_name: "ada" },
      jti: expect.stringMatching(/^[\w-]{43,}$/) as unknown,
    });
    expect(read((second ?? "").split(".")[1] ?? "")).not.toEqual(read(payload));
    const verify = createVerify("RSA-SHA256").update(`${header}.${payload}`);
    expect(verify.verify(KEYS.publicKey, Buffer.from(signature, "base64url"))).toBe(true);
  });
});

describe("tokens of a service app", () => {
  it("are asked for once by 50 at the same time, and kept", async () => {
    await using pair = await openOAuthPair();
    const tokens = source(pair);
    const all = await Promise.all(Array.from({ length: 50 }, () => tokens.token({ signal })));
    expect(new Set(all).size).toBe(1);
    expect(await tokens.token({ signal })).toBe(all[0]);
    expect(pair.tokenRequests()).toBe(1);
    expect(await isAccepted(pair, all[0] ?? "")).toBe(true);
  });

  it("belong to the session that was named, or to none", async () => {
    await using pair = await openOAuthPair();
    await source(pair).token({ signal });
    await source(pair, { app: { ...SERVICE_APP, sessionName: "ada" } }).token({ signal });
    expect(pair.coze.oauth.issued.map(({ sessionName }) => sessionName)).toEqual([undefined, "ada"]);
  });

  it("come from the organisation's own endpoint where there is one", async () => {
    await using pair = await openOAuthPair();
    await source(pair, { accountId: ACCOUNT_ID }).token({ signal });
    expect(pair.coze.traffic.exchanges.at(-1)?.name).toContain("/oauth2/account/:account_id/token");
    expect(await errorOf(source(pair, { accountId: "1" }).token({ signal }))).toMatchObject({
      code: "COZE_AUTH",
      message: expect.stringContaining("access_deny: the app does not belong to this account (") as unknown,
    });
  });

  it.each(["absolute", "duration"] as const)(
    "are replaced before their end, with %s times (§22.45)",
    async (tokenExpiresIn) => {
      await using pair = await openTimed();
      pair.coze.switches.tokenExpiresIn = tokenExpiresIn;
      const tokens = source(pair, { durationSeconds: 900 });
      const first = await tokens.token({ signal });
      pair.clock.advance(779_000);
      expect(await tokens.token({ signal })).toBe(first);
      pair.clock.advance(2_000);
      const second = await tokens.token({ signal });
      expect(second).not.toBe(first);
      // The old one was still good: whoever uses it meanwhile is not disturbed.
      expect(await isAccepted(pair, first)).toBe(true);
      pair.clock.advance(120_000);
      expect(await isAccepted(pair, first)).toBe(false);
      expect(await isAccepted(pair, second)).toBe(true);
      expect(pair.tokenRequests()).toBe(2);
    },
  );

  it("are kept as long as they live by Coze's clock, whatever the clock here says (§22.35)", async () => {
    for (const offMs of [-40_000, 40_000]) {
      const clock = new VirtualClock(NOON);
      await using pair = await openOAuthPair({ clock, now: () => clock.now() + offMs });
      pair.coze.switches.jwtToleranceSeconds = 60;
      const tokens = source(pair, { durationSeconds: 300 });
      const first = await tokens.token({ signal });
      clock.advance(179_000);
      expect(await tokens.token({ signal })).toBe(first);
      clock.advance(2_000);
      expect(await tokens.token({ signal })).not.toBe(first);
    }
  });

  it("that live shorter than a request takes are still used for a while, not asked for on each call", async () => {
    await using pair = await openTimed();
    const tokens = source(pair, { durationSeconds: 1 });
    const first = await tokens.token({ signal });
    pair.clock.advance(9_000);
    expect(await tokens.token({ signal })).toBe(first);
    expect(pair.tokenRequests()).toBe(1);
  });

  it("that Coze refuses are replaced once for all who met the refusal (§22.35)", async () => {
    await using pair = await openTimed();
    const tokens = source(pair);
    const first = await tokens.token({ signal });
    pair.coze.tokens.delete(first);
    const renewed = await Promise.all(Array.from({ length: 50 }, () => tokens.renew(first, { signal })));
    expect(renewed).not.toContain(false);
    expect(pair.tokenRequests()).toBe(2);
    // Late news of the old one change nothing.
    expect(await tokens.renew(first, { signal })).toBe(true);
    expect(pair.tokenRequests()).toBe(2);
  });

  it("whose successor is refused as well are not asked for again and again (§22.35)", async () => {
    await using pair = await openTimed();
    const tokens = source(pair);
    await tokens.renew(await tokens.token({ signal }), { signal });
    const second = await tokens.token({ signal });
    for (let time = 0; time < 10; time += 1) expect(await tokens.renew(second, { signal })).toBe(false);
    expect(pair.tokenRequests()).toBe(2);
    pair.clock.advance(300_000);
    expect(await tokens.renew(second, { signal })).toBe(true);
    expect(pair.tokenRequests()).toBe(3);
  });

  it("that were refused while Coze was away are asked for again as soon as somebody needs one", async () => {
    await using pair = await openTimed();
    const tokens = source(pair);
    const first = await tokens.token({ signal });
    pair.coze.faults.plan(/oauth2\/token/, { do: "reset" });
    expect(await errorOf(tokens.renew(first, { signal }))).toMatchObject({
      ...{ code: "COZE_UNREACHABLE", outcome: "refused" },
    });
    expect(await tokens.renew(first, { signal })).toBe(true);
  });

  it("reach those who still wait when one of them stops waiting", async () => {
    await using pair = await openOAuthPair();
    const tokens = source(pair);
    const met = Promise.withResolvers<void>();
    pair.coze.faults.plan("POST /api/permission/oauth2/token", { do: "delay", ms: 50 });
    pair.coze.traffic.onExchange(() => met.resolve());
    const stop = new AbortController();
    const impatient = errorOf(tokens.token({ signal: stop.signal }));
    const patient = tokens.token({ signal });
    const reason = new Error("not wanted any more");
    stop.abort(reason);
    expect(await impatient).toBe(reason);
    expect(await patient).toMatch(/^[\w-]{32}$/);
    await met.promise;
    expect(pair.tokenRequests()).toBe(1);
  });

  it("are used to their end when no new one can be had, and then the failure is told", async () => {
    await using pair = await openTimed();
    const tokens = source(pair, { durationSeconds: 900 });
    const first = await tokens.token({ signal });
    pair.clock.advance(800_000);
    pair.coze.faults.plan(/oauth2\/token/, { do: "reset" }, 2);
    expect(await tokens.token({ signal })).toBe(first);
    expect(await tokens.token({ signal })).toBe(first);
    expect(pair.log.lines.filter(({ level }) => level === "warn")).toMatchObject([
      { message: "coze token could not be renewed in time, the old one is used" },
    ]);
    pair.clock.advance(100_000);
    // The call that needs the token was not made: nothing has to be looked up afterwards.
    expect(await errorOf(tokens.token({ signal }))).toMatchObject({
      code: "COZE_UNREACHABLE",
      retryable: true,
      outcome: "refused",
    });
    expect(await tokens.token({ signal })).not.toBe(first);
  });

  it.each([
    [-3_600_000, "this machine's clock is 3600 s behind Coze's: set it right, e.g. by NTP"],
    [3_600_000, "this machine's clock is 3600 s ahead of Coze's: set it right, e.g. by NTP"],
  ])("are refused with a clock off by %d ms, which the error names (§22.35)", async (offMs, words) => {
    const clock = new VirtualClock(NOON);
    await using pair = await openOAuthPair({ clock, now: () => NOON + offMs });
    for (const shape of ["error_code", "error", "envelope"] as const) {
      pair.coze.switches.oauthErrorShape = shape;
      const error = await errorOf(source(pair).token({ signal }));
      expect(error).toMatchObject({ code: "COZE_AUTH", retryable: false });
      expect(String(error)).toContain(words);
    }
  });
});
