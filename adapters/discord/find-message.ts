import { z } from "zod";
import { BridgeError } from "../../src/core/errors.ts";
import { optional, readableOf } from "../../src/wire.ts";
import { isLater } from "./followed-places.ts";
import type { DiscordPacer } from "./pacer.ts";
import type { DiscordRest } from "./rest-client.ts";

/** A message that an earlier process may have made without living to save its id. */
export interface LostMessage {
  readonly channelId: string;
  /** Id of the message or interaction that is answered: ours is newer. */
  readonly trigger: string;
  readonly nonce: string;
  /** The message or interaction that it names as answered; one that names none is known by how it begins. */
  readonly answers: string | undefined;
  readonly text: string;
  /** Messages of this reply that are known. */
  readonly known: ReadonlySet<string>;
}

export interface FoundMessage {
  readonly id: string;
  readonly content: string;
}

const PAGE = 100;
/** In a place where more was written since, the message is out of sight anyway. */
const MAX_PAGES = 5;
/** Readable characters by which the beginning of a later message is recognized. */
const BEGINNING = 60;

const meSchema = z.object({ id: z.string() });
const messagesSchema = readableOf(
  z.object({
    id: z.string().regex(/^\d+$/),
    content: z.string().catch(""),
    author: z.object({ id: z.string() }),
    nonce: optional(z.union([z.string(), z.number()])),
    message_reference: optional(z.object({ message_id: optional(z.string()) })),
    interaction_metadata: optional(z.object({ id: z.string() })),
  }),
);
type Listed = z.infer<typeof messagesSchema>[number];

/**
 * Looks for a message of ours where its nonce may have been forgotten (discord.md §2.3). Without the right to read
 * the history there is nothing to be found.
 *
 * @throws {PlatformError} a retryable one when nobody can tell right now.
 */
export async function findMessage(
  lost: LostMessage,
  { rest, pacer, signal }: { rest: DiscordRest; pacer: DiscordPacer; signal: AbortSignal },
): Promise<FoundMessage | undefined> {
  try {
    const { data: me } = await rest.main({
      method: "GET",
      route: "/users/@me",
      name: "get own user",
      signal,
    });
    const botId = meSchema.safeParse(me).data?.id;
    let after = lost.trigger;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      await pacer.list(lost.channelId).acquire("first", { signal });
      const query = new URLSearchParams({ after, limit: String(PAGE) });
      const route: `/${string}` = `/channels/${lost.channelId}/messages`;
      const { data } = await rest.main({ method: "GET", route, query, name: "list messages", signal });
      const listed = messagesSchema.parse(data);
      const found = listed.find((message) => message.author.id === botId && isLost(message, lost));
      if (found !== undefined || !Array.isArray(data) || data.length < PAGE) return found;
      after = listed.reduce((last, { id }) => (isLater(id, last) ? id : last), after);
    }
    return undefined;
  } catch (error) {
    if (signal.aborted || (error instanceof BridgeError && error.retryable)) throw error;
    // What may not be read cannot be found; the create that follows says the rest.
    return undefined;
  }
}

/** Whether a fetched message tells its nonce is not said (discord.md §2.3); one that is there decides. */
function isLost(message: Listed, { nonce, answers, text, known }: LostMessage): boolean {
  if (known.has(message.id)) return false;
  if (message.nonce !== undefined) return message.nonce === nonce;
  const named = message.message_reference?.message_id ?? message.interaction_metadata?.id;
  if (answers !== undefined) return named === answers;
  return named === undefined && beginsAlike(message.content, text);
}

function beginsAlike(one: string, other: string): boolean {
  const begin = (text: string): string => text.replaceAll(/[\s\p{C}]+/gu, "").slice(0, BEGINNING);
  const [a, b] = [begin(one), begin(other)];
  return a !== "" && b !== "" && (a.startsWith(b) || b.startsWith(a));
}
