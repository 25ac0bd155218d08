import { expect, it } from "vitest";
import { aFile, aQuestion, ask, newConversation, noAbort, openPair } from "./coze-kit.ts";

const PLAN = { chatPerSecond: 20, uploadPerSecond: 10, pollPerSecond: 1 };

it("begins no more chats in any second than the plan allows, and asks all", async () => {
  const limits = { ...PLAN, chatPerSecond: 6 };
  await using pair = await openPair({ switches: { limits }, chatsPerSecond: 6 });
  const all = await Promise.all(
    Array.from({ length: 15 }, async () => {
      const conversationId = await newConversation(pair);
      return ask(pair.source, aQuestion({ conversationId }));
    }),
  );
  expect(all.map(({ error }) => error)).toEqual(all.map(() => undefined));
});

it("uploads no more files in any second than any plan allows", async () => {
  await using pair = await openPair({ switches: { limits: PLAN } });
  await using file = await aFile("%PDF-1.7 pages");
  const uploads = Array.from({ length: 15 }, () =>
    pair.client.files.upload(file, { name: "pages.pdf", signal: noAbort() }),
  );
  expect(new Set((await Promise.all(uploads)).map(({ fileId }) => fileId)).size).toBe(15);
});

it("looks at one chat once a second, at many at once", async () => {
  await using pair = await openPair({ switches: { limits: PLAN } });
  const conversationId = await newConversation(pair);
  const chats = [];
  for (let count = 0; count < 3; count += 1) {
    const { state } = await ask(pair.source, aQuestion({ conversationId }));
    chats.push({ conversationId, chatId: state.chatId ?? "" });
  }
  const looks = [...chats, ...chats].map((chat) => pair.client.chats.retrieve(chat, { signal: noAbort() }));
  expect((await Promise.all(looks)).map(({ status }) => status)).toEqual(looks.map(() => "completed"));
});

it("lets the others wait where one was told that Coze is busy", async () => {
  const limits = { ...PLAN, chatPerSecond: 1 };
  await using pair = await openPair({ switches: { limits, retryAfterSeconds: 1 } });
  const conversationId = await newConversation(pair);
  const errors = [];
  for (let count = 0; count < 3; count += 1) {
    errors.push((await ask(pair.source, aQuestion({ conversationId }))).error);
  }
  expect(errors).toEqual([undefined, expect.objectContaining({ code: "COZE_BUSY" }), undefined]);
});

it("stops waiting when nobody wants the answer any more", async () => {
  await using pair = await openPair({ chatsPerSecond: 1 });
  await ask(pair.source, aQuestion({ conversationId: await newConversation(pair) }));
  const controller = new AbortController();
  const asked = ask(pair.source, aQuestion(), controller.signal);
  const reason = new Error("not wanted any more");
  controller.abort(reason);
  expect((await asked).error).toBe(reason);
});
