import { describe, expect, it } from "vitest";
import {
  type NewTurn,
  RetryLater,
  type Run,
  RunAborted,
  type TurnHandler,
  type TurnQueue,
} from "../../src/core/ports.ts";

/** The data of a queue, which outlives the processes that open it. */
export interface QueueBackend extends AsyncDisposable {
  /** Opens a queue over the data, as a new process would; one at a time. */
  open(options?: { readonly bounds?: { perConversation: number; total: number } }): Promise<OpenedQueue>;
}

/** A queue as one process has it. Disposing closes it in an orderly way. */
export interface OpenedQueue extends AsyncDisposable {
  readonly queue: TurnQueue;
  /** Ends it as `kill -9` would: nothing more is written, handlers are left alone. */
  crash(): Promise<void>;
}

/** What every {@link TurnQueue} promises, whatever it is built on. */
export function describeQueueContract(name: string, startBackend: () => Promise<QueueBackend>): void {
  describe(`turn queue contract: ${name}`, () => {
    describeAccepting(startBackend);
    describeRunning(startBackend);
    describeRetrying(startBackend);
    describeCheckpoints(startBackend);
    describeCancelling(startBackend);
    describeMerging(startBackend);
    describeFinding(startBackend);
    describePausing(startBackend);
    describeDeadLetters(startBackend);
    describeStopping(startBackend);
    describeCrashing(startBackend);
  });
}

type StartBackend = () => Promise<QueueBackend>;

