import { describe, expect, it } from "vitest";
import type { AnswerEvent } from "../../src/core/answer-state.ts";
import { answerTurn } from "../../src/core/answer-turn.ts";
import { BridgeError, CozeError, PlatformError } from "../../src/core/errors.ts";
import { type Completion, RetryLater, type Run, RunAborted } from "../../src/core/ports.ts";
import type { Turn } from "../../src/core/turn.ts";
import { createLog } from "../../src/log.ts";
import { aTurn } from "../make.ts";
import { aRun, MemoryPlatform, MemoryStore, type Script, ScriptedSource } from "./platform-double.ts";

const log = createLog({ level: "silent", secrets: [] });
const CREATED: AnswerEvent = { type: "chat", status: "running", chatId: "chat-1", conversationId: "coze-1" };
const COMPLETED: AnswerEvent = {
  type: "chat",
  status: "completed",
  chatId: "chat-1",
  conversationId: "coze-1",
};
const delta = (text: string): AnswerEvent => ({
  type: "delta",
  messageId: "m",
  kind: "answer",
  text,
  reasoning: "",
});
const message = (text: string): AnswerEvent => ({
  type: "message",
  messageId: "m",
  kind: "answer",
  contentType: "text",
  text,
  reasoning: "",
});
const ANSWER: Script = { events: [CREATED, delta("Hel"), delta("lo"), message("Hello!"), COMPLETED] };

function aBridge(...scripts: Script[]) {
  return aBridgeThat({ live: true }, ...scripts);
}

function aBridgeThat({ live }: { live: boolean }, ...scripts: Script[]) {
  const parts = {
    adapter: new MemoryPlatform(),
    source: new ScriptedSource(...scripts),
    store: new MemoryStore(),
  };
  const answerAll = (turns: readonly Turn[], run: Partial<Run> = {}) =>
    answerTurn(turns, aRun(run), {
      ...parts,
      log,
      now: () => 0,
      wallNow: () => 0,
      sleep: () => Promise.resolve(),
      live,
    });
  const answer = (turn: Partial<Turn> = {}, run: Partial<Run> = {}) => answerAll([aTurn(turn)], run);
  return { ...parts, answer, answerAll };
}

