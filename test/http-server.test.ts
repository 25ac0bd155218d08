import { connect } from "node:net";
import { expect, it } from "vitest";
import { type Health, type HttpServerOptions, openHttpServer } from "../src/http/server.ts";
import { createLog } from "../src/log.ts";

const log = createLog({ level: "silent", secrets: [] });
const open = (changes: Partial<HttpServerOptions> = {}) =>
  openHttpServer({
    host: "127.0.0.1",
    port: 0,
    routes: {},
    health: () => Promise.resolve<Health>({ ok: true, parts: { queue: "ok" } }),
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

it("says which port is taken", async () => {
  await using first = await open();
  await expect(open({ port: first.port })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: `cannot listen on 127.0.0.1:${first.port}; set HOST and PORT`,
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