function describeAccepting(startBackend: StartBackend): void {
  it("accepts a turn once, however often and however concurrently it is delivered", async () => {
    await using scene = await startScene(startBackend);
    const { queue } = scene;
    const answers = await Promise.all([1, 2, 3].map(() => queue.enqueue(aNewTurn("a:1"))));
    const late = await queue.enqueue(aNewTurn("a:1"));
    expect(answers.map(({ duplicate }) => duplicate)).toEqual([false, true, true]);
    expect(late.duplicate).toBe(true);
    expect(new Set([...answers, late].map(({ id }) => id)).size).toBe(1);
    expect((await queue.stats()).depth).toBe(1);
  });

  it("knows a turn that is finished already, also after a restart", async () => {
    await using scene = await startScene(startBackend);
    const { id } = await scene.queue.enqueue(aNewTurn("a:1"));
    const log = await scene.record();
    await eventually(() => log.ended).toEqual(["a:1"]);
    expect(await scene.queue.enqueue(aNewTurn("a:1"))).toEqual({ id, duplicate: true, ahead: 0 });
    await scene.restart();
    expect(await scene.queue.enqueue(aNewTurn("a:1"))).toEqual({ id, duplicate: true, ahead: 0 });
  });

  it("changes what a waiting turn says, under one more key, and nothing once it was started", async () => {
    await using scene = await startScene(startBackend);
    const { queue } = scene;
    const { id } = await queue.enqueue(aNewTurn("a:1"));
    const say = (text: string, key?: string) =>
      queue.amend(id, () => ({ text }), key === undefined ? {} : { key });
    expect(await queue.amend(id, () => undefined, { key: "a:1~0" })).toBe(false);
    expect(await queue.idOf("a:1~0")).toBeUndefined();
    expect(await say("first")).toBe(true);
    expect(await say("second", "a:1~1")).toBe(true);
    expect(await queue.enqueue(aNewTurn("a:1~1"))).toMatchObject({ id, duplicate: true });
    const run = await scene.firstRun();
    expect(run.turns[0]?.payload).toEqual({ text: "second" });
    expect(await say("third", "a:1~2")).toBe(false);
    expect(await queue.idOf("a:1~2")).toBeUndefined();
    expect(await queue.idOf("a:1~1")).toBe(id);
  });

  it("says how many unfinished turns of the conversation are before a new one", async () => {
    await using scene = await startScene(startBackend);
    const ahead = [];
    for (const key of ["a:1", "a:2", "b:1", "a:3"]) {
      ahead.push((await scene.queue.enqueue(aNewTurn(key))).ahead);
    }
    expect(ahead).toEqual([0, 1, 0, 2]);
    expect((await scene.queue.enqueue(aNewTurn("a:3"))).ahead).toBe(2);
  });

  it("brings a payload to the handler as it was, with key, id and time", async () => {
    await using scene = await startScene(startBackend);
    const payload = { text: 'ü 界 \u0000 \ud83d\ude00 "', list: [1, null, true, { deep: [] }] };
    const before = Date.now();
    const { id } = await scene.queue.enqueue(aNewTurn("ключ:1", { payload, conversation: "place:线程:1" }));
    const run = await scene.firstRun();
    expect(run.conversation).toBe("place:线程:1");
    expect(run.turns).toMatchObject([{ id, key: "ключ:1" }]);
    expect(run.turns[0]?.payload).toEqual(payload);
    expect(Math.abs((run.turns[0]?.at ?? 0) - before)).toBeLessThan(60_000);
  });

  it("counts what may have been started by a process that is gone as started once", async () => {
    await using scene = await startScene(startBackend);
    await scene.queue.enqueue(aNewTurn("a:1", { perhapsStarted: true }));
    expect(await scene.firstRun()).toMatchObject({ start: 2, attempt: 1, state: undefined });
  });

  it("refuses turns beyond the bound of a conversation, and takes them again once there is room", async () => {
    await using scene = await startScene(startBackend, { perConversation: 2, total: 100 });
    await scene.enqueue("a:1", "a:2", "b:1");
    await expect(scene.queue.enqueue(aNewTurn("a:3"))).rejects.toMatchObject({ code: "QUEUE_FULL" });
    // A repeat of something accepted is no new turn.
    expect((await scene.queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
    const log = await scene.record();
    await eventually(() => log.ended.length).toBe(3);
    // A refused turn was not remembered as known.
    expect((await scene.queue.enqueue(aNewTurn("a:3"))).duplicate).toBe(false);
  });

  it("refuses turns beyond the bound of all, also when they come at once and after a restart", async () => {
    const bounds = { perConversation: 100, total: 3 };
    await using scene = await startScene(startBackend, bounds);
    const keys = ["a:1", "b:1", "c:1", "d:1", "e:1"];
    const answers = await Promise.allSettled(keys.map((key) => scene.queue.enqueue(aNewTurn(key))));
    expect(answers.filter(({ status }) => status === "fulfilled").length).toBe(3);
    await scene.restart(bounds);
    await expect(scene.queue.enqueue(aNewTurn("f:1"))).rejects.toMatchObject({ code: "QUEUE_FULL" });
  });
}

function describeRunning(startBackend: StartBackend): void {
  it("answers a conversation in the order of acceptance, one turn at a time", async () => {
    await using scene = await startScene(startBackend);
    const log = await scene.record({ concurrency: 8, work: tick });
    const keys = Array.from({ length: 20 }, (_, index) => `a:${index}`);
    await scene.enqueue(...keys);
    await eventually(() => log.ended).toEqual(keys);
    expect(log.overlaps).toEqual([]);
  });

  it("runs many conversations at once, and never more than asked for", async () => {
    await using scene = await startScene(startBackend);
    const open = Promise.withResolvers<void>();
    await scene.enqueue(...Array.from({ length: 100 }, (_, index) => `c${index}:1`));
    const log = await scene.record({ concurrency: 60, work: () => open.promise });
    await eventually(() => log.running.size).toBe(60);
    expect(await scene.queue.stats()).toMatchObject({ depth: 100, running: 60 });
    open.resolve();
    await eventually(() => log.ended.length).toBe(100);
    expect(log.mostRunning).toBe(60);
    await eventually(() => scene.queue.stats()).toMatchObject({ depth: 0, running: 0 });
  });

  it("lets a conversation with many turns not starve the others", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueue("a:1", "a:2", "a:3", "a:4", "b:1", "c:1");
    const log = await scene.record({ concurrency: 1 });
    await eventually(() => log.ended.length).toBe(6);
    expect(log.started.slice(0, 3)).toEqual(["a:1", "b:1", "c:1"]);
  });

  it("answers what several workers of one process take exactly once", async () => {
    await using scene = await startScene(startBackend);
    const log = await scene.record({ concurrency: 3, work: tick });
    await scene.record({ concurrency: 3, work: tick }, log);
    const keys = Array.from({ length: 60 }, (_, index) => `c${index % 7}:${index}`);
    await scene.enqueue(...keys);
    await eventually(() => log.ended.length).toBe(60);
    expect(log.started.toSorted()).toEqual(keys.toSorted());
    expect(log.overlaps).toEqual([]);
  });

  it("tells how old the oldest unfinished turn is", async () => {
    await using scene = await startScene(startBackend);
    expect((await scene.queue.stats()).oldestMs).toBe(0);
    await scene.enqueue("a:1");
    await eventually(async () => (await scene.queue.stats()).oldestMs).toBeGreaterThan(0);
    expect((await scene.queue.health()).ok).toBe(true);
  });
}

function describeRetrying(startBackend: StartBackend): void {
  it("tries a turn again when its handler asks for it, counting, and parks its conversation meanwhile", async () => {
    await using scene = await startScene(startBackend);
    const tries: string[] = [];
    const log = await scene.record({
      concurrency: 4,
      work: async (run) => {
        if (keyOf(run) !== "a:1") return;
        tries.push(`${run.start}/${run.attempt}`);
        if (run.attempt < 3) throw new RetryLater({ afterMs: 15 });
      },
    });
    await scene.enqueue("a:1", "a:2", "b:1");
    await eventually(() => log.ended.length).toBe(3);
    expect(tries).toEqual(["1/1", "2/2", "3/3"]);
    expect(log.ended).toEqual(["b:1", "a:1", "a:2"]);
  });

  it("waits as long as the back-off says when the handler names no time", async () => {
    await using scene = await startScene(startBackend);
    const asked: number[] = [];
    const log = await scene.record({
      backoffMs: (attempt) => {
        asked.push(attempt);
        return 5;
      },
      work: async (run) => {
        if (run.attempt < 3) throw new RetryLater();
      },
    });
    await scene.enqueue("a:1");
    await eventually(() => log.ended).toEqual(["a:1"]);
    expect(asked).toEqual([1, 2]);
  });

  it("does not count a start that the handler says does not count", async () => {
    await using scene = await startScene(startBackend);
    const attempts: number[] = [];
    const log = await scene.record({
      maxAttempts: 1,
      work: async (run) => {
        attempts.push(run.attempt);
        if (run.start < 30) throw new RetryLater({ counts: false, afterMs: 0 });
      },
    });
    await scene.enqueue("a:1");
    await eventually(() => log.ended).toEqual(["a:1"]);
    expect(new Set(attempts)).toEqual(new Set([1]));
    expect(await scene.queue.dead()).toEqual([]);
  });

  it("keeps attempts and back-off over a restart", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueue("a:1");
    const first = await scene.record({
      work: async () => {
        throw new RetryLater({ afterMs: 60_000 });
      },
    });
    await eventually(() => isParked(scene.queue, first)).toBe(true);
    await scene.restart();
    const second = await scene.record();
    await scene.enqueue("b:1");
    await eventually(() => second.ended).toEqual(["b:1"]);
    expect(second.started).toEqual(["b:1"]);
  });
}

