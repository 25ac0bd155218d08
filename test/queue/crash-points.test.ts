import { expect, it } from "vitest";
import { RetryLater, type Run, type TurnQueue } from "../../src/core/ports.ts";
import { openSqliteQueue } from "../../src/queue/sqlite-queue.ts";
import { aNewTurn } from "../contract/queue-contract.ts";
import { CrashingFile } from "./crashing-file.ts";
import { makeTestFolder, makeTestLog, openTestFile } from "./embedded.ts";

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
/** Far more than any scene has; the test finds the real end by itself. */
const MAX_POINTS = 500;
const AT_ONCE = 10;

// A hundred small lives: seconds on a busy machine.
it("loses, repeats and swaps nothing, whichever write its process dies at", { timeout: 60_000 }, async () => {
  const points = (await playScene(MAX_POINTS)).points;
  expect(points).toBeGreaterThan(60);
  expect(points).toBeLessThan(MAX_POINTS);
  const wrong: string[] = [];
  for (let first = 1; first <= points; first += AT_ONCE) {
    const scenes = Array.from({ length: AT_ONCE }, (_, index) => playScene(first + index));
    wrong.push(...(await Promise.all(scenes)).flatMap((scene) => scene.wrong));
  }
  expect(wrong).toEqual([]);
});

/** Plays the scene once, its process dying at the given point, and looks at what the world saw. */
async function playScene(crashAt: number): Promise<{ points: number; wrong: readonly string[] }> {
  await using folder = await makeTestFolder();
  const witness: Witness = {
    accepted: new Set(),
    started: [],
    finished: [],
    saved: new Map(),
    wrong: [],
  };
  const points = await live(folder.path, crashAt, witness);
  await live(folder.path, MAX_POINTS, witness);
  return { points, wrong: [...witness.wrong, ...judge(witness)].map((what) => `point ${crashAt}: ${what}`) };
}

/** One process: it accepts what the platform still repeats, and works until it dies or everything is answered. */
async function live(folder: string, crashAt: number, witness: Witness): Promise<number> {
  await using real = await openTestFile(folder);
  const file = new CrashingFile(real, crashAt);
  try {
    await using queue = await openSqliteQueue({ file, log: makeTestLog() });
    await queue.work((run) => answer(run, witness), { concurrency: 2, backoffMs: () => 0 });
    await deliver(queue, witness);
    await expect.poll(() => isOver(queue, file), { interval: 1 }).toBe(true);
  } catch (error) {
    // The scene's own death may surface anywhere; anything else is a finding.
    if (file.isOpen) witness.wrong.push(String(error));
  }
  return file.points;
}

async function deliver(queue: TurnQueue, witness: Witness): Promise<void> {
  for (const key of KEYS.filter((one) => !witness.accepted.has(one))) {
    const { id } = await queue.enqueue(aNewTurn(key));
    witness.accepted.add(key);
    if (key === "b:2") await queue.cancel(id);
  }
}

async function isOver(queue: TurnQueue, file: CrashingFile): Promise<boolean> {
  return !file.isOpen || (await queue.stats()).depth === 0;
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
    const inLane = (key: string): boolean => key.startsWith(lane);
    const order = started.filter(inLane);
    if (order.join() !== order.toSorted().join()) wrong.push(`${lane} out of order: ${order.join()}`);
  }
  // A death between the handler's end and its record repeats at most what ran: two conversations.
  if (finished.length > KEYS.length + 2) wrong.push(`repeated too much: ${finished.join()}`);
  return wrong;
}
