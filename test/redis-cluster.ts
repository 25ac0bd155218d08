import { Redis } from "ioredis";
import { freePort, startRedis, type TestRedis } from "./redis-server.ts";

const SLOTS = 16_384;
const NODES = 3;
const FORM_MS = 20_000;

/** Three primaries on loopback that share the slots; gone when disposed. */
export interface TestCluster extends AsyncDisposable {
  readonly nodes: readonly TestRedis[];
  /** The node that has the slot of a key. */
  ownerOf(key: string): Promise<TestRedis>;
  /** Moves the slot of a key with all that is in it to another node. */
  move(key: string, to: TestRedis): Promise<void>;
  /** Hangs up on everybody who is connected to a node. */
  hangUp(node: TestRedis): Promise<void>;
}

/** Starts one. Needs Redis 7 or newer. */
export async function startCluster(): Promise<TestCluster> {
  await using stack = new AsyncDisposableStack();
  const buses = await Promise.all(Array.from({ length: NODES }, () => freePort()));
  const nodes: TestRedis[] = [];
  for (const bus of buses) {
    nodes.push(
      stack.use(await startRedis({ args: ["--cluster-enabled", "yes", "--cluster-port", String(bus)] })),
    );
  }
  const clients = new Map(
    nodes.map((node) => [node, stack.adopt(new Redis(node.url), (redis) => redis.disconnect())]),
  );
  const clientOf = (node: TestRedis): Redis => {
    const client = clients.get(node);
    if (client === undefined) throw new Error("no such node");
    // A killed node's client has nothing to say.
    client.on("error", () => undefined);
    return client;
  };
  const share = Math.ceil(SLOTS / NODES);
  for (const [index, node] of nodes.entries()) {
    const last = Math.min(SLOTS, (index + 1) * share) - 1;
    await clientOf(node).call("CLUSTER", "ADDSLOTSRANGE", index * share, last);
    await clientOf(node).call("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
    const [first] = nodes;
    if (first !== undefined && index > 0) {
      await clientOf(first).call("CLUSTER", "MEET", "127.0.0.1", node.port, buses[index] ?? 0);
    }
  }
  for (const node of nodes) await waitUntilWhole(clientOf(node));
  const ownerOf = async (key: string): Promise<TestRedis> => {
    for (const node of nodes) {
      try {
        await clientOf(node).get(key);
        return node;
      } catch {
        // MOVED: it is another's.
      }
    }
    throw new Error("nobody has the slot");
  };
  const opened = stack.move();
  return {
    nodes,
    ownerOf,
    async move(key, to) {
      const from = clientOf(await ownerOf(key));
      const [slot, fromId, toId] = await Promise.all([
        from.cluster("KEYSLOT", key),
        from.call("CLUSTER", "MYID"),
        clientOf(to).call("CLUSTER", "MYID"),
      ]);
      await clientOf(to).call("CLUSTER", "SETSLOT", slot, "IMPORTING", String(fromId));
      await from.call("CLUSTER", "SETSLOT", slot, "MIGRATING", String(toId));
      const keys = (await from.call("CLUSTER", "GETKEYSINSLOT", slot, 10_000)) as string[];
      if (keys.length > 0) await from.call("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", ...keys);
      for (const node of [to, ...nodes.filter((node) => node !== to)]) {
        await clientOf(node).call("CLUSTER", "SETSLOT", slot, "NODE", String(toId));
      }
    },
    hangUp: async (node) => void (await clientOf(node).call("CLIENT", "KILL", "TYPE", "normal")),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function waitUntilWhole(client: Redis): Promise<void> {
  const until = Date.now() + FORM_MS;
  for (;;) {
    const info = String(await client.call("CLUSTER", "INFO"));
    if (info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${NODES}`)) return;
    if (Date.now() > until) throw new Error("the Cluster does not form");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
