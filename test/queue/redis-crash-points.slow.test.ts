import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RetryLater, type Run, type TurnQueue } from "../../src/core/ports.ts";
import { openBullmqQueue } from "../../src/queue/bullmq-queue.ts";
import { aNewTurn } from "../contract/queue-contract.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";
import { CrashingConnections } from "./crashing-connections.ts";
import { makeTestLog } from "./embedded.ts";

/** What the outside world has seen of a scene, over all its processes. */
interface Witness {
  readonly accepted: Set<string>;
  readonly started: string[];
  readonly finished: string[];
  /** Last checkpoint whose save was confirmed. */
  readonly saved: Map<string, number>;
  readonly wrong: string[];
}

const KEYS = ["a:1", "a:2", "b:1", "a:3", "b:2"];
const NEVER = 100_000;
const AT_ONCE = 16;
/** Long enough that many scenes at once on a slow machine do not look like a dead process. */
const LEASE_MS = 1_000;

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

it("loses, repeats and swaps nothing, whichever command its process dies before or after", async () => {
  const points = (await playScene(NEVER)).points;
  expect(points).toBeGreaterThan(60);
  const wrong: string[] = [];
  for (let first = 0; first < points; first += AT_ONCE) {
    const scenes = Array.from({ length: AT_ONCE }, (_, index) => playScene(first + index));
    wrong.push(...(await Promise.all(scenes)).flatMap((scene) => scene.wrong));
  }
  expect(wrong).toEqual([]);
});

/** Plays the scene once, its process dying at the given point, and looks at what the world saw. */
async function playScene(crashAt: number): Promise<{ points: number; wrong: readonly string[] }> {
  const prefix = `crash-${randomUUID()}`;
  const witness: Witness = {
    accepted: new Set(),
    started: [],
    finished: [],
    saved: new Map(),
    wrong: [],
  };
  const points = await live(prefix, crashAt, witness);
  if (crashAt < points) await live(prefix, NEVER, witness);
  return { points, wrong: [...witness.wrong, ...judge(witness)].map((what) => `point ${crashAt}: ${what}`) };
}

/** One process: it accepts what the platform still repeats, and works until it dies or everything is answered. */
async function live(prefix: string, crashAt: number, witness: Witness): Promise<number> {
  const connections = new CrashingConnections(crashAt);
  const story = playOut(prefix, connections, witness).catch((error: unknown) => {
    // The scene's own death may surface anywhere; anything else is a finding.
    if (!connections.isDead) witness.wrong.push(String(error));
  });
  await Promise.race([story, connections.crashed]);
  return connections.points;
}

async function playOut(prefix: string, connections: CrashingConnections, witness: Witness): Promise<void> {
  const { connect } = connections;
  const options = { url: redis.url, prefix, log: makeTestLog(), leaseMs: LEASE_MS, connect };
  const queue = await openBullmqQueue(options);
  // A dead process disposes nothing; but its timers would go on here.
  void connections.crashed.then(() => queue[Symbol.asyncDispose]());
  await queue.work((run) => answer(run, witness), { concurrency: 2, backoffMs: () => 0 });
  await deliver(queue, witness);
  const depth = async (): Promise<number> => (await queue.stats()).depth;
  await expect.poll(depth, { interval: 20, timeout: 30_000 }).toBe(0);
  await queue[Symbol.asyncDispose]();
}

async function deliver(queue: TurnQueue, witness: Witness): Promise<void> {
  for (const key of KEYS.filter((one) => !witness.accepted.has(one))) {
    const { id } = await queue.enqueue(aNewTurn(key));
    witness.accepted.add(key);
    if (key === "b:2") await queue.cancel(id);
  }
}

async function answer(run: Run, { started, finished, saved, wrong }: Witness): Promise<void> {
  const key = run.turns[0]?.key ?? "";
  started.push(key);
  const confirmed = saved.get(key) ?? 0;
  const step = typeof run.state === "number" ? run.state : 0;
  if (step < confirmed) wrong.push(`${key} started with checkpoint ${step}, ${confirmed} was confirmed`);
  for (const next of [step + 1, step + 2]) {
    await run.save(next);
    saved.set(key, next);
  }
  if (key === "a:2" && run.attempt === 1) throw new RetryLater();
  finished.push(key);
}

function judge({ started, finished }: Witness): readonly string[] {
  const wrong = KEYS.filter((key) => !finished.includes(key)).map((key) => `${key} was lost`);
  for (const lane of ["a", "b"]) {
    const order = started.filter((key) => key.startsWith(lane));
    if (order.join() !== order.toSorted().join()) wrong.push(`${lane} out of order: ${order.join()}`);
  }
  // A death between the handler's end and its record repeats at most what ran: two conversations.
  if (finished.length > KEYS.length + 2) wrong.push(`repeated too much: ${finished.join()}`);
  return wrong;
}
