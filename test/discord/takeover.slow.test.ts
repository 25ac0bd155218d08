import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { type DiscordStandIn, startDiscord } from "../../sandbox/discord/start-discord.ts";
import type { OpenIntakeOptions } from "../../src/core/ports.ts";
import { connectRedis } from "../../src/redis/redis-client.ts";
import { createRedisLeases } from "../../src/store/redis-leases.ts";
import { MemoryStore } from "../core/platform-double.ts";
import { makeTestLog } from "../queue/embedded.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";
import { type Bridge, openBridge, QUICK_TIME } from "./harness.ts";

const STANDING_BY = { ok: true, detail: "standing by: another process is connected" };
const CONNECTED = { ok: true, detail: "connected" };
/** Nothing runs out; the other is for tests of just that, long enough for a busy machine. */
const LONG_MS = 300_000;
const SHORT_MS = 5_000;
const PATIENCE = { timeout: 60_000 };

let redis: TestRedis;
let discord: DiscordStandIn;
let prefix = 0;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

beforeEach(async () => {
  prefix += 1;
  discord = await startDiscord();
});
afterEach(async () => {
  expect(discord.gateway.mostConnected, "connections at once").toBe(1);
  await discord[Symbol.asyncDispose]();
});

interface Intake extends AsyncDisposable {
  readonly bridge: Bridge;
  /** Its connection to Redis is gone for good, and so are its renewals. */
  cut(): void;
}

interface IntakeOptions {
  readonly url?: string;
  readonly leaseMs?: number;
  readonly onFatal?: OpenIntakeOptions["onFatal"];
}

/** A bridge that shares store and leases with the others of its test. */
async function openIntake(
  store: MemoryStore,
  { url = redis.url, leaseMs = LONG_MS, onFatal }: IntakeOptions = {},
): Promise<Intake> {
  const log = makeTestLog();
  const client = connectRedis(url, { log, name: "store", prefix: `test-${prefix}`, commandTimeoutMs: 1_000 });
  const leases = createRedisLeases({ redis: client, prefix: `test-${prefix}`, log, leaseMs });
  const bridge = await openBridge(discord, {
    store,
    leases,
    clock: QUICK_TIME,
    ...(onFatal !== undefined && { onFatal }),
  });
  return {
    bridge,
    cut: () => client.disconnect(),
    [Symbol.asyncDispose]: async () => {
      await bridge[Symbol.asyncDispose]();
      client.disconnect();
    },
  };
}

const textsOf = ({ bridge }: Intake): readonly string[] => bridge.turns.map(({ text }) => text);

it("of two intakes one is connected; the other takes over when it stops, and finds what came in between", async () => {
  const store = new MemoryStore();
  const ada = discord.person("Ada");
  const first = await openIntake(store);
  await using second = await openIntake(store);
  expect([first.bridge.adapter.health(), second.bridge.adapter.health()]).toEqual([CONNECTED, STANDING_BY]);
  ada.dm("one");
  await expect.poll(() => textsOf(first)).toEqual(["one"]);
  await first[Symbol.asyncDispose]();
  ada.dm("two");
  await expect.poll(() => second.bridge.adapter.health(), PATIENCE).toEqual(CONNECTED);
  await expect.poll(() => textsOf(second), PATIENCE).toEqual(["two"]);
  ada.dm("three");
  await expect.poll(() => textsOf(second), PATIENCE).toEqual(["two", "three"]);
});

it("who cannot renew its lease is disconnected before the next one is connected", async () => {
  const store = new MemoryStore();
  await using first = await openIntake(store, { leaseMs: SHORT_MS });
  await using second = await openIntake(store, { leaseMs: SHORT_MS });
  first.cut();
  await expect.poll(() => second.bridge.adapter.health(), PATIENCE).toEqual(CONNECTED);
  expect(first.bridge.adapter.health()).toMatchObject({
    ok: false,
    detail: expect.stringContaining("Redis does not confirm") as string,
  });
  expect(discord.gateway.connected).toBe(1);
});

it("leaves Discord while Redis is away, and is back with what was said meanwhile", async () => {
  await using server = await startRedis();
  await using only = await openIntake(new MemoryStore(), { url: server.url, leaseMs: SHORT_MS });
  const ada = discord.person("Ada");
  ada.dm("one");
  await expect.poll(() => textsOf(only)).toEqual(["one"]);
  await server.kill();
  await expect.poll(() => discord.gateway.connected, PATIENCE).toBe(0);
  ada.dm("two");
  await server.restart();
  await expect.poll(() => textsOf(only), PATIENCE).toEqual(["one", "two"]);
  expect(only.bridge.adapter.health()).toEqual(CONNECTED);
});

it("tells what Discord refuses at a takeover, when nobody waits for the login any more", async () => {
  const store = new MemoryStore();
  const fatal: unknown[] = [];
  const first = await openIntake(store);
  await using _second = await openIntake(store, { onFatal: (error) => void fatal.push(error) });
  discord.faults.plan("GET /gateway/bot", { do: "answer", status: 401 });
  await first[Symbol.asyncDispose]();
  await expect.poll(() => fatal, PATIENCE).toMatchObject([{ code: "PLATFORM_AUTH" }]);
});

it("goes on trying when Discord cannot be reached at a takeover", async () => {
  const store = new MemoryStore();
  const first = await openIntake(store);
  await using second = await openIntake(store);
  discord.faults.plan("GET /gateway/bot", { do: "reset" }, 4);
  await first[Symbol.asyncDispose]();
  await expect.poll(() => second.bridge.adapter.health(), PATIENCE).toEqual(CONNECTED);
});
