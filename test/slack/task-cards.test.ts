import { expect, it, vi } from "vitest";
import { parseAddress } from "../../adapters/slack/address.ts";
import { pendingCards, taskCards } from "../../adapters/slack/task-cards.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import type { AnswerState, ToolProgress } from "../../src/core/answer-state.ts";
import type { Reply } from "../../src/core/ports.ts";
import { answer, type BridgeOptions, callsOf, openBridge, type SlackBridge, SOON } from "./bridge.ts";
import { slackViolations } from "./slack-spec.ts";

function tool(name: string, done = false): ToolProgress {
  return { messageId: name, name, done };
}

async function asked(options: BridgeOptions = {}): Promise<SlackBridge & { place: string }> {
  const bridge = await openBridge({ ...options, slack: { echo: false, ...options.slack } });
  const said = bridge.slack.person("Ada").dm("question?");
  await vi.waitUntil(() => bridge.turns.length === 1, SOON);
  return Object.assign(bridge, { place: said.channel });
}

/** Text and cards of the bot's messages. */
function seen({ slack, place }: SlackBridge & { place: string }): readonly (readonly string[])[] {
  return slack
    .view(place)
    .messages.filter(({ bot }) => bot)
    .map(({ text, tasks = [] }) => [text, ...tasks.map(({ title, status }) => `${status}: ${title}`)]);
}

async function show(
  bridge: SlackBridge & { place: string },
  reply: Reply,
  state: AnswerState,
  there: string,
): Promise<void> {
  reply.show({ answer: state });
  await vi.waitUntil(() => JSON.stringify(seen(bridge)).includes(there), SOON);
}

it("shows what the bot does before it writes, in the same message", async () => {
  await using bridge = await asked();
  const { reply } = await bridge.reply();
  await show(bridge, reply, answer("", { knowledgeLookups: 1 }), "in_progress: Looking");
  await show(bridge, reply, answer("", { knowledgeLookups: 1, tools: [tool("weather")] }), "Using weather");
  expect(seen(bridge)).toEqual([
    ["", "in_progress: Looking into the knowledge base", "in_progress: Using weather"],
  ]);
  const tools = [tool("weather", true)];
  await show(bridge, reply, answer("It is", { knowledgeLookups: 1, tools }), "It is");
  expect(seen(bridge)).toEqual([
    ["It is", "complete: Looking into the knowledge base", "complete: Using weather"],
  ]);
  await reply.finish({ answer: answer("It is sunny.", { status: "completed", knowledgeLookups: 1, tools }) });
  expect(seen(bridge)).toEqual([
    ["It is sunny.", "complete: Looking into the knowledge base", "complete: Using weather"],
  ]);
  expect(callsOf(bridge.slack, "chat.startStream")).toHaveLength(1);
  expect(callsOf(bridge.slack, "chat.update")).toEqual([]);
  expect(slackViolations(bridge.slack.traffic.exchanges)).toEqual([]);
});

it.each([
  ["complete", "completed", "complete: Using weather"],
  ["failed", "failed", "error: Using weather"],
  ["stopped", "canceled", "error: Using weather"],
  ["broken off", "running", "error: Using weather"],
] as const)("leaves no card under way when an answer is %s", async (_how, status, card) => {
  await using bridge = await asked();
  const { reply } = await bridge.reply();
  await show(bridge, reply, answer("So", { tools: [tool("weather")] }), "in_progress");
  await reply.finish({ answer: answer("So.", { status, tools: [tool("weather")] }) });
  expect(seen(bridge)).toEqual([["So.", card]]);
  const last = bridge.slack.traffic.exchanges.findLast(({ name }) => name.includes("Stream"));
  expect(last?.name).toBe("POST /api/chat.stopStream");
});

