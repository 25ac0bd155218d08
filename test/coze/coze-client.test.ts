import { expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import { aQuestion, ask, newConversation, openPair } from "./coze-kit.ts";

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
