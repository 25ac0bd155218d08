import { RoleType, type WorkflowEvent as TheirEvent, WorkflowEventType } from "@coze/api";
import { describe, expect, it } from "vitest";
import { STAND_IN_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import { STAND_IN_WORKFLOW, UNPUBLISHED_WORKFLOW } from "../../sandbox/coze/workflows.ts";
import type { WorkflowEvent } from "../../src/coze/stream/workflow-events.ts";
import { errorOf, newConversation, noAbort } from "./coze-kit.ts";
import { lastLogId, openJudged, textsOf, toldByOurs, toldByTheirs } from "./vendor-kit.ts";

const signal = noAbort();
const options = { signal };

/** What a run tells, in words of neither; ids and addresses are the run's own and left out. */
type RunTold =
  | {
      readonly tells: "message";
      readonly text: string;
      readonly node: string;
      readonly sequence: number;
      readonly last: boolean;
    }
  | { readonly tells: "interrupt"; readonly type: number; readonly node: string }
  | { readonly tells: "error"; readonly code: number; readonly text: string }
  | { readonly tells: "done" | "ping" };

function runByTheirs({ event, data = { error_code: 0, error_message: "" } }: TheirEvent): RunTold {
  // Theirs tells PING although its types do not know it.
  if ((event as string) === "PING") return { tells: "ping" };
  if (event === WorkflowEventType.DONE) return { tells: "done" };
  if ("interrupt_data" in data)
    return { tells: "interrupt", type: data.interrupt_data.type, node: data.node_title };
  if ("error_code" in data) return { tells: "error", code: data.error_code, text: data.error_message };
  const { content: text, node_title: node, node_seq_id: sequence, node_is_finish: last } = data;
  return { tells: "message", text, node, sequence: Number(sequence), last };
}

function runByOurs(event: WorkflowEvent): RunTold {
  switch (event.type) {
    case "message": {
      const { text, nodeTitle: node, sequence, nodeFinished: last } = event;
      return { tells: "message", text, node, sequence, last };
    }
    case "interrupt":
      return { tells: "interrupt", type: event.interrupt.interruptType, node: event.interrupt.nodeTitle };
    case "error":
      return { tells: "error", code: event.code, text: event.text };
    case "done":
    case "ping":
      return { tells: event.type };
    case "unknown":
      throw new Error(`our client told ${event.name}`);
  }
}

const theirRun = (input: string): { workflow_id: string; parameters: { input: string } } => ({
  workflow_id: STAND_IN_WORKFLOW,
  parameters: { input },
});
const ourRun = (input: string): { workflowId: string; parameters: { input: string } } => ({
  workflowId: STAND_IN_WORKFLOW,
  parameters: { input },
});

/** All events, and the error after them. */
async function readRun<T>(
  events: AsyncIterable<T>,
  tell: (event: T) => RunTold,
): Promise<{ told: RunTold[]; error: unknown }> {
  const told: RunTold[] = [];
  try {
    for await (const event of events) told.push(tell(event));
  } catch (error) {
    return { told, error };
  }
  return { told, error: undefined };
}

describe("workflows.runs.stream: every event in order", () => {
  it.each([
    ["an output", "rain", "done"],
    ["a question", "ask", "interrupt"],
    ["a wish for a value", "ask 5", "interrupt"],
  ])("%s", async (_name, input, last) => {
    await using judged = await openJudged();
    const theirs = await readRun(judged.vendor.workflows.runs.stream(theirRun(input)), runByTheirs);
    const ours = await readRun(judged.client.workflows.stream(ourRun(input), options), runByOurs);
    expect(ours).toEqual(theirs);
    expect(theirs.told.at(-1)?.tells).toBe(last);
  });

  it("a failure, which ours throws after its event", async () => {
    await using judged = await openJudged();
    const theirs = await readRun(
      judged.vendor.workflows.runs.stream(theirRun("late fail 720701013")),
      runByTheirs,
    );
    const ours = await readRun(
      judged.client.workflows.stream(ourRun("late fail 720701013"), options),
      runByOurs,
    );
    expect(ours.told).toEqual(theirs.told);
    expect(theirs.told.at(-1)).toMatchObject({ tells: "error", code: 720701013 });
    expect(theirs.error).toBeUndefined();
    expect(ours.error).toMatchObject({ name: "CozeError", cozeCode: 720701013 });
  });
});

describe("workflows.runs.resume", () => {
  it("each gives what the other's run waits for: every event in order", async () => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const asked = await Array.fromAsync(vendor.workflows.runs.stream(theirRun("ask")));
    const data = asked.find(({ event }) => event === WorkflowEventType.INTERRUPT)?.data;
    if (data === undefined || !("interrupt_data" in data)) throw new Error("theirs was not interrupted");
    const { event_id: eventId, type: interruptType } = data.interrupt_data;
    const reply = { workflowId: STAND_IN_WORKFLOW, eventId, interruptType, data: "Grey Point" };
    const ours = await readRun(client.workflows.resume(reply, options), runByOurs);
    const waits = await Array.fromAsync(client.workflows.stream(ourRun("ask"), options));
    const found = waits.find((event) => event.type === "interrupt");
    if (found?.type !== "interrupt") throw new Error("ours was not interrupted");
    const theirs = await readRun(
      vendor.workflows.runs.resume({
        ...{ workflow_id: STAND_IN_WORKFLOW, event_id: found.interrupt.eventId },
        ...{ interrupt_type: found.interrupt.interruptType, resume_data: "Grey Point" },
      }),
      runByTheirs,
    );
    expect(ours).toEqual(theirs);
    const output = JSON.stringify({ output: "You chose Grey Point." });
    expect(theirs.told).toContainEqual(expect.objectContaining({ tells: "message", text: output }));
  });
});

