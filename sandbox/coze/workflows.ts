import type { BotsService } from "./bots.ts";
import type { Outcome } from "./routes.ts";
import { type Fields, isRefusal, type Refusal, refuse } from "./rules.ts";
import { type CozeService, tooMany } from "./service.ts";
import type { PlainEvent } from "./sse-bytes.ts";
import type { CozeSwitches } from "./switches.ts";
import {
  checkChatflow,
  checkResume,
  checkRun,
  type RunRequest,
  type WorkflowFacts,
} from "./workflow-rules.ts";
import { planWorkflow, QUESTION, type WorkflowPlan } from "./workflow-script.ts";

/** The workflow that exists and is published; it is a chatflow as well. */
export const STAND_IN_WORKFLOW = "7380000000000000021";
/** A workflow that exists and is not published. */
export const UNPUBLISHED_WORKFLOW = "7380000000000000022";
/** The app that exists. */
export const STAND_IN_APP = "7380000000000000031";

/** How often a run can be resumed (coze-api.md §13.2). */
const MAX_RESUMES = 3;
/** Of a run that failed (coze-api.md §15). */
const EXECUTION_FAILED = 720701013;
const FRAMING = { spaceAfterColon: true };

/** A run as it is remembered. */
interface Run {
  readonly id: string;
  readonly workflowId: string;
  readonly input: string;
  status: "Running" | "Success" | "Fail";
  output: string;
  failure: { readonly code: number; readonly msg: string };
  /** What it waits for. */
  waiting: { readonly eventId: string; readonly type: number } | undefined;
  resumes: number;
  looks: number;
}

/** Workflows behind the wire (coze-api.md §13). */
export class WorkflowService {
  readonly #service: CozeService;
  readonly #switches: CozeSwitches;
  readonly #facts: WorkflowFacts;
  readonly #runs = new Map<string, Run>();

