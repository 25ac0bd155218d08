import type { Usage } from "../../core/answer-state.ts";
import { toUsage } from "../chat-values.ts";
import { clip } from "../errors.ts";
import { parseJsonObject } from "../json.ts";
import {
  type WireInterrupt,
  type WireWorkflowError,
  type WireWorkflowMessage,
  workflowDoneSchema,
  workflowErrorSchema,
  workflowInterruptSchema,
  workflowMessageSchema,
} from "../wire/workflows.ts";
import type { SseEvent } from "./sse.ts";

/** One thing that a running workflow tells (coze-api.md §13.2). */
export type WorkflowEvent =
  | WorkflowMessage
  | { readonly type: "interrupt"; readonly interrupt: WorkflowInterrupt }
  | {
      readonly type: "error";
      readonly code: number;
      readonly text: string;
      readonly debugUrl: string | undefined;
    }
  | { readonly type: "done"; readonly debugUrl: string | undefined }
  /** It lives. */
  | { readonly type: "ping" }
  | { readonly type: "unknown"; readonly name: string };

/** A piece of what a node says; the last one of the end node is the whole output once more. */
export interface WorkflowMessage {
  readonly type: "message";
  readonly text: string;
  readonly nodeTitle: string;
  /** Not told by every version of the service. */
  readonly nodeId: string | undefined;
  /** Counted per node, from 0; the same node may run several times. */
  readonly sequence: number;
  /** Nothing more comes from this run of the node. */
  readonly nodeFinished: boolean;
  readonly usage: Usage | undefined;
}

/** The workflow waits for somebody. */
export interface WorkflowInterrupt {
  /** What {@link ResumeRequest} needs. */
  readonly eventId: string;
  /** Coze's number of the kind, which {@link ResumeRequest} needs as well. */
  readonly interruptType: number;
  readonly kind: "question" | "input" | "local_plugin" | "oauth" | "unknown";
  readonly nodeTitle: string;
  /** Empty, or what the node has to say about it. */
  readonly data: string;
  /** What an input node asks for, by name, as Coze describes it. */
  readonly requiredParameters: unknown;
}

/** One event of a workflow's stream, typed. Never throws: what cannot be read is `unknown`. */
export function toWorkflowEvent({ name, data }: SseEvent): WorkflowEvent {
  const body = parseJsonObject(data) ?? {};
  switch (name) {
    case "Message": {
      const message = workflowMessageSchema.safeParse(body);
      return message.success ? toMessage(message.data) : { type: "unknown", name };
    }
    case "Interrupt": {
      const interrupt = workflowInterruptSchema.safeParse(body);
      return interrupt.success
        ? { type: "interrupt", interrupt: toInterrupt(interrupt.data) }
        : { type: "unknown", name };
    }
    case "Error":
      return toError(workflowErrorSchema.safeParse(body).data, data);
    case "Done":
      return { type: "done", debugUrl: workflowDoneSchema.safeParse(body).data?.debug_url };
    case "PING":
      return { type: "ping" };
    default:
      return { type: "unknown", name };
  }
}

export function toInterrupt({
  interrupt_data: { event_id, type, data, required_parameters },
  node_title,
}: WireInterrupt): WorkflowInterrupt {
  return {
    eventId: event_id,
    interruptType: type,
    kind: KINDS.get(type) ?? "unknown",
    nodeTitle: node_title,
    data,
    requiredParameters: required_parameters,
  };
}

const KINDS: ReadonlyMap<number, WorkflowInterrupt["kind"]> = new Map([
  [2, "question"],
  [5, "input"],
  [6, "local_plugin"],
  [7, "oauth"],
]);

function toMessage(message: WireWorkflowMessage): WorkflowMessage {
  return {
    type: "message",
    text: message.content,
    nodeTitle: message.node_title,
    nodeId: message.node_id,
    sequence: message.node_seq_id ?? 0,
    nodeFinished: message.node_is_finish,
    usage: toUsage(message.usage),
  };
}

/** The name alone says that it failed. */
function toError(failure: WireWorkflowError | undefined, data: string): WorkflowEvent {
  const text = failure?.error_message || clip(data);
  return { type: "error", code: failure?.error_code ?? 0, text, debugUrl: failure?.debug_url };
}
