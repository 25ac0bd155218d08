import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AnswerEvent,
  type AnswerMessageKind,
  type AnswerState,
  answerMarkdown,
  type ContentType,
  currentTool,
  EMPTY_ANSWER,
  reduceAnswer,
} from "../../src/core/answer-state.ts";

function fold(...events: readonly AnswerEvent[]): AnswerState {
  return events.reduce(reduceAnswer, EMPTY_ANSWER);
}

function delta(text: string, changes: Partial<AnswerEvent & { type: "delta" }> = {}): AnswerEvent {
  return { type: "delta", messageId: "a", kind: "answer", text, reasoning: "", ...changes };
}

function message(text: string, changes: Partial<AnswerEvent & { type: "message" }> = {}): AnswerEvent {
  return {
    type: "message",
    messageId: "a",
    kind: "answer",
    contentType: "text",
    text,
    reasoning: "",
    ...changes,
  };
}

function chat(
  status: AnswerState["status"],
  changes: Partial<AnswerEvent & { type: "chat" }> = {},
): AnswerEvent {
  return { type: "chat", status, ...changes };
}

function verbose(packet: unknown): AnswerEvent {
  return message(typeof packet === "string" ? packet : JSON.stringify(packet), {
    kind: "verbose",
    messageId: "v",
  });
}

function finishPacket(data: unknown): AnswerEvent {
  return verbose({ msg_type: "generate_answer_finish", data });
}

describe("the end", () => {
  it("§22.10 is seen with and without an address for debugging", () => {
    expect(fold({ type: "end" }).ended).toBe(true);
    expect(fold({ type: "end", debugUrl: "https://www.coze.example/x" }).ended).toBe(true);
  });

  it("§22.11 of the stream is not the end of the chat, nor the other way round", () => {
    expect(fold(chat("completed"))).toMatchObject({ status: "completed", ended: false });
    expect(fold(delta("a"), { type: "end" })).toMatchObject({ status: "running", ended: true });
    expect(fold()).toEqual(EMPTY_ANSWER);
  });
});

it("§22.12 counts unknown events and shows nothing of unknown messages", () => {
  const state = fold(
    { type: "unknown", name: "conversation.chat.dreaming" },
    { type: "unknown", name: "" },
    message("secret", { kind: "unknown" }),
    delta("secret", { kind: "unknown" }),
    message("asked", { kind: "question" }),
  );
  expect(state.unknownEvents).toBe(2);
  expect(answerMarkdown(state)).toBe("");
});

describe("text", () => {
  it("§22.13 stays as it is when a delta is empty, and reasoning is kept apart from it", () => {
    const state = fold(
      delta("", { reasoning: "Let me " }),
      delta("", { reasoning: "think." }),
      delta("Yes."),
      delta(""),
    );
    expect(answerMarkdown(state)).toBe("Yes.");
    expect(state.answers[0]?.reasoning).toBe("Let me think.");
  });

  it.each([
    ["shorter", "Hel"],
    ["longer", "Hello, world!"],
    ["edited", "Hallo"],
  ])("§22.14 of a completed message replaces what the deltas said when it is %s", (_, text) => {
    expect(answerMarkdown(fold(delta("Hel"), delta("lo"), message(text)))).toBe(text);
  });

  it("takes away nothing that has been shown when the completed message is empty", () => {
    expect(answerMarkdown(fold(delta("Hel"), delta("lo"), message("")))).toBe("Hello");
  });

  it("§22.14 keeps the reasoning of the deltas when the completed message does not repeat it", () => {
    const state = fold(delta("", { reasoning: "why" }), message("Because."));
    expect(state.answers[0]).toMatchObject({ reasoning: "why", text: "Because." });
    expect(
      fold(delta("", { reasoning: "why" }), message("B", { reasoning: "all of it" })).answers[0]?.reasoning,
    ).toBe("all of it");
  });

  it("§22.15 may come only as a completed message, twice, or before another answer's deltas", () => {
    expect(answerMarkdown(fold(message("Only this.")))).toBe("Only this.");
    expect(answerMarkdown(fold(message("Twice."), message("Twice.")))).toBe("Twice.");
    const state = fold(
      message("First."),
      delta("Sec", { messageId: "b" }),
      delta("ond.", { messageId: "b" }),
    );
    expect(answerMarkdown(state)).toBe("First.\n\nSecond.");
  });

  it("§22.9 shows no half of a character whose other half is still to come", () => {
    const half = fold(delta("Hi \ud83d"));
    expect(answerMarkdown(half)).toBe("Hi ");
    expect(answerMarkdown(reduceAnswer(half, delta("\udc4d")))).toBe("Hi 👍");
  });

  it("shows no character that is only half there, whoever left it out", () => {
    for (const text of ["a \ud83d b", "\udc4d a", "a \ud83d"]) {
      expect(answerMarkdown(fold(message(text))).isWellFormed()).toBe(true);
    }
    expect(answerMarkdown(fold(message("a \ud83d b")))).toBe("a \ufffd b");
  });

  it.each(["\u200b\u200d", "\ufeff \n", "\u3164", "\u2800\u115f\uffa0"])(
    "takes what nobody sees (%j) for nothing",
    (text) => {
      expect(answerMarkdown(fold(message(text)))).toBe("");
      expect(answerMarkdown(fold(message(`${text}a`)))).toBe(`${text}a`);
    },
  );

  it("§22.15 takes no late delta into a completed message", () => {
    expect(answerMarkdown(fold(message("Done."), delta(" late")))).toBe("Done.");
  });

  it("§22.16 of several answers grows in the order they began, whatever their ids", () => {
    const state = fold(
      delta("A1 ", { messageId: "9" }),
      delta("B1 ", { messageId: "1" }),
      delta("A2", { messageId: "9" }),
      delta("B2", { messageId: "1" }),
    );
    expect(answerMarkdown(state)).toBe("A1 A2\n\nB1 B2");
  });

  it("§22.16 still grows after the answers were called finished", () => {
    const state = fold(
      message("One."),
      finishPacket('{"finish_reason":0}'),
      message("Two.", { messageId: "b" }),
    );
    expect(state.answersFinished).toBe(true);
    expect(answerMarkdown(state)).toBe("One.\n\nTwo.");
  });

  it("§22.17 of an empty answer is none, without a gap", () => {
    expect(answerMarkdown(fold(message("")))).toBe("");
    expect(answerMarkdown(fold(message(" \n"), message("Text.", { messageId: "b" })))).toBe("Text.");
  });
});

