import { z } from "zod";
import type { Json } from "../../src/core/json.ts";

/** Where a reply stands. */
export interface Place {
  readonly channel: string;
  readonly thread: string;
  readonly dm: boolean;
}

/** What a Slack reply saves for another attempt. */
export interface SavedReply {
  readonly style: "edit" | "native";
  readonly messages: readonly string[];
  /** Where streams cut the answer, in characters of what was drawn: one less than there were streams. */
  readonly cuts: readonly number[];
  /** How many messages, from the first, stay as an earlier start left them. */
  readonly kept?: number;
  /** Of a slash command, whose place is made by its first attempt. */
  readonly place?: Place;
}

const schema = z.object({
  style: z.enum(["edit", "native"]).default("edit"),
  messages: z.array(z.string()).default([]),
  cuts: z.array(z.number().int().nonnegative()).default([]),
  kept: z.number().int().nonnegative().exactOptional(),
  place: z.object({ channel: z.string(), thread: z.string(), dm: z.boolean() }).exactOptional(),
});

/** Anything unreadable counts as nothing saved. */
export function parseSaved(saved: Json | undefined): SavedReply {
  const result = schema.safeParse(saved ?? {});
  return result.success ? result.data : { style: "edit", messages: [], cuts: [] };
}

export function toSaved({ style, messages, cuts, kept, place }: SavedReply): Json {
  return {
    style,
    messages,
    ...(cuts.length > 0 && { cuts }),
    ...(kept !== undefined && { kept }),
    ...(place !== undefined && { place: { ...place } }),
  };
}
