import { describe, expect, it } from "vitest";
import { expectedAnswer } from "../../sandbox/coze/bot.ts";
import { type CozeStandInOptions, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import { afterFailure } from "../../src/core/after-failure.ts";
import { answerMarkdown, EMPTY_ANSWER, reduceAnswer } from "../../src/core/answer-state.ts";
import { askCoze } from "../../src/core/ask-coze.ts";
import { Checkpoint } from "../../src/core/checkpoint.ts";
import type { Json } from "../../src/core/json.ts";
import type { Question } from "../../src/core/ports.ts";
import { type Asked, aQuestion, type CozePair, newConversation, noAbort, openPair } from "./coze-kit.ts";

const signal = noAbort();
/** Slow enough to be met in the middle, short enough for a test. */
const SLOW = { firstDeltaMs: 30, deltaMs: 30 };

function openStudio(settings: CozeStandInOptions = {}): Promise<CozePair> {
  return openPair({ ...settings, flavor: "studio" });
}

/** A turn's question, asked as the bridge asks it; its checkpoint outlives the process. */
class AskedTurn {
  saved: Json | undefined;
  readonly #pair: CozePair;
  readonly #question: Question;

  constructor(pair: CozePair, question: Question) {
    this.#pair = pair;
    this.#question = question;
  }

  /** One start of the turn, until its end or until the process dies. */
  async start(died: AbortSignal = signal): Promise<Asked> {
    const checkpoint = new Checkpoint({
      state: this.saved,
      save: async (state) => {
        this.saved = state;
      },
    });
    const { source, log } = this.#pair;
    const events: Asked["events"][number][] = [];
    const onEvent = (event: Asked["events"][number]): void => void events.push(event);
    const clock = { wallNow: Date.now, sleep: async () => undefined };
    const parts = { source, checkpoint, log, ...clock, mayBeAsked: false, onEvent };
    let error: unknown;
    try {
      const { conversationId } = this.#question;
      await askCoze(conversationId, async () => this.#question, parts, died);
    } catch (caught) {
      error = caught;
    }
    return { events, state: events.reduce(reduceAnswer, EMPTY_ANSWER), error };
  }
}

async function turnIn(pair: CozePair, changes: Partial<Question>): Promise<AskedTurn> {
  return new AskedTurn(pair, aQuestion({ conversationId: await newConversation(pair), ...changes }));
}

describe("§22.32 a question to a self-hosted Coze Studio whose asker died", () => {
  /** Dies before it heard anything: what is known is only that the question was about to be sent. */
  async function die(pair: CozePair, turn: AskedTurn): Promise<void> {
    pair.coze.faults.plan("POST /v3/chat", { do: "commit-then-hang" });
    const death = new AbortController();
    const started = turn.start(death.signal);
    await expect.poll(() => pair.coze.chats.length, { interval: 2 }).toBeGreaterThan(0);
    death.abort(new Error("killed"));
    expect((await started).error).toMatchObject({ message: "killed" });
    expect(turn.saved).toHaveProperty("asked.conversationId");
    expect(turn.saved).not.toHaveProperty("chat");
  }

  it("is found by its mark and not asked again", async () => {
    await using pair = await openStudio({ pace: SLOW });
    const turn = await turnIn(pair, { text: "weather" });
    await die(pair, turn);
    const { state, error } = await turn.start();
    expect(error).toBeUndefined();
    expect(answerMarkdown(state)).toBe(expectedAnswer({ text: "weather" }));
    expect(pair.coze.chats).toHaveLength(1);
  });

  it("is found behind more questions than a page holds", async () => {
    await using pair = await openStudio();
    const conversationId = await newConversation(pair);
    for (let number = 0; number < 60; number += 1) {
      const question = aQuestion({ conversationId, turnId: `turn:${number}#r0` });
      await Array.fromAsync(pair.source.ask(question, { signal }));
    }
    const find = (turnId: string): Promise<string | undefined> =>
      pair.source.findChat({ conversationId, turnId }, { signal });
    expect(await find("turn:0#r0")).toBe(pair.coze.chats[0]?.id);
    expect(await find("turn:0#r1")).toBeUndefined();
  });
});

describe("a stream of a self-hosted Coze Studio", () => {
  it("§22.31 that breaks is finished from what is stored", async () => {
    await using pair = await openStudio();
    const turn = await turnIn(pair, { text: "break" });
    const { state, error } = await turn.start();
    expect(error).toBeUndefined();
    expect(answerMarkdown(state)).toBe(expectedAnswer({ text: "break" }));
    expect(pair.coze.chats).toHaveLength(1);
  });

  it("§22.29 with an error and chat.completed is no answer, and is not looked up as one", async () => {
    await using pair = await openStudio({ switches: { studioErrorThenCompleted: true } });
    const turn = await turnIn(pair, { text: "late fail" });
    const { state, error } = await turn.start();
    expect(error).toMatchObject({ code: "COZE_FAILED", retryable: false });
    expect(state.status).toBe("failed");
    const looks = pair.coze.traffic.exchanges.filter(({ name }) => name === "GET /v3/chat/retrieve");
    expect(looks).toEqual([]);
    // Nothing to go on with: whoever asks anew, asks anew.
    expect(turn.saved).not.toHaveProperty("chat");
  });

  it("§22.11 without an event is looked up, and asked once more at most", async () => {
    await using pair = await openStudio({ switches: { studioSetUpFailure: "silent" } });
    const turn = await turnIn(pair, { botId: UNPUBLISHED_BOT });
    const ends: string[] = [];
    for (let attempt = 1; ends.at(-1) !== "tell"; attempt += 1) {
      const { error } = await turn.start();
      expect(error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
      ends.push(afterFailure(error, attempt, { repeatable: true, isFollowed: true, inTime: true }).do);
    }
    expect(ends).toEqual(["retry", "tell"]);
    const names = pair.coze.traffic.exchanges.map(({ name }) => name);
    expect(names.filter((name) => name === "POST /v3/chat")).toHaveLength(2);
    expect(names.filter((name) => name === "POST /v1/conversation/message/list").length).toBeGreaterThan(2);
  });

  it("that is unknown at the next start is asked anew", async () => {
    await using pair = await openStudio();
    const turn = await turnIn(pair, { text: "hello" });
    const conversationId = [...pair.coze.service.conversations.keys()][0] ?? "";
    const chat = { conversationId, chatId: "7399999999999999999" };
    turn.saved = { v: 1, asked: { conversationId, at: Date.now() }, chat };
    const { state, error } = await turn.start();
    expect(error).toBeUndefined();
    expect(answerMarkdown(state)).toBe(expectedAnswer({ text: "hello" }));
  });
});
