import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import type { Exchange } from "../../sandbox/stand-in.ts";

/** A fixture of test/fixtures/specs; see SOURCE.md there. */
function load(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, "../fixtures/specs", name), "utf8"));
}

interface MethodSpec {
  readonly args: { readonly required?: readonly string[]; readonly properties?: Record<string, object> };
  readonly output?: { readonly required?: readonly string[]; readonly properties?: Record<string, object> };
  readonly errors?: Record<string, unknown>;
}

interface JsonSchema {
  readonly definitions: Record<
    string,
    { readonly properties?: Record<string, { readonly const?: string; readonly enum?: readonly string[] }> }
  >;
}

// Proven by SOURCE.md: these files have these shapes.
const METHODS = load("slack-methods-2026.json") as Record<string, MethodSpec>;
const RESPONSES = load("slack-response-samples.json") as Record<string, Record<string, unknown>>;
const SAMPLES = load("slack-event-samples.json") as Record<string, Record<string, unknown>>;
const EVENTS = load("slack-event.schema.json") as JsonSchema;

const ajv = new Ajv({ strict: false, allErrors: true, coerceTypes: true, logger: false });
ajv.addSchema(load("slack-event.schema.json") as object, "events");
const areBlocks = ajv.compile(load("slack-blocks.schema.json") as object);
const validators = new Map<string, ValidateFunction>();

/**
 * Where the specifications are known to be wrong or silent; each with its source.
 */
const EXCEPTIONS: readonly { readonly matches: RegExp; readonly source: string }[] = [
  {
    matches: /^chat\.appendStream: missing argument markdown_text$/,
    source: "slack.md §1.2: one of markdown_text and chunks; slack-methods-2026 calls the first required",
  },
  {
    matches: /^chat\.stopStream: unknown argument session_status$/,
    source: "slack.md §1.2: since web-api 8.1.0",
  },
  {
    matches:
      /^chat\.(postMessage|update|stopStream): argument (blocks|metadata) must (be (string|null)|match a schema in anyOf)/,
    source: "slack.md §6.4: JSON strings in forms, objects in JSON; the stand-in records them parsed",
  },
  {
    matches: /^event message: .*must have required property '(channel_type|text|user|event_ts)'/,
    source:
      "SOURCE.md: the types call more keys required than Slack sends (recorded/slack-production-events)",
  },
  {
    matches: /^event message: \/(message|previous_message|root)\b/,
    source:
      "slack-event-samples MessageChangedPayload: the inner message has no channel, which every type demands",
  },
  {
    matches: /^event .*must have required property '(display_as_bot|upload|bot_id|blocks|channels|groups)'/,
    source: "SOURCE.md: as above; recorded file_share events have none of them",
  },
];

/** Errors any method may answer with (slack.md §1.2, §8.2, §10). */
const GENERAL_ERRORS: ReadonlySet<unknown> = new Set([
  "ratelimited",
  "not_authed",
  "invalid_auth",
  "missing_scope",
  "not_allowed_token_type",
  "invalid_arguments",
  "unknown_method",
  // Planned by tests: answers of a Slack in trouble.
  "internal_error",
  "account_inactive",
  "method_deprecated",
]);

/** Errors seen in the field that the method descriptions do not list, with the section that tells of them. */
const FIELD_ERRORS: Readonly<Record<string, readonly string[]>> = {
  "chat.appendStream": ["stopped_by_user", "msg_too_long", "message_not_found", "message_not_owned_by_app"], // §1.2
  "chat.stopStream": ["stopped_by_user", "message_not_in_streaming_state", "message_not_found"], // §1.2
  "chat.startStream": [
    "thread_not_found",
    "msg_too_long",
    "feature_not_enabled",
    "channel_type_not_supported",
  ], // §1.2
  "chat.postMessage": ["thread_not_found", "invalid_blocks", "invalid_blocks_format"], // §1.2
  "chat.update": ["streaming_state_conflict", "invalid_blocks"], // §1.2
};

/** Everything in the traffic that is against Slack's published descriptions, both ways. Empty when all is well. */
export function slackViolations(exchanges: readonly Exchange[]): string[] {
  const found = exchanges.filter(({ service }) => service === "slack").flatMap(violationsOf);
  return found.filter((violation) => !EXCEPTIONS.some(({ matches }) => matches.test(violation)));
}

function violationsOf(exchange: Exchange): readonly string[] {
  const { kind, name, request, response, status } = exchange;
  if (kind === "received") return ackViolations(request);
  if (kind === "sent") return deliveryViolations(name, request);
  const method = /^(?:POST|GET) \/api\/(.+)$/.exec(name)?.[1];
  if (method === undefined) return [];
  const spec = METHODS[method];
  if (spec === undefined) return [`${method}: no such method`];
  // A planned fault of another server than Slack's: nothing to check it against.
  const answered = typeof response === "object" && (status ?? 200) < 500;
  return [
    ...argumentViolations(method, spec, request),
    ...(answered ? answerViolations(method, spec, response) : []),
  ];
}

