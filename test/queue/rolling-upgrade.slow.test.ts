import { afterAll, beforeAll, expect, it } from "vitest";
import { Checkpoint } from "../../src/core/checkpoint.ts";
import type { Json } from "../../src/core/json.ts";
import type { NewTurn, Run, TurnQueue } from "../../src/core/ports.ts";
import { parseTurn, toPayload } from "../../src/queue/turn-payload.ts";
import type { QueueBackend } from "../contract/queue-contract.ts";
import { aTurn } from "../make.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";
import { startSqliteBackend } from "./embedded.ts";
import { startBullmqBackend } from "./on-redis.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const NEWER = { v: 2, mood: "newer", parts: [{ text: "hello" }] };

/** What the bridges of one deployment did. */
interface Deeds {
  /** Questions that the older bridge answered. */
  readonly older: string[];
  /** Turns that the older bridge was given, whether it could read them or not. */
  readonly offered: string[];
  /** Questions that the newer bridge answered, with what it found stored. */
  readonly newer: { key: string; payload: Json; state: Json | undefined; attempt: number }[];
}

const keyOf = (run: Run): string => run.turns[0]?.key ?? "";

/** A worker of this version. */
async function workAsOlder(queue: TurnQueue, deeds: Deeds): Promise<void> {
  await queue.work(
    async (run) => {
      deeds.offered.push(keyOf(run));
      for (const { payload } of run.turns) parseTurn(payload);
      const checkpoint = new Checkpoint(run);
      await checkpoint.save({ done: { messageKeys: [] } });
      deeds.older.push(keyOf(run));
    },
    { concurrency: 10 },
  );
}

/** A worker of the next version, which knows both. */
async function workAsNewer(queue: TurnQueue, deeds: Deeds): Promise<void> {
  await queue.work(
    async (run) => {
      const [turn] = run.turns;
      if (turn === undefined) return;
      const { state, attempt } = run;
      deeds.newer.push({ key: turn.key, payload: turn.payload, state, attempt });
    },
    { concurrency: 10 },
  );
}

/** A turn as the older, or as the newer bridge stores it. */
function aStored(key: string, payload: Json): NewTurn {
  return { key, conversation: key.split(":")[0] ?? key, payload };
}

const noDeeds = (): Deeds => ({ older: [], offered: [], newer: [] });
const SOON = { timeout: 90_000, interval: 50 };

it("two versions share the work: each turn of the newer one reaches it untouched, the others wait for nobody", async () => {
  await using backend = await startBullmqBackend(redis.url);
  await using older = await backend.open();
  await using newer = await backend.open();
  const deeds = noDeeds();
  await workAsOlder(older.queue, deeds);
  const lanes = Array.from({ length: 8 }, (_, index) => `lane${index}`);
  for (const lane of lanes) {
    await newer.queue.enqueue(aStored(`${lane}:newer`, NEWER));
    await older.queue.enqueue(aStored(`${lane}:older`, toPayload(aTurn())));
  }
  await older.queue.enqueue(aStored("elsewhere:older", toPayload(aTurn())));
  // The older bridge is alone as yet: what it cannot read is parked, what is elsewhere goes on.
  await expect.poll(() => deeds.older, SOON).toEqual(["elsewhere:older"]);
  await expect.poll(() => new Set(deeds.offered).size, SOON).toBe(lanes.length + 1);
  await workAsNewer(newer.queue, deeds);
  await expect.poll(async () => (await newer.queue.stats()).depth, SOON).toBe(0);
  const newerOnes = deeds.newer.filter(({ key }) => key.endsWith(":newer"));
  expect(newerOnes.map(({ key }) => key).toSorted()).toEqual(lanes.map((lane) => `${lane}:newer`));
  for (const { payload, state, attempt } of newerOnes) {
    expect({ payload, state, attempt }).toEqual({ payload: NEWER, state: undefined, attempt: 1 });
  }
  expect(await newer.queue.dead()).toEqual([]);
  // It looks again after a second, later after ever more, not all the time.
  for (const lane of lanes) {
    expect(deeds.offered.filter((key) => key === `${lane}:newer`).length).toBeLessThanOrEqual(20);
  }
});

it.each<readonly [string, () => Promise<QueueBackend>]>([
  ["redis", () => startBullmqBackend(redis.url)],
  ["sqlite", () => startSqliteBackend()],
])(
  "an older bridge leaves a newer checkpoint as it is, for the newer one's next start (%s)",
  async (_name, startBackend) => {
    await using backend = await startBackend();
    const deeds = noDeeds();
    const newerState = { v: 2, chat: { conversationId: "c", chatId: "d" }, mood: "newer" };
    {
      await using newer = await backend.open();
      await newer.queue.enqueue(aStored("a:1", toPayload(aTurn())));
      const saved = Promise.withResolvers<void>();
      await newer.queue.work(
        async (run) => {
          await run.save(newerState);
          saved.resolve();
          await new Promise((_, reject) => {
            run.signal.addEventListener("abort", () => reject(run.signal.reason));
          });
        },
        { concurrency: 1 },
      );
      await saved.promise;
    }
    {
      await using older = await backend.open();
      await workAsOlder(older.queue, deeds);
      await expect.poll(() => deeds.offered, SOON).toEqual(["a:1"]);
      await expect.poll(async () => (await older.queue.stats()).running, SOON).toBe(0);
    }
    await using newer = await backend.open();
    await workAsNewer(newer.queue, deeds);
    await expect.poll(() => deeds.newer, SOON).toHaveLength(1);
    expect(deeds.newer[0]).toMatchObject({ key: "a:1", state: newerState, attempt: 1 });
    expect([deeds.older, await newer.queue.dead()]).toEqual([[], []]);
  },
);