function describeCheckpoints(startBackend: StartBackend): void {
  it("gives the next start the last checkpoint", async () => {
    await using scene = await startScene(startBackend);
    const states: unknown[] = [];
    const log = await scene.record({
      work: async (run) => {
        states.push(run.state);
        await run.save({ step: run.start, text: "界" });
        await run.save({ step: run.start, text: "界界" });
        if (run.start < 3) throw new RetryLater({ afterMs: 0 });
      },
    });
    await scene.enqueue("a:1", "a:2");
    await eventually(() => log.ended).toEqual(["a:1", "a:2"]);
    const second = { step: 1, text: "界界" };
    const third = { step: 2, text: "界界" };
    expect(states).toEqual([undefined, second, third, undefined, second, third]);
  });

  it("refuses the checkpoint of a run that is over", async () => {
    await using scene = await startScene(startBackend);
    let old: Run | undefined;
    const log = await scene.record({
      work: async (run) => {
        old ??= run;
      },
    });
    await scene.enqueue("a:1");
    await eventually(() => log.ended.length).toBe(1);
    await eventually(async () => (await scene.queue.stats()).depth).toBe(0);
    await expect(old?.save("too late")).rejects.toMatchObject({ name: "RunAborted", why: "lease-lost" });
  });

  it("refuses the checkpoint of a process whose turn another one has taken over", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueue("a:1");
    const old = await scene.firstRun();
    await old.save("first");
    await scene.crashAndReopen();
    const now = await scene.firstRun();
    await expect(old.save("stale")).rejects.toBeInstanceOf(RunAborted);
    expect(now.state).toBe("first");
    await now.save("second");
    await scene.crashAndReopen();
    expect((await scene.firstRun()).state).toBe("second");
  });
}

