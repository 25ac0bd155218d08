import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import { Gates } from "../../src/core/gate.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../src/coze/coze-client.ts";
import { aQuestion, ask, CLOCK, KeptLog, newConversation, noAbort, openPair } from "./coze-kit.ts";

it("asks, and yields the answer as it is written", async () => {
  await using pair = await openPair();
  const conversationId = await newConversation(pair);
  const { state, events, error } = await ask(pair.source, aQuestion({ conversationId, text: "Hello 世界" }));
  expect(error).toBeUndefined();
  expect(answerMarkdown(state)).toBe(expectedAnswer({ text: "Hello 世界" }));
  expect(events.filter(({ type }) => type === "delta").length).toBeGreaterThan(1);
  expect(state).toMatchObject({ status: "completed", ended: true, answersFinished: true, conversationId });
  expect(state.followUps).toHaveLength(2);
  expect(state.usage?.total).toBeGreaterThan(0);
});

it("asks again on the same connection some seconds later, where nobody closed it", async () => {
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader("content-type", "application/json").end('{"code":0,"data":{"id":"7"}}');
  });
  // Says nothing of how long it keeps connections, as a balancer.
  server.keepAliveTimeout = 0;
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => {
    server.close();
    await once(server, "close");
  });
  // A listening TCP server has such an address.
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = stack.use(
    createCozeClient({
      ...{ baseUrl, tokens: staticToken("token"), log: new KeptLog() },
      ...{ gates: new Gates(CLOCK), chatsPerSecond: 20 },
    }),
  );
  await client.conversations.create({}, { signal: noAbort() });
  // Longer than the HTTP client keeps one by itself.
  await sleep(5_500);
  await client.conversations.create({}, { signal: noAbort() });
  expect(connections).toBe(1);
});
