import { type Route, withBody } from "./routes.ts";
import type { WorkflowService } from "./workflows.ts";

/** Largest body of a workflow's call (coze-api.md §14). */
const MAX_BYTES = 20 * 1024 * 1024;

/** Workflows and chatflows (coze-api.md §13). */
export function workflowRoutes(workflows: WorkflowService): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/workflows/chat",
      handle: withBody((fields, { bearer }) => workflows.chat(fields, bearer)),
      maxBytes: MAX_BYTES,
    },
    {
      method: "POST",
      path: "/v1/workflow/run",
      handle: withBody((fields) => workflows.run(fields)),
      maxBytes: MAX_BYTES,
    },
    {
      method: "POST",
      path: "/v1/workflow/stream_run",
      handle: withBody((fields) => workflows.stream(fields)),
      maxBytes: MAX_BYTES,
    },
    {
      method: "POST",
      path: "/v1/workflow/stream_resume",
      handle: withBody((fields) => workflows.resume(fields)),
      maxBytes: MAX_BYTES,
    },
    {
      method: "GET",
      path: "/v1/workflows/:workflow_id/run_histories/:execute_id",
      handle: ({ params }) => workflows.history(params["workflow_id"] ?? "", params["execute_id"] ?? ""),
    },
  ];
}
