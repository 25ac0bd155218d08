import type { ConversationsService } from "./conversations.ts";
import type { MessagesService } from "./messages.ts";
import { type Route, withBody } from "./routes.ts";

/** Conversations, their messages, and feedback on them (coze-api.md §9). */
export function conversationRoutes(
  conversations: ConversationsService,
  messages: MessagesService,
): readonly Route[] {
  return [...ofConversations(conversations), ...ofMessages(messages), ...ofFeedback(messages)];
}

function ofConversations(conversations: ConversationsService): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/conversation/create",
      handle: withBody((fields, { bearer }) => conversations.create(fields, bearer)),
    },
    {
      method: "GET",
      path: "/v1/conversation/retrieve",
      handle: ({ query, bearer }) => conversations.retrieve(query("conversation_id"), bearer),
    },
    {
      method: "GET",
      path: "/v1/conversations",
      handle: ({ query, bearer }) => conversations.list(query, bearer),
    },
    {
      method: "PUT",
      path: "/v1/conversations/:conversation_id",
      handle: withBody((fields, { params, bearer }) =>
        conversations.rename(params["conversation_id"] ?? "", fields, bearer),
      ),
    },
    {
      method: "DELETE",
      path: "/v1/conversations/:conversation_id",
      handle: ({ params, bearer }) => conversations.delete(params["conversation_id"] ?? "", bearer),
    },
    {
      method: "POST",
      path: "/v1/conversations/:conversation_id/clear",
      handle: ({ params, bearer }) => conversations.clear(params["conversation_id"] ?? "", bearer),
    },
  ];
}

function ofMessages(messages: MessagesService): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/conversation/message/list",
      handle: withBody((fields, { query, bearer }) =>
        messages.list(query("conversation_id"), fields, bearer),
      ),
    },
    {
      method: "POST",
      path: "/v1/conversation/message/create",
      handle: withBody((fields, { query, bearer }) =>
        messages.create(query("conversation_id"), fields, bearer),
      ),
    },
    {
      method: "GET",
      path: "/v1/conversation/message/retrieve",
      handle: ({ query, bearer }) => messages.retrieve(query("conversation_id"), query("message_id"), bearer),
    },
    {
      method: "POST",
      path: "/v1/conversation/message/modify",
      handle: withBody((fields, { query, bearer }) =>
        messages.modify(query("conversation_id"), query("message_id"), fields, bearer),
      ),
    },
    {
      method: "POST",
      path: "/v1/conversation/message/delete",
      handle: ({ query, bearer }) => messages.delete(query("conversation_id"), query("message_id"), bearer),
    },
  ];
}

function ofFeedback(messages: MessagesService): readonly Route[] {
  const path = "/v1/conversations/:conversation_id/messages/:message_id/feedback";
  return [
    {
      method: "POST",
      path,
      handle: withBody((fields, { params, bearer }) =>
        messages.giveFeedback(params["conversation_id"] ?? "", params["message_id"] ?? "", fields, bearer),
      ),
    },
    {
      method: "DELETE",
      path,
      handle: ({ params, bearer }) =>
        messages.removeFeedback(params["conversation_id"] ?? "", params["message_id"] ?? "", bearer),
    },
  ];
}
