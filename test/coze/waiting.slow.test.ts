import { expect, it } from "vitest";
import { STAND_IN_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import type { ChatRequest } from "../../src/coze/chat-request.ts";
import { type CozePair, errorOf, noAbort, openPair } from "./coze-kit.ts";

const LOOK = "GET /v3/chat/retrieve";
const AWAY = { do: "answer", status: 502 } as const;
const PATIENCE = { signal: noAbort(), timeoutMs: 60_000 };
const CHAT: ChatRequest = {
  botId: STAND_IN_BOT,
  userId: "user-1",
  messages: [{ role: "user", content: "Hello" }],
};
/** Not over within a test. */
const SLOW = { firstDeltaMs: 60_000, deltaMs: 60_000 };

function looksIn({ coze }: CozePair): number {
  return coze.traffic.exchanges.filter(({ name }) => name === LOOK).length;
}

it("waits for a chat although three looks in a row fail", async () => {
  await using pair = await openPair();
  pair.coze.faults.plan(LOOK, AWAY, 3);
  expect((await pair.client.chats.ask(CHAT, PATIENCE)).chat.status).toBe("completed");
  expect(looksIn(pair)).toBe(4);
});

it("gives up when a fourth fails, and cancels the chat", async () => {
  await using pair = await openPair({ pace: SLOW });
  pair.coze.faults.plan(LOOK, AWAY, 10);
  expect(await errorOf(pair.client.chats.ask(CHAT, PATIENCE))).toMatchObject({ httpStatus: 502 });
  expect(looksIn(pair)).toBe(4);
  expect(pair.coze.chats.map(({ status }) => status)).toEqual(["canceled"]);
});

it("gives up at once when Coze wants to be left alone for long", async () => {
  await using pair = await openPair({ pace: SLOW });
  pair.coze.faults.plan(LOOK, { ...AWAY, headers: { "retry-after": "3600" } });
  expect(await errorOf(pair.client.chats.ask(CHAT, PATIENCE))).toMatchObject({ retryAfterMs: 3_600_000 });
  expect(looksIn(pair)).toBe(1);
});
