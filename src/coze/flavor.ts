import { CozeError } from "../core/errors.ts";
import type { VendorFailure } from "./errors.ts";
import { refuse } from "./refusal.ts";

export const FLAVOR_NAMES = ["hosted", "studio"] as const;
export type FlavorName = (typeof FLAVOR_NAMES)[number];

/**
 * What differs between the Cozes there are, as data: the hosted service, and a self-hosted Coze Studio. What both say in
 * different spellings is read everywhere and stands nowhere here.
 *
 * @see docs/reference/coze-api.md §18
 */
export interface Flavor {
  readonly name: FlavorName;
  /** The field of a chat's request whose pairs are the `meta_data` of its question, when that is listed (§16.1). */
  readonly marks: "meta_data" | "extra_params";
  /** Whether each `user_id` has a context of its own: then what others said has to go along (§4). */
  readonly contextByUser: boolean;
  /** What an `error` event says of its chat: nothing certain (§7.4), or that it failed, whatever follows. */
  readonly errorEvent: "doubt" | "failure";
  /** Whether the last event tells the usage, or only a look at the chat does. */
  readonly usage: "event" | "retrieve";
  /** What cursors of a list of messages are: places in it (§9.2), or times, of a list that is newest first always. */
  readonly messageCursors: "place" | "time";
  /** Largest upload, in bytes (§10). */
  readonly maxUploadBytes: number;
  /** What a stream without a single event means, and how often a question is asked at most that gets one. */
  readonly silence: { readonly hint: string; readonly maxAttempts?: number };
  /** How errors that come as text tell their code. */
  readonly codeInText?: RegExp;
  /** The answer to a call that the server has no idea of; it looks like a wrong token. */
  readonly unknownCall?: RegExp;
  /** Calls that fail before they are sent, and what they would be for. */
  readonly missing: readonly (readonly [call: RegExp, what: string])[];
}

export const HOSTED: Flavor = {
  name: "hosted",
  marks: "meta_data",
  contextByUser: true,
  errorEvent: "doubt",
  usage: "event",
  messageCursors: "place",
  maxUploadBytes: 512 * 1024 * 1024,
  silence: { hint: "" },
  missing: [],
};

const STUDIO: Flavor = {
  name: "studio",
  marks: "extra_params",
  contextByUser: false,
  errorEvent: "failure",
  usage: "retrieve",
  messageCursors: "time",
  maxUploadBytes: 200 * 1024 * 1024,
  silence: {
    hint: "Coze Studio ends so when a chat can't begin: look at its log, and whether the bot's model is set up.",
    maxAttempts: 2,
  },
  codeInText: /^code=(\d+) message=(.*)$/m,
  unknownCall: /session_key/,
  // What is none of the paths with a token of their own (`STUDIO:backend/api/middleware/openapi_auth.go`).
  missing: [
    [/^POST \/v3\/chat\/submit_tool_outputs$/, "giving the bot what local plugins came to"],
    [/ \/v1\/audio\//, "speech and recordings"],
    [/ \/v1\/workspaces$/, "workspaces"],
    [/ \/v1\/users\/me$/, "telling whose token it is"],
    [/ \/v1\/conversations\/[^/]+\/messages\/[^/]+\/feedback$/, "feedback on answers"],
    [/^POST \/v1\/bot\/(create|update|publish)$/, "making, changing and publishing bots"],
    [/^POST \/v1\/bots\/[^/]+\/unpublish$/, "taking bots down"],
    [/^GET \/v1\/bots$/, "lists of bots"],
    [/ \/v1\/conversation\/message\/(create|retrieve|modify|delete)$/, "single messages"],
    [/^GET \/v1\/files\/retrieve$/, "looking at files"],
    [/ \/v1\/workflows\/[^/]+\/run_histories\//, "records of workflows"],
  ],
};

export function flavorOf(name: FlavorName): Flavor {
  return name === "studio" ? STUDIO : HOSTED;
}

/**
 * Lets only calls pass that the server has; its own answer would send people looking for a wrong token.
 *
 * @param call - Method and path.
 * @throws {CozeError} `COZE_NOT_FOUND`
 */
export function demandCall({ missing }: Flavor, call: string): void {
  const found = missing.find(([pattern]) => pattern.test(call));
  if (found === undefined) return;
  refuse(
    `a self-hosted Coze Studio has no ${call} (${found[1]}); only the hosted service has.`,
    "COZE_NOT_FOUND",
  );
}

/** The error of a call that the server turned out not to have; `undefined` for every other answer. */
export function unknownCall(
  { unknownCall: words }: Flavor,
  call: string,
  text: string,
): CozeError | undefined {
  if (words?.test(text) !== true) return undefined;
  return new CozeError(
    "COZE_NOT_FOUND",
    `Coze ${call}: this Coze Studio does not have the call. Update it; the token is not the reason.`,
  );
}

/** The failure that stands in a text, as servers print their errors; what they print below the first line is theirs. */
export function failureInText({ codeInText }: Flavor, text: string): VendorFailure | undefined {
  const found = codeInText?.exec(text);
  return found ? { code: Number(found[1]), text: found[2] ?? "" } : undefined;
}
