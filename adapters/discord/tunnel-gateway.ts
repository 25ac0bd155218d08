import { Agent } from "node:https";
import { createRequire } from "node:module";
import type { ClientOptions } from "ws";
import type { HttpProxy } from "../../src/core/ports.ts";

/**
 * Lets the gateway's connection go through a proxy, which discord.js has no option for: the class that it opens its
 * connection with is replaced by one that hands Node's own agent along. To be called before discord.js is loaded, which
 * remembers the class; other users of `ws` are not touched.
 *
 * @see docs/decisions/0009-a-proxy-for-all-connections.md
 */
export function tunnelGateway({ url, except }: HttpProxy): void {
  const ws = createRequire(import.meta.url)("ws") as typeof import("ws");
  const agent = new Agent({ proxyEnv: { HTTPS_PROXY: url, NO_PROXY: except } });
  ws.WebSocket = class extends ws.WebSocket {
    constructor(address: string | URL, protocols?: string | string[], options?: ClientOptions) {
      super(address, protocols, { ...options, agent });
    }
  } as typeof ws.WebSocket;
}
