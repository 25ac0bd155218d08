import { afterAll, beforeAll } from "vitest";
import { describeQueueContract } from "../contract/queue-contract.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";
import { startBullmqBackend } from "./on-redis.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

describeQueueContract("bullmq", () => startBullmqBackend(redis.url));
