/**
 * Files on the wire.
 *
 * @see docs/reference/coze-api.md §3.8
 */
import { z } from "zod";
import { anyText, ownId, time } from "./values.ts";

/** A file (§3.8). */
export interface WireFile {
  readonly id: string;
  readonly bytes: number | undefined;
  readonly file_name: string;
  readonly created_at: number | undefined;
}

export const fileSchema: z.ZodType<WireFile> = z.object({
  id: ownId,
  bytes: time,
  file_name: anyText,
  created_at: time,
});
