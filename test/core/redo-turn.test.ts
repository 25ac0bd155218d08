import { afterEach, beforeEach, expect, it } from "vitest";
import { acceptTurn } from "../../src/core/accept-turn.ts";
import type { Run } from "../../src/core/ports.ts";
import { cancelQuestion, type RedoParts, redoTurn } from "../../src/core/redo-turn.ts";
import { MAX_REVISIONS } from "../../src/core/revisions.ts";
import type { Turn } from "../../src/core/turn.ts";
import { createLog } from "../../src/log.ts";
import { parseTurn, toPayload } from "../../src/queue/turn-payload.ts";
import { anIncomingTurn } from "../make.ts";
import { startSqliteBackend } from "../queue/embedded.ts";
import { MemoryStore } from "./platform-double.ts";

const SENT_AT = anIncomingTurn().sentAt;
const { dedupeKey } = anIncomingTurn();

let stack: AsyncDisposableStack;
let parts: RedoParts & {
  queue: Awaited<ReturnType<Awaited<ReturnType<typeof startSqliteBackend>>["open"]>>["queue"];
};
let ran: Turn[];

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const backend = stack.use(await startSqliteBackend());
  const { queue } = stack.use(await backend.open());
  ran = [];
  parts = {
    queue,
    store: new MemoryStore(),
    log: createLog({ level: "silent", secrets: [] }),
    toReference: (id) => id.slice(-2),
    toPayload,
    parseTurn,
    onAccepted: () => undefined,
    route: () => ({ botId: "42" }),
    acceptDeadlineMs: 2_000,
  };
});

afterEach(() => stack.disposeAsync());

const edit = (text: string, seconds: number) =>
  redoTurn(anIncomingTurn({ text }), SENT_AT + seconds * 1_000, parts);

/** Runs turns, each until it is let go. */
async function work(until: (run: Run) => Promise<void> = () => Promise.resolve()): Promise<void> {
  await parts.queue.work(
    async (run) => {
      ran.push(...run.turns.map(({ payload }) => parseTurn(payload)));
      await until(run);
    },
    { concurrency: 5 },
  );
}

it("changes a question where it waits, once for each change, never back to an older one", async () => {
  await acceptTurn(anIncomingTurn({ text: "what?" }), parts);
  expect(await edit("what else?", 20)).toBe("changed while it waits");
  expect(await edit("what else?", 20)).toBe("known");
  expect(await edit("too old", 10)).toBe("known");
  await work();
  await expect.poll(() => ran.map(({ id, text }) => [id, text])).toEqual([[`${dedupeKey}#r0`, "what else?"]]);
  // Told again after the start, by whomever.
  expect(await edit("what else?", 20)).toBe("known");
});

it("asks a started question anew behind it, once, though two intakes hear of it five times", async () => {
  await acceptTurn(anIncomingTurn(), parts);
  const first = Promise.withResolvers<void>();
  await work(() => first.promise);
  await expect.poll(() => ran).toHaveLength(1);
  const done = await Promise.all([1, 2, 3, 4, 5].map(() => edit("better", 20)));
  expect(new Set(done)).toEqual(new Set(["asked anew"]));
  expect(await edit("better", 20)).toBe("known");
  expect((await parts.queue.stats()).depth).toBe(2);
  expect(ran).toHaveLength(1);
  first.resolve();
  await expect
    .poll(() => ran.at(-1))
    .toMatchObject({ id: `${dedupeKey}#r1`, text: "better", reference: "r1" });
});

it("changes a waiting revision instead of adding another, and counts on once it was started", async () => {
  await acceptTurn(anIncomingTurn(), parts);
  let gate = Promise.withResolvers<void>();
  await work(() => gate.promise);
  await expect.poll(() => ran).toHaveLength(1);
  expect(await edit("one", 20)).toBe("asked anew");
  expect(await edit("two", 21)).toBe("changed while it waits");
  const before = gate;
  gate = Promise.withResolvers<void>();
  before.resolve();
  await expect.poll(() => ran.at(-1)?.text).toBe("two");
  expect(await edit("two", 21)).toBe("known");
  expect(await edit("three", 22)).toBe("asked anew");
  gate.resolve();
  await expect.poll(() => ran.map(({ id }) => id.slice(-2))).toEqual(["r0", "r1", "r2"]);
});

it("gives two changes that are taken at the same time numbers of their own", async () => {
  await acceptTurn(anIncomingTurn(), parts);
  await work();
  await expect.poll(() => ran).toHaveLength(1);
  await Promise.all([edit("one", 20), edit("two", 21)]);
  const ids = (): string[] => ran.map(({ id }) => id);
  await expect.poll(() => ids().length).toBeGreaterThan(1);
  expect(new Set(ids()).size).toBe(ran.length);
});

it("goes on with a change whose process was killed before it was accepted", async () => {
  await acceptTurn(anIncomingTurn(), parts);
  await work();
  await expect.poll(() => ran).toHaveLength(1);
  await parts.store.set("revision", `${dedupeKey}#r1`, SENT_AT + 20_000);
  expect(await edit("again", 20)).toBe("asked anew");
  await expect.poll(() => ran.at(-1)?.id).toBe(`${dedupeKey}#r1`);
});

it("ignores what was no question, came too late, or too often", async () => {
  expect(await edit("now for us", 1)).toBe("was no question");
  await acceptTurn(anIncomingTurn(), parts);
  await work();
  await expect.poll(() => ran).toHaveLength(1);
  expect(await edit("late", 16 * 60)).toBe("too late");
  for (let count = 1; count <= MAX_REVISIONS; count += 1) {
    expect(await edit(`change ${count}`, count)).toBe("asked anew");
    await expect.poll(() => ran).toHaveLength(1 + count);
  }
  expect(await edit("once more", 60)).toBe("too often");
});

it("is cancelled with all its revisions", async () => {
  await acceptTurn(anIncomingTurn(), parts);
  const aborted: string[] = [];
  await work(
    ({ signal, turns }) =>
      new Promise((resolve) => {
        const end = (): void => {
          aborted.push(...turns.map(({ key }) => key));
          resolve();
        };
        if (signal.aborted) end();
        else signal.addEventListener("abort", end);
      }),
  );
  await expect.poll(() => ran).toHaveLength(1);
  await edit("better", 20);
  await cancelQuestion(dedupeKey, parts);
  await expect.poll(() => aborted).toEqual([dedupeKey, `${dedupeKey}~${SENT_AT + 20_000}`]);
});