function describeCancelling(startBackend: StartBackend): void {
  it("aborts a running turn, which is done then, and goes on with the next", async () => {
    await using scene = await startScene(startBackend);
    const reasons: unknown[] = [];
    const log = await scene.record({
      work: async (run) => {
        if (keyOf(run) !== "a:1") return;
        await aborted(run.signal);
        reasons.push(run.signal.reason);
        throw run.signal.reason;
      },
    });
    const [id = ""] = await scene.enqueue("a:1", "a:2");
    await eventually(() => log.running.size).toBe(1);
    expect(await scene.queue.cancel(id)).toBe(true);
    await eventually(() => log.ended).toEqual(["a:2"]);
    expect(reasons).toMatchObject([{ name: "RunAborted", why: "cancelled" }]);
    await eventually(async () => (await scene.queue.stats()).depth).toBe(0);
    expect(await scene.queue.dead()).toEqual([]);
  });

  it("still takes the checkpoint of a turn that was cancelled", async () => {
    await using scene = await startScene(startBackend);
    const saves: unknown[] = [];
    const log = await scene.record({
      work: async (run) => {
        await aborted(run.signal);
        saves.push(await run.save("tidied up"));
      },
    });
    const [id = ""] = await scene.enqueue("a:1");
    await expect.poll(() => log.running.size).toBe(1);
    await scene.queue.cancel(id);
    await expect.poll(() => saves).toEqual([undefined]);
  });

  it("starts a cancelled waiting turn in its place, with an aborted signal", async () => {
    await using scene = await startScene(startBackend);
    const [, second = ""] = await scene.enqueue("a:1", "a:2", "a:3");
    expect(await scene.queue.cancel(second)).toBe(true);
    const seen: [string, boolean][] = [];
    await scene.record({
      work: async (run) => {
        seen.push([keyOf(run), run.signal.aborted]);
        run.signal.throwIfAborted();
      },
    });
    await expect
      .poll(() => seen)
      .toEqual([
        ["a:1", false],
        ["a:2", true],
        ["a:3", false],
      ]);
    expect((await scene.queue.stats()).dead).toBe(0);
  });

  it("starts a cancelled turn at once that waits for its next attempt", async () => {
    await using scene = await startScene(startBackend);
    const seen: boolean[] = [];
    const log = await scene.record({
      work: async (run) => {
        seen.push(run.signal.aborted);
        if (run.start === 1) throw new RetryLater({ afterMs: 3_600_000 });
      },
    });
    const [id = ""] = await scene.enqueue("a:1");
    await eventually(() => isParked(scene.queue, log)).toBe(true);
    expect(await scene.queue.cancel(id)).toBe(true);
    await eventually(() => seen).toEqual([false, true]);
  });

  it("does not make a cancelled turn wait whose handler asks for another try", async () => {
    await using scene = await startScene(startBackend);
    const seen: boolean[] = [];
    await scene.record({
      work: async (run) => {
        seen.push(run.signal.aborted);
        if (run.start > 1) return;
        await aborted(run.signal);
        throw new RetryLater({ afterMs: 3_600_000 });
      },
    });
    const [id = ""] = await scene.enqueue("a:1");
    await eventually(() => seen).toEqual([false]);
    await scene.queue.cancel(id);
    await eventually(() => seen).toEqual([false, true]);
  });

  it("remembers a cancel over a restart", async () => {
    await using scene = await startScene(startBackend);
    const [id = ""] = await scene.enqueue("a:1");
    await scene.queue.cancel(id);
    await scene.crashAndReopen();
    expect((await scene.firstRun()).signal.reason).toMatchObject({ why: "cancelled" });
  });

  it("says when there is nothing to cancel", async () => {
    await using scene = await startScene(startBackend);
    const [id = ""] = await scene.enqueue("a:1");
    const log = await scene.record();
    await eventually(() => log.ended.length).toBe(1);
    await eventually(async () => (await scene.queue.stats()).depth).toBe(0);
    expect(await scene.queue.cancel(id)).toBe(false);
    expect(await scene.queue.cancel("no such id")).toBe(false);
  });
}

function describeFinding(startBackend: StartBackend): void {
  it("finds a turn by its key, waiting or finished, and none by an unknown one", async () => {
    await using scene = await startScene(startBackend);
    const [first = ""] = await scene.enqueue("a:1");
    expect(await scene.queue.idOf("a:1")).toBe(first);
    expect(await scene.queue.idOf("a:2")).toBeUndefined();
    const log = await scene.record();
    await eventually(async () => (await scene.queue.stats()).depth).toBe(0);
    expect(log).toBeDefined();
    expect(await scene.queue.idOf("a:1")).toBe(first);
  });
}

