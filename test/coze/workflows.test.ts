import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { STAND_IN_BOT, STAND_IN_TOKEN } from "../../sandbox/coze/coze-stand-in.ts";
import { frameEvents, type PlainEvent } from "../../sandbox/coze/sse-bytes.ts";
import { STAND_IN_APP, STAND_IN_WORKFLOW, UNPUBLISHED_WORKFLOW } from "../../sandbox/coze/workflows.ts";
import { VirtualClock } from "../../sandbox/stand-in.ts";
import { type AnswerEvent, answerMarkdown, EMPTY_ANSWER, reduceAnswer } from "../../src/core/answer-state.ts";
import { Gates } from "../../src/core/gate.ts";
import { staticToken } from "../../src/coze/auth/token-source.ts";
import { createCozeClient } from "../../src/coze/coze-client.ts";
import type { WorkflowEvent, WorkflowInterrupt } from "../../src/coze/stream/workflow-events.ts";
import type { ChatflowRequest, WorkflowRequest } from "../../src/coze/workflow-request.ts";
import { aFile, CLOCK, type CozePair, errorOf, newConversation, noAbort, openPair } from "./coze-kit.ts";
import { PNG } from "./file-bytes.ts";
import { addOther, OTHER_TOKEN, send } from "./send.ts";
import { COMPLETED, CREATED, delta } from "./wire-make.ts";

const signal = noAbort();
const STREAM = "POST /v1/workflow/stream_run";
const DEBUG_URL = expect.stringMatching(/^https:\/\/www\.coze\.cn\/work_flow\?execute_id=\d+/) as string;

function aRun(input: string, changes: Partial<WorkflowRequest> = {}): WorkflowRequest {
  return { workflowId: STAND_IN_WORKFLOW, parameters: { input }, ...changes };
}

function aChat(content: string, changes: Partial<ChatflowRequest> = {}): ChatflowRequest {
  const messages = [{ role: "user", content }] as const;
  return { workflowId: STAND_IN_WORKFLOW, botId: STAND_IN_BOT, messages, ...changes };
}

interface Seen<T> {
  readonly events: readonly T[];
  readonly error: unknown;
}

/** Everything a stream yields, and how it ended. */
async function collect<T>(stream: AsyncIterable<T>): Promise<Seen<T>> {
  const events: T[] = [];
  try {
    for await (const event of stream) events.push(event);
  } catch (error) {
    return { events, error };
  }
  return { events, error: undefined };
}

const run = ({ client }: CozePair, request: WorkflowRequest): Promise<Seen<WorkflowEvent>> =>
  collect(client.workflows.stream(request, { signal }));

const chat = ({ client }: CozePair, request: ChatflowRequest): Promise<Seen<AnswerEvent>> =>
  collect(client.workflows.chat(request, { signal }));

const textOf = ({ events }: Seen<AnswerEvent>): string =>
  answerMarkdown(events.reduce(reduceAnswer, EMPTY_ANSWER));

/** Streams what a server says that sends these bytes. */
async function play(...packets: (string | Uint8Array)[]): Promise<Seen<WorkflowEvent>> {
  await using pair = await openPair();
  pair.coze.playNext({ packets }, STREAM);
  const seen = await run(pair, aRun("x"));
  return seen;
}

function frames(...events: PlainEvent[]): Uint8Array {
  return frameEvents(events, { spaceAfterColon: true });
}

function event(name: string, data: object): PlainEvent {
  return { name, data: JSON.stringify(data) };
}

const DONE = event("Done", {});
const said = (content: string, sequence = "0", finish = true): PlainEvent =>
  event("Message", { content, node_is_finish: finish, node_seq_id: sequence, node_title: "Message" });

function recorded(name: string): string {
  return readFileSync(join(import.meta.dirname, "../fixtures/specs/coze-sse", name), "utf8");
}

function interruptOf({ events }: Seen<WorkflowEvent>): WorkflowInterrupt {
  const found = events.find((seen) => seen.type === "interrupt");
  if (found?.type !== "interrupt") throw new Error("there was no interrupt");
  return found.interrupt;
}

