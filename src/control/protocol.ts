import { z } from "zod";
import type { Json } from "../core/json.ts";

/** Longest request, and longest answer, in characters; both are one line. */
export const MAX_REQUEST_CHARACTERS = 1_048_576;
export const MAX_ANSWER_CHARACTERS = 8_388_608;

/** Dead letters per list; a queue keeps at most 10,000. */
export const MAX_LISTED = 1_000;

/** Dead letters that a command is about. */
export type DeadLetterIds = readonly string[] | "all";

/** What a command asks a running bridge, as one line of JSON. */
export type ControlRequest =
  | { readonly command: "dead.list"; readonly limit: number }
  | { readonly command: "dead.show"; readonly id: string; readonly text: boolean }
  | { readonly command: "dead.retry" | "dead.drop"; readonly ids: DeadLetterIds };

const ID = z.string().max(40);
const IDS = z.union([z.literal("all"), z.array(ID).min(1).max(10_000)]);

export const CONTROL_REQUEST: z.ZodType<ControlRequest> = z.discriminatedUnion("command", [
  z.object({ command: z.literal("dead.list"), limit: z.int().min(1).max(MAX_LISTED) }),
  z.object({ command: z.literal("dead.show"), id: ID, text: z.boolean() }),
  z.object({ command: z.literal(["dead.retry", "dead.drop"]), ids: IDS }),
]);

/** What it answers, as one line of JSON. */
export type ControlAnswer =
  | { readonly ok: true; readonly result: Json }
  | { readonly ok: false; readonly error: string };

export const CONTROL_ANSWER: z.ZodType<ControlAnswer> = z.discriminatedUnion("ok", [
  z.object({ ok: z.literal(true), result: z.json() }),
  z.object({ ok: z.literal(false), error: z.string() }),
]);

/** A dead letter in a list. */
export interface DeadLetter {
  readonly id: string;
  /** When it died, in ms since the epoch. */
  readonly at: number;
  readonly platform: string;
  readonly conversation: string;
  readonly error: string;
}

/** One dead letter with its turn: without secrets, texts cut unless they were asked for. */
export interface DeadLetterDetails extends DeadLetter {
  readonly key: string;
  readonly turn: Json;
}

/** What became of the ids of a retry or drop. */
export interface DeadLetterChange {
  readonly done: readonly string[];
  readonly unknown: readonly string[];
}

const LETTER = z.object({
  id: z.string(),
  at: z.number(),
  platform: z.string(),
  conversation: z.string(),
  error: z.string(),
});

export const DEAD_LETTERS: z.ZodType<readonly DeadLetter[]> = z.array(LETTER);

export const DEAD_LETTER_DETAILS: z.ZodType<DeadLetterDetails | null> = LETTER.extend({
  key: z.string(),
  turn: z.json(),
}).nullable();

export const DEAD_LETTER_CHANGE: z.ZodType<DeadLetterChange> = z.object({
  done: z.array(z.string()),
  unknown: z.array(z.string()),
});
