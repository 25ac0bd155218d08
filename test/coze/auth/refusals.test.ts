import type { LookupFunction } from "node:net";
import { Agent } from "undici";
import { describe, expect, it } from "vitest";
import { STAND_IN_TOKEN, startCoze } from "../../../sandbox/coze/coze-stand-in.ts";
import { VirtualClock } from "../../../sandbox/stand-in.ts";
import { Gates } from "../../../src/core/gate.ts";
import { createAnswerSource } from "../../../src/coze/answer-source.ts";
import { createJwtTokenSource } from "../../../src/coze/auth/jwt-token-source.ts";
import { probeRegion } from "../../../src/coze/auth/probe-region.ts";
import { regionHint, regionOf } from "../../../src/coze/auth/region.ts";
import { staticToken, type TokenSource } from "../../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../../src/coze/coze-client.ts";
import { toCozeError, toGatewayError } from "../../../src/coze/errors.ts";
import {
  aQuestion,
  ask,
  CLOCK,
  type CozePair,
  errorOf,
  KeptLog,
  newConversation,
  noAbort,
} from "../coze-kit.ts";
import { type OAuthPair, openOAuthPair, SERVICE_APP } from "./oauth-kit.ts";

const NOON = Date.UTC(2026, 10, 26, 12);
const signal = noAbort();

/** The bridge's own client over an OAuth app, all on one clock. */
async function openSigned(): Promise<OAuthPair & CozePair & { clock: VirtualClock; tokens: TokenSource }> {
  const clock = new VirtualClock(NOON);
  const pair = await openOAuthPair({ clock, now: () => clock.now() });
  pair.coze.setPace({ firstDeltaMs: 0, deltaMs: 0, toolMs: 0 });
  const tokens = createJwtTokenSource({ ...pair, app: SERVICE_APP });
  const gates = new Gates(CLOCK);
  const { log } = pair;
  const client = createCozeClient({ baseUrl: pair.coze.url, tokens, log, gates, chatsPerSecond: 20 });
  return {
    ...{ ...pair, clock, tokens, client, source: createAnswerSource(client) },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await pair[Symbol.asyncDispose]();
    },
  };
}

/** How often a call reached Coze. */
function count(pair: OAuthPair, name: string): number {
  return pair.coze.traffic.exchanges.filter((exchange) => exchange.name === name).length;
}

describe("a token that Coze refuses in the middle of its life", () => {
  it.each([4100, 700012006])("with %d: one new token, and the call once more (§22.35)", async (code) => {
    await using pair = await openSigned();
    await newConversation(pair);
    const body = JSON.stringify({ code, msg: "token expired" });
    const headers = { "content-type": "application/json" };
    pair.coze.playNext({ packets: [body], headers }, "POST /v1/conversation/create");
    await newConversation(pair);
    expect(count(pair, "POST /v1/conversation/create")).toBe(3);
    expect(pair.tokenRequests()).toBe(2);
  });

  it("that ended by Coze's clock: a chat is begun once, and answered (§22.35)", async () => {
    await using pair = await openSigned();
    const conversationId = await newConversation(pair);
    pair.coze.tokens.clear();
    // The stand-in writes on its own clock.
    const asking = ask(pair.source, aQuestion({ conversationId }));
    const turn = (): string => {
      pair.clock.advance(1_000);
      return pair.coze.chats[0]?.status ?? "";
    };
    await expect.poll(turn).toBe("completed");
    const { error } = await asking;
    expect(error).toBeUndefined();
    expect(pair.coze.chats).toHaveLength(1);
    expect(count(pair, "POST /v3/chat")).toBe(2);
    expect(pair.tokenRequests()).toBe(2);
  });

  it("and whose successor it refuses, too: two calls, and the error (§22.35)", async () => {
    await using pair = await openSigned();
    await newConversation(pair);
    pair.coze.faults.plan(
      "POST /v1/conversation/create",
      {
        ...{ do: "answer", status: 401, body: { code: 4100, msg: "authentication is invalid" } },
      },
      100,
    );
    for (let time = 0; time < 5; time += 1) {
      expect(await errorOf(newConversation(pair))).toMatchObject({ code: "COZE_AUTH", cozeCode: 4100 });
    }
    // The first of the five made the only new token; the others met a token that had just been renewed.
    expect(count(pair, "POST /v1/conversation/create")).toBe(1 + 2 + 4);
    expect(pair.tokenRequests()).toBe(2);
  });

  it("of 30 calls at once: one new token (§22.35)", async () => {
    await using pair = await openSigned();
    await newConversation(pair);
    pair.coze.tokens.clear();
    await Promise.all(Array.from({ length: 30 }, () => newConversation(pair)));
    expect(pair.tokenRequests()).toBe(2);
  });
});

