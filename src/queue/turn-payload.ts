import { z } from "zod";
import { BridgeError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import { RetryLater } from "../core/ports.ts";
import { TURN_VERSION, type Turn } from "../core/turn.ts";

const ATTACHMENT = z.object({
  id: z.string(),
  name: z.string(),
  size: z.exactOptional(z.number()),
  contentType: z.exactOptional(z.string()),
  url: z.string(),
});

const TURN = z.object({
  v: z.literal(TURN_VERSION),
  id: z.string().min(1),
  reference: z.string(),
  platform: z.string().min(1),
  installation: z.string(),
  conversation: z.string().min(1),
  asker: z.object({ key: z.string(), name: z.string() }),
  text: z.string(),
  quote: z.exactOptional(z.object({ author: z.string(), text: z.string() })),
  attachments: z.array(ATTACHMENT),
  locale: z.enum(["en", "zh"]),
  sentAt: z.number(),
  route: z.object({ botId: z.string() }),
  editedAt: z.exactOptional(z.number()),
  late: z.exactOptional(z.boolean()),
  belowTalk: z.exactOptional(z.boolean()),
  address: z.json(),
});

const VERSIONED = z.object({ v: z.int() });

/** The turn as the queue stores it: what JSON keeps of it, without what is absent. */
export function toPayload(turn: Turn): Json {
  // A Turn holds nothing but JSON; the way through text also drops properties that are undefined.
  return JSON.parse(JSON.stringify(turn)) as Json;
}

/**
 * Reads a stored turn.
 *
 * @throws {RetryLater} not counting as an attempt, when a newer bridge wrote it: it is left for one that knows it.
 * @throws {BridgeError} `TURN_UNREADABLE` when it is no turn at all.
 */
export function parseTurn(payload: Json): Turn {
  const version = VERSIONED.safeParse(payload);
  if (version.success && version.data.v > TURN_VERSION) {
    throw new RetryLater({
      counts: false,
      cause: new BridgeError(
        "TURN_UNREADABLE",
        `stored turn has version ${version.data.v}, this bridge knows ${TURN_VERSION}: start the newer version again`,
      ),
    });
  }
  const turn = TURN.safeParse(payload);
  if (turn.success) return turn.data;
  // Paths only: the values are what people wrote.
  const where = turn.error.issues.map((issue) => issue.path.join(".") || "(all of it)").join(", ");
  throw new BridgeError("TURN_UNREADABLE", `stored turn can't be read, bad at: ${where}`);
}
