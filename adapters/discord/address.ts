import { z } from "zod";
import { BridgeError } from "../../src/core/errors.ts";
import type { Json } from "../../src/core/json.ts";

const addressSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("message"), channelId: z.string(), messageId: z.string() }),
  z.object({
    kind: z.literal("interaction"),
    applicationId: z.string(),
    channelId: z.string(),
    viaChannel: z.boolean(),
    at: z.number(),
    token: z.string().optional(),
  }),
]);

/** A reply to a message. */
export interface MessageAddress {
  readonly kind: "message";
  readonly channelId: string;
  readonly messageId: string;
  /** The channel is a thread under that message; not stored, the reply knows. */
  readonly inThread?: true;
}

/** A reply to a slash command. */
export interface InteractionAddress {
  readonly kind: "interaction";
  readonly applicationId: string;
  readonly channelId: string;
  /** Whether the bot itself may write here, so that an old or late command can be answered as a message. */
  readonly viaChannel: boolean;
  /** When it was used, in ms since the epoch, by Discord's clock. */
  readonly at: number;
  /** Sealed interaction token; whether Discord took our acknowledgement was not known yet. */
  readonly token?: string | undefined;
}

/** Where a reply goes: what a worker cannot look up (discord.md §3.8). */
export type Address = MessageAddress | InteractionAddress;

/** @throws {BridgeError} `TURN_UNREADABLE` */
export function parseAddress(json: Json): Address {
  const parsed = addressSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new BridgeError("TURN_UNREADABLE", "the turn's Discord address is unreadable", {
    cause: parsed.error,
  });
}

export function toJson(address: Address): Json {
  return Object.fromEntries(Object.entries(address).filter(([, value]) => value !== undefined));
}