describe("workflows.stream", () => {
  it("tells what the nodes say, the output, and the end; PING is life, not text", async () => {
    await using pair = await openPair();
    const { events, error } = await run(pair, aRun("rain"));
    expect(error).toBeUndefined();
    const output = '{"output":"Done: rain"}';
    const node = { type: "message", nodeId: undefined, usage: undefined } as const;
    expect(events).toEqual([
      { ...node, text: "Working", nodeTitle: "Message", sequence: 0, nodeFinished: false },
      { ...node, text: " on", nodeTitle: "Message", sequence: 1, nodeFinished: false },
      { ...node, text: " it.", nodeTitle: "Message", sequence: 2, nodeFinished: true },
      { type: "ping" },
      // §22.46: the end node counts from 0 again.
      {
        ...node,
        text: output,
        nodeTitle: "",
        sequence: 0,
        nodeFinished: true,
        usage: { input: 4, output: output.length, total: 4 + output.length },
      },
      { type: "done", debugUrl: DEBUG_URL },
    ]);
  });

  it("§22.4 is framed as it was recorded", async () => {
    await using pair = await openPair();
    const headers = { authorization: `Bearer ${STAND_IN_TOKEN}`, "content-type": "application/json" };
    const body = JSON.stringify({ workflow_id: STAND_IN_WORKFLOW, parameters: { input: "x" } });
    const answer = await fetch(`${pair.coze.url}/v1/workflow/stream_run`, { method: "POST", headers, body });
    expect(await answer.text()).toMatch(/^id: 0\nevent: Message\ndata: {"content":"Working",.*\n\nid: 1\n/);
  });

  it("reads the recorded stream up to its error", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [recorded("workflow_run_stream_resp.txt")] }, STREAM);
    const { events, error } = await run(pair, aRun("x"));
    const messages = events.filter((seen) => seen.type === "message");
    expect(messages.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4, 0]);
    expect(messages.at(-1)).toMatchObject({ text: expect.stringContaining('{"output":"') as string });
    expect(events.at(-1)).toEqual({
      type: "error",
      code: 4000,
      text: "Request parameter error",
      debugUrl: undefined,
    });
    expect(error).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: 4000 });
  });

  it("reads what was recorded of a question", async () => {
    const blocks = recorded("workflow_run_stream_resp.txt").split("\n\n");
    const afterError = blocks.findIndex((block) => block.includes("event: Error")) + 1;
    const { events, error } = await play(blocks.slice(afterError).join("\n\n"));
    expect(error).toBeUndefined();
    expect(events).toMatchObject([
      { type: "message", text: "请问你想查看哪个城市、哪一天的天气呢", nodeTitle: "问答" },
      {
        type: "interrupt",
        interrupt: {
          eventId: "7404830425073352713/2769808280134765896",
          interruptType: 2,
          kind: "question",
          nodeTitle: "问答",
          data: "",
        },
      },
      { type: "done", debugUrl: undefined },
    ]);
  });

  it.each([
    [2, "question"],
    [5, "input"],
    [6, "local_plugin"],
    [7, "oauth"],
    [99, "unknown"],
  ])("calls an interrupt of type %i %s", async (type, kind) => {
    const data = { event_id: "7/8", type, data: "x", required_parameters: { city: { type: "string" } } };
    const seen = await play(frames(event("Interrupt", { interrupt_data: data, node_title: "N" })));
    expect(seen.error).toBeUndefined();
    expect(interruptOf(seen)).toEqual({
      eventId: "7/8",
      interruptType: type,
      kind,
      nodeTitle: "N",
      data: "x",
      requiredParameters: { city: { type: "string" } },
    });
  });

  it("§22.46 an error is the end although no Done comes, and names the page to look at", async () => {
    for (const doneAfterError of [false, true]) {
      await using pair = await openPair({ switches: { doneAfterError } });
      const early = await run(pair, aRun("fail 720702085"));
      expect(early.error).toMatchObject({ code: "COZE_FAILED", cozeCode: 720702085, retryable: true });
      expect(String(early.error)).toMatch(
        /failed on request.*see https:\/\/www\.coze\.cn\/work_flow\?execute_id/,
      );
      const late = await run(pair, aRun("late fail 720702085"));
      expect(late.events.at(-1)).toMatchObject({ type: "error", code: 720702085, debugUrl: DEBUG_URL });
      // It has had effects: it is not run again by itself.
      expect(late.error).toMatchObject({ code: "COZE_FAILED", retryable: false });
    }
  });

  it.each([
    ["a string code", { error_code: "720702011", error_message: "m" }, 720702011, "COZE_NOT_FOUND"],
    ["no code", { error_message: "m" }, 0, "COZE_FAILED"],
    ["null", { error_code: null, error_message: null }, 0, "COZE_FAILED"],
  ])("reads an error with %s", async (_what, data, cozeCode, code) => {
    const { error } = await play(frames(event("Error", data)));
    expect(error).toMatchObject({ code, cozeCode });
  });

  it("an error in plain text keeps its words", async () => {
    const { error } = await play("event: Error\ndata: it broke\n\n");
    expect(error).toMatchObject({
      code: "COZE_FAILED",
      message: expect.stringContaining("it broke") as string,
    });
  });

  it("that just ends is broken, whatever was said", async () => {
    await using pair = await openPair();
    const { events, error } = await run(pair, aRun("stop"));
    expect(events).toHaveLength(4);
    expect(error).toMatchObject({ code: "COZE_STREAM_BROKEN", outcome: "unknown" });
    expect((await play()).error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
  });

  it("is over with Done, whatever the connection does then", async () => {
    for (const end of ["reset", "stall"] as const) {
      await using pair = await openPair();
      pair.coze.playNext({ packets: [frames(said("x"), DONE)], end }, STREAM);
      expect((await run(pair, aRun("x"))).error).toBeUndefined();
    }
  });

  it("is cut in the middle", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [frames(said("x"))], end: "reset" }, STREAM);
    expect((await run(pair, aRun("x"))).error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
  });

  it("tolerates events it does not know and messages it cannot read", async () => {
    const { events, error } = await play(
      frames(event("Heartbeat", {}), event("Message", { content: 7 }), DONE),
    );
    expect(error).toBeUndefined();
    expect(events.map(({ type }) => type)).toEqual(["unknown", "unknown", "done"]);
  });

  it("is given up with its reader's signal", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [frames(said("x"))], end: "stall" }, STREAM);
    const stop = new AbortController();
    const reason = new Error("enough");
    const { workflows } = pair.client;
    const reading = async (): Promise<void> => {
      for await (const _event of workflows.stream(aRun("x"), { signal: stop.signal })) stop.abort(reason);
    };
    expect(await errorOf(reading())).toBe(reason);
    await expect.poll(() => pair.coze.openConnections).toBe(0);
  });

  it("is refused as JSON or as its first event", async () => {
    for (const workflowRefusals of ["json", "event"] as const) {
      await using pair = await openPair({ switches: { workflowRefusals } });
      const { error } = await run(pair, aRun("x", { workflowId: UNPUBLISHED_WORKFLOW }));
      expect(error).toMatchObject({ code: "COZE_NOT_FOUND", cozeCode: 4200, outcome: "refused" });
    }
  });
});

