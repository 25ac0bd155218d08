import { once } from "node:events";
import { isRateLimit } from "../../src/core/errors.ts";
import type { Abortable, AdapterHealth, Lease, Leases } from "../../src/core/ports.ts";
import { GatewayClient, type GatewayOptions } from "./gateway-client.ts";
import type { WireReady } from "./gateway-events.ts";

export interface LeasedGatewayOptions extends GatewayOptions {
  readonly leases: Leases;
}

/** There is one shard (discord.md §3.7). */
const LEASE = "discord-shard-0";

const NOT_CONNECTED: AdapterHealth = { ok: false, detail: "not connected yet" };

/**
 * The connection to the gateway, held while its lease is ours: of several processes with the same token one is
 * connected, the others stand by.
 */
export class LeasedGateway {
  readonly #options: LeasedGatewayOptions;
  readonly #closing = new AbortController();
  #client: GatewayClient | undefined;
  #identity: WireReady | undefined;
  /** Somebody waits for the first login. */
  #attended = true;
  /** What there is to say while we are not connected on purpose. */
  #apart: AdapterHealth | undefined = NOT_CONNECTED;
  #keeping: Promise<void> | undefined;

  constructor(options: LeasedGatewayOptions) {
    this.#options = options;
  }

  get health(): AdapterHealth {
    return this.#apart ?? this.#client?.health ?? NOT_CONNECTED;
  }

  /** Who we are; known once a login has succeeded. */
  get identity(): WireReady | undefined {
    return this.#client?.identity ?? this.#identity;
  }

  channelType(channelId: string): number | undefined {
    return this.#client?.channelType(channelId);
  }

  guildLocale(guildId: string): string | undefined {
    return this.#client?.guildLocale(guildId);
  }

  /**
   * Resolves once we are connected, or stand by because another process is. The signal ends only this waiting.
   *
   * @throws {PlatformError} as `GatewayClient.login` does, when the lease was ours and the first login failed for good:
   * where Discord wants us to wait, this waits behind it.
   */
  async start({ signal }: Abortable): Promise<void> {
    signal.throwIfAborted();
    const opened = Promise.withResolvers<void>();
    const abort = (): void => this.#closing.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#keeping = this.#keep(opened);
    try {
      await opened.promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Disconnects, and lets the next process connect. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("gateway closed"));
    await this.#keeping;
    this.#apart = { ok: false, detail: "closed" };
  }

  /** Never rejects: what goes wrong before it is opened is told there, later on by `onFatal`. */
  async #keep(opened: PromiseWithResolvers<void>): Promise<void> {
    const { signal } = this.#closing;
    const onTaken = (): void => {
      this.#standBy();
      opened.resolve();
    };
    try {
      for (;;) {
        await using lease = await this.#options.leases.acquire(LEASE, { signal, onTaken });
        await this.#hold(lease, opened);
      }
    } catch (error) {
      opened.reject(error);
    }
  }

  #standBy(): void {
    this.#attended = false;
    this.#apart = { ok: true, detail: "standing by: another process is connected" };
    this.#options.log.info({}, "another process is connected to discord, standing by");
  }

  /** Connected until the lease is lost, or we are closing. @throws {PlatformError} when the first login fails. */
  async #hold(lease: Lease, opened: PromiseWithResolvers<void>): Promise<void> {
    const until = AbortSignal.any([this.#closing.signal, lease.lost]);
    const client = new GatewayClient(this.#options);
    this.#client = client;
    this.#apart = undefined;
    try {
      if (this.#attended) await logIn(client, until);
      else client.connect();
      this.#attended = false;
      opened.resolve();
      if (!until.aborted) await once(until, "abort");
    } catch (error) {
      if (!lease.lost.aborted) throw error;
    } finally {
      this.#identity = this.identity;
      if (lease.lost.aborted) this.#standApart();
      await client.close();
    }
  }

  #standApart(): void {
    this.#apart = { ok: false, detail: "not connected: Redis does not confirm that no other process is" };
    this.#options.log.warn({}, "discord is left until Redis confirms that no other process is connected");
  }
}

/** When Discord wants us to wait, others need not: another platform of this process is there meanwhile. */
async function logIn(client: GatewayClient, signal: AbortSignal): Promise<void> {
  try {
    await client.login({ signal });
  } catch (error) {
    if (!isRateLimit(error)) throw error;
    client.waitFor(error);
  }
}