describe("workflows.runs.create", () => {
  it("tells the same output and cost", async () => {
    await using judged = await openJudged();
    const theirs = await judged.vendor.workflows.runs.create(theirRun("雨"));
    const ours = await judged.client.workflows.run(ourRun("雨"), options);
    expect(ours).toMatchObject({ text: theirs.data, cost: theirs.cost });
    expect(JSON.parse(theirs.data)).toEqual(ours.output);
    expect(ours.output).toEqual({ output: "Done: 雨" });
    expect(theirs.debug_url).toContain(theirs.execute_id);
    expect(ours.debugUrl).toContain(ours.executeId);
  });

  it.each([
    ["a workflow that is not published", UNPUBLISHED_WORKFLOW, "x", 4200],
    ["a run that fails", STAND_IN_WORKFLOW, "fail 720701013", 720701013],
  ])("%s: the code and its log id", async (_name, workflowId, input, code) => {
    await using judged = await openJudged();
    const parameters = { input };
    const theirs = await errorOf(
      judged.vendor.workflows.runs.create({ workflow_id: workflowId, parameters }),
    );
    expect(theirs).toMatchObject({ code, logid: lastLogId(judged) });
    const ours = await errorOf(judged.client.workflows.run({ workflowId, parameters }, options));
    expect(ours).toMatchObject({ cozeCode: code, logId: lastLogId(judged) });
  });

  it("asynchronously: what became of the other's run", async () => {
    await using judged = await openJudged({ switches: { asyncWorkflows: true } });
    const { vendor, client } = judged;
    const theirs = await vendor.workflows.runs.create({ ...theirRun("rain"), is_async: true });
    const ours = await client.workflows.start(ourRun("rain"), options);
    for (const executeId of [theirs.execute_id, ours.executeId]) {
      // The first look is too early.
      await vendor.workflows.runs.history(STAND_IN_WORKFLOW, executeId);
      const [record] = await vendor.workflows.runs.history(STAND_IN_WORKFLOW, executeId);
      const stored = await client.workflows.history({ workflowId: STAND_IN_WORKFLOW, executeId }, options);
      expect(record?.execute_status).toBe("Success");
      expect(stored).toMatchObject({
        executeId: record?.execute_id,
        status: "succeeded",
        text: record?.output,
      });
    }
  });
});

describe("workflows.chat.stream: every event of a chatflow in order", () => {
  it.each([
    ["an answer", "Hello", "You said: Hello"],
    ["a Chinese one", "我叫图娃", "很高兴认识你，图娃。"],
    ["a question back", "ask back", "Which city do you mean?"],
  ])("%s", async (_name, text, answer) => {
    await using judged = await openJudged();
    const { vendor, client } = judged;
    const theirs = await toldByTheirs(
      vendor.workflows.chat.stream({
        workflow_id: STAND_IN_WORKFLOW,
        bot_id: STAND_IN_BOT,
        additional_messages: [{ role: RoleType.User, content: text, content_type: "text" }],
      }),
    );
    const messages = [{ role: "user", content: text }] as const;
    const request = { workflowId: STAND_IN_WORKFLOW, botId: STAND_IN_BOT, messages };
    const ours = await toldByOurs(client.workflows.chat(request, options));
    expect(ours).toEqual(theirs);
    expect(textsOf(theirs, "answer")).toEqual([answer]);
  });

  it("a conversation of ours goes on in theirs", async () => {
    await using judged = await openJudged();
    const conversationId = await newConversation(judged);
    const bot = { workflowId: STAND_IN_WORKFLOW, botId: STAND_IN_BOT, conversationId };
    const messages = [{ role: "user", content: "My name is Tuva" }] as const;
    await Array.fromAsync(judged.client.workflows.chat({ ...bot, messages }, options));
    const theirs = judged.vendor.workflows.chat.stream({
      workflow_id: STAND_IN_WORKFLOW,
      bot_id: STAND_IN_BOT,
      conversation_id: conversationId,
      additional_messages: [{ role: RoleType.User, content: "What is my name?", content_type: "text" }],
    });
    expect(textsOf(await toldByTheirs(theirs), "answer")).toEqual(["Your name is Tuva."]);
  });
});