describe("§22.46 workflows.resume", () => {
  const resume = (
    { client }: CozePair,
    interrupt: WorkflowInterrupt,
    data: string,
  ): Promise<Seen<WorkflowEvent>> => {
    const { eventId, interruptType } = interrupt;
    const request = { workflowId: STAND_IN_WORKFLOW, eventId, interruptType, data };
    return collect(client.workflows.resume(request, { signal }));
  };

  it("goes on with a reply", async () => {
    for (const doneAfterInterrupt of [false, true]) {
      await using pair = await openPair({ switches: { doneAfterInterrupt } });
      const asked = await run(pair, aRun("ask"));
      expect(asked.error).toBeUndefined();
      expect(asked.events[0]).toMatchObject({ type: "message", text: "Which city do you mean?" });
      const answered = await resume(pair, interruptOf(asked), "Grey Point");
      expect(answered.error).toBeUndefined();
      const told = '{"output":"You chose Grey Point."}';
      expect(answered.events).toContainEqual(expect.objectContaining({ text: told, sequence: 0 }));
      const again = await resume(pair, interruptOf(asked), "Grey Point");
      expect(again.error).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: 4315 });
    }
  });

  it("asks again twice; the third unfit reply fails the run", async () => {
    await using pair = await openPair();
    const first = interruptOf(await run(pair, aRun("ask 5")));
    const second = interruptOf(await resume(pair, first, "?"));
    expect((await resume(pair, first, "?")).error).toMatchObject({ cozeCode: 4000 });
    const third = interruptOf(await resume(pair, second, "?"));
    expect(third).toMatchObject({ interruptType: 5, kind: "input" });
    expect((await resume(pair, third, "?")).error).toMatchObject({
      code: "COZE_FAILED",
      cozeCode: 720701013,
    });
    expect((await resume(pair, third, "Grey Point")).error).toMatchObject({ cozeCode: 4315 });
  });

  it("needs the interrupt it answers, and a reply", async () => {
    await using pair = await openPair();
    const interrupt = interruptOf(await run(pair, aRun("ask")));
    const wrong = { ...interrupt, interruptType: 5 };
    expect((await resume(pair, wrong, "x")).error).toMatchObject({ cozeCode: 4000 });
    expect((await resume(pair, { ...interrupt, interruptType: 9 }, "x")).error).toMatchObject({
      cozeCode: 4000,
    });
    expect((await resume(pair, { ...interrupt, eventId: "1/2" }, "x")).error).toMatchObject({
      cozeCode: 4200,
    });
    const sent = pair.coze.traffic.exchanges.length;
    expect((await resume(pair, interrupt, "")).error).toMatchObject({
      code: "COZE_BAD_REQUEST",
      cozeCode: undefined,
    });
    expect(pair.coze.traffic.exchanges).toHaveLength(sent);
  });
});

