import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sandbox/stand-in.ts";
import {
  authorizeUrl,
  type CodeGrant,
  createPkce,
  createState,
  exchangeCode,
  parseRedirect,
} from "../../../src/coze/auth/code-flow.ts";
import { type DeviceCode, requestDeviceCode, waitForDevice } from "../../../src/coze/auth/device-flow.ts";
import type { OAuthTokens } from "../../../src/coze/auth/tokens.ts";
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
const SHAPES = ["error_code", "error", "envelope"] as const;

/** The wait of a device sign-in, on the stand-in's clock; keeps how long each wait was. */
class Waits {
  readonly all: number[] = [];
  readonly clock: VirtualClock;
  /** What the person does meanwhile, by the number of the wait. */
  meanwhile: (wait: number) => void = () => undefined;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  readonly sleep = async (ms: number): Promise<void> => {
    this.all.push(ms);
    this.clock.advance(ms);
    this.meanwhile(this.all.length);
  };
}

interface DevicePair extends OAuthPair {
  readonly waits: Waits;
}

async function openDevicePair(): Promise<DevicePair> {
  const clock = new VirtualClock(NOON);
  return { ...(await openOAuthPair({ clock, now: () => clock.now() })), waits: new Waits(clock) };
}

function begin({ endpoint }: OAuthPair, workspaceId?: string): Promise<DeviceCode> {
  const app = { clientId: NATIVE_APP, ...(workspaceId !== undefined && { workspaceId }) };
  return requestDeviceCode(endpoint, app, { signal });
}

function wait({ endpoint, waits }: DevicePair, code: DeviceCode): Promise<OAuthTokens> {
  return waitForDevice(endpoint, { clientId: NATIVE_APP, code }, { signal, sleep: waits.sleep });
}

describe("a device code", () => {
  it("comes with a page that has the code in it, and the time that is left", async () => {
    await using pair = await openDevicePair();
    const code = await begin(pair);
    expect(code).toMatchObject({
      verificationUrl: `${pair.coze.url}/device?user_code=${code.userCode}`,
      expiresAt: NOON + 300_000,
      intervalMs: 5_000,
    });
    pair.coze.switches.deviceCodeLifeSeconds = 1_800;
    expect((await begin(pair)).expiresAt).toBe(NOON + 1_800_000);
  });

  it.each([0.000_001, 0.5, -1, 0])(
    "is asked about once a second at most, told to do so each %d s",
    async (interval) => {
      await using pair = await openDevicePair();
      const body = JSON.stringify({
        ...{ device_code: "d", user_code: "u", verification_uri: "https://www.coze.cn/device" },
        interval,
      });
      const headers = { "content-type": "application/json" };
      pair.coze.playNext({ headers, packets: [body] }, "POST /api/permission/oauth2/device/code");
      expect((await begin(pair)).intervalMs).toBeGreaterThanOrEqual(1_000);
    },
  );

  it("may be one of a workspace", async () => {
    await using pair = await openDevicePair();
    await begin(pair, "7300000000000000001");
    const name = "POST /api/permission/oauth2/workspace_id/:workspace_id/device/code";
    expect(pair.coze.traffic.exchanges.at(-1)).toMatchObject({ name, status: 200 });
  });

  it.each(SHAPES)("is asked about until the person says yes, refusals told as %s", async (shape) => {
    await using pair = await openDevicePair();
    pair.coze.switches.oauthErrorShape = shape;
    const code = await begin(pair);
    pair.waits.meanwhile = (number) => {
      if (number === 4) pair.coze.oauth.decideDevice(code.userCode, "allowed");
    };
    const tokens = await wait(pair, code);
    expect(tokens.refreshToken).toMatch(/^[\w-]{32}$/);
    expect(await isAccepted(pair, tokens.accessToken)).toBe(true);
    expect(pair.waits.all).toEqual([5_000, 5_000, 5_000, 5_000]);
  });

  it("is asked about more slowly when Coze says so, up to 30 s (§22.45)", async () => {
    await using pair = await openDevicePair();
    const code = await begin(pair);
    const slow = { do: "answer", status: 400, body: { error: "slow_down" } } as const;
    pair.coze.faults.plan(/oauth2\/token/, slow, 7);
    pair.coze.oauth.decideDevice(code.userCode, "allowed");
    await wait(pair, code);
    expect(pair.waits.all).toEqual([5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 30_000, 30_000]);
  });

  it("is answered with slow_down to whoever does not wait", async () => {
    await using pair = await openDevicePair();
    const code = await begin(pair);
    pair.waits.meanwhile = (number) => {
      if (number === 4) pair.coze.oauth.decideDevice(code.userCode, "allowed");
    };
    await wait(pair, { ...code, intervalMs: 1_000 });
    expect(pair.waits.all).toEqual([1_000, 1_000, 6_000, 6_000]);
  });

  it.each(SHAPES)("ends when the person says no, told as %s", async (shape) => {
    await using pair = await openDevicePair();
    pair.coze.switches.oauthErrorShape = shape;
    const code = await begin(pair);
    pair.coze.oauth.decideDevice(code.userCode, "denied");
    expect(await errorOf(wait(pair, code))).toMatchObject({
      code: "COZE_AUTH",
      message: expect.stringContaining("the person said no") as unknown,
    });
  });

  it("ends when its time is over, by Coze's word or our own clock", async () => {
    await using pair = await openDevicePair();
    const code = await begin(pair);
    const error = { code: "COZE_AUTH", message: expect.stringContaining("not entered in time") as unknown };
    expect(await errorOf(wait(pair, code))).toMatchObject(error);
    expect(pair.tokenRequests()).toBe(60);
    expect(await errorOf(wait(pair, { ...code, expiresAt: NOON * 2 }))).toMatchObject(error);
    expect(pair.tokenRequests()).toBe(61);
  });

  it("is asked about again when a question got no answer, and no more once nobody waits", async () => {
    await using pair = await openDevicePair();
    const code = await begin(pair);
    pair.coze.faults.plan(/oauth2\/token/, { do: "reset" });
    pair.coze.faults.plan(/oauth2\/token/, { do: "answer", status: 502, body: "<html>" });
    pair.coze.oauth.decideDevice(code.userCode, "allowed");
    await wait(pair, code);
    expect(pair.tokenRequests()).toBe(3);
    const stop = new AbortController();
    const sleep = async (): Promise<void> => stop.abort(new Error("enough"));
    const options = { signal: stop.signal, sleep };
    const error = await errorOf(waitForDevice(pair.endpoint, { clientId: NATIVE_APP, code }, options));
    expect(String(error)).toBe("Error: enough");
  });
});