describe("an endless answer", () => {
  const million = "界".repeat(1_000_000);

  it("is kept up to 100,000 characters, and known to be cut", () => {
    const state = fold(...Array.from({ length: 1_000 }, () => delta("x".repeat(1_000))));
    expect([answerMarkdown(state).length, state.cut]).toEqual([100_000, true]);
    const completed = fold(delta("Hi"), message(million));
    expect([answerMarkdown(completed).length, completed.cut]).toEqual([100_000, true]);
    expect(fold(delta("Hi"), message("x".repeat(100_000))).cut).toBe(false);
  });

  it("is kept up to 100,000 characters over all of its messages, and up to 100 messages", () => {
    const texts = fold(...Array.from({ length: 10 }, (_, id) => message(million, { messageId: `m${id}` })));
    expect(texts.answers.reduce((sum, { text }) => sum + text.length, 0)).toBe(100_000);
    const many = fold(...Array.from({ length: 200 }, (_, id) => delta("x", { messageId: `m${id}` })));
    expect([many.answers.length, many.cut]).toEqual([100, true]);
    const calls = Array.from({ length: 200 }, (_, id) =>
      message("{}", { kind: "function_call", messageId: `m${id}` }),
    );
    expect(fold(...calls).tools).toHaveLength(100);
  });

  it("is not cut inside a character, and does not go on after the cut", () => {
    const state = fold(delta("x".repeat(99_999)), delta("😀"), delta("tail"));
    expect(answerMarkdown(state)).toBe("x".repeat(99_999));
    expect(answerMarkdown(fold(message(`${"x".repeat(99_999)}😀`)))).toBe("x".repeat(99_999));
  });

  it("keeps no endless reasoning", () => {
    const state = fold(delta("", { reasoning: million }), delta("a"));
    expect([state.answers[0]?.reasoning.length, answerMarkdown(state)]).toEqual([100_000, "a"]);
  });
});