describe("workflows.run", () => {
  it("waits for the output, and tells all that stands beside it", async () => {
    await using pair = await openPair();
    const found = await pair.client.workflows.run(aRun("rain"), { signal });
    expect(found).toEqual({
      text: '{"output":"Done: rain"}',
      output: { output: "Done: rain" },
      executeId: expect.stringMatching(/^\d{19}$/) as string,
      debugUrl: DEBUG_URL,
      usage: { input: 4, output: 23, total: 27 },
      cost: "0",
      interrupt: undefined,
    });
  });

  it.each([
    ["ids", { id: "7390000000000000001" }],
    ["plain", "no JSON at all"],
  ])("keeps %s exact", async (input, output) => {
    await using pair = await openPair();
    expect(await pair.client.workflows.run(aRun(input), { signal })).toMatchObject({ output });
  });

  it("tells what the run waits for", async () => {
    await using pair = await openPair();
    const { text, interrupt } = await pair.client.workflows.run(aRun("ask"), { signal });
    expect(text).toBe("");
    expect(interrupt).toMatchObject({
      eventId: expect.stringMatching(/^\d+\/\d+$/) as string,
      kind: "question",
    });
  });

  it.each([
    ["fail 720701013", "COZE_FAILED", false],
    ["fail 720702011", "COZE_NOT_FOUND", false],
    ["fail 720702085", "COZE_FAILED", true],
    ["fail 6006", "COZE_FAILED", true],
    ["fail 701231", "COZE_FAILED", true],
  ])("%s throws, with the page to look at in its words", async (input, code, retryable) => {
    await using pair = await openPair();
    const error = await errorOf(pair.client.workflows.run(aRun(input), { signal }));
    expect(error).toMatchObject({ code, retryable, cozeCode: Number(input.slice(5)) });
    expect(String(error)).toMatch(/see https:\/\/www\.coze\.cn\/work_flow/);
  });

  it("may take longer than other calls", async () => {
    await using pair = await openPair({ timeouts: { headersMs: 50 } });
    pair.coze.faults.plan("POST /v1/workflow/run", { do: "delay", ms: 300 });
    expect(await pair.client.workflows.run(aRun("x"), { signal })).toMatchObject({
      output: { output: "Done: x" },
    });
  });

  it("is not repeated when its outcome is unknown", async () => {
    await using pair = await openPair();
    pair.coze.faults.plan("POST /v1/workflow/run", { do: "commit-then-reset" });
    const error = await errorOf(pair.client.workflows.run(aRun("x"), { signal }));
    expect(error).toMatchObject({ code: "COZE_UNREACHABLE", outcome: "unknown" });
    expect(pair.coze.traffic.exchanges).toHaveLength(1);
  });

  it("brings files as the service wants them", async () => {
    await using pair = await openPair();
    await using file = await aFile(PNG);
    const { fileId: id } = await pair.client.files.upload(file, { name: "a.png", signal });
    const request = aRun("x", { files: { one: id, many: [id, id] } });
    await pair.client.workflows.run(request, { signal });
    expect(pair.coze.traffic.exchanges.at(-1)?.request).toMatchObject({
      body: {
        parameters: { input: "x", one: `{"file_id":"${id}"}`, many: Array(2).fill(`{"file_id":"${id}"}`) },
      },
    });
    const unknown = errorOf(pair.client.workflows.run(aRun("x", { files: { one: "7" } }), { signal }));
    expect(await unknown).toMatchObject({ cozeCode: 4000 });
    const bare = errorOf(
      pair.client.workflows.run(aRun("x", { parameters: { one: { file_id: id } } }), { signal }),
    );
    expect(await bare).toMatchObject({ cozeCode: 4000 });
  });
});

