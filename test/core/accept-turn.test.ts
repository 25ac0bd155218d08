import { expect, it } from "vitest";
import { acceptTurn } from "../../src/core/accept-turn.ts";
import type { NewTurn } from "../../src/core/ports.ts";
import type { Turn } from "../../src/core/turn.ts";
import { createLog } from "../../src/log.ts";
import { anIncomingTurn } from "../make.ts";
import { MemoryStore } from "./platform-double.ts";

function anIntake() {
  const enqueued: NewTurn[] = [];
  const turns: Turn[] = [];
  const store = new MemoryStore();
  const parts = {
    store,
    queue: {
      enqueue: (turn: NewTurn) => {
        enqueued.push(turn);
        return Promise.resolve({ id: "1", duplicate: false, ahead: 0 });
      },
    },
    log: createLog({ level: "silent", secrets: [] }),
    toReference: () => "K7Q2FM",
    toPayload: (turn: Turn) => {
      turns.push(turn);
      return turn.id;
    },
    route: () => ({ botId: "42" }),
    acceptDeadlineMs: 2_000,
  };
  return { enqueued, turns, store, parts };
}

it("stores the turn under its platform message, in its conversation's lane, with route and reference frozen in", async () => {
  const { enqueued, turns, parts } = anIntake();
  const incoming = anIncomingTurn();
  await acceptTurn(incoming, parts);
  expect(enqueued).toEqual([
    { key: incoming.dedupeKey, conversation: incoming.conversation, payload: incoming.id },
  ]);
  expect(turns[0]).toMatchObject({ v: 1, reference: "K7Q2FM", route: { botId: "42" } });
  expect(turns[0]).not.toHaveProperty("dedupeKey");
  expect(turns[0]).not.toHaveProperty("continues");
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
