import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { Exchange } from "../../sandbox/stand-in.ts";

/** Where the real service is known to differ from its description; every entry has a source. */
const EXCEPTIONS: readonly {
  readonly call: RegExp;
  readonly error: RegExp;
  readonly source: string;
}[] = [
  {
    call: /^POST \/interactions\/\d+\/[^/]+\/callback 200/,
    error: /data\/resource must have required property 'message'/,
    source: "docs/reference/discord.md §1.6: `resource.message` exists for types 4 and 7, a defer is type 5",
  },
  {
    call: /messages(\/\d+)? 200/,
    error: /message_reference\/type must be equal to constant/,
    source: "docs/reference/discord.md §5.1: a forward's reference has type 1; the OpenAPI knows only 0",
  },
  {
    call: /^sent MESSAGE_/,
    error: /message_snapshots\/0\/message\/attachments must be object/,
    source:
      "docs/reference/discord.md §5.1: a snapshot's attachments are a list; the types make them a collection",
  },
  {
    call: /^sent op 7/,
    error: /data\/d must NOT be valid/,
    source: "docs/reference/discord.md §7.3: `d` is null on the wire; discord-api-types types it as never",
  },
];

const SPECS = join(import.meta.dirname, "../fixtures/specs");

interface Operation {
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content & { readonly $ref?: string }>>;
}

interface Content {
  readonly content?: Readonly<Record<string, unknown>>;
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

function load(name: string): object {
  return JSON.parse(readFileSync(join(SPECS, name), "utf8")) as object;
}

// The formats are numbers' widths and the like; the shape is what counts here.
const LENIENT = { strict: false, validateFormats: false };
const rest = new Ajv2020(LENIENT);
const gateway = new Ajv(LENIENT);
// Its shape is OpenAPI 3.1's: https://spec.openapis.org/oas/v3.1.0
const openApi = load("discord-openapi.json") as OpenApi;
rest.addSchema(openApi, "openapi");
gateway.addSchema(load("discord-gateway-received.schema.json"), "received");
gateway.addSchema(load("discord-gateway-sent.schema.json"), "sent");

const compiled = new Map<string, ValidateFunction>();

function violation(reference: string, data: unknown): string | undefined {
  const ajv = reference.startsWith("openapi") ? rest : gateway;
  const validate = compiled.get(reference) ?? ajv.compile({ $ref: reference });
  compiled.set(reference, validate);
  return validate(data) === true ? undefined : ajv.errorsText(validate.errors, { separator: "; " });
}

/**
 * Checks recorded traffic, both ways, against Discord's own description of its API and against the types of its
 * gateway. @returns One line per violation outside {@link EXCEPTIONS}.
 */
export function discordViolations(exchanges: readonly Exchange[]): string[] {
  return exchanges
    .filter(({ service }) => service === "discord")
    .flatMap((exchange) => (exchange.kind === "http" ? httpViolations(exchange) : frameViolations(exchange)))
    .filter((line) => !EXCEPTIONS.some(({ call, error }) => call.test(line) && error.test(line)));
}

function httpViolations(exchange: Exchange): string[] {
  const [method = "", path = ""] = exchange.name.split(" ");
  // Files have no description; a call that was cut has nothing to check but what was sent.
  if (path.startsWith("/cdn/")) return [];
  const template = templateOf(path, method);
  if (template === undefined) return [`${exchange.name}: not described`];
  const base = `openapi#/paths/${pointer(template)}/${method.toLowerCase()}`;
  const operation = openApi.paths[template]?.[method.toLowerCase()];
  if (operation === undefined) return [`${exchange.name}: not described`];
  const asked =
    operation.requestBody?.content?.["application/json"] === undefined
      ? undefined
      : violation(`${base}/requestBody/content/${pointer("application/json")}/schema`, exchange.request);
  const answered = answerViolation(exchange, operation, base);
  return [
    ...(asked === undefined ? [] : [`${exchange.name} request: ${asked}`]),
    ...(answered === undefined ? [] : [`${exchange.name} ${exchange.status}: ${answered}`]),
  ];
}

function answerViolation(exchange: Exchange, operation: Operation, base: string): string | undefined {
  const { status = 0, response } = exchange;
  if (status === 0 || response === undefined) return undefined;
  if (status === 429) return violation("openapi#/components/schemas/RatelimitedResponse", response);
  if (status >= 400) return violation("openapi#/components/schemas/ErrorResponse", response);
  if (operation.responses[status]?.content === undefined) return `status ${status} is not described`;
  return violation(`${base}/responses/${status}/content/${pointer("application/json")}/schema`, response);
}

/** The described path that a real one follows; literal segments win over parameters. */
function templateOf(path: string, method: string): string | undefined {
  const segments = path.split("/");
  const fits = (template: string): boolean => {
    const parts = template.split("/");
    return (
      parts.length === segments.length &&
      parts.every((part, index) => part === segments[index] || part.startsWith("{")) &&
      openApi.paths[template]?.[method.toLowerCase()] !== undefined
    );
  };
  const parameters = (template: string): number => template.split("{").length;
  return Object.keys(openApi.paths)
    .filter(fits)
    .sort((a, b) => parameters(a) - parameters(b))[0];
}

function pointer(segment: string): string {
  return encodeURIComponent(segment.replaceAll("~", "~0").replaceAll("/", "~1"));
}

const OPCODES: Readonly<Record<number, string>> = {
  1: "GatewayHeartbeatRequest",
  7: "GatewayReconnect",
  9: "GatewayInvalidSession",
  10: "GatewayHello",
  11: "GatewayHeartbeatAck",
};

function frameViolations(exchange: Exchange): string[] {
  // What the stand-in records of a frame.
  const frame = exchange.request as { readonly op: number; readonly d: unknown };
  const found = exchange.kind === "received" ? violation("sent", frame) : sentViolation(exchange.name, frame);
  return found === undefined ? [] : [`${exchange.kind} ${exchange.name}: ${found}`];
}

function sentViolation(
  name: string,
  frame: { readonly op: number; readonly d: unknown },
): string | undefined {
  if (frame.op !== 0) {
    return violation(`received#/definitions/${OPCODES[frame.op]}`, { t: null, s: null, ...frame });
  }
  if (name === "RESUMED") return undefined;
  const words = name.split("_").map((word) => word.charAt(0) + word.slice(1).toLowerCase());
  return violation(`received#/definitions/Gateway${words.join("")}DispatchData`, frame.d);
}