function describeMerging(startBackend: StartBackend): void {
  it("runs neighbours together that agree to it, up to the limit", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueueMerging("a:1", "a:2", "a:3", "a:4");
    await scene.enqueue("a:5");
    await scene.enqueueMerging("a:6", "b:1");
    const batches = await scene.batches({ maxMerge: 3 });
    await eventually(() => batches.flat().length).toBe(7);
    expect(batches.filter(([key = ""]) => key.startsWith("a"))).toEqual([
      ["a:1", "a:2", "a:3"],
      ["a:4"],
      ["a:5"],
      ["a:6"],
    ]);
  });

  it("merges nothing with a turn that may have been started, since its chat is about that alone", async () => {
    await using scene = await startScene(startBackend);
    const enqueue = (key: string, perhapsStarted: boolean): Promise<unknown> =>
      scene.queue.enqueue(aNewTurn(key, { merge: { group: "ada", at: 0 }, perhapsStarted }));
    await enqueue("a:1", true);
    for (const key of ["a:2", "a:3"]) await enqueue(key, false);
    await enqueue("a:4", true);
    const batches = await scene.batches({ maxMerge: 9, mergeWithinMs: 1_500 });
    await eventually(() => batches).toEqual([["a:1"], ["a:2", "a:3"], ["a:4"]]);
  });

  it("merges one group's turns only, written close to each other", async () => {
    await using scene = await startScene(startBackend);
    const add = (key: string, group: string, at: number) =>
      scene.queue.enqueue(aNewTurn(key, { merge: { group, at } }));
    for (const [key, group, at] of [
      ["a:1", "ada", 0],
      ["a:2", "ada", 1_000],
      ["a:3", "grace", 1_100],
      ["a:4", "grace", 5_000],
    ] as const) {
      await add(key, group, at);
    }
    const batches = await scene.batches({ maxMerge: 9, mergeWithinMs: 1_500 });
    await eventually(() => batches).toEqual([["a:1", "a:2"], ["a:3"], ["a:4"]]);
  });

  it("runs every turn alone when nobody allowed merging", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueueMerging("a:1", "a:2");
    const batches = await scene.batches({});
    await eventually(() => batches).toEqual([["a:1"], ["a:2"]]);
  });

  it("keeps a batch as it was at its first start, with its checkpoint, over retries and crashes", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueueMerging("a:1", "a:2");
    const first = await scene.firstRun({ maxMerge: 5 });
    await first.save("about two");
    await scene.enqueueMerging("a:3");
    await scene.crashAndReopen();
    const again = await scene.firstRun({ maxMerge: 5 });
    expect(again.turns.map(({ key }) => key)).toEqual(["a:1", "a:2"]);
    expect(again.state).toBe("about two");
  });

  it("cancels a whole batch when one of it is cancelled, running or between two attempts", async () => {
    await using scene = await startScene(startBackend);
    const [, second = ""] = await scene.enqueueMerging("a:1", "a:2");
    const starts: [number, boolean][] = [];
    const log = await scene.record({
      maxMerge: 5,
      work: async (run) => {
        starts.push([run.turns.length, run.signal.aborted]);
        if (run.start === 1) throw new RetryLater({ afterMs: 3_600_000 });
      },
    });
    await eventually(() => isParked(scene.queue, log)).toBe(true);
    expect(await scene.queue.cancel(second)).toBe(true);
    await expect
      .poll(() => starts)
      .toEqual([
        [2, false],
        [2, true],
      ]);
  });

  it("leaves a cancelled waiting turn out of a batch", async () => {
    await using scene = await startScene(startBackend);
    const [, second = ""] = await scene.enqueueMerging("a:1", "a:2", "a:3");
    await scene.queue.cancel(second);
    const batches = await scene.batches({ maxMerge: 5 });
    await eventually(() => batches).toEqual([["a:1"], ["a:2"], ["a:3"]]);
  });
}

function describePausing(startBackend: StartBackend): void {
  it("starts nothing while paused, finishes what runs, and goes on after resume", async () => {
    await using scene = await startScene(startBackend);
    const open = Promise.withResolvers<void>();
    const log = await scene.record({ work: () => open.promise });
    await scene.enqueue("a:1");
    await eventually(() => log.running.size).toBe(1);
    await scene.queue.pause();
    await scene.enqueue("a:2", "b:1");
    open.resolve();
    await eventually(() => log.ended).toEqual(["a:1"]);
    await eventually(() => scene.queue.stats()).toMatchObject({ depth: 2, paused: true });
    expect(log.started).toEqual(["a:1"]);
    await scene.queue.resume();
    await eventually(() => log.ended.toSorted()).toEqual(["a:1", "a:2", "b:1"]);
  });

  it("is still paused after a restart", async () => {
    await using scene = await startScene(startBackend);
    await scene.queue.pause();
    await scene.enqueue("a:1");
    await scene.crashAndReopen();
    const log = await scene.record();
    expect((await scene.queue.stats()).paused).toBe(true);
    // Each of these takes longer than a start would.
    await scene.enqueue("b:1", "c:1");
    expect(log.started).toEqual([]);
    await scene.queue.resume();
    await eventually(() => log.ended.toSorted()).toEqual(["a:1", "b:1", "c:1"]);
    expect((await scene.queue.stats()).paused).toBe(false);
  });
}