describe("a tool", () => {
  const call = (content: unknown, messageId = "c"): AnswerEvent =>
    message(typeof content === "string" ? content : JSON.stringify(content), {
      kind: "function_call",
      messageId,
    });
  const response = message("result", { kind: "tool_response", messageId: "r" });

  it("§22.18 is at work until its response, in order, and leaves the answers alone", () => {
    const called = fold(message("Looking."), call({ name: "search" }), call({ name: "draw" }, "d"));
    expect(currentTool(called)).toBe("search");
    const halfway = reduceAnswer(called, response);
    expect(currentTool(halfway)).toBe("draw");
    const settled = reduceAnswer(reduceAnswer(halfway, response), response);
    expect(currentTool(settled)).toBeUndefined();
    expect(settled.tools).toHaveLength(2);
    expect(answerMarkdown(settled)).toBe("Looking.");
  });

  it("§22.15 is one when its call is completed twice", () => {
    const called = fold(call({ name: "search" }), call({ name: "search" }));
    expect(called.tools).toHaveLength(1);
    expect(fold(call({ name: "a" }, ""), call({ name: "b" }, "")).tools).toHaveLength(2);
  });

  it.each([
    ['{"name":"search","arguments":{', ""],
    ["[1]", ""],
    ["null", ""],
    ["", ""],
    ['{"plugin_id":7391000000000000001,"api_name":"weather"}', "weather"],
    ['{"name":7,"plugin_name":"maps"}', ""],
    ['{"plugin_name":"maps"}', "maps"],
  ])("§22.18 is named as far as %s can be read", (content, name) => {
    expect(fold(call(content)).tools[0]?.name).toBe(name);
  });
});

describe("content that is no text", () => {
  it("§22.19 is kept, and a card is not shown as text", () => {
    const state = fold(message('{"card":1}', { contentType: "card" }), message("Text.", { messageId: "b" }));
    expect(state.answers).toHaveLength(2);
    expect(answerMarkdown(state)).toBe("Text.");
  });

  it.each<ContentType>(["object_string", "audio"])(
    "§22.19 is not shown as text when it is %s",
    (contentType) => {
      expect(answerMarkdown(fold(message("[]", { contentType })))).toBe("");
    },
  );

  it("§22.19 is shown when nobody knows what it is", () => {
    expect(answerMarkdown(fold(message("Perhaps.", { contentType: "unknown" })))).toBe("Perhaps.");
  });

  it("§22.24 is counted when it is speech, also after the chat's end", () => {
    const state = fold(chat("completed"), { type: "audio", messageId: "s", base64: "AAAA" });
    expect(reduceAnswer(state, { type: "audio", messageId: "s", base64: "AA==" }).audioLength).toBe(8);
  });
});

describe("suggested questions", () => {
  const suggestion = (text: string): AnswerEvent => message(text, { kind: "follow_up", messageId: text });

  it.each([0, 1, 3])("§22.20 are kept when there are %i, also after the chat's end", (count) => {
    const all = Array.from({ length: count }, (_, index) => `Question ${index}?`);
    expect(fold(chat("completed"), ...all.map(suggestion)).followUps).toEqual(all);
  });

  it("§22.20 are three at most, none of them blank", () => {
    const state = fold(...["1", " ", "2", "3", "4"].map(suggestion));
    expect(state.followUps).toEqual(["1", "2", "3"]);
  });

  it("§22.20 are kept whole when long, and once when sent twice", () => {
    const long = "w".repeat(500);
    expect(fold(suggestion(long), suggestion(long)).followUps).toEqual([long]);
  });
});

describe("a control packet", () => {
  it.each(["", "not JSON", "null", "[]", '"text"', "7", '{"finish_reason":0,"FinData":""}'])(
    "§22.21 ends the answers with the data %j",
    (data) => {
      expect(fold(finishPacket(data)).answersFinished).toBe(true);
    },
  );

  it("§22.21 does not end them when they were interrupted", () => {
    expect(fold(finishPacket('{"finish_reason":1}')).answersFinished).toBe(false);
  });

  it.each(["", "{", "null", "[]", "7", '{"msg_type":7}', '{"msg_type":"empty result"}'])(
    "§22.21 that says %j changes nothing",
    (content) => {
      expect(fold(verbose(content))).toEqual(EMPTY_ANSWER);
    },
  );

  it("tells of a workflow that waits for the asker", () => {
    expect(fold(verbose({ msg_type: "interrupt", data: "" })).interrupted).toBe(true);
  });

  it("tells of a look into the knowledge, old form and new", () => {
    const recall = verbose({ msg_type: "knowledge_recall", data: "{}" });
    expect(fold(recall, message("slice", { kind: "knowledge" })).knowledgeLookups).toBe(2);
  });
});