describe("a turn", () => {
  it("grows while Coze writes and ends with what Coze says is the answer", async () => {
    const { adapter, answer } = aBridge(ANSWER);
    await answer();
    expect(adapter.shown).toEqual(["", "Hel", "Hello", "Hello!", "Hello!"]);
    expect([adapter.final, adapter.notice]).toEqual(["Hello!", undefined]);
  });

  it("shows at once what comes together", async () => {
    const { adapter, answer } = aBridge({
      events: [CREATED, delta("Hel"), delta("lo"), delta(" you")],
      together: true,
      hangs: true,
    });
    const stop = new AbortController();
    const answered = answer({}, { signal: stop.signal });
    await expect.poll(() => adapter.shown).toEqual(["Hello you"]);
    stop.abort(new RunAborted("lease-lost"));
    await expect(answered).rejects.toThrow();
  });

  it("is shown only when it is complete, if that is wanted", async () => {
    const { adapter, answer } = aBridgeThat({ live: false }, ANSWER);
    await answer();
    expect([adapter.shown, adapter.final]).toEqual([[], "Hello!"]);
  });

  it("says so when the answer was too long to be shown", async () => {
    const { adapter, answer } = aBridge({ events: [CREATED, message("x".repeat(200_000)), COMPLETED] });
    await answer();
    expect(adapter.final).toHaveLength(100_000);
    expect(adapter.notice).toBe("The answer was too long; only its beginning is shown. (K7Q2FM)");
  });

  it("asks as the asker, with its turn id, in the conversation that was created first", async () => {
    const { source, answer } = aBridge(ANSWER);
    await answer({ text: "Hi" });
    expect(source.created).toEqual([aTurn().conversation]);
    expect(source.asked[0]).toEqual({
      botId: "7380000000000000009",
      conversationId: "coze-1",
      userId: aTurn().asker.key,
      turnId: aTurn().id,
      text: "Hi",
      files: [],
      context: [],
    });
  });

  it("asks while it finds out who asks, and says nothing before", async () => {
    const { adapter, source, answer } = aBridge({ events: [CREATED, COMPLETED] });
    const { promise, resolve } = Promise.withResolvers<Pick<Turn, "asker" | "locale">>();
    adapter.completing = promise;
    const told = answer();
    await expect.poll(() => source.asked.length).toBe(1);
    expect(adapter.opened).toEqual([]);
    resolve({ asker: { ...aTurn().asker, name: "Wei" }, locale: "zh" });
    await told;
    expect(adapter.notice).toContain("没有给出回答");
  });

  it("waits for what stands above before it asks", async () => {
    const { adapter, source, answer } = aBridge(ANSWER);
    const { promise, resolve } = Promise.withResolvers<Completion>();
    adapter.completing = promise;
    const told = answer({ belowTalk: true });
    await new Promise(setImmediate);
    expect([adapter.opened, source.asked]).toEqual([[], []]);
    resolve({ quote: { author: "Grace", text: "one" } });
    await told;
    expect(source.asked[0]?.text).toContain("> one");
  });

  it("asks with what is found to stand above, in a quote, and with its files", async () => {
    const { adapter, source, answer } = aBridge(ANSWER);
    adapter.completing = Promise.resolve({
      asker: aTurn().asker,
      locale: "en",
      quote: { author: "Grace", text: "one\ntwo" },
      attachments: [{ id: "7", name: "a.png", url: "" }],
    });
    await answer({ text: "What do you think?", belowTalk: true });
    expect(source.asked[0]?.text).toBe("> Grace:\n> one\n> two\n\nWhat do you think?");
    expect(source.asked[0]?.files).toHaveLength(1);
  });

  it("tells whoever asks next what the question was about", async () => {
    const { adapter, source, answer } = aBridge(ANSWER, ANSWER);
    adapter.completing = Promise.resolve({ quote: { author: "Grace", text: "the report" } });
    await answer({ text: "What do you think?", belowTalk: true });
    adapter.completing = undefined;
    await answer({ text: "And now?", asker: { key: "discord:app:2", name: "Alan" } });
    expect(source.asked[1]?.context[0]?.text).toBe("> Grace:\n> the report\n\nAda: What do you think?");
  });

  it("remembers by their name somebody whom it got to know while Coze was asked", async () => {
    const { adapter, source, answer } = aBridge(ANSWER, ANSWER);
    adapter.completing = Promise.resolve({ asker: { ...aTurn().asker, name: "Wei" }, locale: "zh" });
    await answer({ text: "hello" });
    adapter.completing = undefined;
    await answer({ asker: { key: "discord:app:2", name: "Grace" } });
    expect(source.asked[1]?.context[0]?.text).toBe("Wei: hello");
  });

  it.each([
    ["files", { attachments: [{ id: "1", name: "a.png", url: "" }] }, {}],
    ["a question found late", { late: true }, {}],
    ["another start", {}, { start: 2 }],
  ] as const)("waits with %s until it knows in which language to speak", async (_what, turn, run) => {
    const { adapter, source, answer } = aBridge({ events: [CREATED, delta("Hel"), COMPLETED] });
    const { promise, resolve } = Promise.withResolvers<Pick<Turn, "asker" | "locale">>();
    adapter.completing = promise;
    if ("attachments" in turn) adapter.fetchErrors = [new BridgeError("FILE_GONE", "404")];
    const told = answer(turn, run);
    await new Promise(setImmediate);
    expect([adapter.opened, source.asked]).toEqual([[], []]);
    resolve({ asker: aTurn().asker, locale: "zh" });
    await told;
    if (!("start" in run)) expect(adapter.shownNotices.join()).toMatch(/[\u4e00-\u9fff]/);
  });

  it("reuses the conversation, and takes over the one Coze answers in", async () => {
    const elsewhere = { events: [{ ...CREATED, conversationId: "coze-9" }, message("a"), COMPLETED] };
    const moved = {
      ...elsewhere,
      events: [...elsewhere.events.slice(0, 2), { ...COMPLETED, conversationId: "coze-9" }],
    };
    const { source, answer } = aBridge(ANSWER, moved, ANSWER);
    for (let turns = 0; turns < 3; turns += 1) await answer();
    expect(source.created).toHaveLength(1);
    expect(source.asked.map(({ conversationId }) => conversationId)).toEqual(["coze-1", "coze-1", "coze-9"]);
  });

  it("makes a conversation anew that Coze has forgotten, once", async () => {
    const gone: Script = { error: new CozeError("COZE_CONVERSATION_GONE", "4002") };
    const healed = aBridge(gone, { events: [message("back"), COMPLETED] });
    await healed.answer();
    expect([healed.source.created.length, healed.adapter.final]).toEqual([2, "back"]);
    const lost = aBridge(gone, gone);
    await expect(lost.answer()).rejects.toMatchObject({ code: "COZE_CONVERSATION_GONE" });
    expect(lost.adapter.notice).toContain("no longer exists");
  });

  it("gives the bot the quoted message with its author, as material", async () => {
    const { source, answer } = aBridge(ANSWER);
    await answer({ text: "is that so?", quote: { author: "Grace", text: "It flies.\nReally." } });
    expect(source.asked[0]?.text).toBe("> Grace:\n> It flies.\n> Really.\n\nis that so?");
  });

  it("tells the bot what others said since the asker's last turn", async () => {
    const { source, answer } = aBridge(ANSWER, ANSWER, ANSWER);
    const grace = { key: "discord:app:2", name: "Grace" };
    await answer({ text: "my name is Ada" });
    await answer({ text: "I like ships", asker: grace });
    await answer({ text: "what does Grace like?" });
    expect(source.asked[1]?.context).toEqual([
      { role: "asker", text: "Ada: my name is Ada" },
      { role: "bot", text: "Hello!" },
    ]);
    expect(source.asked[2]?.context).toEqual([
      { role: "asker", text: "Grace: I like ships" },
      { role: "bot", text: "Hello!" },
    ]);
  });

  it("remembers whose conversation its messages belong to", async () => {
    const { store, answer } = aBridge(ANSWER);
    await answer();
    expect(await store.get("msg", "memory:place:1")).toBe(aTurn().conversation);
  });

  it("hands the reply what an earlier attempt saved, and saves what the reply saves", async () => {
    const { adapter, answer } = aBridge(ANSWER);
    await answer({}, { state: { v: 1, reply: { messages: ["77"] } } });
    expect(adapter.opened).toEqual([{ messages: ["77"] }]);
    await answer({}, { state: "from another age" });
    expect(adapter.opened[1]).toBeUndefined();
  });
});