function describeDeadLetters(startBackend: StartBackend): void {
  it("makes a dead letter of a turn whose handler fails, and goes on with the next", async () => {
    await using scene = await startScene(startBackend);
    const log = await scene.record({
      work: async (run) => {
        if (keyOf(run) === "a:1") throw new TypeError("cannot be");
      },
    });
    const [id = ""] = await scene.enqueue("a:1", "a:2");
    await eventually(() => log.ended).toEqual(["a:2"]);
    expect(await scene.queue.dead()).toMatchObject([
      { id, key: "a:1", conversation: "a", error: "TypeError: cannot be" },
    ]);
    await eventually(() => scene.queue.stats()).toMatchObject({ depth: 0, dead: 1 });
  });

  it("makes a dead letter of a turn that was tried often enough", async () => {
    await using scene = await startScene(startBackend);
    let tries = 0;
    await scene.record({
      maxAttempts: 3,
      work: async () => {
        tries += 1;
        throw new RetryLater({ afterMs: 0, cause: new Error("still busy") });
      },
    });
    await scene.enqueue("a:1");
    await eventually(async () => (await scene.queue.dead())[0]?.error).toContain("still busy");
    expect(tries).toBe(3);
  });

  it("buries every turn of a batch by itself", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueueMerging("a:1", "a:2");
    await scene.record({
      maxMerge: 2,
      work: async () => {
        throw new Error("no");
      },
    });
    await eventually(async () => (await scene.queue.dead()).length).toBe(2);
    expect((await scene.queue.dead(1)).length).toBe(1);
  });

  it("puts a dead letter back at the end of its conversation, with the same id and fresh attempts", async () => {
    await using scene = await startScene(startBackend);
    const runs: [string, string, number, number, unknown][] = [];
    let broken = true;
    const log = await scene.record({
      work: async (run) => {
        runs.push([keyOf(run), run.turns[0]?.id ?? "", run.start, run.attempt, run.state]);
        await run.save("was here");
        if (broken && keyOf(run) === "a:1") throw new Error("no");
      },
    });
    const [id = ""] = await scene.enqueue("a:1", "a:2");
    await eventually(() => log.ended).toEqual(["a:2"]);
    await scene.queue.pause();
    broken = false;
    await scene.enqueue("a:3");
    expect(await scene.queue.requeue(id)).toBe(true);
    expect(await scene.queue.requeue(id)).toBe(false);
    expect(await scene.queue.stats()).toMatchObject({ depth: 2, dead: 0 });
    await scene.queue.resume();
    await eventually(() => log.ended).toEqual(["a:2", "a:3", "a:1"]);
    expect(runs.at(-1)).toEqual(["a:1", id, 1, 1, undefined]);
  });

  it("forgets a dead letter on request, but not that it was delivered", async () => {
    await using scene = await startScene(startBackend);
    await scene.record({
      work: async () => {
        throw new Error("no");
      },
    });
    const [id = ""] = await scene.enqueue("a:1");
    await eventually(async () => (await scene.queue.stats()).dead).toBe(1);
    expect(await scene.queue.discard(id)).toBe(true);
    expect(await scene.queue.discard(id)).toBe(false);
    expect(await scene.queue.requeue(id)).toBe(false);
    expect(await scene.queue.dead()).toEqual([]);
    expect((await scene.queue.enqueue(aNewTurn("a:1"))).duplicate).toBe(true);
  });

  it("keeps dead letters over a restart", async () => {
    await using scene = await startScene(startBackend);
    await scene.record({
      work: async () => {
        throw new Error("no");
      },
    });
    const [id = ""] = await scene.enqueue("a:1");
    await eventually(async () => (await scene.queue.stats()).dead).toBe(1);
    await scene.restart();
    expect((await scene.queue.dead()).map((dead) => dead.id)).toEqual([id]);
    expect(await scene.queue.requeue(id)).toBe(true);
    expect((await scene.firstRun()).turns[0]?.id).toBe(id);
  });
}

