import { type Route, withBody } from "./routes.ts";
import { isRefusal } from "./rules.ts";
import type { CozeService } from "./service.ts";
import type { CozeSwitches } from "./switches.ts";

/** Chats and files (coze-api.md §4, §8, §10). */
export function chatRoutes(service: CozeService, switches: CozeSwitches): readonly Route[] {
  const retrieve: Route["handle"] = ({ query }) =>
    service.retrieveChat(query("conversation_id"), query("chat_id"));
  return [
    {
      method: "POST",
      path: "/v3/chat",
      handle: withBody((fields, { query, bearer }) =>
        service.startChat(query("conversation_id") || undefined, fields, bearer),
      ),
    },
    { method: "GET", path: "/v3/chat/retrieve", handle: retrieve },
    {
      method: "POST",
      path: "/v3/chat/retrieve",
      when: () => switches.retrieveByPost,
      handle: retrieve,
    },
    {
      method: "GET",
      path: "/v3/chat/message/list",
      handle: ({ query }) => service.listChatMessages(query("conversation_id"), query("chat_id")),
    },
    {
      method: "POST",
      path: "/v3/chat/submit_tool_outputs",
      handle: withBody((fields, { query }) =>
        service.submitToolOutputs(query("conversation_id"), query("chat_id"), fields),
      ),
    },
    { method: "POST", path: "/v3/chat/cancel", handle: withBody((fields) => service.cancelChat(fields)) },
    {
      method: "POST",
      path: "/v1/files/upload",
      upload: true,
      handle(request) {
        const parts = request.parts();
        return isRefusal(parts) ? parts : service.uploadFile(parts);
      },
    },
    {
      method: "GET",
      path: "/v1/files/retrieve",
      handle: ({ query }) => service.retrieveFile(query("file_id")),
    },
  ];
}