function argumentViolations(method: string, { args }: MethodSpec, request: unknown): readonly string[] {
  const given = { ...(request as Record<string, unknown> | undefined) };
  // The recorder knows no arguments of a call that a planned fault answered.
  if (Object.keys(given).length === 0) return [];
  const known = args.properties ?? {};
  const found = Object.keys(given)
    .filter((name) => known[name] === undefined)
    .map((name) => `${method}: unknown argument ${name}`);
  for (const name of args.required ?? []) {
    if (name !== "token" && given[name] === undefined) found.push(`${method}: missing argument ${name}`);
  }
  for (const [name, value] of Object.entries(given)) {
    const schema = known[name];
    if (schema === undefined) continue;
    const { errors } = check(`${method}.${name}`, plainSchema(schema), value);
    for (const error of errors) found.push(`${method}: argument ${name} ${error}`);
  }
  const { blocks } = given;
  if (blocks !== undefined && areBlocks(structuredClone(blocks)) !== true) {
    found.push(`${method}: blocks ${ajv.errorsText(areBlocks.errors).slice(0, 200)}`);
  }
  return found;
}

/** Only what JSON Schema says; Slack's own words beside it are not keywords. */
function plainSchema(schema: object): object {
  const { type, anyOf, enum: values } = schema as { type?: unknown; anyOf?: unknown; enum?: unknown };
  return {
    ...(type !== undefined && { type }),
    ...(Array.isArray(anyOf) && { anyOf: (anyOf as object[]).map(plainSchema) }),
    ...(values !== undefined && { enum: values }),
  };
}

function check(key: string, schema: object, value: unknown): { errors: readonly string[] } {
  let validate = validators.get(key);
  if (validate === undefined) {
    validate = ajv.compile({ type: "object", properties: { value: schema } });
    validators.set(key, validate);
  }
  if (validate({ value: structuredClone(value) })) return { errors: [] };
  return { errors: (validate.errors ?? []).map((error) => `${error.message} (${error.instancePath})`) };
}

function answerViolations(
  method: string,
  { errors, output }: MethodSpec,
  response: unknown,
): readonly string[] {
  const { ok, error, ...rest } = response as Record<string, unknown>;
  if (ok !== true) {
    const listed = GENERAL_ERRORS.has(error) || errors?.[String(error)] !== undefined;
    const seen = FIELD_ERRORS[method]?.includes(String(error)) === true;
    return listed || seen ? [] : [`${method}: unknown error ${String(error)}`];
  }
  const found = (output?.required ?? [])
    .filter((name) => name !== "ok" && rest[name] === undefined)
    .map((name) => `${method}: answer lacks ${name}`);
  const sample = RESPONSES[method];
  if (sample === undefined && output?.properties === undefined) return found;
  const known = new Set([...Object.keys(sample ?? {}), ...Object.keys(output?.properties ?? {}), "message"]);
  const strange = Object.keys(rest).filter((name) => !known.has(name));
  return [...found, ...strange.map((name) => `${method}: answer has unknown ${name}`)];
}

function deliveryViolations(name: string, payload: unknown): readonly string[] {
  const body = payload as Record<string, unknown>;
  if (name === "slash_commands")
    return strangeKeys("command", body, SAMPLES["app-backend/SlashCommandPayload"]);
  if (name !== "events_api" || body["event"] === undefined) return [];
  const { context_team_id: _team, context_enterprise_id: _org, ...outer } = body;
  return [...strangeKeys("envelope", outer, SAMPLES["AppMentionPayload"]), ...eventViolations(body["event"])];
}

function strangeKeys(
  what: string,
  body: Readonly<Record<string, unknown>>,
  sample: object | undefined,
): string[] {
  if (sample === undefined) return [`${what}: no sample`];
  return Object.keys(body)
    .filter((key) => !(key in sample))
    .map((key) => `${what}: unknown key ${key}`);
}

/** Checks an event against the definition of its type and subtype. */
function eventViolations(event: unknown): readonly string[] {
  const { type, subtype } = event as { type?: string; subtype?: string };
  const name = Object.entries(EVENTS.definitions).find(([, { properties = {} }]) => {
    const isType = properties["type"]?.const === type;
    return isType && /Event$/.test(_name(properties)) && properties["subtype"]?.const === subtype;
  })?.[0];
  if (name === undefined) return [`event ${type} ${subtype ?? ""}: no definition`];
  const validate = ajv.getSchema(`events#/definitions/${name}`);
  if (validate?.(structuredClone(event)) === true) return [];
  const errors = (validate?.errors ?? []) as readonly { message?: string; instancePath: string }[];
  return errors.map(({ message, instancePath }) => `event ${type}: ${instancePath} ${message}`);
}

/** Definitions of events have an `event_ts` or a `channel`; blocks of the same type name do not. */
function _name(properties: Readonly<Record<string, unknown>>): string {
  return "event_ts" in properties || "channel" in properties ? "Event" : "";
}

function ackViolations(ack: unknown): readonly string[] {
  const { envelope_id: id, payload: _payload, ...rest } = ack as Record<string, unknown>;
  const found = typeof id === "string" ? [] : ["ack: no envelope_id"];
  return [...found, ...Object.keys(rest).map((key) => `ack: unknown key ${key}`)];
}
