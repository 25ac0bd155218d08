import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { type Health, type HttpServerOptions, openHttpServer } from "../src/http/server.ts";
import { createLog } from "../src/log.ts";
import { createMetrics } from "../src/metrics.ts";

const log = createLog({ level: "silent", secrets: [] });
const open = (changes: Partial<HttpServerOptions> = {}) =>
  openHttpServer({
    host: "127.0.0.1",
    port: 0,
    routes: {},
    health: () => Promise.resolve<Health>({ ok: true, parts: { queue: "ok" } }),
    metrics: () => createMetrics().render(),
    log,
    ...changes,
  });

it("answers the health check, 503 when a part is down", async () => {
  await using server = await open();
  const good = await fetch(`http://127.0.0.1:${server.port}/healthz`);
  expect([good.status, await good.json()]).toEqual([200, { ok: true, parts: { queue: "ok" } }]);
  await using ill = await open({
    health: () => Promise.resolve({ ok: false, parts: { discord: "connecting" } }),
  });
  expect((await fetch(`http://127.0.0.1:${ill.port}/healthz`)).status).toBe(503);
});

it("shows numbers as Prometheus reads them, and none that nobody knows", async () => {
  const metrics = createMetrics();
  let known: number | undefined;
  metrics.gauge("a_number", "What it is.", () => known);
  await using server = await open({ metrics: () => metrics.render() });
  const read = (): Promise<Response> => fetch(`http://127.0.0.1:${server.port}/metrics`);
  const before = await read();
  expect(before.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  expect(await before.text()).not.toMatch(/^a_number /m);
  known = 1_765_000_000;
  expect(await (await read()).text()).toMatch(
    /^# HELP a_number What it is\.\n# TYPE a_number gauge\na_number 1765000000$/m,
  );
  known = undefined;
  expect(await (await read()).text()).not.toMatch(/^a_number /m);
});

it("hands an adapter's path the raw request, by POST only", async () => {
  await using server = await open({
    routes: { "/slack/events": async (request) => new Response((await request.text()).toUpperCase()) },
  });
  const url = `http://127.0.0.1:${server.port}/slack/events`;
  expect(await (await fetch(url, { method: "POST", body: "raw 字节" })).text()).toBe("RAW 字节");
  expect((await fetch(url)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(404);
});

it("refuses a body over the limit and keeps serving", async () => {
  let reached = 0;
  await using server = await open({
    routes: {
      "/in": async (request) => {
        await request.text();
        reached += 1;
        return new Response("ok");
      },
    },
  });
  const url = `http://127.0.0.1:${server.port}/in`;
  expect((await fetch(url, { method: "POST", body: "x".repeat(5 * 1024 * 1024) })).status).toBe(413);
  expect((await fetch(url, { method: "POST", body: "x" })).status).toBe(200);
  expect(reached).toBe(1);
});

it("turns a handler's failure into 500 without its words", async () => {
  await using server = await open({ routes: { "/in": () => Promise.reject(new Error("inner detail")) } });
  const answer = await fetch(`http://127.0.0.1:${server.port}/in`, { method: "POST" });
  expect([answer.status, await answer.text()]).toEqual([500, "internal error"]);
});

/** Says something on a connection, and keeps what comes back until it is closed. */
function say(port: number, text: string): { socket: Socket; closed: Promise<string> } {
  const socket = connect(port, "127.0.0.1");
  let heard = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    heard += chunk;
  });
  socket.write(text);
  // A reset ends in `close` as well.
  socket.on("error", () => undefined);
  return { socket, closed: new Promise((resolve) => socket.once("close", () => resolve(heard))) };
}

it("does not wait for ever for a request that comes a byte at a time", async () => {
  await using server = await open({ patienceMs: 80 });
  const head = "POST /healthz HTTP/1.1\r\nhost: x\r\n";
  const slow = [head, `${head}content-length: 9\r\n\r\nx`].map((text) => say(server.port, text).closed);
  for (const heard of await Promise.all(slow)) expect(heard).toContain("408 Request Timeout");
});

it("takes no request that is broken off for a failure of ours", async () => {
  const lines: string[] = [];
  await using server = await open({
    routes: { "/in": async (request) => new Response(await request.text()) },
    log: createLog({ level: "debug", secrets: [], write: (line) => void lines.push(line) }),
  });
  const { socket } = say(server.port, "POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx");
  await once(socket, "connect");
  socket.resetAndDestroy();
  await expect.poll(() => lines).toHaveLength(1);
  expect(lines[0]).toMatch(/"level":"debug".*"request broken off"/);
});

it("closes a body without an end, however it is announced", async () => {
  await using server = await open({
    routes: { "/in": async (request) => new Response(await request.text()) },
  });
  const { socket, closed } = say(
    server.port,
    "POST /in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  const more = (): void => {
    while (socket.writable && socket.write(`10000\r\n${"x".repeat(65_536)}\r\n`));
  };
  socket.on("drain", more);
  more();
  await closed;
  expect((await fetch(`http://127.0.0.1:${server.port}/healthz`)).status).toBe(200);
});

it("says which port is taken", async () => {
  await using first = await open();
  await expect(open({ port: first.port })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: `cannot listen on 127.0.0.1:${first.port}: the port is taken by another program; stop that one, or set another PORT`,
  });
});

it("says when the address is none of this machine's", async () => {
  // For documentation only (RFC 5737): nobody has it.
  await expect(open({ host: "192.0.2.1" })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: "cannot listen on 192.0.2.1:0: HOST is not an address of this machine; set another HOST",
  });
});

it("closes although somebody keeps a connection open", async () => {
  const server = await open();
  const socket = connect(server.port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  await server[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  socket.destroy();
});