describe("workflows.start", () => {
  it("needs a paid plan", async () => {
    await using pair = await openPair();
    const error = await errorOf(pair.client.workflows.start(aRun("x"), { signal }));
    expect(error).toMatchObject({ code: "COZE_QUOTA", cozeCode: 6003 });
  });

  it.each([
    ["rain", { status: "succeeded", output: { output: "Done: rain" }, failure: undefined }],
    ["fail 720701013", { status: "failed", failure: { code: 720701013, text: "failed on request" } }],
  ])("starts %s, and looks up what became of it", async (input, expected) => {
    await using pair = await openPair({ switches: { asyncWorkflows: true } });
    const { workflows } = pair.client;
    const { executeId, debugUrl } = await workflows.start(aRun(input), { signal });
    expect(debugUrl).toEqual(DEBUG_URL);
    const which = { workflowId: STAND_IN_WORKFLOW, executeId };
    expect(await workflows.history(which, { signal })).toMatchObject({
      executeId,
      status: "running",
      text: "",
    });
    expect(await workflows.history(which, { signal })).toMatchObject({ ...expected, executeId, debugUrl });
    const unknown = errorOf(workflows.history({ ...which, executeId: "a/b" }, { signal }));
    expect(await unknown).toMatchObject({ code: "COZE_NOT_FOUND", cozeCode: 4314 });
  });

  it("is a failure when no id comes back", async () => {
    await using pair = await openPair();
    const body = { code: 0, msg: "" };
    pair.coze.faults.plan("POST /v1/workflow/run", { do: "answer", status: 200, body });
    const error = await errorOf(pair.client.workflows.start(aRun("x"), { signal }));
    expect(error).toMatchObject({ code: "COZE_FAILED", outcome: "unknown" });
  });
});

