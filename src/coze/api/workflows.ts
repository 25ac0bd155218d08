import type { z } from "zod";
import type { AnswerEvent, Usage } from "../../core/answer-state.ts";
import type { Abortable, Log } from "../../core/ports.ts";
import { toUsage } from "../chat-values.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { parseCozeJson } from "../json.ts";
import { type CozePacer, paced, pacedStream } from "../pacer.ts";
import { toPathPart } from "../refusal.ts";
import { askChat, type ChatCall } from "../stream/chat-stream.ts";
import { toInterrupt, type WorkflowEvent, type WorkflowInterrupt } from "../stream/workflow-events.ts";
import { streamWorkflow } from "../stream/workflow-stream.ts";
import {
  runRecordSchema,
  runSchema,
  startedRunSchema,
  type WireRun,
  type WireRunRecord,
} from "../wire/workflows.ts";
import {
  type ChatflowRequest,
  type ResumeRequest,
  toChatflowBody,
  toResumeBody,
  toRunBody,
  type WorkflowRequest,
} from "../workflow-request.ts";

/** What became of a run that was waited for. */
export interface WorkflowRun {
  /** As Coze wrote it; empty when the run waits for somebody. */
  readonly text: string;
  /** The text read as JSON, integers beyond 2^53 as strings of their digits; the text itself when it is none. */
  readonly output: unknown;
  readonly executeId: string | undefined;
  /** Where people can look at the run, for seven days. */
  readonly debugUrl: string | undefined;
  readonly usage: Usage | undefined;
  /** In Coze's own unit, as it was told. */
  readonly cost: string | undefined;
  /** What the run waits for. */
  readonly interrupt: WorkflowInterrupt | undefined;
}

/** A run as Coze recorded it. */
export interface StoredRun {
  readonly executeId: string;
  readonly status: "running" | "succeeded" | "failed" | "unknown";
  readonly text: string;
  /** As in {@link WorkflowRun}. */
  readonly output: unknown;
  readonly failure: { readonly code: number; readonly text: string } | undefined;
  readonly debugUrl: string | undefined;
  readonly usage: Usage | undefined;
  /** Unix seconds. */
  readonly createdAt: number | undefined;
  readonly updatedAt: number | undefined;
}

/** Workflows and chatflows (coze-api.md §13). Every method throws {@link CozeError}. */
export class WorkflowsApi {
  readonly #http: CozeHttp;
  readonly #pacer: CozePacer;
  readonly #log: Log;

  constructor(http: CozeHttp, { pacer, log }: { pacer: CozePacer; log: Log }) {
    this.#http = http;
    this.#pacer = pacer;
    this.#log = log;
  }

