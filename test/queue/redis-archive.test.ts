import { expect, it } from "vitest";
import type { SeenRecord } from "../../src/core/ports.ts";
import { openRedisArchive } from "../../src/open-redis-storage.ts";
import { startRedis } from "../redis-server.ts";
import { makeTestLog } from "./embedded.ts";

const tools = { log: makeTestLog(), signal: AbortSignal.timeout(60_000) };

/** More than any client reads ahead of whoever it reads for. */
const KEYS = 12_000;

it("does not go on with an export in another Redis, which would leave keys out", async () => {
  await using server = await startRedis({ aof: true });
  await using archive = await openRedisArchive(server.url, { ...tools, dedupeMs: undefined });
  const until = Date.now() + 3_600_000;
  const keys = Array.from(
    { length: KEYS },
    (_, index): SeenRecord => ({ kind: "seen", key: `key-${index}`, id: index + 1, until }),
  );
  expect(await archive.queue.load(keys)).toBe(KEYS);
  const dump = archive.queue.dump()[Symbol.asyncIterator]();
  await dump.next();
  await server.restart();
  const rest = async (): Promise<number> => {
    let count = 1;
    while ((await dump.next()).done !== true) count += 1;
    return count;
  };
  await expect(rest()).rejects.toThrow("connection was lost");
  expect(await Array.fromAsync(archive.queue.dump())).toHaveLength(KEYS);
});
