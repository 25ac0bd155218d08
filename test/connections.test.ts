import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { getGlobalDispatcher, request } from "undici";
import { expect, it, onTestFinished, vi } from "vitest";
import { createAgent, hasNoTunnel, neverConnected, shareAgent } from "../src/connections.ts";

/** A proxy that asks everybody for a password, and an ordinary server in one. */
async function startStubborn(): Promise<AsyncDisposable & { port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((_, response) => void response.end("direct"));
  server.on("connect", ({ url = "" }, socket) => {
    asked.push(url);
    socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function failureOf(url: string, dispatcher: ReturnType<typeof createAgent>): Promise<unknown> {
  return request(url, { dispatcher }).then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** A port where nobody listens. */
async function closedPort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

it("a proxy that opens no tunnel counts as no connection, whatever it is asked for", async () => {
  await using stubborn = await startStubborn();
  const proxy = { url: `http://127.0.0.1:${stubborn.port}`, except: "" };
  const agent = createAgent({ connectMs: 1_000, proxy });
  const error = await failureOf("https://platform.test/api", agent);
  expect(stubborn.asked).toEqual(["platform.test:443"]);
  expect(hasNoTunnel(error)).toBe(true);
  expect(neverConnected(error)).toBe(true);
  await agent.destroy();
});

it("what is excepted, and plain http, goes past the proxy", async () => {
  await using stubborn = await startStubborn();
  const url = `http://127.0.0.1:${stubborn.port}`;
  const port = await closedPort();
  for (const except of ["127.0.0.1", "*", `10.0.0.1,127.0.0.1:${port}`]) {
    const agent = createAgent({ connectMs: 1_000, proxy: { url, except } });
    expect(await failureOf(`https://127.0.0.1:${port}/`, agent)).toMatchObject({ code: "ECONNREFUSED" });
    await agent.destroy();
  }
  // Which the HTTP client would look at by itself.
  vi.stubEnv("http_proxy", `http://127.0.0.1:${port}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  const agent = createAgent({ connectMs: 1_000, proxy: { url, except: "" } });
  expect(await (await request(url, { dispatcher: agent })).body.text()).toBe("direct");
  expect(stubborn.asked).toEqual([]);
  await agent.destroy();
});

it("only what nobody can have got counts as never connected", () => {
  const coded = (code: string): Error => Object.assign(new Error("no"), { code });
  const sure = [
    "ECONNREFUSED",
    "ENOTFOUND",
    "UND_ERR_CONNECT_TIMEOUT",
    "CERT_HAS_EXPIRED",
    "SELF_SIGNED_CERT",
  ];
  for (const code of sure) expect(neverConnected(coded(code)), code).toBe(true);
  for (const code of ["ECONNRESET", "UND_ERR_SOCKET", "UND_ERR_ABORTED", "ETIMEDOUT", ""]) {
    expect(neverConnected(coded(code)), code).toBe(false);
  }
  expect(neverConnected(new TypeError("fetch failed", { cause: coded("ENOTFOUND") }))).toBe(true);
  const endless = new Error("round");
  endless.cause = endless;
  expect(neverConnected(endless)).toBe(false);
});

it("shares connections with whoever has none of its own, until it is disposed of", async () => {
  await using stubborn = await startStubborn();
  const before = getGlobalDispatcher();
  const shared = shareAgent({ url: `http://127.0.0.1:${stubborn.port}`, except: "" });
  await expect(fetch("https://platform.test/api")).rejects.toThrow();
  expect(stubborn.asked).toEqual(["platform.test:443"]);
  await shared[Symbol.asyncDispose]();
  expect(getGlobalDispatcher()).toBe(before);
});