it("secrets are in no log line, no error and no record of the traffic", async () => {
  await using pair = await openSigned();
  const token = await pair.tokens.token({ signal });
  pair.coze.tokens.clear();
  await newConversation(pair);
  pair.coze.oauth.apps.clear();
  pair.coze.tokens.clear();
  pair.clock.advance(600_000);
  const error = await errorOf(newConversation(pair));
  expect(error).toMatchObject({ code: "COZE_AUTH" });
  const everything = JSON.stringify([pair.log.lines, String(error), error, pair.coze.traffic.exchanges]);
  for (const { token: issued } of pair.coze.oauth.issued) expect(everything).not.toContain(issued);
  expect(pair.coze.oauth.issued.map((issued) => issued.token)).toContain(token);
  // No JWT either: it begins with the header's braces.
  expect(everything).not.toContain("eyJ");
});

describe("the region", () => {
  it("is known of Coze's own two hosts only", () => {
    expect(["https://api.coze.cn", "https://api.coze.com/", "https://coze.example"].map(regionOf)).toEqual([
      "cn",
      "com",
      undefined,
    ]);
    expect(regionHint("http://127.0.0.1:1")).toBe("");
  });

  it("is named by a refused token's error, and by no other (§17)", () => {
    const at = (baseUrl: string) => ({ call: "POST /v3/chat", baseUrl });
    const refused = toCozeError({ code: 4100, text: "invalid" }, at("https://api.coze.com"));
    expect(refused.message).toContain(
      "this is coze.com: if yours were made on coze.cn, set COZE_API_BASE=https://api.coze.cn",
    );
    expect(toGatewayError(401, at("https://api.coze.cn")).message).toContain("https://api.coze.com");
    expect(toCozeError({ code: 4000, text: "no" }, at("https://api.coze.cn")).message).not.toContain(
      "region",
    );
  });

  it("is named by the client, too, for a call that Coze did not take (§17)", async () => {
    await using coze = await startCoze();
    const port = new URL(coze.url).port;
    // Coze's name leads to this machine.
    const lookup: LookupFunction = (_host, _options, found) =>
      found(null, [{ address: "127.0.0.1", family: 4 }]);
    const dispatcher = new Agent({ connect: { lookup } });
    await using client = createCozeClient({
      ...{ baseUrl: `http://api.coze.cn:${port}`, tokens: staticToken("of-the-other"), dispatcher },
      ...{ log: new KeptLog(), gates: new Gates(CLOCK), chatsPerSecond: 20 },
    });
    const list = (): Promise<unknown> => client.messages.page({ conversationId: "1", signal });
    expect(String(await errorOf(list()))).toContain("set COZE_API_BASE=https://api.coze.com");
    coze.faults.plan("POST /v1/conversation/message/list", { do: "answer", status: 401, body: "<html>" });
    expect(String(await errorOf(list()))).toContain("set COZE_API_BASE=https://api.coze.com");
    await dispatcher.close();
  });

  it("is found by asking both hosts, only where somebody names them", async () => {
    await using cn = await startCoze();
    await using com = await startCoze();
    const me = JSON.stringify({ code: 0, msg: "", data: { user_id: "7" } });
    const probe = (token: string): Promise<string> => {
      for (const coze of [cn, com]) coze.playNext({ packets: [me], headers: {} }, "GET /v1/users/me");
      return probeRegion({ token, yours: cn.url, other: com.url, signal });
    };
    expect(await probe(STAND_IN_TOKEN)).toBe("yours");
    expect(com.traffic.exchanges).toEqual([]);
    cn.tokens.clear();
    expect(await probe(STAND_IN_TOKEN)).toBe("other");
    com.tokens.clear();
    expect(await probe(STAND_IN_TOKEN)).toBe("neither");
    com.faults.plan("GET /v1/users/me", { do: "reset" });
    expect(await errorOf(probe(STAND_IN_TOKEN))).toMatchObject({ code: "COZE_UNREACHABLE" });
    com.faults.plan("GET /v1/users/me", { do: "answer", status: 200, body: { code: 4101, msg: "no scope" } });
    expect(await probe(STAND_IN_TOKEN)).toBe("other");
    expect(await staticToken("x").renew("x", { signal })).toBe(false);
  });
});