  /**
   * Asks a chatflow, and yields the answer as it is written; ends as {@link ChatsApi.stream} does. A question of one
   * of its nodes is answered by asking again in the same conversation (coze-api.md §6.5).
   */
  chat(request: ChatflowRequest, { signal }: Abortable): AsyncIterable<AnswerEvent> {
    const open = (): AsyncIterable<AnswerEvent> =>
      askChat(this.#http, toChatCall(request), { signal, log: this.#log });
    return pacedStream(this.#pacer.workflows, signal, open);
  }

  /** Runs a workflow and waits for its end; gateways on the way may cut it after 90 s. @see stream, start */
  async run(request: WorkflowRequest, options: Abortable): Promise<WorkflowRun> {
    return toWorkflowRun(await this.#run(toRunBody(request), runSchema, options));
  }

  /**
   * Starts a run that nobody waits for, of at most 24 h; paid plans only. {@link history} tells what became of it.
   *
   * @throws {CozeError} `COZE_QUOTA` where the plan does not allow it.
   */
  async start(
    request: WorkflowRequest,
    options: Abortable,
  ): Promise<{ executeId: string; debugUrl: string | undefined }> {
    const run = await this.#run({ ...toRunBody(request), is_async: true }, startedRunSchema, options);
    return { executeId: run.execute_id, debugUrl: run.debug_url };
  }

  /**
   * Runs a workflow, and yields what its nodes say. Returns normally only after `done` or an interrupt.
   *
   * @throws {CozeError} the code's error after an `error` event; `COZE_STREAM_BROKEN` when the stream just stops.
   */
  stream(request: WorkflowRequest, options: Abortable): AsyncIterable<WorkflowEvent> {
    return this.#stream("/v1/workflow/stream_run", () => toRunBody(request), options);
  }

  /** Gives an interrupted run what it waits for; it goes on as {@link stream} does. */
  resume(request: ResumeRequest, options: Abortable): AsyncIterable<WorkflowEvent> {
    return this.#stream("/v1/workflow/stream_resume", () => toResumeBody(request), options);
  }

  /** What Coze recorded of a run that was started. */
  async history(run: { workflowId: string; executeId: string }, { signal }: Abortable): Promise<StoredRun> {
    const path = `/v1/workflows/${toPathPart(run.workflowId)}/run_histories/${toPathPart(run.executeId)}`;
    const call: CozeCall = { method: "GET", path, signal };
    const look = (): Promise<WireRunRecord> => this.#http.call(call, runRecordSchema);
    const { failure, ...stored } = toStoredRun(
      run.executeId,
      await paced(this.#pacer.workflows, signal, look),
    );
    // Coze's words for a failure might repeat our token.
    return { ...stored, failure: failure && { ...failure, text: this.#http.redact(failure.text) } };
  }

  #run<T>(json: object, schema: z.ZodType<T>, { signal }: Abortable): Promise<T> {
    const call: CozeCall = { method: "POST", path: "/v1/workflow/run", json, signal };
    const send = (): Promise<T> => this.#http.call(call, schema, { whole: true, patient: true });
    return paced(this.#pacer.workflows, signal, send);
  }

  /** @param toJson - Called by the reader's first step, which throws what it throws. */
  #stream(path: string, toJson: () => object, { signal }: Abortable): AsyncIterable<WorkflowEvent> {
    const open = (): AsyncIterable<WorkflowEvent> =>
      streamWorkflow(this.#http, { path, json: toJson() }, { signal, log: this.#log });
    return pacedStream(this.#pacer.workflows, signal, open);
  }
}

function toChatCall(request: ChatflowRequest): ChatCall {
  const { conversationId } = request;
  return { path: "/v1/workflows/chat", json: toChatflowBody(request), conversationId };
}

function toWorkflowRun(run: WireRun): WorkflowRun {
  const interrupt = run.interrupt_data;
  return {
    ...toOutput(run.data),
    executeId: run.execute_id,
    debugUrl: run.debug_url,
    usage: toUsage(run.usage),
    cost: run.cost ?? undefined,
    interrupt: interrupt ? toInterrupt({ interrupt_data: interrupt, node_title: "" }) : undefined,
  };
}

function toStoredRun(executeId: string, record: WireRunRecord): StoredRun {
  const { error_code: code, error_message: text } = record;
  return {
    executeId: record.execute_id ?? executeId,
    status: STATUS.get(record.execute_status?.toLowerCase() ?? "") ?? "unknown",
    ...toOutput(record.output),
    failure: code === 0 ? undefined : { code, text },
    debugUrl: record.debug_url,
    usage: toUsage(record.usage),
    createdAt: record.create_time,
    updatedAt: record.update_time,
  };
}

const STATUS: ReadonlyMap<string, StoredRun["status"]> = new Map([
  ["running", "running"],
  ["success", "succeeded"],
  ["fail", "failed"],
]);

/** `data` is JSON as text (coze-api.md §1.3), unless the end node answers with a text. */
function toOutput(data: string | null | undefined): { text: string; output: unknown } {
  const text = data ?? "";
  try {
    return { text, output: parseCozeJson(text) };
  } catch {
    // No JSON: the text is the output.
    return { text, output: text };
  }
}
