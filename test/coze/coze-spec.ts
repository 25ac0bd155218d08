import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ErrorObject, type SchemaObject, type ValidateFunction } from "ajv";
import type { Exchange } from "../../sandbox/stand-in.ts";
import { AUDIO_ANSWERS, AUDIO_REQUESTS } from "./specs/audio.ts";
import { BOT_ANSWERS, BOT_REQUESTS } from "./specs/bots.ts";
import { CONVERSATION_ANSWERS, CONVERSATION_REQUESTS } from "./specs/conversations.ts";
import {
  type AnswerSpecs,
  ENTER_MESSAGE,
  exact,
  ID,
  LIST,
  META_DATA,
  NONE,
  open,
  type RequestSpecs,
  TEXT,
} from "./specs/shapes.ts";
import { BARE_FAILURE, WORKFLOW_ANSWERS, WORKFLOW_EVENTS, WORKFLOW_REQUESTS } from "./specs/workflows.ts";

/**
 * Known differences between the vendor's SDK types and what the service is documented or was recorded to send. Each
 * names its source in docs/reference/coze-api.md.
 */
export const EXCEPTIONS: readonly { readonly matches: RegExp; readonly source: string }[] = [
  {
    matches: /Message .*must have required property '(created_at|updated_at)'/,
    source: "§3.2: usually missing in deltas, often only on the last one",
  },
  {
    matches: /Message .*must have required property '(meta_data|reasoning_content)'/,
    source: "§5.4, recorded streams: absent from events",
  },
  {
    matches: /Message \/updated_at must be number/,
    source: "§1.6: shown as a string by the list's own example",
  },
];

const SDK: SchemaObject = JSON.parse(
  readFileSync(join(import.meta.dirname, "../fixtures/specs/coze-chat.schema.json"), "utf8"),
  // The file is a JSON Schema: test/fixtures/specs/SOURCE.md.
) as SchemaObject;

const STRINGS = { type: "object", additionalProperties: { type: "string" } };

/** §4: every field of the page; what is required includes what §24 says to send always. */
const CHAT_REQUEST = exact({
  required: {
    bot_id: ID,
    user_id: TEXT,
    stream: { type: "boolean" },
    auto_save_history: { type: "boolean" },
  },
  optional: {
    additional_messages: { type: "array", minItems: 1, maxItems: 100, items: ENTER_MESSAGE },
    meta_data: META_DATA,
    custom_variables: STRINGS,
    parameters: { type: "object" },
    extra_params: exact({ optional: { latitude: TEXT, longitude: TEXT } }),
    shortcut_command: exact({ required: { command_id: TEXT, parameters: STRINGS } }),
    enable_card: { type: "boolean" },
    publish_status: { enum: ["published_online", "unpublished_draft"] },
    bot_version: TEXT,
  },
});

/** §8.5 */
const TOOL_OUTPUTS = exact({
  required: {
    tool_outputs: {
      type: "array",
      minItems: 1,
      items: exact({ required: { tool_call_id: TEXT, output: { type: "string" } } }),
    },
    stream: { type: "boolean" },
  },
});

const IDS = exact({ required: { conversation_id: ID, chat_id: ID } });

/** Query and body of every request we make, by call. */
const REQUESTS: RequestSpecs = {
  "POST /v3/chat": { query: exact({ optional: { conversation_id: ID } }), body: CHAT_REQUEST, source: "§4" },
  "POST /v3/chat/submit_tool_outputs": { query: IDS, body: TOOL_OUTPUTS, source: "§8.5" },
  "GET /v3/chat/retrieve": { query: IDS, source: "§8.2" },
  "GET /v3/chat/message/list": { query: IDS, source: "§8.3" },
  "POST /v3/chat/cancel": { query: NONE, body: IDS, source: "§8.4" },
  "POST /v1/files/upload": { query: NONE, source: "§10" },
  "GET /v1/files/retrieve": { query: exact({ required: { file_id: ID } }), source: "§10" },
  ...CONVERSATION_REQUESTS,
  ...BOT_REQUESTS,
  ...WORKFLOW_REQUESTS,
  ...AUDIO_REQUESTS,
};