function describeStopping(startBackend: StartBackend): void {
  it("drains: what runs is finished, nothing new starts", async () => {
    await using scene = await startScene(startBackend);
    const open = Promise.withResolvers<void>();
    const log = await scene.record({ concurrency: 2, work: () => open.promise });
    await scene.enqueue("a:1", "b:1", "c:1", "a:2");
    await eventually(() => log.running.size).toBe(2);
    const stopped = log.consumer.stop("drain");
    open.resolve();
    await stopped;
    expect(log.ended.toSorted()).toEqual(["a:1", "b:1"]);
    expect(log.started.length).toBe(2);
    expect(await scene.queue.stats()).toMatchObject({ depth: 2, running: 0 });
  });

  it("hands over: what runs is aborted, keeps its checkpoint and its place, and costs no attempt", async () => {
    await using scene = await startScene(startBackend);
    const log = await scene.record({
      work: async (run) => {
        await run.save("half");
        await aborted(run.signal);
        await run.save("handed over");
        throw run.signal.reason;
      },
    });
    await scene.enqueue("a:1", "a:2");
    await eventually(() => log.running.size).toBe(1);
    await log.consumer.stop("handover");
    expect(await scene.queue.stats()).toMatchObject({ depth: 2, running: 0, dead: 0 });
    const next = await scene.firstRun();
    expect(keyOf(next)).toBe("a:1");
    expect([next.start, next.attempt, next.state]).toEqual([2, 1, "handed over"]);
  });

  it("takes a failure during the hand-over for a consequence of it", async () => {
    await using scene = await startScene(startBackend);
    const log = await scene.record({
      maxAttempts: 1,
      work: async (run) => {
        await aborted(run.signal);
        throw new RetryLater({ afterMs: 3_600_000 });
      },
    });
    await scene.enqueue("a:1");
    await eventually(() => log.running.size).toBe(1);
    await log.consumer.stop("handover");
    expect((await scene.firstRun()).attempt).toBe(1);
  });

  it("turns a drain into a hand-over", async () => {
    await using scene = await startScene(startBackend);
    const log = await scene.record({
      work: async (run) => {
        await aborted(run.signal);
        throw run.signal.reason;
      },
    });
    await scene.enqueue("a:1");
    await eventually(() => log.running.size).toBe(1);
    const drained = log.consumer.stop("drain");
    await log.consumer.stop("handover");
    await drained;
    expect((await scene.queue.stats()).depth).toBe(1);
  });

  it("hands over what runs when it is closed, and may be closed twice", async () => {
    await using scene = await startScene(startBackend);
    const reasons: unknown[] = [];
    const log = await scene.record({
      work: async (run) => {
        await aborted(run.signal);
        reasons.push(run.signal.reason);
        throw run.signal.reason;
      },
    });
    await scene.enqueue("a:1");
    await eventually(() => log.running.size).toBe(1);
    await scene.queue[Symbol.asyncDispose]();
    await scene.queue[Symbol.asyncDispose]();
    expect(reasons).toMatchObject([{ why: "handover" }]);
    await expect(scene.queue.enqueue(aNewTurn("a:2"))).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
    await scene.restart();
    expect((await scene.firstRun()).attempt).toBe(1);
  });
}

function describeCrashing(startBackend: StartBackend): void {
  it("starts again what ran when its process died, in order, not counting it as an attempt", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueue("a:1", "a:2", "b:1");
    const before = await scene.record({ work: () => new Promise(() => {}) });
    await eventually(() => before.running.size).toBe(2);
    await scene.crashAndReopen();
    const runs: [string, number, number][] = [];
    const after = await scene.record({
      work: async (run) => {
        runs.push([keyOf(run), run.start, run.attempt]);
      },
    });
    await eventually(() => after.ended.length).toBe(3);
    expect(runs).toContainEqual(["a:1", 2, 1]);
    expect(runs).toContainEqual(["a:2", 1, 1]);
    expect(runs).toContainEqual(["b:1", 2, 1]);
    expect(after.ended.indexOf("a:1")).toBeLessThan(after.ended.indexOf("a:2"));
  });

  it("starts a turn that keeps killing its process once more to be told of, then buries it and goes on with the next", async () => {
    await using scene = await startScene(startBackend);
    await scene.enqueue("a:1", "a:2");
    const suspected: boolean[] = [];
    for (;;) {
      const run = await scene.firstRun();
      if (keyOf(run) === "a:2") break;
      suspected.push(run.suspected);
      await scene.crashAndReopen();
    }
    // One more than its deaths allow, to tell its asker.
    expect(suspected).toEqual([...Array.from({ length: 20 }, () => false), true]);
    expect(await scene.queue.dead()).toMatchObject([
      { key: "a:1", error: "its process died 21 times while it ran" },
    ]);
  });
}

