import { expect, it } from "vitest";
import { acceptTurn } from "../../src/core/accept-turn.ts";
import type { Json } from "../../src/core/json.ts";
import { type NewTurn, RetryLater } from "../../src/core/ports.ts";
import type { Turn } from "../../src/core/turn.ts";
import { createLog } from "../../src/log.ts";
import { anIncomingTurn, aTurn } from "../make.ts";
import { MemoryStore } from "./platform-double.ts";

function anIntake() {
  const enqueued: NewTurn[] = [];
  const turns: Turn[] = [];
  const amended: string[][] = [];
  const accepted: string[] = [];
  const store = new MemoryStore();
  const parts = {
    store,
    queue: {
      enqueue: (turn: NewTurn) => {
        enqueued.push(turn);
        return Promise.resolve({
          id: "1",
          duplicate: enqueued.filter(({ key }) => key === turn.key).length > 1,
          ahead: 0,
        });
      },
      amend: (_id: string, change: (payload: Json) => Json | undefined) => {
        const changed = change("stored");
        if (changed !== undefined) amended.push(turns.at(-1)?.attachments.map(({ id }) => id) ?? []);
        return Promise.resolve(changed !== undefined);
      },
    },
    log: createLog({ level: "silent", secrets: [] }),
    toReference: () => "K7Q2FM",
    toPayload: (turn: Turn) => {
      turns.push(turn);
      return turn.id;
    },
    parseTurn: () => aTurn({ attachments: [{ id: "a", name: "a.png", url: "https://files.example/a" }] }),
    onAccepted: (turn: Turn) => void accepted.push(turn.id),
    route: () => ({ botId: "42" }),
    acceptDeadlineMs: 2_000,
  };
  return { enqueued, turns, amended, accepted, store, parts };
}

it("stores the turn under its platform message, in its conversation's lane, with route and reference frozen in", async () => {
  const { enqueued, turns, parts } = anIntake();
  const incoming = anIncomingTurn();
  await acceptTurn(incoming, parts);
  expect(enqueued).toEqual([
    {
      key: incoming.dedupeKey,
      conversation: incoming.conversation,
      payload: incoming.id,
      merge: { group: incoming.asker.key, at: incoming.sentAt },
    },
  ]);
  expect(turns[0]).toMatchObject({ v: 1, reference: "K7Q2FM", route: { botId: "42" } });
  expect(turns[0]).not.toHaveProperty("dedupeKey");
  expect(turns[0]).not.toHaveProperty("continues");
});

it("lets a command never run as one with its neighbours", async () => {
  const { enqueued, parts } = anIntake();
  await acceptTurn(anIncomingTurn({ alone: true }), parts);
  expect(enqueued[0]).not.toHaveProperty("merge");
});

it("tells the queue, and nobody else, of a turn that may have been started already", async () => {
  const { enqueued, turns, parts } = anIntake();
  await acceptTurn(anIncomingTurn({ perhapsStarted: true }), parts);
  expect(enqueued[0]).toMatchObject({ perhapsStarted: true });
  expect(turns[0]).not.toHaveProperty("perhapsStarted");
});

it("adds the files that a twin brings, and counts it as no turn of its own", async () => {
  const { amended, accepted, parts } = anIntake();
  const file = (id: string) => ({ id, name: `${id}.png`, url: `https://files.example/${id}` });
  await acceptTurn(anIncomingTurn(), parts);
  await acceptTurn(anIncomingTurn({ attachments: [file("a")] }), parts);
  expect(amended).toEqual([]);
  await acceptTurn(anIncomingTurn({ attachments: [file("a"), file("b")] }), parts);
  expect(amended).toEqual([["a", "b"]]);
  expect(accepted).toHaveLength(1);
});

it("continues the conversation of the message that was replied to, if that was ours", async () => {
  const { enqueued, turns, store, parts } = anIntake();
  await store.set("msg", "discord:3:9", "discord:app:somewhere:else");
  await acceptTurn(anIncomingTurn({ continues: "discord:3:9" }), parts);
  await acceptTurn(anIncomingTurn({ continues: "discord:3:10" }), parts);
  expect(turns.map(({ conversation }) => conversation)).toEqual([
    "discord:app:somewhere:else",
    anIncomingTurn().conversation,
  ]);
  expect(enqueued[0]?.conversation).toBe("discord:app:somewhere:else");
});

it("leaves a known turn of a newer version as it is, whatever its twin brings", async () => {
  const { amended, parts } = anIntake();
  const parseTurn = (): never => {
    throw new RetryLater({ counts: false });
  };
  const attachments = [{ id: "b", name: "b.png", url: "https://files.example/b" }];
  for (let time = 0; time < 2; time += 1) {
    await acceptTurn(anIncomingTurn({ attachments }), { ...parts, parseTurn });
  }
  expect(amended).toEqual([]);
});
