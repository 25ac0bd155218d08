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
  /** Of a slash command, whose place is made by its first attempt. */
  readonly place?: Place;
}

const schema = z.object({
  style: z.enum(["edit", "native"]).default("edit"),
  messages: z.array(z.string()).default([]),
  place: z.object({ channel: z.string(), thread: z.string(), dm: z.boolean() }).exactOptional(),
});

/** Anything unreadable counts as nothing saved. */
export function parseSaved(saved: Json | undefined): SavedReply {
  const result = schema.safeParse(saved ?? {});
  return result.success ? result.data : { style: "edit", messages: [] };
}

export function toSaved({ style, messages, place }: SavedReply): Json {
  return { style, messages, ...(place !== undefined && { place: { ...place } }) };
}