  constructor(service: CozeService, { switches, bots }: { switches: CozeSwitches; bots: BotsService }) {
    this.#service = service;
    this.#switches = switches;
    this.#facts = {
      workflows: new Map([
        [STAND_IN_WORKFLOW, { published: true }],
        [UNPUBLISHED_WORKFLOW, { published: false }],
      ]),
      hasBot: (botId) => bots.all.has(botId),
      hasApp: (appId) => appId === STAND_IN_APP,
      hasFile: (fileId) => service.files.has(fileId),
    };
  }

  /** A chat that answers as the bot does, in the framing of chatflows, without suggestions. */
  chat(body: Fields, token: string): Outcome {
    if (!this.#allows()) return tooMany();
    const request = checkChatflow(body, this.#facts);
    if (isRefusal(request)) return request;
    const { botId = "", userId, conversationId, messages } = request;
    const doneData = JSON.stringify({ debug_url: debugUrl(this.#service.newId()) });
    const outcome = this.#service.startChatflow({ botId, userId, conversationId, messages, doneData, token });
    if (!("refuse" in outcome)) return "run" in outcome ? { ...outcome, framing: FRAMING } : outcome;
    // Failed before it began: one event, and its code is a string (coze-api.md §7.3).
    const { code, msg } = outcome.refuse;
    const data = JSON.stringify({ code: String(code), msg });
    return { events: toStream([{ name: "conversation.chat.failed", data }]), framing: FRAMING };
  }

  run(body: Fields): Outcome {
    if (!this.#allows()) return tooMany();
    const request = checkRun(body, this.#facts);
    if (isRefusal(request)) return request;
    if (request.isAsync && !this.#switches.asyncWorkflows) return refuse(6003, "async runs need a paid plan");
    const run = this.#newRun(request);
    const { id, failure, output, waiting } = this.#finish(run, planWorkflow(run.input));
    const where = { execute_id: id, debug_url: debugUrl(id) };
    // The documented example of an async run has no `code` (coze-api.md §1.3).
    if (request.isAsync) return { bare: where, status: 200 };
    if (run.status === "Fail") return { ...failure, debug_url: where.debug_url };
    const interrupt = waiting && {
      interrupt_data: { event_id: waiting.eventId, type: waiting.type, data: "" },
    };
    return { body: { data: output, ...where, usage: usageOf(run), token: 0, cost: "0", ...interrupt } };
  }

  stream(body: Fields): Outcome {
    if (!this.#allows()) return tooMany();
    const request = checkRun(body, this.#facts);
    if (isRefusal(request)) return this.#refuseStream(request);
    const run = this.#newRun(request);
    return this.#play(run, planWorkflow(run.input));
  }

  resume(body: Fields): Outcome {
    if (!this.#allows()) return tooMany();
    const request = checkResume(body);
    if (isRefusal(request)) return this.#refuseStream(request);
    const run = this.#runs.get(request.eventId.split("/")[0] ?? "");
    if (run?.workflowId !== request.workflowId) return refuse(4200, "no such run");
    if (run.status !== "Running") return refuse(4315, "the run has ended");
    if (run.waiting?.eventId !== request.eventId || run.waiting.type !== request.type) {
      return refuse(4000, "the run does not wait for this");
    }
    run.resumes += 1;
    return this.#play(run, this.#planReply(run, request.reply));
  }

  history(workflowId: string, executeId: string): Outcome {
    const run = this.#runs.get(executeId);
    if (run?.workflowId !== workflowId) return refuse(4314, "no such run");
    run.looks += 1;
    // It takes its time: the first look is too early.
    const status = run.looks === 1 ? "Running" : run.status;
    const over = status !== "Running";
    const record = {
      execute_id: run.id,
      execute_status: status,
      bot_id: "0",
      output: over ? run.output : "",
      error_code: over ? run.failure.code : 0,
      error_message: over ? run.failure.msg : "",
      debug_url: debugUrl(run.id),
      usage: usageOf(run),
      create_time: this.#service.seconds(),
      update_time: this.#service.seconds(),
    };
    return { body: { data: [record] } };
  }

  #allows(): boolean {
    return this.#service.allows("workflow", this.#switches.limits?.workflowPerSecond);
  }

  #newRun({ workflowId, parameters }: RunRequest): Run {
    const input = parameters["input"];
    const run: Run = {
      id: this.#service.newId(),
      workflowId,
      input: typeof input === "string" ? input : "",
      status: "Running",
      output: "",
      failure: { code: 0, msg: "" },
      waiting: undefined,
      resumes: 0,
      looks: 0,
    };
    this.#runs.set(run.id, run);
    return run;
  }

  /** A reply of `?` does not satisfy the question node; the third one fails the run (coze-api.md §13.2). */
  #planReply(run: Run, reply: string): WorkflowPlan {
    const { type = 0 } = run.waiting ?? {};
    if (reply !== "?")
      return { said: [], end: "output", output: JSON.stringify({ output: `You chose ${reply}.` }) };
    if (run.resumes < MAX_RESUMES) return { said: [], end: "ask", type };
    return { said: [], end: "fail", code: EXECUTION_FAILED };
  }

  /** Everything a plan changes in its run. */
  #finish(run: Run, plan: WorkflowPlan): Run {
    run.waiting = undefined;
    switch (plan.end) {
      case "output":
        run.status = "Success";
        run.output = plan.output;
        break;
      case "fail":
        run.status = "Fail";
        run.failure = { code: plan.code, msg: "failed on request" };
        break;
      case "ask":
        run.waiting = { eventId: `${run.id}/${this.#service.newId()}`, type: plan.type };
        break;
      case "stop":
        break;
    }
    return run;
  }

  #play(run: Run, plan: WorkflowPlan): Outcome {
    const events = this.#toEvents(this.#finish(run, plan), plan);
    // Numbered through the whole stream, while the nodes count for themselves (coze-api.md §13.2).
    return {
      events: toStream(events.map((event, index) => ({ id: String(index), ...event }))),
      framing: FRAMING,
    };
  }

  #toEvents(run: Run, plan: WorkflowPlan): PlainEvent[] {
    const where = { debug_url: debugUrl(run.id) };
    const { workflowPings, doneAfterError, doneAfterInterrupt } = this.#switches;
    const pings = workflowPings ? [toEvent("PING", { content: "{}" })] : [];
    const said = plan.said.map((text, index) =>
      message("Message", text, index, index === plan.said.length - 1),
    );
    const done = toEvent("Done", where);
    switch (plan.end) {
      case "output":
        return [...said, ...pings, lastMessage(plan.output, usageOf(run)), done];
      case "fail": {
        const { code, msg } = run.failure;
        const error = toEvent("Error", { error_code: code, error_message: msg, ...where });
        return [...said, ...pings, error, ...(doneAfterError ? [done] : [])];
      }
      case "ask": {
        const { eventId, type } = run.waiting ?? { eventId: "", type: 0 };
        const data = { interrupt_data: { data: "", event_id: eventId, type }, node_title: "Question" };
        const question = message("Question", QUESTION, 0, true);
        return [
          ...said,
          question,
          ...pings,
          toEvent("Interrupt", data),
          ...(doneAfterInterrupt ? [done] : []),
        ];
      }
      case "stop":
        return [...said, ...pings];
    }
  }

  /** Recorded as an event, documented as JSON (coze-api.md §7.1). */
  #refuseStream(refusal: Refusal): Outcome {
    if (this.#switches.workflowRefusals === "json") return refusal;
    const error = toEvent("Error", { error_code: refusal.code, error_message: refusal.msg });
    return { events: toStream([{ id: "0", ...error }]), framing: FRAMING };
  }
}

function message(title: string, content: string, sequence: number, last: boolean): PlainEvent {
  const node = { node_is_finish: last, node_seq_id: String(sequence), node_title: title };
  return toEvent("Message", { content, content_type: "text", ...node });
}

/** The end node says the whole output once more, as recorded. */
function lastMessage(output: string, usage: object): PlainEvent {
  const node = { node_is_finish: true, node_seq_id: "0", node_title: "" };
  return toEvent("Message", { content: output, cost: "0.00", ...node, token: 0, usage });
}

function toEvent(name: string, data: object): PlainEvent {
  return { name, data: JSON.stringify(data) };
}

async function* toStream(events: readonly PlainEvent[]): AsyncGenerator<PlainEvent, void, undefined> {
  yield* events;
}

function usageOf({ input, output }: Run): object {
  return {
    input_count: input.length,
    output_count: output.length,
    token_count: input.length + output.length,
  };
}

function debugUrl(executeId: string): string {
  return `https://www.coze.cn/work_flow?execute_id=${executeId}&space_id=1&workflow_id=2`;
}
