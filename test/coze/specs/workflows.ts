import type { SchemaObject } from "ajv";
import { type AnswerSpecs, exact, ID, META_DATA, NONE, open, type RequestSpecs, TEXT } from "./shapes.ts";

const STRING: SchemaObject = { type: "string" };
const INTEGER: SchemaObject = { type: "integer" };
const COUNTS = open({ input_count: INTEGER, output_count: INTEGER, token_count: INTEGER });

/** §13: what all runs are told; never a bot and an app together. */
const INPUT = {
  parameters: { type: "object" },
  bot_id: ID,
  app_id: ID,
  ext: exact({ optional: { latitude: TEXT, longitude: TEXT, user_id: TEXT } }),
  workflow_version: TEXT,
  connector_id: ID,
};
const NOT_BOTH: SchemaObject = { not: { required: ["bot_id", "app_id"] } };

/** §13.1: text only. */
const MESSAGE = exact({
  required: { role: { enum: ["user", "assistant"] }, content: TEXT, content_type: { const: "text" } },
  optional: { type: { enum: ["question", "answer"] }, meta_data: META_DATA },
});

export const WORKFLOW_REQUESTS: RequestSpecs = {
  "POST /v1/workflows/chat": {
    query: NONE,
    body: {
      ...exact({
        required: {
          workflow_id: ID,
          additional_messages: { type: "array", minItems: 1, maxItems: 50, items: MESSAGE },
        },
        optional: { ...INPUT, conversation_id: ID },
      }),
      oneOf: [{ required: ["bot_id"] }, { required: ["app_id"] }],
    },
    source: "§13.1",
  },
  "POST /v1/workflow/run": {
    query: NONE,
    body: {
      ...exact({ required: { workflow_id: ID }, optional: { ...INPUT, is_async: { const: true } } }),
      ...NOT_BOTH,
    },
    source: "§13.2",
  },
  "POST /v1/workflow/stream_run": {
    query: NONE,
    body: { ...exact({ required: { workflow_id: ID }, optional: INPUT }), ...NOT_BOTH },
    source: "§13.2",
  },
  "POST /v1/workflow/stream_resume": {
    query: NONE,
    body: exact({
      required: {
        workflow_id: ID,
        event_id: { type: "string", pattern: "^\\d+/\\d+$" },
        resume_data: TEXT,
        interrupt_type: { enum: [2, 5, 6, 7] },
      },
    }),
    source: "§13.2",
  },
  "GET /v1/workflows/:workflow_id/run_histories/:execute_id": { query: NONE, source: "§13.2" },
};

const INTERRUPT = open({ event_id: { type: "string", pattern: "^\\d+/\\d+$" }, type: INTEGER, data: STRING });

export const WORKFLOW_ANSWERS: AnswerSpecs = {
  // Its payload is the whole envelope (§1.3).
  "POST /v1/workflow/run": {
    ...open({ execute_id: ID, debug_url: TEXT }),
    properties: {
      execute_id: ID,
      debug_url: TEXT,
      data: STRING,
      usage: COUNTS,
      token: INTEGER,
      cost: STRING,
      interrupt_data: INTERRUPT,
    },
  },
  "GET /v1/workflows/:workflow_id/run_histories/:execute_id": {
    type: "array",
    minItems: 1,
    maxItems: 1,
    items: open({
      execute_id: ID,
      execute_status: { enum: ["Running", "Success", "Fail"] },
      output: STRING,
      error_code: INTEGER,
      create_time: INTEGER,
      update_time: INTEGER,
    }),
  },
};

/** §13.2: what may stand in the stream of a run. */
export const WORKFLOW_EVENTS: Readonly<Record<string, SchemaObject>> = {
  Message: {
    ...exact({
      required: {
        content: STRING,
        node_title: STRING,
        node_seq_id: { type: "string", pattern: "^\\d+$" },
        node_is_finish: { type: "boolean" },
      },
      optional: { content_type: TEXT, usage: COUNTS, token: INTEGER, cost: TEXT },
    }),
  },
  Error: exact({ required: { error_code: INTEGER, error_message: STRING }, optional: { debug_url: TEXT } }),
  Interrupt: exact({ required: { interrupt_data: INTERRUPT, node_title: STRING } }),
  Done: exact({ optional: { debug_url: TEXT } }),
  PING: exact({ required: { content: { const: "{}" } } }),
};

/** §7.3: a chatflow that failed before it began. */
export const BARE_FAILURE: SchemaObject = exact({
  required: { code: { type: "string", pattern: "^\\d+$" }, msg: STRING },
});
