import fc from "fast-check";
import { expect, it } from "vitest";
import { RetryLater, type Run, type TurnQueue } from "../../src/core/ports.ts";
import { aNewTurn, type OpenedQueue, type QueueBackend } from "../contract/queue-contract.ts";
import { startSqliteBackend } from "./embedded.ts";

const LANES = ["a", "b", "c"];
const MAX_ATTEMPTS = 3;

/** What a turn's handler does at its attempts, in order; the last one also at all later ones. */
type Script = readonly ("done" | "fail" | "retry" | "retry-free")[];

type Step =
  | { readonly do: "deliver"; readonly lane: string; readonly number: number; readonly script: Script }
  | { readonly do: "wait" | "crash" | "restart" | "pause" | "resume" };

const SCRIPT: fc.Arbitrary<Script> = fc.array(
  fc.constantFrom<Script[number]>("done", "done", "fail", "retry", "retry-free"),
  { minLength: 1, maxLength: 4 },
);
const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      lane: fc.constantFrom(...LANES),
      number: fc.nat({ max: 12 }),
      script: SCRIPT,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom<"wait" | "crash" | "pause" | "resume">("wait", "crash", "pause", "resume"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
);

const NAME =
  "agrees with a list of lists, whatever is delivered, fails, crashes and pauses in whatever order";
it(NAME, { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { maxLength: 40 }), async (steps) => {
      await using backend = await startSqliteBackend();
      const world = new World();
      await world.play(backend, steps);
      expect(world.wrong).toEqual([]);
      expect(world.outcome()).toEqual(world.expected());
    }),
    { numRuns: 40 },
  );
});

/** The simple model (what was accepted, per conversation) and what the handlers saw. */
class World {
  readonly wrong: string[] = [];
  readonly #accepted = new Map<string, Script>();
  readonly #order: string[] = [];
  readonly #starts: string[] = [];
  readonly #done = new Set<string>();
  readonly #running = new Set<string>();
  /** How many uncounted tries a turn took: its script goes on with those as well. */
  readonly #free = new Map<string, number>();
  #dead: string[] = [];

  async play(backend: QueueBackend, steps: readonly Step[]): Promise<void> {
    let opened = await this.#open(backend);
    for (const step of steps) opened = await this.#take(step, opened, backend);
    await opened.queue.resume();
    await expect.poll(async () => (await opened.queue.stats()).depth, { interval: 1 }).toBe(0);
    this.#dead = (await opened.queue.dead(1_000)).map(({ key }) => key);
    await opened[Symbol.asyncDispose]();
  }

  /** Which turns were answered, and which were buried. */
  outcome(): { done: string[]; dead: string[] } {
    return { done: [...this.#done].toSorted(), dead: this.#dead.toSorted() };
  }

  expected(): { done: string[]; dead: string[] } {
    const ends = [...this.#accepted].map(([key, script]) => [key, endOf(script)] as const);
    const pick = (end: string): string[] => ends.filter((one) => one[1] === end).map(([key]) => key);
    return { done: pick("done").toSorted(), dead: pick("dead").toSorted() };
  }

  async #take(step: Step, opened: OpenedQueue, backend: QueueBackend): Promise<OpenedQueue> {
    switch (step.do) {
      case "deliver":
        await this.#deliver(opened.queue, `${step.lane}:${step.number}`, step.script);
        return opened;
      case "wait":
        await new Promise((resolve) => setImmediate(resolve));
        return opened;
      case "pause":
        await opened.queue.pause();
        return opened;
      case "resume":
        await opened.queue.resume();
        return opened;
      case "crash":
        await opened.crash();
        this.#running.clear();
        return this.#open(backend);
      case "restart":
        await opened[Symbol.asyncDispose]();
        return this.#open(backend);
    }
  }

  async #deliver(queue: TurnQueue, key: string, script: Script): Promise<void> {
    // Before it is accepted: it may start sooner than we hear of it.
    const known = this.#accepted.has(key);
    if (!known) this.#accepted.set(key, script);
    if (!known) this.#order.push(key);
    const { duplicate } = await queue.enqueue(aNewTurn(key));
    if (duplicate !== known) this.wrong.push(`${key} duplicate: ${duplicate}`);
  }

  async #open(backend: QueueBackend): Promise<OpenedQueue> {
    const opened = await backend.open();
    await opened.queue.work((run) => this.#answer(run), {
      concurrency: 2,
      maxAttempts: MAX_ATTEMPTS,
      backoffMs: () => 0,
    });
    return opened;
  }

  async #answer(run: Run): Promise<void> {
    const key = run.turns[0]?.key ?? "";
    this.#checkStart(run, key);
    this.#running.add(run.conversation);
    try {
      await new Promise((resolve) => setImmediate(resolve));
      if (run.signal.aborted) throw run.signal.reason;
      this.#act(run, key);
    } finally {
      this.#running.delete(run.conversation);
    }
  }

  #act(run: Run, key: string): void {
    const script = this.#accepted.get(key) ?? [];
    // A crash repeats a start, but never moves the script on; so the place in it is what the queue counted.
    const free = this.#free.get(key) ?? 0;
    const place = run.attempt - 1 + free;
    switch (scriptAt(script, place)) {
      case "done":
        this.#done.add(key);
        return;
      case "fail":
        throw new Error("scripted");
      case "retry":
        throw new RetryLater();
      case "retry-free":
        this.#free.set(key, free + 1);
        throw new RetryLater({ counts: false });
    }
  }

  #checkStart(run: Run, key: string): void {
    if (this.#running.has(run.conversation)) this.wrong.push(`two at once in ${run.conversation}`);
    const lane = this.#order.filter((one) => one.startsWith(`${run.conversation}:`));
    const before = this.#starts.findLast((one) => one.startsWith(`${run.conversation}:`));
    if (before !== undefined && lane.indexOf(before) > lane.indexOf(key)) {
      this.wrong.push(`${key} started after ${before}`);
    }
    this.#starts.push(key);
  }
}

function scriptAt(script: Script, place: number): Script[number] {
  const found = script[Math.min(place, script.length - 1)] ?? "done";
  // A script that ends in a free retry would never end.
  return found === "retry-free" && place >= script.length - 1 ? "done" : found;
}

/** How a turn with this script must end, counted by hand. */
function endOf(script: Script): "done" | "dead" {
  let attempt = 1;
  for (let place = 0; ; place += 1) {
    const act = scriptAt(script, place);
    if (act === "done") return "done";
    if (act === "fail") return "dead";
    if (act === "retry-free") continue;
    if (attempt >= MAX_ATTEMPTS) return "dead";
    attempt += 1;
  }
}
