import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import type { Feedback } from "../../src/coze/api/feedback.ts";
import type { MessageIds } from "../../src/coze/api/messages.ts";
import { aFile, aQuestion, ask, type CozePair, newConversation, noAbort, openPair } from "./coze-kit.ts";
import { PNG } from "./file-bytes.ts";
import { send } from "./send.ts";

const options = { signal: noAbort() };

/** An answer of a chat. */
async function anAnswer(pair: CozePair): Promise<MessageIds> {
  const conversationId = await newConversation(pair);
  const { state } = await ask(pair.source, aQuestion({ conversationId }));
  return { conversationId, messageId: state.answers[0]?.messageId ?? "" };
}

describe("feedback", () => {
  it("is kept with its reasons and words; the last one counts", async () => {
    await using pair = await openPair();
    const answer = await anAnswer(pair);
    const kept = (): unknown => pair.coze.service.messages.feedback.get(answer.messageId);
    const unlike: Feedback = { type: "unlike", reasons: ["内容有误", "wrong"], comment: "It is 5.0." };
    await pair.client.feedback.create(answer, unlike, options);
    expect(kept()).toEqual(unlike);
    await pair.client.feedback.create(answer, { type: "like" }, options);
    expect(kept()).toEqual({ type: "like", reasons: [], comment: "" });
    await pair.client.feedback.delete(answer, options);
    expect(kept()).toBeUndefined();
  });

  it("is for each answer by itself", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "twice" }));
    const [first = "", second = ""] = state.answers.map(({ messageId }) => messageId);
    await pair.client.feedback.create({ conversationId, messageId: first }, { type: "like" }, options);
    await pair.client.feedback.create({ conversationId, messageId: second }, { type: "unlike" }, options);
    await pair.client.feedback.delete({ conversationId, messageId: first }, options);
    expect([...pair.coze.service.messages.feedback.keys()]).toEqual([second]);
  });

  it("is taken at its limits", async () => {
    await using pair = await openPair();
    const answer = await anAnswer(pair);
    const reasons = Array.from({ length: 10 }, () => "r".repeat(30));
    const feedback: Feedback = { type: "unlike", reasons, comment: "c".repeat(250) };
    await pair.client.feedback.create(answer, feedback, options);
    expect(pair.coze.service.messages.feedback.get(answer.messageId)).toEqual(feedback);
  });

  it.each([
    ["11 reasons", { reasons: Array.from({ length: 11 }, () => "r") }],
    ["a long reason", { reasons: ["r".repeat(31)] }],
    ["an empty reason", { reasons: [""] }],
    ["a long comment", { comment: "🙂".repeat(251) }],
  ])("with %s is not sent", async (_, changes) => {
    await using pair = await openPair();
    const message = { conversationId: "1", messageId: "2" };
    const given = pair.client.feedback.create(message, { type: "unlike", ...changes }, options);
    await expect(given).rejects.toMatchObject({ code: "COZE_BAD_REQUEST", outcome: "refused" });
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });
});

describe("the stand-in takes no feedback", () => {
  const refused = async (pair: CozePair, message: MessageIds, code: number): Promise<void> => {
    const given = pair.client.feedback.create(message, { type: "like" }, options);
    await expect(given).rejects.toMatchObject({ cozeCode: code });
    await expect(pair.client.feedback.delete(message, options)).rejects.toMatchObject({ cozeCode: code });
  };

  it("on questions, on what led to an answer, on what was put in by hand, or on nothing", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    await ask(pair.source, aQuestion({ conversationId, text: "weather" }));
    const message = { role: "assistant", content: "by hand" } as const;
    await pair.client.messages.create(conversationId, message, options);
    const all = await Array.fromAsync(
      pair.client.messages.list({ conversationId, includeMiddle: true, ...options }),
    );
    const others = all.filter(({ kind, chatId }) => kind !== "answer" || chatId === "");
    expect(others).toHaveLength(7);
    for (const { messageId } of others) await refused(pair, { conversationId, messageId }, 4005);
    await refused(pair, { conversationId, messageId: "1" }, 4005);
  });

  it("on answers that are no text", async () => {
    await using pair = await openPair();
    await using file = await aFile(PNG);
    const { fileId } = await pair.client.files.upload(file, { name: "a.png", ...options });
    const answer = await anAnswer(pair);
    const content = [{ type: "text", text: "Look" } as const, { type: "image", fileId } as const];
    await pair.client.messages.update(answer, { content }, options);
    await refused(pair, answer, 4005);
  });

  it.each([
    ["2025-07-10T15:59:59Z", 4005],
    ["2025-07-10T16:00:00Z", 0],
  ])("on answers from before it was there: %s", async (at, code) => {
    await using pair = await openPair({ clock: new VirtualClock(Date.parse(at)) });
    const clock = pair.coze.service;
    const conversationId = await newConversation(pair);
    clock.threads.store(
      // Exists, as it was created one line above.
      clock.threads.all.get(conversationId) ?? expect.fail("no conversation"),
      { role: "assistant", type: "answer", content: "Hi", contentType: "text", metaData: {} },
      { chatId: "1", userId: "u", messageId: "2" },
    );
    const path = `/v1/conversations/${conversationId}/messages/2/feedback`;
    expect((await send(pair, "POST", path, { feedback_type: "like" })).code).toBe(code);
  });

  it.each([
    {},
    { feedback_type: "dislike" },
    { feedback_type: "unlike", reason_types: "wrong" },
    { feedback_type: "unlike", reason_types: Array.from({ length: 11 }, () => "r") },
    { feedback_type: "unlike", reason_types: ["r".repeat(31)] },
    { feedback_type: "unlike", comment: "c".repeat(251) },
  ])("of the form %j", async (body) => {
    await using pair = await openPair();
    const { conversationId, messageId } = await anAnswer(pair);
    const path = `/v1/conversations/${conversationId}/messages/${messageId}/feedback`;
    expect((await send(pair, "POST", path, body)).code).toBe(4000);
    expect(pair.coze.service.messages.feedback.size).toBe(0);
  });
});