/** All calls that have a specification. */
export const SPECIFIED_CALLS: readonly string[] = Object.keys(REQUESTS);

const DETAIL = exact({ required: { logid: TEXT } });
const REFUSAL = exact({
  required: { code: { type: "integer", not: { const: 0 } }, msg: { type: "string" }, detail: DETAIL },
  optional: { debug_url: TEXT },
});
const FILE = exact({
  required: { id: ID, bytes: { type: "integer" }, file_name: TEXT, created_at: { type: "integer" } },
});

/** The payload of every successful answer, by call; chats and messages are checked against the SDK's types as well. */
const ANSWERS: AnswerSpecs = {
  "POST /v3/chat": open({ id: ID, conversation_id: ID }),
  "POST /v3/chat/submit_tool_outputs": open({ id: ID, conversation_id: ID }),
  "GET /v3/chat/retrieve": open({ id: ID, conversation_id: ID }),
  "POST /v3/chat/cancel": open({ id: ID, conversation_id: ID }),
  "GET /v3/chat/message/list": LIST,
  "POST /v1/files/upload": FILE,
  "GET /v1/files/retrieve": FILE,
  // Only the vendor's clients call it so (coze-api.md §8.2).
  "POST /v3/chat/retrieve": open({ id: ID, conversation_id: ID }),
  ...CONVERSATION_ANSWERS,
  ...BOT_ANSWERS,
  ...WORKFLOW_ANSWERS,
  ...AUDIO_ANSWERS,
};

/** §5.3: what may stand in a stream. */
const CHAT_EVENT = /^conversation\.chat\.(created|in_progress|completed|failed|requires_action|canceled)$/;
const MESSAGE_EVENT = /^conversation\.(message\.(delta|completed)|audio\.delta)$/;

const ajv = new Ajv({ strict: false, allErrors: true });
ajv.addSchema(SDK, "sdk");

/** All violations of the specifications in this traffic, known exceptions left out. */
export function cozeViolations(exchanges: readonly Exchange[]): string[] {
  return rawViolations(exchanges).filter((line) => !EXCEPTIONS.some(({ matches }) => matches.test(line)));
}

/** What ours never makes happen: it always says what a message is, and without that a message has no type. */
const OF_OTHERS: typeof EXCEPTIONS = [
  {
    matches: /Message \/type must be equal to one of the allowed values/,
    source: "§1.6, §9.3: empty in the examples",
  },
];

/** The same of what came back alone: requests are another client's, whose ways are not ours. */
export function cozeAnswerViolations(exchanges: readonly Exchange[]): string[] {
  const known = [...EXCEPTIONS, ...OF_OTHERS];
  return exchanges
    .flatMap((exchange) =>
      exchange.kind === "http" ? answerViolations(exchange) : eventViolations(exchange),
    )
    .filter((line) => !known.some(({ matches }) => matches.test(line)));
}

/** The same, with the exceptions. */
export function rawViolations(exchanges: readonly Exchange[]): string[] {
  return exchanges
    .filter(({ service }) => service === "coze")
    .flatMap((exchange) =>
      exchange.kind === "http"
        ? [...requestViolations(exchange), ...answerViolations(exchange)]
        : eventViolations(exchange),
    );
}

/** Calls with a form (§10, §11). */
const UPLOADS = new Set(["POST /v1/files/upload", "POST /v1/audio/transcriptions"]);

function requestViolations({ name, request }: Exchange): string[] {
  const schema = REQUESTS[name];
  if (schema === undefined) return [`${name}: a call that is in no specification`];
  const { query, body, parts } = fields(request);
  const found = [...check(`${name} query`, schema.query, query)];
  if (schema.body !== undefined) found.push(...check(`${name} body`, schema.body, body));
  // The SDK's own idea of the request, as a second opinion.
  if (name === "POST /v3/chat") found.push(...checkSdk(`${name} StreamChatReq`, "StreamChatReq", body));
  if (UPLOADS.has(name)) {
    const part = exact({
      required: { field: { const: "file" }, name: TEXT, bytes: { type: "integer", minimum: 1 } },
    });
    found.push(...check(`${name} parts`, { type: "array", minItems: 1, maxItems: 1, items: part }, parts));
  }
  return found;
}

