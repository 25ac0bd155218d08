/**
 * Users on the wire.
 *
 * @see docs/reference/coze-api.md §12.3
 */
import { z } from "zod";
import { anyText, ownId } from "./values.ts";

/** The account behind a token (§12.3). */
export interface WireUser {
  readonly user_id: string;
  readonly user_name: string;
  readonly nick_name: string;
  readonly avatar_url: string;
}

export const userSchema: z.ZodType<WireUser> = z.object({
  user_id: ownId,
  user_name: anyText,
  nick_name: anyText,
  avatar_url: anyText,
});