it("says a sentence below the cards when no text comes", async () => {
  await using bridge = await asked();
  const { reply } = await bridge.reply();
  await show(bridge, reply, answer("", { tools: [tool("weather")] }), "in_progress");
  await reply.finish({ answer: answer("\n**", { status: "completed", tools: [tool("weather", true)] }) });
  expect(JSON.stringify(callsOf(bridge.slack, "chat.appendStream"))).not.toContain("markdown_text");
  expect(seen(bridge)).toEqual([["_The bot had nothing to say to this._", "complete: Using weather"]]);
});

it.each(["invalid_chunks", "invalid_arguments"] as const)(
  "goes on with the text alone, for good, where a workspace says %s to cards",
  async (taskChunks) => {
    await using bridge = await asked({ slack: { switches: { taskChunks } } });
    const { slack } = bridge;
    const { reply } = await bridge.reply();
    reply.show({ answer: answer("", { tools: [tool("weather")] }) });
    await vi.waitUntil(() => callsOf(slack, "chat.startStream").length === 1, SOON);
    await show(bridge, reply, answer("It", { tools: [tool("weather")] }), "It");
    await reply.finish({ answer: answer("It is sunny.", { tools: [tool("weather", true)] }) });
    const next = await bridge.reply();
    await next.reply.finish({ answer: answer("More.", { tools: [tool("weather", true)] }) });
    expect(seen(bridge)).toEqual([["It is sunny."], ["More."]]);
    const withCards = slack.traffic.exchanges.filter(({ request }) =>
      JSON.stringify(request ?? "").includes("task_update"),
    );
    expect(withCards).toHaveLength(1);
    expect(callsOf(slack, "chat.update")).toEqual([]);
  },
);

it("leaves cards out where they are refused in the middle of a stream", async () => {
  await using bridge = await asked();
  const { reply } = await bridge.reply();
  await show(bridge, reply, answer("Once"), "Once");
  bridge.slack.faults.plan("POST /api/chat.appendStream", {
    do: "answer",
    status: 200,
    body: { ok: false, error: "invalid_chunks" },
  });
  await show(bridge, reply, answer("Once upon", { tools: [tool("weather")] }), "Once upon");
  await reply.finish({ answer: answer("Once upon a time.", { tools: [tool("weather")] }) });
  expect(seen(bridge)).toEqual([["Once upon a time."]]);
});

it("shows a card once though Slack's answer to it is lost", async () => {
  await using bridge = await asked({ speed: 50 });
  const { reply } = await bridge.reply();
  await show(bridge, reply, answer("Once"), "Once");
  bridge.slack.faults.plan("POST /api/chat.appendStream", { do: "commit-then-reset" });
  await show(bridge, reply, answer("Once", { tools: [tool("weather")] }), "in_progress");
  await reply.finish({
    answer: answer("Once upon.", { status: "completed", tools: [tool("weather", true)] }),
  });
  expect(seen(bridge)).toEqual([["Once upon.", "complete: Using weather"]]);
  expect(callsOf(bridge.slack, "chat.update")).toEqual([]);
});

it("goes on with a card in the next stream, and leaves none under way in the one before", async () => {
  await using bridge = await asked({ slack: { limits: false } });
  const { reply } = await bridge.reply();
  const tools = [tool("weather")];
  const long = Array.from({ length: 300 }, (_, index) => `Paragraph ${index} of a long answer.`).join("\n\n");
  await show(bridge, reply, answer(`${long.slice(0, 100)}`, { tools }), "in_progress");
  await show(bridge, reply, answer(long, { tools }), "Paragraph 299");
  expect(seen(bridge).map(([, card]) => card)).toEqual([
    "complete: Using weather",
    "in_progress: Using weather",
  ]);
  await reply.finish({ answer: answer(long, { status: "failed", tools }) });
  expect(seen(bridge).map(([, card]) => card)).toEqual(["complete: Using weather", "error: Using weather"]);
  expect(
    seen(bridge)
      .map(([text]) => text)
      .join(""),
  ).toBe(long);
});