/** The browser's part: opens the page, where the person says yes, and comes back with an address. */
async function browse(url: string): Promise<string> {
  const response = await fetch(url, { redirect: "manual" });
  return response.headers.get("location") ?? JSON.stringify(await response.json());
}

describe("a sign-in by the browser", () => {
  const state = createState();
  const page = { clientId: NATIVE_APP, redirectUri: REDIRECT_URI, state };

  it("begins at the www beside the api, with everything encoded", () => {
    const url = authorizeUrl({ ...page, baseUrl: "https://api.coze.cn", challenge: "c-h", state: "a&b" });
    expect(url).toBe(
      "https://www.coze.cn/api/permission/oauth2/authorize?response_type=code&client_id=1100000000002.app.coze" +
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A8721%2Fcallback&state=a%26b&code_challenge=c-h&code_challenge_method=S256",
    );
    expect(authorizeUrl({ ...page, baseUrl: "https://api.coze.com", workspaceId: "73/1" })).toMatch(
      "https://www.coze.com/api/permission/oauth2/workspace_id/73%2F1/authorize?",
    );
  });

  it("by PKCE brings tokens once, and to nobody without the verifier", async () => {
    await using pair = await openOAuthPair();
    const { verifier, challenge } = createPkce();
    const url = authorizeUrl({ ...page, baseUrl: pair.coze.url, challenge });
    const exchange = async (changes: Partial<CodeGrant>): Promise<OAuthTokens> => {
      const code = parseRedirect(await browse(url), { state });
      const grant = { app: { clientId: NATIVE_APP }, redirectUri: REDIRECT_URI, code, verifier };
      return exchangeCode(pair.endpoint, { ...grant, ...changes }, { signal });
    };
    const code = parseRedirect(await browse(url), { state });
    const tokens = await exchange({ code });
    expect(await isAccepted(pair, tokens.accessToken)).toBe(true);
    expect(tokens.refreshToken).toBeDefined();
    for (const [changes, parameter] of [
      [{ code }, "code"],
      [{ verifier: createPkce().verifier }, "code_verifier"],
      [{ redirectUri: "http://127.0.0.1:1/" }, "redirect_uri"],
    ] as const) {
      const error = await errorOf(exchange(changes));
      expect(error).toMatchObject({ code: "COZE_AUTH", outcome: "refused" });
      expect(String(error)).toContain(`invalid request: ${parameter} (`);
    }
  });

  it("of a web app proves itself by the secret; PKCE against it is explained", async () => {
    await using pair = await openOAuthPair();
    const url = authorizeUrl({ ...page, clientId: WEB_APP, baseUrl: pair.coze.url });
    const exchange = async (clientSecret?: string): Promise<OAuthTokens> => {
      const code = parseRedirect(await browse(url), { state });
      const app = { clientId: WEB_APP, clientSecret };
      return exchangeCode(pair.endpoint, { app, redirectUri: REDIRECT_URI, code }, { signal });
    };
    expect(await isAccepted(pair, (await exchange(WEB_SECRET)).accessToken)).toBe(true);
    expect(String(await errorOf(exchange()))).toContain(
      "invalid request: client_secret (check the OAuth app's type at Coze",
    );
    const error = await errorOf(exchange("a-wrong-secret"));
    expect(String(error)).toContain("invalid_client: wrong secret (check the OAuth app's id");
    expect(String(error)).not.toContain("a-wrong-secret");
  });

  it("is not taken from a redirect that we did not ask for, nor from one without a code", () => {
    const back = (query: string): string => `${REDIRECT_URI}?${query}`;
    expect(parseRedirect(back(`code=c1&state=${state}`), { state })).toBe("c1");
    expect(() => parseRedirect(back("code=c1&state=other"), { state })).toThrow("another state");
    expect(() => parseRedirect(back("code=c1"), { state })).toThrow("another state");
    expect(() => parseRedirect(back(`state=${state}`), { state })).toThrow("without a code");
    expect(() => parseRedirect(back(`error=access_denied&state=${state}`), { state })).toThrow("said no");
  });
});

