/**
 * What is said between a client and a self-hosted Coze Studio.
 *
 * @see docs/reference/coze-api.md §18
 */
import type { SchemaObject } from "ajv";
import type { Exchange } from "../../../sandbox/stand-in.ts";
import { check, fields } from "../coze-spec.ts";
import { ENTER_MESSAGE, exact, ID, LIST, META_DATA, NONE, open, type RequestSpecs, TEXT } from "./shapes.ts";

const STRINGS = { type: "object", additionalProperties: { type: "string" } };
const IDS = exact({ required: { conversation_id: ID, chat_id: ID } });

/** What goes out: no `meta_data` that would be lost, and no order, filter or limit that is not heeded. */
const REQUESTS: RequestSpecs = {
  "POST /v3/chat": {
    query: exact({ optional: { conversation_id: ID } }),
    body: exact({
      required: {
        bot_id: ID,
        user_id: TEXT,
        // Said always: the default is the other one than the hosted service's.
        stream: { type: "boolean" },
        auto_save_history: { const: true },
        additional_messages: { type: "array", minItems: 1, maxItems: 1, items: ENTER_MESSAGE },
      },
      optional: { extra_params: STRINGS },
    }),
    source: "§18",
  },
  "GET /v3/chat/retrieve": { query: IDS, source: "§8.2" },
  "GET /v3/chat/message/list": { query: IDS, source: "§8.3" },
  "POST /v3/chat/cancel": { query: NONE, body: IDS, source: "§8.4" },
  "POST /v1/files/upload": { query: NONE, source: "§10" },
  "POST /v1/conversation/create": {
    query: NONE,
    body: exact({ required: { bot_id: ID }, optional: { name: TEXT, meta_data: META_DATA } }),
    source: "§9.1",
  },
  "POST /v1/conversation/message/list": {
    query: exact({ required: { conversation_id: ID } }),
    body: exact({
      // Without a limit nothing is listed.
      required: { limit: { type: "integer", minimum: 1, maximum: 50 } },
      optional: { order: { const: "desc" }, before_id: ID, after_id: ID },
    }),
    source: "§18",
  },
};

const INTEGER = { type: "integer" };
const STATUS = {
  enum: ["created", "in_progress", "completed", "failed", "cancelled", "conversation.chat.cancelled"],
};
const CHAT = exact({
  required: {
    id: ID,
    conversation_id: ID,
    bot_id: ID,
    section_id: ID,
    status: STATUS,
    created_at: INTEGER,
    completed_at: INTEGER,
    failed_at: INTEGER,
  },
  optional: { usage: open({ token_count: INTEGER }) },
});
const FAILURE = exact({ required: { code: { type: "integer", not: { const: 0 } }, msg: TEXT } });

/** The payload of successes. */
const ANSWERS: Readonly<Record<string, SchemaObject>> = {
  "POST /v3/chat": CHAT,
  "GET /v3/chat/retrieve": CHAT,
  "POST /v3/chat/cancel": CHAT,
  "GET /v3/chat/message/list": LIST,
  "POST /v1/conversation/message/list": LIST,
  "POST /v1/conversation/create": open({ id: ID }),
  "POST /v1/files/upload": exact({
    required: { id: ID, bytes: INTEGER, file_name: TEXT, created_at: INTEGER, uri: TEXT, url: TEXT },
  }),
};

/** What may stand in a stream; nothing else does. */
const EVENTS: Readonly<Record<string, SchemaObject>> = {
  "conversation.chat.created": CHAT,
  "conversation.chat.in_progress": CHAT,
  "conversation.chat.completed": CHAT,
  "conversation.message.delta": open({ id: ID, chat_id: ID, meta_data: STRINGS }),
  "conversation.message.completed": open({ id: ID, chat_id: ID, meta_data: STRINGS }),
  error: FAILURE,
};

/** All violations in this traffic. */
export function studioViolations(exchanges: readonly Exchange[]): string[] {
  return exchanges
    .filter(({ service }) => service === "coze")
    .flatMap((exchange) =>
      exchange.kind === "http"
        ? [...requestViolations(exchange), ...answerViolations(exchange)]
        : eventViolations(exchange),
    );
}

function requestViolations({ name, request }: Exchange): string[] {
  const spec = REQUESTS[name];
  if (spec === undefined) return [`${name}: a call that is in no specification`];
  const { query, body } = fields(request);
  const inBody = spec.body === undefined ? [] : check(`${name} body`, spec.body, body);
  return [...check(`${name} query`, spec.query, query), ...inBody];
}

/** An envelope has no `detail`; plain text and streams have no envelope. */
function answerViolations({ name, response }: Exchange): string[] {
  if (typeof response !== "object" || response === null) return [];
  const { code, data, detail } = fields(response);
  if (detail !== undefined) return [`${name}: a detail in the envelope`];
  if (code !== 0) return check(`${name} refusal`, FAILURE, response);
  const schema = ANSWERS[name];
  return schema === undefined ? [] : check(`${name} answer`, schema, data);
}

function eventViolations({ name, response }: Exchange): string[] {
  if (name === "conversation.stream.done") return response === "" ? [] : [`${name}: with data`];
  const schema = EVENTS[name];
  if (schema === undefined) return [`${name}: an event that is in no specification`];
  return check(`${name} event`, schema, JSON.parse(String(response)));
}
