import { describe, expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import type { CozeSwitches } from "../../sandbox/coze/switches.ts";
import { answerMarkdown, EMPTY_ANSWER, reduceAnswer } from "../../src/core/answer-state.ts";
import { aQuestion, type CozePair, newConversation, noAbort, openPair } from "./coze-kit.ts";

const signal = noAbort();
/** Slow enough to be met in the middle, short enough for a test. */
const SLOW = { firstDeltaMs: 30, deltaMs: 30 };

/** Asks, and goes away as soon as Coze has the question. */
async function askAndVanish(
  { source, coze }: CozePair,
  conversationId: string,
  text: string,
): Promise<string> {
  const gone = new AbortController();
  const turnId = `turn:${text}#r0`;
  const asked = Array.fromAsync(
    source.ask(aQuestion({ conversationId, text, turnId }), { signal: gone.signal }),
  );
  asked.catch(() => undefined);
  await expect.poll(() => coze.chats.length, { interval: 2 }).toBeGreaterThan(0);
  gone.abort();
  await expect(asked).rejects.toThrow();
  return turnId;
}

async function followed({ source }: CozePair, conversationId: string, chatId: string): Promise<string> {
  let answer = EMPTY_ANSWER;
  for await (const event of source.follow({ conversationId, chatId }, { signal, timeoutMs: 20_000 })) {
    answer = reduceAnswer(answer, event);
  }
  expect(answer.status).toBe("completed");
  return answerMarkdown(answer);
}

describe("§22.32 a chat whose reader went away", () => {
  it("is found by its turn id while it runs, and followed to its end", async () => {
    await using pair = await openPair({ pace: SLOW });
    const conversationId = await newConversation(pair);
    const turnId = await askAndVanish(pair, conversationId, "weather");
    const chatId = await pair.source.findChat({ conversationId, turnId }, { signal });
    expect(chatId).toBe(pair.coze.chats[0]?.id);
    expect(await followed(pair, conversationId, chatId ?? "")).toBe(expectedAnswer({ text: "weather" }));
  });

  it.each<Partial<CozeSwitches>>([
    { runningQuestionListed: false },
    { questionHasChatId: false },
    { runningQuestionListed: false, questionHasChatId: false },
  ])("is found once it has ended, with %j", async (switches) => {
    await using pair = await openPair({ pace: SLOW, switches });
    const conversationId = await newConversation(pair);
    const turnId = await askAndVanish(pair, conversationId, "hello");
    const find = (): Promise<string | undefined> =>
      pair.source.findChat({ conversationId, turnId }, { signal });
    if (switches.runningQuestionListed === false) expect(await find()).toBeUndefined();
    await expect.poll(find).toBe(pair.coze.chats[0]?.id);
    expect(await followed(pair, conversationId, pair.coze.chats[0]?.id ?? "")).toBe(
      expectedAnswer({ text: "hello" }),
    );
  });

  it("is not mistaken for another turn's", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    await Array.fromAsync(pair.source.ask(aQuestion({ conversationId, turnId: "turn:1#r0" }), { signal }));
    expect(await pair.source.findChat({ conversationId, turnId: "turn:1#r1" }, { signal })).toBeUndefined();
    expect(await pair.source.findChat({ conversationId, turnId: "turn:1#r0" }, { signal })).toBeDefined();
  });

  it("is found behind more messages than one page holds", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    for (let turn = 0; turn < 30; turn += 1) {
      await Array.fromAsync(
        pair.source.ask(aQuestion({ conversationId, turnId: `turn:${turn}#r0` }), { signal }),
      );
    }
    const chatId = await pair.source.findChat({ conversationId, turnId: "turn:0#r0" }, { signal });
    expect(chatId).toBe(pair.coze.chats[0]?.id);
  });

  it("that fails is told as failed, and thrown as its error", async () => {
    await using pair = await openPair({ pace: SLOW });
    const conversationId = await newConversation(pair);
    await askAndVanish(pair, conversationId, "chat fail 4011");
    const chatId = pair.coze.chats[0]?.id ?? "";
    await expect(followed(pair, conversationId, chatId)).rejects.toMatchObject({ code: "COZE_QUOTA" });
  });

  it.each([
    ["no page", { status: 404, body: "<html>no such page</html>" }],
    ["another address", { status: 302, headers: { location: "https://elsewhere.example/" }, body: "" }],
  ])("is not taken for lost where only a gateway says so: %s", async (_, answer) => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const turnId = await askAndVanish(pair, conversationId, "hello");
    const chatId = pair.coze.chats[0]?.id ?? "";
    pair.coze.faults.plan("GET /v3/chat/retrieve", { do: "answer", ...answer });
    expect(await followed(pair, conversationId, chatId)).toBe(expectedAnswer({ text: "hello" }));
    const said = { code: "COZE_UNREACHABLE", retryable: true };
    pair.coze.faults.plan(/message\/list/, { do: "answer", ...answer }, 1);
    await expect(followed(pair, conversationId, chatId)).rejects.toMatchObject(said);
    pair.coze.faults.plan(/message\/list/, { do: "answer", ...answer }, 1);
    await expect(pair.source.findChat({ conversationId, turnId }, { signal })).rejects.toMatchObject(said);
  });

  it("that does not end is given up in time, and an abort is passed on", async () => {
    await using pair = await openPair({ pace: SLOW });
    const conversationId = await newConversation(pair);
    await askAndVanish(pair, conversationId, "silence");
    const chat = { conversationId, chatId: pair.coze.chats[0]?.id ?? "" };
    const given = Array.fromAsync(pair.source.follow(chat, { signal, timeoutMs: 0 }));
    await expect(given).rejects.toMatchObject({ code: "COZE_TIMEOUT" });
    const stop = new AbortController();
    const stopped = Array.fromAsync(pair.source.follow(chat, { signal: stop.signal, timeoutMs: 60_000 }));
    stopped.catch(() => undefined);
    const polls = (): number =>
      pair.coze.traffic.exchanges.filter(({ name }) => name === "GET /v3/chat/retrieve").length;
    await expect.poll(polls).toBe(2);
    stop.abort(new Error("stopped by us"));
    await expect(stopped).rejects.toThrow("stopped by us");
  });
});