/** What happened to the turns of a worker. */
interface RunLog {
  readonly started: string[];
  /** Keys whose handler returned, in that order. */
  readonly ended: string[];
  readonly running: Set<string>;
  /** Conversations that ran twice at the same time: must stay empty. */
  readonly overlaps: string[];
  mostRunning: number;
  consumer: Awaited<ReturnType<TurnQueue["work"]>>;
}

interface RecordOptions {
  readonly concurrency?: number;
  readonly maxAttempts?: number;
  readonly maxMerge?: number;
  readonly mergeWithinMs?: number;
  readonly backoffMs?: (attempt: number) => number;
  readonly work?: TurnHandler;
}

async function startScene(
  startBackend: StartBackend,
  bounds?: { perConversation: number; total: number },
): Promise<Scene> {
  const backend = await startBackend();
  const options = bounds === undefined ? {} : { bounds };
  return new Scene(backend, await backend.open(options));
}

/** A queue and its data, with the verbs of the tests. */
class Scene implements AsyncDisposable {
  readonly #backend: QueueBackend;
  #opened: OpenedQueue;

  constructor(backend: QueueBackend, opened: OpenedQueue) {
    this.#backend = backend;
    this.#opened = opened;
  }

  get queue(): TurnQueue {
    return this.#opened.queue;
  }

  async enqueue(...keys: readonly string[]): Promise<string[]> {
    const ids = [];
    for (const key of keys) ids.push((await this.queue.enqueue(aNewTurn(key))).id);
    return ids;
  }

  async enqueueMerging(...keys: readonly string[]): Promise<string[]> {
    const ids = [];
    for (const key of keys)
      ids.push((await this.queue.enqueue(aNewTurn(key, { merge: { group: "ada", at: 0 } }))).id);
    return ids;
  }

  async record(options: RecordOptions = {}, into?: RunLog): Promise<RunLog> {
    const { work = async () => {}, concurrency = 10, ...rest } = options;
    const counts = { started: [], ended: [], running: new Set<string>(), overlaps: [], mostRunning: 0 };
    const log = into ?? { ...counts, consumer: { stop: async () => {} } };
    const consumer = await this.queue.work((run) => watch(run, work, log), { concurrency, ...rest });
    log.consumer = consumer;
    return log;
  }

  /** The keys of every start. */
  async batches(options: RecordOptions): Promise<string[][]> {
    const batches: string[][] = [];
    await this.record({
      ...options,
      work: async (run) => {
        batches.push(run.turns.map(({ key }) => key));
      },
    });
    return batches;
  }

  /** Starts a worker whose first run never ends by itself. */
  async firstRun(options: RecordOptions = {}): Promise<Run> {
    const first = Promise.withResolvers<Run>();
    await this.record({
      concurrency: 1,
      ...options,
      work: async (run) => {
        first.resolve(run);
        await aborted(run.signal);
        throw run.signal.reason;
      },
    });
    return first.promise;
  }

  async restart(bounds?: { perConversation: number; total: number }): Promise<void> {
    await this.#opened[Symbol.asyncDispose]();
    this.#opened = await this.#backend.open(bounds === undefined ? {} : { bounds });
  }

  async crashAndReopen(): Promise<void> {
    await this.#opened.crash();
    this.#opened = await this.#backend.open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened[Symbol.asyncDispose]();
    await this.#backend[Symbol.asyncDispose]();
  }
}

async function watch(run: Run, work: TurnHandler, log: RunLog): Promise<void> {
  const keys = run.turns.map(({ key }) => key);
  log.started.push(...keys);
  if (log.running.has(run.conversation)) log.overlaps.push(run.conversation);
  log.running.add(run.conversation);
  log.mostRunning = Math.max(log.mostRunning, log.running.size);
  try {
    await work(run);
    log.ended.push(...keys);
  } finally {
    log.running.delete(run.conversation);
  }
}

/** A turn named `conversation:number`. */
export function aNewTurn(key: string, changes: Partial<NewTurn> = {}): NewTurn {
  return { key, conversation: key.split(":")[0] ?? key, payload: { text: key }, ...changes };
}

function keyOf(run: Run): string {
  return run.turns[0]?.key ?? "";
}

/** Resolves when the signal has fired. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** One turn of the event loop. */
function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Whether everything was started, nothing runs, and something is left: so that must be waiting for its time. */
async function isParked(queue: TurnQueue, log: RunLog): Promise<boolean> {
  const { depth, running } = await queue.stats();
  return log.started.length > 0 && running === 0 && depth > 0;
}

/** Like `expect.poll`, more often: most of these wait for a millisecond. */
function eventually<T>(read: () => T | Promise<T>) {
  return expect.poll(read, { interval: 5 });
}
