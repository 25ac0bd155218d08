import type { SchemaObject } from "ajv";
import {
  type AnswerSpecs,
  ENTER_MESSAGE,
  exact,
  ID,
  LIST,
  META_DATA,
  NONE,
  open,
  PAGE,
  type RequestSpecs,
  TEXT,
} from "./shapes.ts";

const NAME = { type: "string", maxLength: 100 };
const CONVERSATION_ID = exact({ required: { conversation_id: ID } });
const MESSAGE_IDS = exact({ required: { conversation_id: ID, message_id: ID } });
const FEEDBACK = "/v1/conversations/:conversation_id/messages/:message_id/feedback";

/** §9.3: content and its type go together, and something is changed. */
const CHANGE: SchemaObject = {
  ...exact({
    optional: { content: TEXT, content_type: { enum: ["text", "object_string"] }, meta_data: META_DATA },
  }),
  minProperties: 1,
  dependencies: { content: ["content_type"], content_type: ["content"] },
};

export const CONVERSATION_REQUESTS: RequestSpecs = {
  "POST /v1/conversation/create": {
    query: NONE,
    body: exact({
      optional: {
        bot_id: ID,
        name: NAME,
        messages: { type: "array", maxItems: 16, items: ENTER_MESSAGE },
        meta_data: META_DATA,
        connector_id: ID,
      },
    }),
    source: "§9.1",
  },
  "GET /v1/conversation/retrieve": { query: CONVERSATION_ID, source: "§9.1" },
  "GET /v1/conversations": {
    query: exact({
      required: { bot_id: ID, ...PAGE },
      optional: { sort_order: { enum: ["ASC", "DESC"] }, connector_id: ID },
    }),
    source: "§9.1",
  },
  "PUT /v1/conversations/:conversation_id": {
    query: NONE,
    body: exact({ required: { name: { ...NAME, minLength: 1 } } }),
    source: "§9.1",
  },
  "DELETE /v1/conversations/:conversation_id": { query: NONE, source: "§9.1" },
  "POST /v1/conversations/:conversation_id/clear": { query: NONE, source: "§9.1" },
  "POST /v1/conversation/message/list": {
    query: CONVERSATION_ID,
    body: exact({
      optional: {
        order: { enum: ["asc", "desc"] },
        chat_id: ID,
        before_id: ID,
        after_id: ID,
        limit: { type: "integer", minimum: 1, maximum: 50 },
        include_middle_message: { type: "boolean" },
      },
    }),
    source: "§9.2",
  },
  "POST /v1/conversation/message/create": { query: CONVERSATION_ID, body: ENTER_MESSAGE, source: "§9.3" },
  "GET /v1/conversation/message/retrieve": { query: MESSAGE_IDS, source: "§9.3" },
  "POST /v1/conversation/message/modify": { query: MESSAGE_IDS, body: CHANGE, source: "§9.3" },
  "POST /v1/conversation/message/delete": { query: MESSAGE_IDS, source: "§9.3" },
  [`POST ${FEEDBACK}`]: {
    query: NONE,
    body: exact({
      required: { feedback_type: { enum: ["like", "unlike"] } },
      optional: {
        reason_types: { type: "array", maxItems: 10, items: { type: "string", minLength: 1, maxLength: 30 } },
        comment: { type: "string", maxLength: 250 },
      },
    }),
    source: "§9.4",
  },
  [`DELETE ${FEEDBACK}`]: { query: NONE, source: "§9.4" },
};

/** §3.7 */
const CONVERSATION = open({
  id: ID,
  name: { type: "string" },
  meta_data: META_DATA,
  creator_id: ID,
  connector_id: ID,
  created_at: { type: "integer" },
  updated_at: { type: "integer" },
  last_section_id: ID,
});
const MESSAGE = open({ id: ID, conversation_id: ID, meta_data: META_DATA });

export const CONVERSATION_ANSWERS: AnswerSpecs = {
  "POST /v1/conversation/create": CONVERSATION,
  "GET /v1/conversation/retrieve": CONVERSATION,
  "GET /v1/conversations": exact({
    required: { has_more: { type: "boolean" }, conversations: { ...LIST, items: CONVERSATION } },
  }),
  "PUT /v1/conversations/:conversation_id": CONVERSATION,
  "DELETE /v1/conversations/:conversation_id": "none",
  "POST /v1/conversations/:conversation_id/clear": exact({ required: { id: ID, conversation_id: ID } }),
  "POST /v1/conversation/message/list": LIST,
  "POST /v1/conversation/message/create": MESSAGE,
  "GET /v1/conversation/message/retrieve": MESSAGE,
  "POST /v1/conversation/message/modify": MESSAGE,
  "POST /v1/conversation/message/delete": MESSAGE,
  [`POST ${FEEDBACK}`]: "none",
  [`DELETE ${FEEDBACK}`]: "none",
};