describe("attachments", () => {
  const attachment = (name: string) => ({ id: name, name, url: `https://files.example/${name}` });

  it("go along with the question; one that cannot is named and does not stop the others", async () => {
    const { adapter, source, answer } = aBridge(ANSWER);
    adapter.fetchErrors = [new BridgeError("FILE_TOO_LARGE", "60 MB")];
    await answer({ attachments: [attachment("big.zip"), attachment("cat.png")] });
    expect(source.asked[0]?.files).toEqual([{ fileId: "file-1", kind: "image" }]);
    expect(adapter.notice).toBe("“big.zip” was not sent to the bot: it is too large.");
    expect(adapter.final).toBe("Hello!");
  });

  it("are tried again where that may help, three times in all and not for long", async () => {
    const away = (retryAfterMs?: number) =>
      new CozeError("COZE_BUSY", "4013", {
        retryable: true,
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
    const mended = aBridge(ANSWER);
    mended.adapter.fetchErrors = [away(), away(1_000)];
    await mended.answer({ attachments: [attachment("cat.png")] });
    expect([mended.source.asked[0]?.files.length, mended.adapter.notice]).toEqual([1, undefined]);
    for (const errors of [[away(), away(), away()], [away(60_000)]]) {
      const left = aBridge(ANSWER);
      left.adapter.fetchErrors = [...errors];
      await left.answer({ attachments: [attachment("cat.png")] });
      expect(left.adapter.fetchErrors).toEqual([]);
      expect([left.source.asked[0]?.files.length, left.adapter.final]).toEqual([0, "Hello!"]);
      expect(left.adapter.notice).toContain("“cat.png” was not sent to the bot");
    }
  });

  it.each([
    ["without a word", "", 0, " (K7Q2FM)"],
    ["beside words", "What is it?", 1, ""],
  ])("alone that can't be brought are no question: %s", async (_, text, asked, reference) => {
    const { adapter, source, answer } = aBridge(ANSWER);
    adapter.fetchErrors = [new BridgeError("FILE_TOO_LARGE", "60 MB")];
    await answer({ text, attachments: [attachment("big.zip")] });
    expect(source.asked).toHaveLength(asked);
    expect(adapter.notice).toBe(`“big.zip” was not sent to the bot: it is too large.${reference}`);
    expect(adapter.finishes).toBe(1);
  });

  it("beyond ten are named, in the asker's language", async () => {
    const { adapter, source, answer } = aBridge(ANSWER);
    const attachments = Array.from({ length: 11 }, (_, index) => attachment(`${index}.png`));
    await answer({ attachments, locale: "zh" });
    expect(source.asked[0]?.files).toHaveLength(10);
    expect(adapter.notice).toBe("文件“10.png”没有发给智能体：一次提问最多带 10 个文件。");
  });
});

describe("a turn that fails", () => {
  const busy = new CozeError("COZE_BUSY", "4009", { retryable: true });

  it("is tried again later while Coze certainly took nothing, then tells", async () => {
    const { adapter, answer } = aBridge({ error: busy }, { error: busy });
    await expect(answer({}, { attempt: 1 })).rejects.toBeInstanceOf(RetryLater);
    expect([adapter.abandoned, adapter.final]).toEqual([1, undefined]);
    await expect(answer({}, { attempt: 3 })).rejects.toBe(busy);
    expect(adapter.notice).toBe("Coze is busy right now. Please try again in a minute. (K7Q2FM)");
  });

  it("only tells, and is put away, when its process has died under it again and again", async () => {
    const { adapter, source, answer } = aBridge(ANSWER);
    const told = answer({ locale: "zh" }, { start: 21, suspected: true });
    await expect(told).rejects.toMatchObject({ code: "TURN_KILLS_PROCESS" });
    expect(adapter.notice).toBe(
      "这个问题一再导致桥接服务中断，已放弃回答，请联系这个机器人的维护者。（反馈编号：K7Q2FM）",
    );
    expect(source.asked).toEqual([]);
  });

  it("keeps the half answer and says that it is one, when Coze cannot tell the rest either", async () => {
    const broken = new CozeError("COZE_STREAM_BROKEN", "cut", { retryable: true, outcome: "unknown" });
    const { adapter, source, answer } = aBridge({ events: [CREATED, delta("Once upon")], error: broken });
    source.follows.push({ error: broken });
    const told = answer({ locale: "zh" }, { attempt: 30 });
    await expect(told).rejects.toBe(broken);
    expect(adapter.final).toBe("Once upon");
    expect(adapter.notice).toBe("回答还没写完连接就中断了，请再问一次。（反馈编号：K7Q2FM）");
  });

  it("waits for a Coze that is away where it has the answer, as long as an answer may take", async () => {
    const away = new CozeError("COZE_UNREACHABLE", "away", { retryable: true, outcome: "unknown" });
    const chat = { conversationId: "conversation-1", chatId: "chat-1" };
    const start = async (
      askedAt: number,
      attempt: number,
      known: typeof chat | undefined,
    ): Promise<unknown> => {
      const { source, answer } = aBridge({ error: away });
      source.follows.push({ error: away });
      const asked = { conversationId: "conversation-1", at: askedAt };
      const state = { v: 1, asked, ...(known && { chat: known }) };
      return answer({}, { start: attempt, attempt, state }).catch((error: unknown) => error);
    };
    expect(await start(0, 29, chat)).toBeInstanceOf(RetryLater);
    expect(await start(0, 30, chat)).toBe(away);
    expect(await start(-15 * 60_000, 3, chat)).toBe(away);
    expect(await start(0, 3, undefined)).toBe(away);
  });

  it("has its sentence said by another start where the platform is away, which asks nobody anything", async () => {
    const away = (): PlatformError =>
      new PlatformError("PLATFORM_UNREACHABLE", "503", { platform: "memory", retryable: true });
    const refused = new CozeError("COZE_TIMEOUT", "idle");
    const { adapter, source, answerAll } = aBridge({ events: [CREATED], error: refused }, ANSWER);
    adapter.finishErrors = [away()];
    const run = aRun();
    const start = (more: Partial<Run>): Promise<unknown> =>
      answerAll([aTurn()], { ...run, ...more }).catch((error: unknown) => error);
    expect(await start({})).toBeInstanceOf(RetryLater);
    expect(await start({ start: 2, attempt: 2, state: run.saved.at(-1) })).toMatchObject({
      code: "COZE_TIMEOUT",
    });
    expect(adapter.notice).toContain("took too long");
    expect(source.asked).toHaveLength(1);
  });

  it("does not insist on the sentence that it was stopped, since a stopped turn is started again at once", async () => {
    const { adapter, answer } = aBridge(ANSWER);
    const away = new PlatformError("PLATFORM_UNREACHABLE", "503", { platform: "memory", retryable: true });
    const controller = new AbortController();
    controller.abort(new RunAborted("cancelled"));
    adapter.finishErrors = [away, away];
    await expect(answer({}, { attempt: 3, signal: controller.signal })).rejects.toBe(away);
  });

  it("says so when the bot says nothing, wants a tool, or was stopped at Coze", async () => {
    const nothing = aBridge({ events: [CREATED, COMPLETED] });
    await nothing.answer();
    expect(nothing.adapter.notice).toContain("nothing to say");
    const pending = [{ id: "1", kind: "function" as const, name: "stock", input: "" }];
    const tool = aBridge({ events: [{ ...CREATED, status: "requires_action", pending }] });
    await tool.answer();
    expect(tool.adapter.notice).toContain("a tool");
    const half = aBridge({
      events: [CREATED, message("Let me look."), { type: "chat", status: "requires_action", pending }],
    });
    await half.answer();
    expect([half.adapter.final, half.adapter.notice]).toEqual([
      "Let me look.",
      expect.stringContaining("a tool"),
    ]);
    const stopped = aBridge({ events: [delta("half"), { type: "chat", status: "canceled" }] });
    await stopped.answer();
    expect([stopped.adapter.final, stopped.adapter.notice]).toEqual([
      "half",
      "This answer was stopped. (K7Q2FM)",
    ]);
  });

  it("cancels at Coze what took too long", async () => {
    const { source, answer } = aBridge({ events: [CREATED], error: new CozeError("COZE_TIMEOUT", "idle") });
    await expect(answer()).rejects.toMatchObject({ code: "COZE_TIMEOUT" });
    expect(source.canceled).toEqual(["chat-1"]);
  });

  it("ends in a sentence even for an error nobody thought of", async () => {
    const { adapter, answer } = aBridge({ error: new TypeError("x is undefined") });
    await expect(answer()).rejects.toBeInstanceOf(TypeError);
    expect(adapter.notice).toBe("Something went wrong on our side. Please try again. (K7Q2FM)");
  });

  it("is answered again into the same messages when the platform could not be reached", async () => {
    const { adapter, answer } = aBridge(ANSWER, ANSWER);
    const away = () =>
      new PlatformError("PLATFORM_UNREACHABLE", "503", { platform: "memory", retryable: true });
    adapter.finishErrors = [away(), away()];
    await expect(answer()).rejects.toBeInstanceOf(RetryLater);
    await expect(answer({}, { attempt: 30 })).rejects.toBeInstanceOf(PlatformError);
  });

  it.each([
    ["while Coze writes on", { events: [CREATED, delta("Once")], hangs: true }],
    ["as Coze has written all", { events: [CREATED, delta("Once"), message("Once."), COMPLETED] }],
  ])(
    "asks Coze no further when nothing can be shown any more, and ends the reply once, %s",
    async (_, script) => {
      const { adapter, source, answer } = aBridge(script);
      adapter.over = new PlatformError("PLATFORM_GONE", "10008", { platform: "memory" });
      await expect(answer()).rejects.toMatchObject({ code: "PLATFORM_GONE" });
      expect(source.canceled).toEqual(["chat-1"]);
      expect(adapter.finishes).toBe(1);
      expect(adapter.final).toBeUndefined();
    },
  );

  it.each([
    [
      "with what there is and a sentence, while Coze writes on",
      { events: [CREATED, delta("Once")], hangs: true },
      "Once",
      "The bot took too long to answer. Please try again. (K7Q2FM)",
    ],
    [
      "whole, as Coze has written all",
      { events: [CREATED, delta("Once"), message("Once."), COMPLETED] },
      "Once.",
      undefined,
    ],
  ])("ends where its reply has to end in time: %s", async (_, script, text, notice) => {
    const { adapter, source, answer } = aBridge(script);
    adapter.over = new BridgeError("COZE_TIMEOUT", "the command's time is nearly over");
    await answer().catch((error: unknown) => expect(error).toBe(adapter.over));
    expect([adapter.final, adapter.notice, adapter.finishes]).toEqual([text, notice, 1]);
    expect(source.canceled).toEqual(["chat-1"]);
  });

  it("asks Coze no further when the place turns out to be lost while it is asked", async () => {
    const { adapter, source, answer } = aBridge({ events: [CREATED, delta("Once")], hangs: true });
    adapter.completing = Promise.resolve({ asker: aTurn().asker, locale: "en" });
    adapter.openErrors = [new PlatformError("PLATFORM_PERMISSION", "50013", { platform: "memory" })];
    await expect(answer()).rejects.toMatchObject({ code: "PLATFORM_PERMISSION" });
    expect(source.asked).toHaveLength(1);
    expect(adapter.finishes).toBe(0);
  });

  it("becomes a dead letter when its place is gone, since nobody can be told there", async () => {
    const { adapter, source, answer } = aBridge(ANSWER);
    adapter.openErrors = [new PlatformError("PLATFORM_GONE", "10003", { platform: "memory" })];
    await expect(answer()).rejects.toMatchObject({ code: "PLATFORM_GONE" });
    expect(source.asked).toEqual([]);
  });
});

describe("a turn that is started again", () => {
  const asked = { conversationId: "coze-1", at: 0 };
  const chat = { conversationId: "coze-1", chatId: "chat-1" };
  const unknown = () => new CozeError("COZE_UNREACHABLE", "reset", { retryable: true, outcome: "unknown" });
  const done = { events: [message("the stored answer"), COMPLETED] };

  it("saves each step before the effect that follows it", async () => {
    const { answer } = aBridge(ANSWER);
    const run = aRun();
    await answerWith(answer, run);
    expect(run.saved).toEqual([
      { v: 1, asked },
      { v: 1, asked, chat },
      { v: 1, asked, chat, done: { messageKeys: ["memory:place:1"] } },
    ]);
  });

  it.each([true, false])("ends as the start did that told its asker and died: buried: %s", async (bury) => {
    const { answer } = aBridge();
    const telling = { code: "COZE_FAILED" as const, bury };
    const state = { v: 1, asked, telling, done: { messageKeys: ["memory:place:1"] } };
    const ended = await answer({}, { start: 2, state }).catch((error: unknown) => error);
    expect(ended instanceof BridgeError ? ended.code : ended).toBe(bury ? "COZE_FAILED" : undefined);
  });

  it("gives a chat no longer than an answer may take, whatever the clock says", async () => {
    const { source, answer } = aBridge();
    source.follows.push(done);
    await answer({}, { start: 2, state: { v: 1, asked: { ...asked, at: 30 * 86_400_000 }, chat } });
    expect(source.patience).toEqual([15 * 60_000]);
  });

  it("that was stopped says so later where its reply can't be opened now, and stops Coze at once", async () => {
    const { adapter, source, answer } = aBridge();
    const away = new PlatformError("PLATFORM_UNREACHABLE", "503", { platform: "memory", retryable: true });
    adapter.openErrors = [away];
    const controller = new AbortController();
    controller.abort(new RunAborted("cancelled"));
    const run = { start: 2, state: { v: 1, asked, chat }, signal: controller.signal };
    await expect(answer({}, run)).rejects.toBeInstanceOf(RetryLater);
    expect(source.canceled).toEqual(["chat-1"]);
    source.follows.push({ hangs: true });
    await answer({}, run);
    expect(adapter.notice).toBe("This answer was stopped. (K7Q2FM)");
  });

  it("follows the chat it knows instead of asking again", async () => {
    const { adapter, source, answer } = aBridge();
    source.follows.push(done);
    await answer({}, { start: 2, state: { v: 1, asked, chat, reply: { messages: ["77"] } } });
    expect([source.asked, source.followed, adapter.final]).toEqual([[], ["chat-1"], "the stored answer"]);
    expect(adapter.opened).toEqual([{ messages: ["77"] }]);
  });

  it("looks for a question that may have arrived, more than once, before it asks again", async () => {
    const listed = aBridge();
    listed.source.found.push(undefined, "chat-1");
    listed.source.follows.push(done);
    await listed.answer({}, { start: 2, state: { v: 1, asked } });
    expect([listed.source.asked.length, listed.source.looked.length, listed.adapter.final]).toEqual([
      0,
      2,
      "the stored answer",
    ]);
    const lost = aBridge(ANSWER);
    await lost.answer({}, { start: 2, state: { v: 1, asked } });
    expect([lost.source.asked.length, lost.source.looked.length, lost.adapter.final]).toEqual([
      1,
      3,
      "Hello!",
    ]);
  });

  it("looks once for a chat of a start whose checkpoint may be lost, and asks where it cannot look", async () => {
    const found = aBridge();
    found.source.found.push("chat-1");
    found.source.follows.push(done);
    await found.answer({}, { start: 2 });
    expect([found.source.asked.length, found.adapter.final]).toEqual([0, "the stored answer"]);
    const none = aBridge(ANSWER);
    await none.answer({}, { start: 2 });
    expect([none.source.asked.length, none.source.looked.length]).toEqual([1, 1]);
    const blind = aBridge(ANSWER);
    blind.source.found.push(new CozeError("COZE_PERMISSION", "4101"));
    await blind.answer({}, { start: 2 });
    expect([blind.source.asked.length, blind.adapter.final]).toEqual([1, "Hello!"]);
    const retried = aBridge(ANSWER);
    await retried.answer({}, { start: 2, attempt: 2 });
    expect([retried.source.asked.length, retried.source.looked.length]).toEqual([1, 0]);
  });

  it("asks anew when Coze does not know the chat any more, or the chat failed", async () => {
    const lost = aBridge(ANSWER);
    lost.source.follows.push({ error: new CozeError("COZE_NOT_FOUND", "4001") });
    await lost.answer({}, { start: 2, state: { v: 1, asked, chat } });
    expect([lost.source.asked.length, lost.adapter.final]).toEqual([1, "Hello!"]);
    const failed = aBridge();
    const run = aRun({ state: { v: 1, asked, chat } });
    const FAILED: AnswerEvent = { ...COMPLETED, status: "failed" };
    failed.source.follows.push({
      events: [FAILED],
      error: new CozeError("COZE_BUSY", "5000", { retryable: true }),
    });
    await expect(answerWith(failed.answer, run)).rejects.toBeInstanceOf(RetryLater);
    expect(run.saved.at(-1)).toEqual({ v: 1 });
  });

  it("shows nothing again when the answer stood already", async () => {
    const { adapter, source, store, answer } = aBridge();
    await answer({}, { start: 2, state: { v: 1, done: { messageKeys: ["memory:place:1"] } } });
    expect([source.asked, adapter.opened]).toEqual([[], []]);
    expect(await store.get("msg", "memory:place:1")).toBe(aTurn().conversation);
  });

  it("leaves a checkpoint of a newer bridge to that bridge", async () => {
    const { adapter, answer } = aBridge();
    await expect(answer({}, { state: { v: 2 } })).rejects.toMatchObject({
      name: "RetryLater",
      counts: false,
    });
    expect(adapter.opened).toEqual([]);
  });

  it("does not bring files twice, and still says which one did not go along", async () => {
    const { adapter, source, answer } = aBridge(ANSWER);
    const brought = { files: [{ fileId: "f-9", kind: "image" }], notices: ["“b.zip” was not sent."] };
    const attachments = [{ id: "a", name: "a.png", url: "https://files.example/a" }];
    await answer({ attachments }, { start: 2, state: { v: 1, brought } });
    expect(source.asked[0]?.files).toEqual(brought.files);
    expect(adapter.notice).toBe("“b.zip” was not sent.");
  });

  it("finishes a stream that breaks from what Coze stored, without a restart", async () => {
    const cut = new CozeError("COZE_STREAM_BROKEN", "cut", { retryable: true, outcome: "unknown" });
    const { adapter, source, answer } = aBridge({ events: [CREATED, delta("the sto")], error: cut });
    source.follows.push({ events: [message("the stored answer"), COMPLETED] });
    await answer();
    expect([source.asked.length, adapter.final, adapter.notice]).toEqual([1, "the stored answer", undefined]);
  });

  it("looks for its question when the connection broke before the chat had an id, and tells if it is nowhere", async () => {
    const found = aBridge({ error: unknown() });
    found.source.found.push("chat-1");
    found.source.follows.push(done);
    await found.answer();
    expect([found.source.asked.length, found.adapter.final]).toEqual([1, "the stored answer"]);
    const nowhere = aBridge({ error: unknown() });
    await expect(nowhere.answer({}, { attempt: 1 })).rejects.toBeInstanceOf(RetryLater);
    expect(nowhere.source.looked).toHaveLength(3);
  });

  it("adopts the chat that occupies the conversation when it is its own, else waits for it", async () => {
    const occupied = () => new CozeError("COZE_OCCUPIED", "4016", { retryable: true });
    const own = aBridge({ error: occupied() });
    own.source.found.push(undefined, undefined, undefined, "chat-1");
    own.source.follows.push(done);
    await own.answer({}, { start: 2, state: { v: 1, asked } });
    expect([own.source.asked.length, own.adapter.final]).toEqual([1, "the stored answer"]);
    const foreign = aBridge({ error: occupied() });
    const run = aRun({ attempt: 12 });
    await expect(answerWith(foreign.answer, run)).rejects.toBeInstanceOf(RetryLater);
    expect(foreign.source.looked).toEqual([]);
    expect(run.saved.at(-1)).toEqual({ v: 1 });
  });

  it("marks the answer to a question that was asked while nobody listened", async () => {
    const { adapter, answer } = aBridge(ANSWER);
    await answer({ late: true });
    // Before the first letter it would look like the whole answer.
    expect([adapter.shown[0], adapter.shownNotices[0]]).toEqual(["", undefined]);
    expect(adapter.shownNotices[1]).toContain("late answer");
    expect([adapter.final, adapter.notice]).toEqual([
      "Hello!",
      "The bridge was away when you asked; this is a late answer.",
    ]);
  });
});

/** Answers with a run of which the test wants to see what was saved. */
async function answerWith(
  answer: (turn: Partial<Turn>, run: Partial<Run>) => Promise<void>,
  run: ReturnType<typeof aRun>,
): Promise<void> {
  await answer({}, run);
}

describe("an aborted turn", () => {
  const abortedWhile = async (why: RunAborted["why"]) => {
    const bridge = aBridge({ events: [CREATED, delta("Once")], hangs: true });
    const controller = new AbortController();
    const ended = bridge.answer({}, { signal: controller.signal });
    await expect.poll(() => bridge.adapter.shown.at(-1)).toBe("Once");
    controller.abort(new RunAborted(why));
    return { ...bridge, ended };
  };

  it("is stopped at Coze first, then says so", async () => {
    const { adapter, source, ended } = await abortedWhile("cancelled");
    await ended;
    expect(source.canceled).toEqual(["chat-1"]);
    expect([adapter.final, adapter.notice]).toEqual(["Once", "This answer was stopped. (K7Q2FM)"]);
  });

  it("leaves everything to the next start when it is handed over or lost", async () => {
    for (const why of ["handover", "lease-lost"] as const) {
      const { adapter, source, ended } = await abortedWhile(why);
      await expect(ended).rejects.toMatchObject({ name: "RunAborted", why });
      expect([adapter.abandoned, adapter.final, source.canceled]).toEqual([1, undefined, []]);
    }
  });
});

describe("a changed question", () => {
  const question = "discord:app:channel:1";
  const redo = (changes: Partial<Turn> = {}): Partial<Turn> => ({
    id: `${question}#r1`,
    reference: "R1R1R1",
    text: "Hello again",
    editedAt: 1,
    ...changes,
  });
  /** What the first reply saved stands in the checkpoint from its start. */
  const started: Partial<Run> = { state: { v: 1, reply: { messages: ["1", "2"] } } };

  it("is asked as what it says now, in the messages of its earlier answer", async () => {
    const { adapter, source, answer } = aBridge(ANSWER, ANSWER);
    await answer({ id: `${question}#r0` }, started);
    await answer(redo());
    expect(adapter.taken).toEqual([undefined, { messages: ["1", "2"] }]);
    expect(source.asked.at(-1)).toMatchObject({ turnId: `${question}#r1`, text: "Hello again" });
  });

  it("goes on in what its own attempt saved, and hands that to the next", async () => {
    const { adapter, answer } = aBridge(ANSWER, ANSWER, ANSWER);
    await answer({ id: `${question}#r0` }, started);
    await answer(redo(), { start: 2, state: { v: 1, reply: { messages: ["1"] } } });
    await answer(redo({ id: `${question}#r2`, text: "third" }));
    expect(adapter.opened[1]).toEqual({ messages: ["1"] });
    expect(adapter.taken.at(-1)).toEqual({ messages: ["1"] });
  });

  it("that was one of a burst is asked together with the rest of it", async () => {
    const { source, adapter, answer, answerAll } = aBridge(ANSWER, ANSWER, ANSWER);
    const other = "discord:app:channel:2";
    const burst = [
      aTurn({ id: `${question}#r0`, text: "first half," }),
      aTurn({ id: `${other}#r0`, text: "secnod half." }),
    ];
    await answerAll(burst, started);
    await answer({ id: `${other}#r1`, text: "second half.", editedAt: 1 });
    await answer({ id: `${question}#r1`, text: "First half,", editedAt: 2 });
    expect(source.asked.map(({ turnId, text }) => [turnId, text])).toEqual([
      [`${question}#r0`, "first half,\nsecnod half."],
      [`${other}#r1`, "first half,\nsecond half."],
      [`${question}#r1`, "First half,\nsecond half."],
    ]);
    expect(adapter.taken.slice(1)).toEqual([{ messages: ["1", "2"] }, { messages: ["1", "2"] }]);
  });

  it("that says what was answered already is left alone, unless that had failed", async () => {
    const failed: Script = { error: new CozeError("COZE_REFUSED", "no", { outcome: "refused" }) };
    const { source, answer } = aBridge(failed, ANSWER);
    await answer({ id: `${question}#r0`, text: "Hello" }).catch(() => undefined);
    await answer(redo({ text: "Hello" }));
    expect(source.asked).toHaveLength(2);
    await answer(redo({ id: `${question}#r2`, text: "Hello", editedAt: 2 }));
    expect(source.asked).toHaveLength(2);
  });

  it("that says what a dead start failed to answer is asked again", async () => {
    const { source, answer } = aBridge(ANSWER);
    const telling = { code: "COZE_REFUSED" as const, bury: false };
    const state = { v: 1, telling, done: { messageKeys: ["memory:place:1"] } };
    await answer({ id: `${question}#r0`, text: "Hello" }, { start: 2, state });
    await answer(redo({ text: "Hello" }));
    expect(source.asked).toHaveLength(1);
  });

  it("that is cancelled before it was asked leaves the earlier answer as it is", async () => {
    const { adapter, answer } = aBridge(ANSWER);
    await answer({ id: `${question}#r0` }, started);
    const controller = new AbortController();
    controller.abort(new RunAborted("cancelled"));
    await answer(redo(), { signal: controller.signal });
    expect(adapter.opened).toHaveLength(1);
  });

  it("replaces what others are told of it", async () => {
    const { source, answer } = aBridge(ANSWER, ANSWER, ANSWER);
    await answer({ id: `${question}#r0`, text: "wrong" }, started);
    await answer(redo({ text: "right" }));
    await answer({ id: "discord:app:channel:3#r0", asker: { key: "grace", name: "Grace" } });
    expect(source.asked.at(-1)?.context.map(({ text }) => text)).toEqual(["Ada: right", "Hello!"]);
  });
});
