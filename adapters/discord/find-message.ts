import { BridgeError } from "../../src/core/errors.ts";
import type { Abortable } from "../../src/core/ports.ts";
import { type ChannelParts, LONGEST_PAGE, listMessages } from "./channel-messages.ts";
import type { WireMessage } from "./gateway-events.ts";

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

/** In a place where more was written since, the message is out of sight anyway. */
const MAX_PAGES = 5;
/** Readable characters by which the beginning of a later message is recognized. */
const BEGINNING = 60;

/**
 * Looks for a message of ours where its nonce may have been forgotten (discord.md §2.3). Without the right to read
 * the history there is nothing to be found.
 *
 * @throws {PlatformError} a retryable one when nobody can tell right now.
 */
export async function findMessage(
  lost: LostMessage,
  { signal, ...parts }: ChannelParts & Abortable,
): Promise<FoundMessage | undefined> {
  try {
    const botId = await parts.rest.ownId({ signal });
    let after = lost.trigger;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query = { after, limit: LONGEST_PAGE };
      const { messages, isFull } = await listMessages(lost.channelId, query, parts, { signal });
      const found = messages.find((message) => message.author.id === botId && isLost(message, lost));
      if (found !== undefined || !isFull) return found;
      after = messages.at(-1)?.id ?? after;
    }
    return undefined;
  } catch (error) {
    if (signal.aborted || (error instanceof BridgeError && error.retryable)) throw error;
    // What may not be read cannot be found; the create that follows says the rest.
    return undefined;
  }
}

/** Whether a fetched message tells its nonce is not said (discord.md §2.3); one that is there decides. */
function isLost(message: WireMessage, { nonce, answers, text, known }: LostMessage): boolean {
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
