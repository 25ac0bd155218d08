import { type Route, withBody } from "./routes.ts";
import { isRefusal } from "./rules.ts";
import type { CozeService } from "./service.ts";

/** Chats, conversations, messages and files (coze-api.md §4, §8–10). */
export function chatRoutes(service: CozeService): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v3/chat",
      handle: withBody((fields, { query }) =>
        service.startChat(query("conversation_id") || undefined, fields),
      ),
    },
    {
      method: "GET",
      path: "/v3/chat/retrieve",
      handle: ({ query }) => service.retrieveChat(query("conversation_id"), query("chat_id")),
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
      path: "/v1/conversation/create",
      handle: withBody((fields) => service.createConversation(fields)),
    },
    {
      method: "GET",
      path: "/v1/conversation/retrieve",
      handle: ({ query }) => service.retrieveConversation(query("conversation_id")),
    },
    {
      method: "POST",
      path: "/v1/conversation/message/list",
      handle: withBody((fields, { query }) => service.listMessages(query("conversation_id"), fields)),
    },
    {
      method: "POST",
      path: "/v1/files/upload",
      upload: true,
      async handle(request) {
        const parts = await request.parts();
        return isRefusal(parts) ? parts : service.uploadFile(parts);
      },
    },
  ];
}