it("leaves no card under way in a stream that is full from its start", async () => {
  await using bridge = await asked({ slack: { limits: false } });
  const { reply } = await bridge.reply();
  const long = Array.from({ length: 300 }, (_, index) => `Paragraph ${index} of a long answer.`).join("\n\n");
  await show(bridge, reply, answer(long, { tools: [tool("weather")] }), "Paragraph 299");
  expect(seen(bridge).map(([, card]) => card)).toEqual([
    "complete: Using weather",
    "in_progress: Using weather",
  ]);
});

it("shows a card again in the stream that goes on for one that Slack ended", async () => {
  const clock = new VirtualClock(1_767_225_600_000);
  await using bridge = await asked({ slack: { clock, limits: false, ackTimeoutMs: 1e9 } });
  const { reply } = await bridge.reply();
  const tools = [tool("weather")];
  await show(bridge, reply, answer("Once", { tools }), "in_progress");
  clock.advance(307_000);
  await show(bridge, reply, answer("Once upon", { tools }), "upon");
  expect(seen(bridge)).toEqual([
    ["Once", "error: Using weather"],
    [" upon", "in_progress: Using weather"],
  ]);
});

it("puts the answer where only a card was when Slack ended the stream meanwhile", async () => {
  const clock = new VirtualClock(1_767_225_600_000);
  await using bridge = await asked({ slack: { clock, limits: false, ackTimeoutMs: 1e9 } });
  const { reply } = await bridge.reply();
  await show(bridge, reply, answer("", { tools: [tool("weather")] }), "in_progress");
  clock.advance(307_000);
  await reply.finish({ answer: answer("Sunny.", { status: "completed", tools: [tool("weather", true)] }) });
  expect(seen(bridge)).toEqual([["Sunny."]]);
});

it.each(["saved", "not saved any more"])(
  "finishes a message of which an ended process showed only a card, %s",
  async (how) => {
    await using bridge = await asked();
    const { reply, saves } = await bridge.reply();
    await show(bridge, reply, answer("", { tools: [tool("weather")] }), "in_progress");
    await vi.waitUntil(() => saves.length > 0, SOON);
    const saved = how === "saved" ? saves.at(-1) : undefined;
    const again = await bridge.reply(bridge.turns[0], saved, { again: true });
    await again.reply.finish({ answer: answer("Sunny.") });
    expect(seen(bridge)).toEqual([["Sunny."]]);
  },
);

it("shows nothing of tools in a reply that grows by edits", async () => {
  await using bridge = await asked();
  const { slack } = bridge;
  slack.person("Ada").say(slack.general, "@Coze question?");
  await vi.waitUntil(() => bridge.turns.length === 2, SOON);
  const { reply } = await bridge.reply();
  reply.show({ answer: answer("", { tools: [tool("weather")] }) });
  await reply.finish({ answer: answer("Sunny.", { tools: [tool("weather")] }) });
  expect(JSON.stringify(slack.traffic.exchanges)).not.toContain("weather");
});

it("says in its words what a name from outside stands for, and no markup of it", () => {
  const cards = (name: string, locale: "en" | "zh"): readonly string[] =>
    taskCards(answer("", { tools: [tool(name)] }), { final: false, locale }).map(({ title }) => title);
  expect(cards("", "zh")).toEqual(["正在使用工具"]);
  expect(cards("<!channel> *x* @here", "en")).toEqual(["Using !channel x @\u2060here"]);
  expect(cards("名".repeat(500), "zh")[0]?.length).toBeLessThan(100);
  const many = Array.from({ length: 100 }, (_, index) => tool(`t${index}`));
  expect(taskCards(answer("", { tools: many }), { final: false, locale: "en" })).toHaveLength(20);
  expect(taskCards(answer("", { knowledgeLookups: 2 }), { final: false, locale: "zh" })).toEqual([
    { id: "knowledge", title: "正在查阅知识库", status: "in_progress" },
  ]);
});