describe("workflows.chat", () => {
  it("asks in a conversation, whose id goes in the body, and yields the answer", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const seen = await chat(pair, aChat("Hello 世界", { conversationId, ext: { userId: "u" } }));
    expect(seen.error).toBeUndefined();
    expect(textOf(seen)).toBe("你说：Hello 世界");
    expect(seen.events.at(-1)).toEqual({ type: "end", debugUrl: DEBUG_URL });
    const [created] = pair.coze.traffic.exchanges.slice(-99).filter(({ name }) => name.includes("workflows"));
    expect(created?.request).toMatchObject({ query: {}, body: { conversation_id: conversationId } });
    // A chatflow suggests nothing.
    expect(seen.events.some((given) => given.type === "message" && given.kind === "follow_up")).toBe(false);
  });

  it("remembers, and creates a conversation where none is named", async () => {
    await using pair = await openPair();
    const first = await chat(pair, aChat("my name is Ada"));
    const state = first.events.reduce(reduceAnswer, EMPTY_ANSWER);
    const { conversationId } = state;
    expect(conversationId).toMatch(/^\d+$/);
    const request = aChat("what is my name?", { ...(conversationId !== undefined && { conversationId }) });
    expect(textOf(await chat(pair, request))).toBe("Your name is Ada.");
  });

  it("belongs to an app as well as to a bot", async () => {
    await using pair = await openPair();
    const { botId: _, ...request } = aChat("Hello", { appId: STAND_IN_APP });
    expect(textOf(await chat(pair, request))).toBe("You said: Hello");
  });

  it("§6.5 a question of a node ends the turn; the reply is the next message", async () => {
    await using pair = await openPair();
    const conversationId = await newConversation(pair);
    const asked = await chat(pair, aChat("ask back", { conversationId }));
    expect(asked.error).toBeUndefined();
    expect(textOf(asked)).toBe("Which city do you mean?");
    expect(asked.events.some((given) => given.type === "chat" && given.status === "completed")).toBe(false);
    expect((await chat(pair, aChat("Grey Point", { conversationId }))).error).toBeUndefined();
  });

  it("reads the recorded stream", async () => {
    await using pair = await openPair();
    const packets = [recorded("workflows_chat_stream_resp.txt")];
    pair.coze.playNext({ packets }, "POST /v1/workflows/chat");
    const seen = await chat(pair, aChat("x"));
    expect(seen.error).toBeUndefined();
    expect(textOf(seen)).toBe("I'm fine, thank you. How about you?");
  });

  it("§22.30 that fails before it starts says one thing, with a code as text", async () => {
    await using pair = await openPair();
    const { events, error } = await chat(pair, aChat("fail 720702204"));
    expect(events).toEqual([
      { type: "chat", status: "failed", error: { code: 720702204, text: "refused on request" } },
    ]);
    expect(error).toMatchObject({ code: "COZE_NOT_FOUND", cozeCode: 720702204 });
    expect(pair.coze.traffic.exchanges.at(-1)).toMatchObject({
      name: "conversation.chat.failed",
      response: '{"code":"720702204","msg":"refused on request"}',
    });
  });

  it("that stops is broken", async () => {
    await using pair = await openPair();
    pair.coze.playNext({ packets: [frames(CREATED, delta("x"))] }, "POST /v1/workflows/chat");
    expect((await chat(pair, aChat("x"))).error).toMatchObject({ code: "COZE_STREAM_BROKEN" });
    pair.coze.playNext({ packets: [frames(CREATED, COMPLETED)] }, "POST /v1/workflows/chat");
    expect((await chat(pair, aChat("x"))).error).toBeUndefined();
  });

  it("does not talk in a conversation of another account, nor where a chat runs", async () => {
    await using pair = await openPair({ pace: { firstDeltaMs: 200 } });
    addOther(pair);
    await using other = createCozeClient({
      baseUrl: pair.coze.url,
      tokens: staticToken(OTHER_TOKEN),
      log: pair.log,
      gates: new Gates(CLOCK),
      chatsPerSecond: 20,
    });
    const theirs = await other.conversations.create({ botId: STAND_IN_BOT }, { signal });
    const foreign = await chat(pair, aChat("x", { conversationId: theirs.conversationId }));
    expect(foreign.error).toMatchObject({ code: "COZE_CONVERSATION_GONE", cozeCode: 4002 });
    const conversationId = await newConversation(pair);
    const running = chat(pair, aChat("x", { conversationId }));
    await expect.poll(() => pair.coze.chats.length).toBe(1);
    expect((await chat(pair, aChat("y", { conversationId }))).error).toMatchObject({ cozeCode: 4016 });
    await running;
  });
});

describe("a request is refused before anything is sent", () => {
  it.each([
    ["a chatflow of a bot and an app", aChat("x", { appId: STAND_IN_APP })],
    ["a chatflow of nobody", { workflowId: STAND_IN_WORKFLOW, messages: aChat("x").messages }],
    [
      "51 messages",
      aChat("x", { messages: Array.from({ length: 51 }, () => ({ role: "user", content: "x" })) }),
    ],
    ["no message", aChat("x", { messages: [] })],
    ["an empty message", aChat("")],
    ["an answer at the end", aChat("x", { messages: [{ role: "assistant", content: "x" }] })],
  ])("%s", async (_what, request) => {
    await using pair = await openPair();
    expect((await chat(pair, request)).error).toMatchObject({
      code: "COZE_BAD_REQUEST",
      cozeCode: undefined,
    });
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it("a run of a bot and an app", async () => {
    await using pair = await openPair();
    const request = aRun("x", { botId: STAND_IN_BOT, appId: STAND_IN_APP });
    const error = errorOf(pair.client.workflows.run(request, { signal }));
    expect(await error).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: undefined });
    expect((await run(pair, request)).error).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: undefined });
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });
});