describe("a chat", () => {
  const pending = { id: "QUJD=", kind: "function", name: "get_stock", input: "" } as const;
  const question = { id: "", kind: "reply_message", name: "", input: "" } as const;

  it.each([
    ["several tools", [pending, { ...pending, id: "REVG=" }]],
    ["no tool", []],
    ["a question to the asker", [question]],
  ])("§22.22 waits for %s", (_, waiting) => {
    expect(fold(chat("requires_action", { pending: waiting }))).toMatchObject({
      status: "requires_action",
      pending: waiting,
    });
  });

  it("§22.22 waits for nothing when the field is there but empty", () => {
    expect(fold(chat("running", { pending: [] }))).toMatchObject({ status: "running", pending: [] });
  });

  it("§22.23 runs again when it is resumed, and may wait once more", () => {
    const resumed = fold(chat("requires_action", { pending: [pending] }), chat("running"));
    expect(resumed).toMatchObject({ status: "running", pending: [] });
    const again = reduceAnswer(resumed, chat("requires_action", { pending: [question] }));
    expect(again.pending).toEqual([question]);
  });

  it.each(["completed", "failed", "canceled"] as const)(
    "that is %s is not reopened by a late event",
    (status) => {
      expect(fold(chat(status), chat("running")).status).toBe(status);
    },
  );

  it("§22.25 that was canceled keeps what was written, also what still comes", () => {
    const state = fold(delta("Hel"), chat("canceled"), delta("lo"));
    expect(state.status).toBe("canceled");
    expect(answerMarkdown(state)).toBe("Hello");
  });

  it("§22.26 keeps the usage it was told last, and none when there is none", () => {
    const usage = { input: 27, output: 4, total: 31 };
    expect(fold(chat("completed")).usage).toBeUndefined();
    expect(
      fold(chat("running", { usage: { input: 0, output: 0, total: 0 } }), chat("completed", { usage })).usage,
    ).toEqual(usage);
    expect(fold(chat("completed", { usage }), chat("completed")).usage).toEqual(usage);
  });

  it("keeps its ids, the newest of them (coze-api.md §22.40)", () => {
    const state = fold(
      chat("running", { chatId: "1", conversationId: "2" }),
      chat("running", { conversationId: "3" }),
    );
    expect(state).toMatchObject({ chatId: "1", conversationId: "3" });
  });

  it("§22.30 that failed says why in Coze's words", () => {
    const error = { code: 5000, text: "model down" };
    expect(fold(chat("failed", { error }))).toMatchObject({ status: "failed", failure: error });
  });

  it("§22.29 is not called failed by an error of the stream", () => {
    const error = { code: 0, text: "" };
    expect(fold(delta("Hel"), { type: "error", error })).toMatchObject({ status: "running", failure: error });
  });
});

describe("any sequence of events", () => {
  const id = fc.constantFrom("a", "b", "c");
  const kind = fc.constantFrom<AnswerMessageKind>(
    "answer",
    "answer",
    "function_call",
    "tool_response",
    "follow_up",
    "verbose",
    "knowledge",
    "question",
    "unknown",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json(),
    fc.constantFrom('{"msg_type":"generate_answer_finish","data":"{\\"finish_reason\\":1}"}', "\ud83d"),
  );
  const event: fc.Arbitrary<AnswerEvent> = fc.oneof(
    fc.record({ type: fc.constant("delta" as const), messageId: id, kind, text, reasoning: text }),
    fc.record({
      type: fc.constant("message" as const),
      messageId: id,
      kind,
      contentType: fc.constantFrom<ContentType>("text", "unknown"),
      text,
      reasoning: text,
    }),
    fc.record({
      type: fc.constant("chat" as const),
      status: fc.constantFrom<AnswerState["status"]>(
        "running",
        "completed",
        "failed",
        "canceled",
        "requires_action",
      ),
    }),
    fc.record({ type: fc.constant("audio" as const), messageId: id, base64: text }),
    fc.record({ type: fc.constant("error" as const), error: fc.record({ code: fc.integer(), text }) }),
    fc.constant<AnswerEvent>({ type: "end" }),
    fc.record({ type: fc.constant("unknown" as const), name: text }),
  );

  it("ends with the text that was completed last for each answer", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const state = fold(...events);
        for (const answer of state.answers) {
          const last = events.findLast(
            (one) => one.type === "message" && one.kind === "answer" && one.messageId === answer.messageId,
          );
          expect(answer.completed).toBe(last !== undefined);
          // One that is completed with nothing keeps what its deltas said.
          if (last?.type === "message" && last.text !== "") expect(answer.text).toBe(last.text);
        }
        const shown = state.answers
          .map(({ text: part, completed }) => (completed ? part : part.replace(/[\ud800-\udbff]$/, "")))
          .filter((part) => part.trim() !== "");
        expect(answerMarkdown(state)).toBe(shown.join("\n\n").toWellFormed());
      }),
    );
  });

  it("changes no earlier state", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 20 }), (events) => {
        let state = EMPTY_ANSWER;
        for (const one of events) {
          const before = JSON.stringify(state);
          const next = reduceAnswer(state, one);
          expect(JSON.stringify(state)).toBe(before);
          state = next;
        }
      }),
    );
  });
});
