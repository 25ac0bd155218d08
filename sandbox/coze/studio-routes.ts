import { type Route, withBody } from "./routes.ts";
import { isRefusal } from "./rules.ts";
import type { StudioService } from "./studio.ts";

/** Calls that a studio has, and answers as the hosted service does (`STUDIO:backend/api/middleware/openapi_auth.go`). */
const SHARED = new Set([
  "POST /v1/conversation/create",
  "GET /v1/conversation/retrieve",
  "GET /v1/conversations",
  "PUT /v1/conversations/:conversation_id",
  "DELETE /v1/conversations/:conversation_id",
  "POST /v1/conversations/:conversation_id/clear",
  "GET /v1/bots/:bot_id",
  "GET /v1/bot/get_online_info",
  "POST /v1/workflows/chat",
  "POST /v1/workflow/run",
  "POST /v1/workflow/stream_run",
  "POST /v1/workflow/stream_resume",
]);

/** All that a self-hosted Coze Studio has of the API; everything else is a page of its website (coze-api.md §18). */
export function studioRoutes(studio: StudioService, hosted: readonly Route[]): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v3/chat",
      handle: withBody((fields, { query, bearer }) =>
        studio.startChat(query("conversation_id"), fields, bearer),
      ),
    },
    {
      method: "GET",
      path: "/v3/chat/retrieve",
      handle: ({ query }) => studio.retrieveChat(query("conversation_id"), query("chat_id")),
    },
    {
      method: "GET",
      path: "/v3/chat/message/list",
      handle: ({ query, bearer }) =>
        studio.listChatMessages(query("conversation_id"), query("chat_id"), bearer),
    },
    { method: "POST", path: "/v3/chat/cancel", handle: withBody((fields) => studio.cancelChat(fields)) },
    {
      method: "POST",
      path: "/v1/conversation/message/list",
      handle: withBody((fields, { query, bearer }) =>
        studio.listMessages(query("conversation_id"), fields, bearer),
      ),
    },
    {
      method: "POST",
      path: "/v1/files/upload",
      upload: true,
      handle(request) {
        const parts = request.parts();
        return isRefusal(parts) ? parts : studio.uploadFile(parts);
      },
    },
    ...hosted.filter(({ method, path }) => SHARED.has(`${method} ${path}`)),
  ];
}
