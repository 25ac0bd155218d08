import { z } from "zod";
import { BridgeError } from "../../src/core/errors.ts";
import type { Json } from "../../src/core/json.ts";

/** Where a reply goes, as the turn carries it. */
export type SlackAddress = {
  readonly team: string;
  readonly channel: string;
  /** The thread's root. A slash command has none: its question is posted first. */
  readonly thread?: string;
  /** The message to answer; what is looked up after an unknown outcome comes after it. */
  readonly message?: string;
  readonly user: string;
  /** The asker's own workspace; differs from `team` for guests of a shared channel (slack.md §1.1). */
  readonly userTeam: string;
  readonly kind: "dm" | "channel";
  /** Files that cannot simply be fetched, by id (slack.md §3.5). */
  readonly files?: { readonly [id: string]: "external" | "gone" | "stub" };
  readonly command?: {
    /** The response URL, sealed: whoever has it can write to the asker. */
    readonly responseUrl: string;
    readonly question: string;
  };
  /** The asker's profile was not looked up: the turn's name is an id, its language a guess. */
  readonly unmet?: boolean;
};

const schema: z.ZodType<SlackAddress> = z.object({
  team: z.string(),
  channel: z.string(),
  thread: z.string().exactOptional(),
  message: z.string().exactOptional(),
  user: z.string(),
  userTeam: z.string(),
  kind: z.enum(["dm", "channel"]),
  files: z.record(z.string(), z.enum(["external", "gone", "stub"])).exactOptional(),
  command: z.object({ responseUrl: z.string(), question: z.string() }).exactOptional(),
  unmet: z.boolean().exactOptional(),
});

/** @throws {BridgeError} `TURN_UNREADABLE` when another version of the bridge wrote something we cannot read. */
export function parseAddress(address: Json): SlackAddress {
  const result = schema.safeParse(address);
  if (result.success) return result.data;
  throw new BridgeError("TURN_UNREADABLE", "the turn's Slack address is unreadable", { cause: result.error });
}

/** The asker of a turn, where their profile was not looked up; for an address that cannot be read, nobody. */
export function unmetAsker(address: Json): Pick<SlackAddress, "team" | "user"> | undefined {
  const { data } = schema.safeParse(address);
  return data?.unmet === true ? data : undefined;
}

/** Key of a message of ours, as a later turn names it in `continues`. */
export function messageKey(channel: string, ts: string): string {
  return `slack:${channel}:${ts}`;
}
