import { createConnection, Socket } from "node:net";
import { connect as createTlsConnection } from "node:tls";
import { AbstractConnector, Redis, type RedisOptions } from "ioredis";
import { z } from "zod";

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Answer to `CLUSTER SLOTS`: first slot, last slot, its primary, its replicas; more may follow in each. */
const SLOTS = z.array(
  z
    .tuple([z.number(), z.number()])
    .rest(z.tuple([z.string().nullable(), z.number()]).rest(z.unknown()))
    .transform(([first, last, ...nodes]) => ({ first, last, nodes })),
);

/** How long a node may take to say where the slot is, in ms. */
const LOCATE_MS = 2_000;

/**
 * Connects to the node of a Redis Cluster that has our keys, looked up at every connection. All of them share a slot,
 * so one node is enough, and what names no key (SCAN, INFO, TIME) asks the right one. Where there is no Cluster, it
 * connects to what the address names.
 *
 * @param key - Any of our keys.
 */
export function slotConnector(key: string): NonNullable<RedisOptions["Connector"]> {
  return class extends SlotConnector {
    constructor(options: unknown) {
      // ioredis passes its own, completed with its defaults.
      super(options as RedisOptions, key);
    }
  };
}

class SlotConnector extends AbstractConnector {
  readonly #options: RedisOptions;
  readonly #key: string;
  /** Nodes that were heard of, the address we were given first. */
  #nodes: readonly Address[];
  /** Which of them is asked next. */
  #next = 0;
  #isCluster = false;
  #located = false;
  #probe: Redis | undefined;

  constructor(options: RedisOptions, key: string) {
    super(options.disconnectTimeout ?? LOCATE_MS);
    this.#options = options;
    this.#key = key;
    this.#nodes = [{ host: options.host ?? "127.0.0.1", port: options.port ?? 6_379 }];
  }

  override async connect(): Promise<Socket> {
    this.connecting = true;
    try {
      const address = await this.#target();
      if (!this.connecting) throw new Error("Connection is closed.");
      const { tls } = this.#options;
      const stream =
        tls === undefined ? createConnection(address) : createTlsConnection({ ...tls, ...address });
      stream.once("error", (error: Error) => {
        this.firstError = error;
      });
      this.stream = stream;
      return stream;
    } catch (error) {
      // A rejection would end the client for good; a dead connection is tried again.
      this.firstError = error instanceof Error ? error : new Error(String(error));
      return new Socket().destroy();
    }
  }

  /** @param info - Lines of `INFO`, by name. @returns False when this node is to be left, and connected to anew. */
  override check(info: unknown): boolean {
    const { cluster_enabled: enabled } = z.object({ cluster_enabled: z.string().optional() }).parse(info);
    this.#isCluster = enabled === "1";
    return !this.#isCluster || this.#located;
  }

  override disconnect(): void {
    this.#probe?.disconnect();
    super.disconnect();
  }

  async #target(): Promise<Address> {
    const node = this.#nodes[this.#next % this.#nodes.length];
    if (node === undefined) throw new Error("no node of Redis is known");
    if (!this.#isCluster) return node;
    // Whoever does not answer is asked again after the others.
    this.#next += 1;
    const owner = await this.#locate(node);
    this.#located = true;
    return owner;
  }

  /** Asks one node who has our slot. */
  async #locate(node: Address): Promise<Address> {
    const { Connector: _ours, ...options } = this.#options;
    const probe = new Redis({
      ...options,
      ...node,
      db: 0,
      replyMapping: "legacy",
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
      commandTimeout: LOCATE_MS,
    });
    // The command that fails says it.
    probe.on("error", () => undefined);
    this.#probe = probe;
    try {
      const slot = await probe.cluster("KEYSLOT", this.#key);
      const ranges = SLOTS.parse(await probe.cluster("SLOTS"));
      const known = ranges.flatMap(({ nodes }) => nodes.map(([host, port]) => toAddress(host, port, node)));
      const [seed] = this.#nodes;
      this.#nodes = seed === undefined ? known : [seed, ...known];
      const range = ranges.find(({ first, last }) => first <= slot && slot <= last);
      const [primary] = range?.nodes ?? [];
      if (primary === undefined) throw new Error("CLUSTERDOWN no node has our slot");
      return toAddress(primary[0], primary[1], node);
    } finally {
      probe.disconnect();
      this.#probe = undefined;
    }
  }
}

/** A node that does not know its own name is where it was asked. */
function toAddress(host: string | null, port: number, asked: Address): Address {
  return { host: host === null || host === "" || host === "?" ? asked.host : host, port };
}