describe("the stand-in refuses", () => {
  const SAID = { role: "user", content: "Hi", content_type: "text" };
  const image = { ...SAID, content: '[{"type":"image","file_id":"1"}]', content_type: "object_string" };

  /** What is no JSON is the stream that was asked for. */
  async function codeOf(pair: CozePair, path: string, body: object): Promise<number> {
    return (await send(pair, "POST", path, body)).code ?? 0;
  }

  it.each([
    [{}, 0],
    [{ workflow_id: undefined }, 4000],
    [{ workflow_id: "7" }, 4200],
    [{ workflow_id: UNPUBLISHED_WORKFLOW }, 4200],
    [{ app_id: STAND_IN_APP }, 4000],
    [{ bot_id: undefined }, 4000],
    [{ bot_id: "7" }, 4006],
    [{ bot_id: undefined, app_id: "7" }, 4200],
    [{ additional_messages: [] }, 4000],
    [{ additional_messages: undefined }, 4000],
    [{ additional_messages: Array(50).fill(SAID) }, 0],
    [{ additional_messages: Array(51).fill(SAID) }, 4004],
    [{ additional_messages: [SAID, image, SAID] }, 4000],
    [{ additional_messages: [{ ...SAID, content: "" }] }, 4005],
    [{ conversation_id: "7" }, 4002],
    [{ conversation_id: 7 }, 4000],
    [{ parameters: [] }, 4000],
    [{ ext: { latitude: 7 } }, 4000],
    [{ is_async: true }, 4000],
    [{ workflow_version: 7 }, 4000],
  ])("the chatflow %j", async (changes, code) => {
    await using pair = await openPair();
    const body = {
      workflow_id: STAND_IN_WORKFLOW,
      bot_id: STAND_IN_BOT,
      additional_messages: [SAID],
      ...changes,
    };
    expect(await codeOf(pair, "/v1/workflows/chat", body)).toBe(code);
  });

  it.each([
    [{ workflow_id: undefined }, 4000],
    [{ workflow_id: UNPUBLISHED_WORKFLOW }, 4200],
    [{ bot_id: STAND_IN_BOT, app_id: STAND_IN_APP }, 4000],
    [{ parameters: "x" }, 4000],
    [{ is_async: "yes" }, 4000],
    [{ is_async: true }, 6003],
  ])("the run %j", async (changes, code) => {
    await using pair = await openPair();
    const body = { workflow_id: STAND_IN_WORKFLOW, ...changes };
    expect(await codeOf(pair, "/v1/workflow/run", body)).toBe(code);
  });

  it("bodies over 20 MB", async () => {
    await using pair = await openPair();
    const body = (bytes: number): object => ({
      workflow_id: STAND_IN_WORKFLOW,
      parameters: { input: "x".repeat(bytes) },
    });
    expect(await codeOf(pair, "/v1/workflow/run", body(16_000_000))).toBe(0);
    await expect(codeOf(pair, "/v1/workflow/run", body(21_000_000))).rejects.toThrow("fetch failed");
  });

  it("more runs a second than the plan has", async () => {
    await using pair = await openPair({
      switches: {
        limits: { chatPerSecond: 20, uploadPerSecond: 10, pollPerSecond: 1, workflowPerSecond: 2 },
      },
    });
    const body = { workflow_id: STAND_IN_WORKFLOW };
    const codes = await Promise.all([1, 2, 3].map(() => codeOf(pair, "/v1/workflow/run", body)));
    expect(codes.toSorted((a, b) => a - b)).toEqual([0, 0, 710005002]);
  });
});

it("keeps within the runs a second that every plan has", async () => {
  await using pair = await openPair();
  const clock = new VirtualClock(0);
  await using client = createCozeClient({
    baseUrl: pair.coze.url,
    tokens: staticToken(STAND_IN_TOKEN),
    log: pair.log,
    gates: new Gates(clock),
    chatsPerSecond: 20,
  });
  const runs = Array.from({ length: 20 }, () => client.workflows.run(aRun("x"), { signal }));
  // A quarter of 50 at once, the rest as time goes by.
  await Promise.all(runs.slice(0, 12));
  expect(pair.coze.traffic.exchanges).toHaveLength(12);
  expect(clock.timers).toBe(1);
  clock.advance(1_000);
  await Promise.all(runs);
  expect(pair.coze.traffic.exchanges).toHaveLength(20);
});