/** Answers that a fault or a recording made up are nobody's specification: only envelopes are checked. */
function answerViolations({ name, status, response }: Exchange): string[] {
  if (typeof response !== "object" || response === null || status === undefined) return [];
  const { code, data, message } = fields(response);
  if (code !== 0 && code !== undefined) return check(`${name} refusal`, REFUSAL, response);
  const schema = ANSWERS[name];
  if (schema === undefined) return [`${name}: an answer that is in no specification`];
  // The calls with their payload elsewhere (§1.3).
  const elsewhere = new Map([
    ["POST /v1/conversation/message/modify", message],
    ["POST /v1/workflow/run", response],
  ]);
  const payload = elsewhere.has(name) ? elsewhere.get(name) : data;
  if (schema === "none") return payload === undefined ? [] : [`${name}: a payload where there is none`];
  return [...check(`${name} answer`, schema, payload), ...sdkViolations(name, payload)];
}

/** The SDK's own idea of chats and messages, as a second opinion. */
function sdkViolations(name: string, payload: unknown): string[] {
  if (name.includes("/message/list")) {
    const list: readonly unknown[] = Array.isArray(payload) ? payload : [];
    return list.flatMap((message) => checkSdk(`${name} Message`, "ChatV3Message", message));
  }
  if (name.includes("/conversation/message/")) return checkSdk(`${name} Message`, "ChatV3Message", payload);
  return name.includes("/v3/chat") ? checkSdk(`${name} Chat`, "CreateChatData", payload) : [];
}

function eventViolations({ name, response }: Exchange): string[] {
  if (name === "done") return [];
  const data: unknown = typeof response === "string" ? JSON.parse(response) : undefined;
  const workflowEvent = WORKFLOW_EVENTS[name];
  if (workflowEvent !== undefined) return check(`${name} event`, workflowEvent, data);
  if (CHAT_EVENT.test(name) && fields(data)["code"] !== undefined)
    return check(`${name} bare`, BARE_FAILURE, data);
  if (CHAT_EVENT.test(name)) {
    const matching = open({ id: ID, conversation_id: ID, status: { const: name.split(".")[2] } });
    return [...check(`${name} event`, matching, data), ...checkSdk(`${name} Chat`, "CreateChatData", data)];
  }
  if (!MESSAGE_EVENT.test(name)) return [`${name}: an event that is in no specification`];
  const own = open({ id: ID, chat_id: ID, role: { const: "assistant" } });
  return [...check(`${name} event`, own, data), ...checkSdk(`${name} Message`, "ChatV3Message", data)];
}

const compiled = new Map<string, ValidateFunction>();

/** What is wrong with a value, line by line. */
export function check(what: string, schema: SchemaObject, value: unknown): string[] {
  // Compiling is slow and there are few schemas, but thousands of events.
  const key = JSON.stringify(schema);
  const validate = compiled.get(key) ?? ajv.compile(schema);
  compiled.set(key, validate);
  return validate(value) ? [] : (validate.errors ?? []).map((error) => toLine(what, error));
}

function checkSdk(what: string, definition: string, value: unknown): string[] {
  return check(what, { $ref: `sdk#/definitions/${definition}` }, value);
}

function toLine(what: string, { instancePath, message = "", params }: ErrorObject): string {
  const extra: unknown = fields(params)["additionalProperty"];
  return `${what} ${instancePath} ${message}${typeof extra === "string" ? `: ${extra}` : ""}`;
}

export function fields(value: unknown): Readonly<Record<string, unknown>> {
  // Proven in the line itself: what is no object has no fields.
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
