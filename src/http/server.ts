import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { BridgeError } from "../core/errors.ts";
import type { HttpHandler, Log } from "../core/ports.ts";

/** Larger requests are refused with 413; Slack's own are far below (slack.md §6.3). */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** A request must be here whole after this long, in ms; Slack's are one packet or two. */
const PATIENCE_MS = 15_000;
/** Connections at once; more are closed. Slack opens a few, the health check one. */
const MAX_CONNECTIONS = 1_000;

export interface Health {
  readonly ok: boolean;
  /** One line per part, without anything secret: the port may be public. */
  readonly parts: Readonly<Record<string, string>>;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Handlers by path, POST only. */
  readonly routes: Readonly<Record<string, HttpHandler>>;
  readonly health: () => Promise<Health>;
  /** What `/metrics` answers. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly log: Log;
  /** How long a request may take to arrive, in ms; default 15 s. */
  readonly patienceMs?: number;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * The bridge's own port: `/healthz`, `/metrics` and what the adapters answer.
 *
 * @throws {BridgeError} `CONFIG_INVALID` when the port cannot be had.
 */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { log, patienceMs = PATIENCE_MS } = options;
  const server = createAdaptorServer({
    fetch: createRoutes(options).fetch,
    createServer,
    serverOptions: {
      headersTimeout: patienceMs,
      requestTimeout: patienceMs,
      connectionsCheckingInterval: patienceMs / 4,
    },
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(options.port, options.host);
  try {
    await once(server, "listening");
  } catch (error) {
    const { host, port } = options;
    const message = `cannot listen on ${host}:${port}${whyNot(error)}`;
    throw new BridgeError("CONFIG_INVALID", message, { cause: error });
  }
  // Without a listener an error of a later connection would end the process.
  server.on("error", (error: Error) => log.warn({ err: error }, "http server error"));
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  return {
    port,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      if ("closeAllConnections" in server) server.closeAllConnections();
      await closed;
    },
  };
}

/** What to do about it. */
function whyNot(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE")
    return ": the port is taken by another program; stop that one, or set another PORT";
  if (code === "EADDRNOTAVAIL") return ": HOST is not an address of this machine; set another HOST";
  return `; set HOST and PORT${typeof code === "string" ? ` (${code})` : ""}`;
}

function createRoutes({ routes, health, metrics, log }: HttpServerOptions): Hono {
  const app = new Hono();
  const onError = (context: Context): Response => context.text("too large", 413);
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError }));
  app.get("/healthz", async (context) => {
    const state = await health();
    return context.json(state, state.ok ? 200 : 503);
  });
  app.get("/metrics", async (context) => {
    const { contentType, text } = await metrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  for (const [path, handle] of Object.entries(routes)) app.post(path, (context) => handle(context.req.raw));
  app.onError((error, context) => {
    const { path, raw } = context.req;
    // Nobody waits for an answer any more.
    if (raw.signal.aborted) log.debug({ err: error, path }, "request broken off");
    else log.error({ err: error, path }, "request failed");
    return context.text("internal error", 500);
  });
  return app;
}