/** All that a device code needs, and more than anybody reads. */
const ENDLESS = {
  ...{ device_code: "d", user_code: "u", verification_uri: "https://www.coze.cn/device" },
  more: "x".repeat(70_000),
};

describe("a token endpoint", () => {
  it.each([
    ["an HTML page", { do: "answer", status: 502, body: "<html>" }, "COZE_UNREACHABLE"],
    ["JSON of something else", { do: "answer", status: 200, body: { hello: 1 } }, "COZE_FAILED"],
    ["a list", { do: "answer", status: 200, body: "[]" }, "COZE_FAILED"],
    ["an endless answer", { do: "answer", status: 200, body: ENDLESS }, "COZE_FAILED"],
    ["an internal error", { do: "answer", status: 500, body: { error: "internal_error" } }, "COZE_FAILED"],
    ["a reset", { do: "reset" }, "COZE_UNREACHABLE"],
    ["silence", { do: "hang" }, "COZE_TIMEOUT"],
  ] as const)("that answers with %s is no refusal", async (_name, fault, code) => {
    await using pair = await openOAuthPair({ timeouts: { totalMs: 300 } });
    pair.coze.faults.plan(/device\/code/, fault);
    expect(await errorOf(begin(pair))).toMatchObject({ code, outcome: "unknown" });
  });

  it.each([
    [
      { error_code: "invalid_client", error_message: "no such app", error: "x" },
      "invalid_client: no such app (",
    ],
    [{ error: "access_deny", error_description: "disabled" }, "access_deny: disabled ("],
    [{ code: 4100, msg: "bad token", detail: { logid: "L1" } }, "code 4100: bad token"],
    [{ code: "700012006", msg: "bad token" }, "code 700012006: bad token"],
    [{ error_code: 700012006, error_message: "bad token" }, "700012006: bad token"],
  ])("may refuse as %j (§22.45)", async (body, words) => {
    await using pair = await openOAuthPair();
    for (const status of [200, 400, 401]) {
      pair.coze.faults.plan(/device\/code/, { do: "answer", status, body });
      const error = await errorOf(begin(pair));
      expect(error).toMatchObject({ code: "COZE_AUTH", retryable: false, outcome: "refused" });
      expect(String(error)).toContain(words);
    }
  });

  it("that repeats our secrets in its refusal does not get them into the error", async () => {
    await using pair = await openDevicePair();
    const { refreshToken = "" } = await signInByDevice(pair, pair.waits.clock);
    const echo = { error: refreshToken, error_description: `${refreshToken} ${WEB_SECRET}` };
    pair.coze.faults.plan(/oauth2\/token/, { do: "answer", status: 400, body: echo });
    const json = { grant_type: "refresh_token", client_id: WEB_APP, refresh_token: refreshToken };
    const path = "/api/permission/oauth2/token";
    const error = await errorOf(pair.endpoint.tokens({ path, json, bearer: WEB_SECRET }, { signal }));
    expect(String(error)).toContain("[secret]: [secret] [secret]");
    const recorded = pair.coze.traffic.exchanges.map(({ request }) => request);
    expect(JSON.stringify(recorded)).toContain('"refresh_token":"[secret]"');
    expect(JSON.stringify(recorded)).not.toContain(refreshToken);
  });
});
