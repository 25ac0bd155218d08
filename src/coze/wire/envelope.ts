/**
 * What stands around every answer of Coze. Here as in the other files of this folder: only the fields we read; unknown
 * ones pass; any field may be missing, null or empty.
 *
 * @see docs/reference/coze-api.md §1.3, §1.4
 */
import { z } from "zod";
import { anyText, code, webAddress } from "./values.ts";

/** The envelope of every answer (§1.3). Older error bodies use `error.logid` (§1.4). */
export interface Envelope {
  /** 0 is success, and so is none. */
  readonly code: number;
  readonly msg: string;
  /** Beside the failure of a workflow. */
  readonly debug_url?: string | undefined;
  readonly data?: unknown;
  readonly detail?: { readonly logid?: string | undefined } | null | undefined;
  readonly error?: { readonly logid?: string | undefined } | null | undefined;
}

const logIdHolder = z.object({ logid: z.string().optional() }).nullish().catch(undefined);

export const envelopeSchema: z.ZodType<Envelope> = z.object({
  code,
  msg: anyText,
  debug_url: webAddress,
  data: z.unknown().optional(),
  detail: logIdHolder,
  error: logIdHolder,
});

/** Coze's words for a failure. */
export interface WireFailure {
  readonly code: number;
  readonly msg: string;
}

export const failureSchema: z.ZodType<WireFailure> = z.object({ code, msg: anyText });

/** Calls that answer with nothing but success (§1.3). */
export const nothingSchema: z.ZodType<unknown> = z.unknown();
