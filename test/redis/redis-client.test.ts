import { expect, it } from "vitest";
import { connectRedis, describeRedis, toQueueError } from "../../src/redis/redis-client.ts";
import { makeTestLog } from "../queue/embedded.ts";

it("names host and port of an address, never user or password", () => {
  expect(describeRedis("redis://me:secret@queue.internal:6380/2")).toBe("queue.internal:6380");
  expect(describeRedis("rediss://queue.internal")).toBe("queue.internal:6379");
});

it.each(["queue.internal:6379", "http://x", "redis://", "me:secret@x"])("refuses %s as an address", (url) => {
  const open = () => connectRedis(url, { log: makeTestLog(), name: "test", prefix: "test" });
  expect(open).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  expect(open).not.toThrow(/secret/);
});

it.each([
  ["OOM command not allowed when used memory > 'maxmemory'.", "QUEUE_FULL", "memory limit"],
  ["MISCONF Redis is configured to save RDB snapshots", "QUEUE_UNAVAILABLE", "can't save"],
  ["READONLY You can't write against a read only replica.", "QUEUE_UNAVAILABLE", "replica"],
  ["LOADING Redis is loading the dataset in memory", "QUEUE_UNAVAILABLE", "loading"],
  ["WRONGPASS invalid username-password pair", "QUEUE_UNAVAILABLE", "password"],
  ["Connection is closed.", "QUEUE_UNAVAILABLE", "can't be reached"],
])("says what %s means", (message, code, words) => {
  const error = toQueueError(new Error(message), "host:6379");
  expect(error).toMatchObject({ code, retryable: true });
  expect(error.message).toContain(words);
});
