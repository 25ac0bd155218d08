import type { SchemaObject } from "ajv";

/** Query and body of requests, by call; `source` is a section of docs/reference/coze-api.md. */
export type RequestSpecs = Readonly<
  Record<string, { readonly query: SchemaObject; readonly body?: SchemaObject; readonly source: string }>
>;

/** The payload of successful answers, by call; `none` for those that carry none (§1.3). */
export type AnswerSpecs = Readonly<Record<string, SchemaObject | "none">>;

/** A decimal string (§1.6). */
export const ID: SchemaObject = { type: "string", pattern: "^\\d+$" };
export const TEXT: SchemaObject = { type: "string", minLength: 1 };

/** §4 and §9: 16 pairs, keys 1–64, values 1–512. JSON Schema counts code points; the strict count is the rules' job. */
export const META_DATA: SchemaObject = {
  type: "object",
  maxProperties: 16,
  propertyNames: { minLength: 1, maxLength: 64 },
  additionalProperties: { type: "string", minLength: 1, maxLength: 512 },
};

/** §3.5; on the wire content is always a string, the SDK's arrays are serialised by it. */
export const ENTER_MESSAGE: SchemaObject = exact({
  required: {
    role: { enum: ["user", "assistant"] },
    content: TEXT,
    content_type: { enum: ["text", "object_string"] },
  },
  optional: {
    type: { enum: ["question", "answer", "function_call", "tool_response"] },
    meta_data: META_DATA,
  },
});

export const LIST: SchemaObject = { type: "array" };

type Schemas = Readonly<Record<string, SchemaObject>>;

/** An object with these keys and no other. */
export function exact({
  required = {},
  optional = {},
}: {
  required?: Schemas;
  optional?: Schemas;
}): SchemaObject {
  return {
    type: "object",
    properties: { ...required, ...optional },
    required: Object.keys(required),
    additionalProperties: false,
  };
}

/** An object with at least these keys. */
export function open(required: Schemas): SchemaObject {
  return { type: "object", properties: required, required: Object.keys(required) };
}

/** No query at all. */
export const NONE: SchemaObject = exact({});

/** Always sent, since defaults differ (§19). */
export const PAGE = {
  page_num: { type: "string", pattern: "^[1-9]\\d*$" },
  page_size: { type: "string", pattern: "^([1-9]|[1-4]\\d|50)$" },
} as const;
