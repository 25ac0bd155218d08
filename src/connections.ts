import type { LookupFunction } from "node:net";
import { Agent, EnvHttpProxyAgent, getGlobalDispatcher, setGlobalDispatcher } from "undici";
import type { HttpProxy } from "./core/ports.ts";

export interface AgentOptions {
  /** Until a connection stands, in ms. */
  readonly connectMs: number;
  /** How long an unused connection is kept at most, in ms; default the HTTP client's own few seconds. */
  readonly keepMs?: number;
  /** Resolves the names of hosts that are reached directly; default the system's. */
  readonly lookup?: LookupFunction;
  readonly proxy?: HttpProxy | undefined;
}

/**
 * How long an unused connection is kept, in ms: people who talk ask again within it, a plugin at work is silent for a while,
 * and a new connection costs two or three ways there and back before anything is said. Balancers close theirs after a minute
 * as a rule.
 */
export const KEPT_OPEN_MS = 50_000;
/** Until a connection of an SDK stands, in ms. */
const CONNECT_MS = 10_000;

/**
 * Connections, direct or through a proxy. HTTP/1.1: one socket per call under way, so that a reset cuts one answer only. All
 * time-outs but the connection's are the caller's.
 */
export function createAgent({ connectMs, keepMs, lookup, proxy }: AgentOptions): Agent | EnvHttpProxyAgent {
  const options = {
    allowH2: false,
    connect: { timeout: connectMs, ...(lookup !== undefined && { lookup }) },
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(keepMs !== undefined && { keepAliveTimeout: keepMs, keepAliveMaxTimeout: keepMs }),
  };
  if (proxy === undefined) return new Agent(options);
  // An empty text keeps it from looking into the environment by itself.
  const { url, except } = proxy;
  const through = { httpProxy: "", httpsProxy: url, noProxy: except };
  return new EnvHttpProxyAgent({ ...options, ...through, connectTimeout: connectMs });
}

/** From now on whoever makes no connections of its own uses these: the platforms' SDKs. Disposing undoes that. */
export function shareAgent(proxy: HttpProxy | undefined): AsyncDisposable {
  const before = getGlobalDispatcher();
  const agent = createAgent({ connectMs: CONNECT_MS, keepMs: KEPT_OPEN_MS, proxy });
  setGlobalDispatcher(agent);
  return {
    async [Symbol.asyncDispose]() {
      setGlobalDispatcher(before);
      await agent.destroy();
    },
  };
}

/** Without a connection, or without one that can be trusted: no byte of a request has left. */
const NOT_CONNECTED =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|UND_ERR_(CONNECT_TIMEOUT|PRX_CONN|PRX_TLS)|CERT_.*|ERR_TLS.*|DEPTH_ZERO.*|SELF_SIGNED.*|UNABLE_TO_.*)$/;
/** What undici says of a proxy that opens no tunnel, under a code that means other things, too. */
const NO_TUNNEL = /^Proxy response \(\d+\) !== 200/;
/** Errors are wrapped a few times at most. */
const MAX_CAUSES = 5;

/** Whether a failed call says for certain that nobody got it, so that another try can't double anything. */
export function neverConnected(error: unknown, causes: number = MAX_CAUSES): boolean {
  if (!(error instanceof Error) || causes === 0) return false;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return NOT_CONNECTED.test(code) || hasNoTunnel(error) || neverConnected(error.cause, causes - 1);
}

/** Whether it was the proxy that refused. */
export function hasNoTunnel(error: unknown): boolean {
  return error instanceof Error && NO_TUNNEL.test(error.message);
}
