import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { signedHeaders } from "../../sandbox/slack/delivery.ts";
import { openBridge, type SlackBridge } from "./bridge.ts";

/** A request as Slack signs it; `change` spoils it. */
async function post(
  { adapter, slack }: SlackBridge,
  body: string | Buffer,
  { type = "application/json", at = Date.now(), headers = {} as Record<string, string> } = {},
): Promise<Response> {
  const handler = adapter.routes["/slack/events"];
  if (handler === undefined) throw new Error("no route");
  const bytes = Buffer.from(body);
  return handler(
    new Request("http://bridge.example/slack/events", {
      method: "POST",
      headers: { "content-type": type, ...signedHeaders(bytes, slack.signingSecret, at), ...headers },
      body: new Uint8Array(bytes),
    }),
  );
}

function mention(ts: string, { slack }: SlackBridge): object {
  const event = {
    type: "app_mention",
    user: slack.person("Ada").id,
    text: `<@${slack.workspace.bot.userId}> h\u00e9llo`,
    ts,
    channel: slack.general,
    event_ts: ts,
  };
  return { type: "event_callback", team_id: slack.workspace.team, event_id: `Ev${ts}`, event };
}

it("receives mentions, commands and DMs as signed requests", async () => {
  await using bridge = await openBridge({ mode: "http" });
  const { slack, adapter } = bridge;
  await using server = await serve(adapter.routes["/slack/events"]);
  slack.eventsUrl = server.url;
  const ada = slack.person("Ada");
  const said = [ada.say(slack.general, "@Coze one"), ada.dm("two"), ada.slash(slack.general, "three")];
  const deliveries = said.flatMap((each) => each.deliveries);
  await Promise.all(deliveries.map(({ done }) => done));
  expect(deliveries.every(({ acked }) => acked)).toBe(true);
  expect(bridge.turns.map(({ text }) => text).sort()).toEqual(["one", "three", "two"]);
  expect(deliveries.at(-1)?.response).toMatchObject({ response_type: "ephemeral" });
});

it("§14.14 checks the signature on the raw bytes, however the JSON is written", async () => {
  await using bridge = await openBridge({ mode: "http" });
  const odd = ` ${JSON.stringify(mention("1.000001", bridge), null, 3)}\n`.replace("\u00e9", "\\u00E9");
  expect((await post(bridge, odd)).status).toBe(200);
  expect(bridge.turns).toHaveLength(1);
});

it.each([
  ["301 s old", { at: Date.now() - 301_000 }],
  ["of tomorrow", { at: Date.now() + 86_400_000 }],
  ["missing", { headers: { "x-slack-request-timestamp": "" } }],
  ["no number", { headers: { "x-slack-request-timestamp": "now" } }],
  ["of another secret", { headers: { "x-slack-signature": `v0=${"0".repeat(64)}` } }],
])("§14.15 refuses a request whose stamp or signature is %s", async (_what, options) => {
  await using bridge = await openBridge({ mode: "http" });
  expect((await post(bridge, JSON.stringify(mention("1.000002", bridge)), options)).status).toBe(401);
  expect(bridge.turns).toEqual([]);
});

it("§14.16 takes a form with a charset and gzip, and refuses empty and huge bodies", async () => {
  await using bridge = await openBridge({ mode: "http" });
  const { slack } = bridge;
  const command = new URLSearchParams({
    team_id: slack.workspace.team,
    channel_id: slack.general,
    user_id: slack.person("Ada").id,
    command: "/coze",
    text: "hello",
    response_url: `${slack.origin}/commands/T/x`,
    trigger_id: "1.2.3",
  }).toString();
  const type = "application/x-www-form-urlencoded; charset=utf-8";
  expect((await post(bridge, command, { type })).status).toBe(200);
  const zipped = gzipSync(JSON.stringify(mention("1.000003", bridge)));
  expect((await post(bridge, zipped, { headers: { "content-encoding": "gzip" } })).status).toBe(200);
  expect(bridge.turns).toHaveLength(2);
  expect((await post(bridge, "")).status).toBe(400);
  expect((await post(bridge, Buffer.alloc(5 * 1024 * 1024, 32))).status).toBe(413);
});

it("§14.17 answers the challenge, signed, and the certificate check", async () => {
  await using bridge = await openBridge({ mode: "http" });
  const body = JSON.stringify({ type: "url_verification", challenge: "abc", token: "t" });
  expect(await (await post(bridge, body)).json()).toEqual({ challenge: "abc" });
  expect((await post(bridge, body, { at: 0 })).status).toBe(401);
  const check = await post(bridge, "ssl_check=1&token=t", {
    type: "application/x-www-form-urlencoded",
    at: 0,
  });
  expect(check.status).toBe(200);
});

it("§14.12 answers a notice of rate limits at once", async () => {
  await using bridge = await openBridge({ mode: "http" });
  const body = JSON.stringify({ type: "app_rate_limited", team_id: "T1", minute_rate_limited: 1 });
  expect((await post(bridge, body)).status).toBe(200);
});

it("§14.4 answers 500 when storing failed, and takes the retry", async () => {
  let down = true;
  await using bridge = await openBridge({
    mode: "http",
    onTurn: () => (down ? Promise.reject(new Error("disk full")) : Promise.resolve()),
  });
  const body = JSON.stringify(mention("1.000004", bridge));
  expect((await post(bridge, body)).status).toBe(500);
  down = false;
  const retry = { "x-slack-retry-num": "1", "x-slack-retry-reason": "http_error" };
  expect((await post(bridge, body, { headers: retry })).status).toBe(200);
  expect(bridge.turns).toHaveLength(1);
});

it("tells the sender of a command when it could not be stored", async () => {
  await using bridge = await openBridge({
    mode: "http",
    onTurn: () => Promise.reject(new Error("disk full")),
  });
  const { slack, adapter } = bridge;
  await using server = await serve(adapter.routes["/slack/events"]);
  slack.eventsUrl = server.url;
  const [delivery] = slack.person("Ada").slash(slack.general, "hello").deliveries;
  await delivery?.done;
  expect(delivery?.response).toMatchObject({ text: expect.stringContaining("went wrong") as string });
});

it("is not there once the intake is closed", async () => {
  await using bridge = await openBridge({
    mode: "none",
    settings: { signingSecret: "sandbox-signing-secret" },
  });
  expect((await post(bridge, JSON.stringify(mention("1.000005", bridge)))).status).toBe(503);
});

/** The bridge's HTTP server, as small as it can be. */
async function serve(
  handler: ((request: Request) => Promise<Response>) | undefined,
): Promise<AsyncDisposable & { url: string }> {
  const { createServer } = await import("node:http");
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const headers = Object.entries(request.headers).map(
        ([key, value]) => [key, String(value)] as [string, string],
      );
      const body = new Uint8Array(Buffer.concat(chunks));
      const result = await handler?.(
        new Request(`http://localhost${request.url}`, { method: "POST", headers, body }),
      );
      response.writeHead(result?.status ?? 404, Object.fromEntries(result?.headers ?? []));
      response.end(await result?.text());
    };
    answer().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/slack/events`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
