/**
 * Workspaces on the wire.
 *
 * @see docs/reference/coze-api.md §12.3
 */
import { z } from "zod";
import { parseJsonObject } from "../json.ts";
import { anyText, count, id, listOf, ownId } from "./values.ts";

/** A workspace (§12.3). */
export interface WireWorkspace {
  readonly id: string;
  readonly name: string;
  readonly icon_url: string;
  readonly description: string;
  readonly role_type: string;
  readonly workspace_type: string;
  readonly owner_uid: string | undefined;
  readonly enterprise_id: string | undefined;
}

const workspace: z.ZodType<WireWorkspace> = z.object({
  id: ownId,
  name: anyText,
  icon_url: anyText,
  description: anyText,
  role_type: anyText,
  workspace_type: anyText,
  owner_uid: id,
  enterprise_id: id,
});

export interface WireWorkspacePage {
  readonly workspaces: readonly WireWorkspace[];
  readonly total_count: number | undefined;
}

/** The vendor's own client expects that this answer may come as text (§12.3). */
export const workspacePageSchema: z.ZodType<WireWorkspacePage> = z.preprocess(
  (data) => (typeof data === "string" ? parseJsonObject(data) : data),
  z.object({ workspaces: listOf(workspace), total_count: count }),
);