it("gives a message that ends no card that nobody has seen in it", () => {
  const card = { id: "tool-0", title: "Using x", status: "in_progress" } as const;
  expect(pendingCards([card], [new Map()], { closing: true })).toEqual([]);
  expect(pendingCards([card], [new Map([["tool-0", card]])], { closing: true })).toEqual([
    { ...card, status: "complete" },
  ]);
});

const TASK = { type: "task_update", id: "1", title: "One", status: "in_progress" };

it.each([
  ["an unknown kind", [{ type: "task", id: "1" }], "invalid_chunks"],
  ["no id", [{ ...TASK, id: undefined }], "invalid_chunks"],
  ["an empty title", [{ ...TASK, title: "" }], "invalid_chunks"],
  ["an unknown status", [{ ...TASK, status: "done" }], "invalid_chunks"],
  ["a long title", [{ ...TASK, title: "x".repeat(257) }], "invalid_chunks"],
  ["an unknown field", [{ ...TASK, colour: "red" }], "invalid_chunks"],
  ["a source that is no link", [{ ...TASK, sources: ["x"] }], "invalid_chunks"],
  ["a plan without a title", [{ type: "plan_update" }], "invalid_chunks"],
  ["no list", "x", "invalid_chunks"],
  ["nothing", [], "no_text"],
  ["a block that is none", [{ type: "blocks", blocks: [{ type: "x" }] }], "invalid_blocks"],
  ["too much", [{ ...TASK, details: "很".repeat(200) }, text("很".repeat(3_700))], "msg_too_long"],
])("is told by the stand-in what is wrong with chunks: %s", async (_what, chunks, error) => {
  await using bridge = await asked();
  const { call, start } = caller(bridge);
  const ts = await start();
  expect(await call("chat.appendStream", { ts, chunks })).toMatchObject({ ok: false, error });
});

function text(words: string): object {
  return { type: "markdown_text", text: words };
}

it("sees in the stand-in one card for each id, whose details go on", async () => {
  await using bridge = await asked();
  const { call, start } = caller(bridge);
  const ts = await start({ task_display_mode: "plan", chunks: [{ ...TASK, details: "a" }, text("Hi")] });
  const update = { ...TASK, title: "Two", status: "complete", details: "b" };
  expect(
    await call("chat.appendStream", { ts, chunks: [update, { type: "plan_update", title: "Plan" }] }),
  ).toMatchObject({
    ok: true,
  });
  expect(seen(bridge)).toEqual([["Plan\n\nHi", "complete: Two"]]);
  const message = bridge.slack.workspace.channels.get(bridge.place)?.messages.get(String(ts));
  expect(message?.stream?.cards.get("1")?.details).toBe("ab");
  expect(await start({ task_display_mode: "grid" })).toBe(undefined);
  expect(await call("chat.appendStream", { ts, markdown_text: "x", chunks: [TASK] })).toMatchObject({
    error: "invalid_arguments",
  });
});

it("sees in the stand-in a task that is left under way fail when its stream ends", async () => {
  await using bridge = await asked();
  const { call, start } = caller(bridge);
  const ts = await start({ chunks: [TASK] });
  await call("chat.stopStream", { ts });
  expect(seen(bridge)).toEqual([["", "error: One"]]);
});

function caller({ slack, place, turns }: SlackBridge & { place: string }): {
  call: (method: string, args: object) => Promise<Record<string, unknown>>;
  start: (args?: object) => Promise<unknown>;
} {
  const call = async (method: string, args: object): Promise<Record<string, unknown>> => {
    const response = await fetch(new URL(method, slack.apiUrl), {
      method: "POST",
      headers: { authorization: `Bearer ${slack.botToken}`, "content-type": "application/json" },
      body: JSON.stringify({ channel: place, ...args }),
    });
    return (await response.json()) as Record<string, unknown>;
  };
  const { thread } = parseAddress(turns[0]?.address ?? null);
  return {
    call,
    start: async (args = {}) => (await call("chat.startStream", { thread_ts: thread, ...args }))["ts"],
  };
}
