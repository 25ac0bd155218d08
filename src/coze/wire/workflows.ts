/**
 * Workflows on the wire.
 *
 * @see docs/reference/coze-api.md §1.3, §13
 */
import { z } from "zod";
import { usageSchema, type WireUsage } from "./chats.ts";
import { anyText, code, flag, id, ownId, text, time, webAddress } from "./values.ts";

/** A piece of a node's output. */
export interface WireWorkflowMessage {
  readonly content: string;
  readonly node_title: string;
  readonly node_id: string | undefined;
  readonly node_seq_id: number | undefined;
  readonly node_is_finish: boolean;
  readonly usage?: WireUsage | null | undefined;
}

export const workflowMessageSchema: z.ZodType<WireWorkflowMessage> = z.object({
  content: text,
  node_title: anyText,
  node_id: id.catch(undefined),
  node_seq_id: time,
  node_is_finish: flag,
  usage: usageSchema.nullish().catch(undefined),
});

/** What an interrupt needs to be resumed by. */
export interface WireInterruptData {
  readonly event_id: string;
  readonly type: number;
  readonly data: string;
  readonly required_parameters?: unknown;
}

const interruptData = z.object({
  event_id: z.string().min(1),
  type: time.pipe(z.number()),
  data: anyText,
  required_parameters: z.unknown().optional(),
});

export interface WireInterrupt {
  readonly interrupt_data: WireInterruptData;
  readonly node_title: string;
}

export const workflowInterruptSchema: z.ZodType<WireInterrupt> = z.object({
  interrupt_data: interruptData,
  node_title: anyText,
});

export interface WireWorkflowError {
  readonly error_code: number;
  readonly error_message: string;
  readonly debug_url?: string | undefined;
}

export const workflowErrorSchema: z.ZodType<WireWorkflowError> = z.object({
  error_code: code.catch(0),
  error_message: anyText,
  debug_url: webAddress,
});

export interface WireWorkflowDone {
  readonly debug_url?: string | undefined;
}

export const workflowDoneSchema: z.ZodType<WireWorkflowDone> = z.object({ debug_url: webAddress });

/** The answer of a blocking run; everything stands beside `data` (§1.3). */
export interface WireRun {
  /** JSON as text, or text. */
  readonly data?: string | null | undefined;
  readonly execute_id: string | undefined;
  readonly debug_url?: string | undefined;
  readonly usage?: WireUsage | null | undefined;
  readonly cost?: string | null | undefined;
  readonly interrupt_data?: WireInterruptData | null | undefined;
}

export const runSchema: z.ZodType<WireRun> = z.object({
  data: z.string().nullish(),
  execute_id: id,
  debug_url: webAddress,
  usage: usageSchema.nullish().catch(undefined),
  cost: z.coerce.string().nullish().catch(undefined),
  interrupt_data: interruptData.nullish().catch(undefined),
});

/** A run that goes on by itself. */
export interface WireStartedRun {
  readonly execute_id: string;
  readonly debug_url?: string | undefined;
}

export const startedRunSchema: z.ZodType<WireStartedRun> = z.object({
  execute_id: ownId,
  debug_url: webAddress,
});

/** A run as it is looked up (§13.2). */
export interface WireRunRecord {
  readonly execute_id: string | undefined;
  readonly execute_status?: string | null | undefined;
  readonly output?: string | null | undefined;
  readonly error_code: number;
  readonly error_message: string;
  readonly debug_url?: string | undefined;
  readonly usage?: WireUsage | null | undefined;
  readonly create_time: number | undefined;
  readonly update_time: number | undefined;
}

const runRecord = z.object({
  execute_id: id,
  execute_status: z.string().nullish(),
  output: z.string().nullish(),
  error_code: code.catch(0),
  error_message: anyText,
  debug_url: webAddress,
  usage: usageSchema.nullish().catch(undefined),
  create_time: time,
  update_time: time,
});

/** A list of one. */
export const runRecordSchema: z.ZodType<WireRunRecord> = z
  .tuple([runRecord], runRecord)
  .transform(([first]) => first);
