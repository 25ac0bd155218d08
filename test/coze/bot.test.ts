import { describe, expect, it } from "vitest";
import { DEFAULT_PACE, expectedAnswer, paceSteps, planAnswer } from "../../sandbox/coze/bot.ts";
import { longText, STORY, STORY_ZH } from "../../sandbox/coze/stories.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import { aQuestion, ask, newConversation, openPair } from "./coze-kit.ts";

describe("the scripted bot", () => {
  it.each([
    "Hello",
    "你好",
    "Tell me a story, please",
    "讲个故事",
    "how is the weather?",
    "今天天气怎么样",
    "twice",
    "think",
    "empty",
    "long 8000",
    "ask back",
    "my name is Zoë",
  ])("answers %j as expected, with the real client", async (text) => {
    await using pair = await openPair({ pace: { charactersPerDelta: 50 } });
    const conversationId = await newConversation(pair);
    const { state, error } = await ask(pair.source, aQuestion({ conversationId, text }));
    expect(error).toBeUndefined();
    expect(answerMarkdown(state)).toBe(expectedAnswer({ text }));
  });

  it("names a file by what it is, in the asker's language", () => {
    const files = [{ name: "a.pdf", bytes: 9, kind: "file" as const }];
    expect(expectedAnswer({ text: "What is this?", files })).toContain("a PDF document, 9 bytes");
    expect(expectedAnswer({ text: "这是什么？", files })).toContain("PDF 文档");
  });

  it("goes by the last line, so that a quote above it does not matter", () => {
    expect(planAnswer({ text: "> somebody said: story\n\nfail 4011" })).toMatchObject({
      refuse: { code: 4011 },
    });
  });

  it("goes silent and is given up by the service's own watchdog", async () => {
    await using pair = await openPair({ switches: { watchdogMs: 60 } });
    const conversationId = await newConversation(pair);
    const { state, error } = await ask(pair.source, aQuestion({ conversationId, text: "silence" }));
    expect(error).toMatchObject({ code: "COZE_FAILED", cozeCode: 5000 });
    expect(answerMarkdown(state)).toBe("This answer starts well, and then ");
  });

  it("thinks before it writes", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const { state } = await ask(pair.source, aQuestion({ conversationId, text: "think" }));
    expect(state.answers[0]?.reasoning).toBe("They want me to think.");
  });

  it("tells stories of some 500 words, with what Markdown has", () => {
    expect(STORY.split(/\s+/).length).toBeGreaterThan(480);
    expect(STORY.split(/\s+/).length).toBeLessThan(620);
    expect(STORY_ZH.length).toBeGreaterThan(700);
    for (const mark of [/^# /m, /^## /m, /^- /m, /^1\. /m, /\*\*/, /^> /m]) {
      expect(STORY).toMatch(mark);
      expect(STORY_ZH).toMatch(mark);
    }
  });

  it.each([1, 999, 8_000])("writes exactly %i characters, the same each time", (length) => {
    expect(longText(length)).toHaveLength(length);
    expect(longText(length)).toBe(longText(length));
  });
});

describe("the bot's pace", () => {
  it("waits for the first piece, then between pieces, and never cuts a character", () => {
    const plan = planAnswer({ text: "👩‍👩‍👧🙂🙂🙂🙂🙂🙂🙂" });
    const steps = "steps" in plan ? paceSteps(plan.steps, { ...DEFAULT_PACE, speed: 2 }) : [];
    const pauses = steps.flatMap((step) => (step.do === "pause" ? [step.ms] : []));
    expect(pauses.slice(0, 3)).toEqual([200, 25, 25]);
    const pieces = steps.flatMap((step) => (step.do === "delta" ? [step.text] : []));
    expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
    expect(pieces.join("")).toBe(expectedAnswer({ text: "👩‍👩‍👧🙂🙂🙂🙂🙂🙂🙂" }));
  });

  it("runs on the stand-in's clock", async () => {
    const clock = new VirtualClock(1_767_225_600_000);
    await using pair = await openPair({ clock, pace: DEFAULT_PACE });
    const conversationId = await newConversation(pair);
    const asked = ask(pair.source, aQuestion({ conversationId, text: "story" }));
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    clock.advance(399);
    expect(pair.coze.traffic.exchanges.filter(({ name }) => name.endsWith("delta"))).toEqual([]);
    clock.advance(1);
    expect(pair.coze.traffic.exchanges.filter(({ name }) => name.endsWith("delta"))).toHaveLength(1);
    clock.advance(60_000);
    expect(answerMarkdown((await asked).state)).toBe(STORY);
  });

  it("does not hold for a delta with a time of its own, which is not cut and not late because others were", async () => {
    const clock = new VirtualClock(1_767_225_600_000);
    await using pair = await openPair({ clock, pace: DEFAULT_PACE });
    const deltas = [
      { atMs: 10, text: "longer than a piece, " },
      { atMs: 90, text: "on its way, " },
      { atMs: 95, text: "whole." },
    ];
    pair.coze.service.script(() => ({
      steps: deltas.map((delta) => ({ do: "delta", answer: 0, ...delta }) as const),
    }));
    const written: number[] = [];
    const startedAt = clock.now();
    pair.coze.traffic.onExchange(({ name, at }) => {
      if (name.endsWith("delta")) written.push(at - startedAt);
    });
    const asked = ask(pair.source, aQuestion({ conversationId: await newConversation(pair), text: "play" }));
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    for (let passed = 0; passed < 120; passed += 20) clock.advance(20);
    expect(answerMarkdown((await asked).state)).toBe("longer than a piece, on its way, whole.");
    expect(written).toEqual([10, 90, 95]);
  });
});
