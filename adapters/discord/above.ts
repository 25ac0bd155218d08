import type { Abortable, Completion, Log } from "../../src/core/ports.ts";
import { askedAbout, MAX_LAST } from "../../src/core/talk-above.ts";
import type { Turn } from "../../src/core/turn.ts";
import { parseAddress } from "./address.ts";
import { type ChannelParts, type ListQuery, listMessages } from "./channel-messages.ts";
import { isLater } from "./followed-places.ts";
import type { WireFullContent, WireMessage, WireUser } from "./gateway-events.ts";
import { filesIn, nameOf, toAttachment, wholeContentOf } from "./message-content.ts";
import { triggerOf } from "./normalize.ts";

export interface AboveParts extends ChannelParts {
  readonly log: Log;
}

/** How long a question waits for what stands above it, in ms; then it is asked without. */
const WAIT_MS = 2_000;
/** What a thread was opened on stands at its top as a message of this type, which refers to it (discord.md §5.1). */
const THREAD_STARTER = 21;
/** Default, reply, and what a program answers to a command (discord.md §5.1). */
const SAYS_SOMETHING: ReadonlySet<number> = new Set([0, 19, 20]);

type Spoken = WireFullContent & { readonly author: WireUser };

/**
 * What was said in a thread before somebody asked us there, and the files of its first message and of the one right
 * above. Without the Message Content intent Discord tells it without its words. Never throws: what cannot be read is not
 * known.
 */
export async function readAbove(turn: Turn, parts: AboveParts, { signal }: Abortable): Promise<Completion> {
  const address = parseAddress(turn.address);
  if (address.kind !== "message") return {};
  const { channelId, messageId } = address;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
  const list = async (query: ListQuery): Promise<readonly WireMessage[]> =>
    (await listMessages(channelId, query, parts, { signal: patience })).messages;
  try {
    const last = await list({ before: messageId, limit: MAX_LAST });
    const beginning = last.length < MAX_LAST ? [] : await list({ after: "0", limit: 1 }).catch(() => []);
    const beyond = beginning.filter(({ id }) => last.every((each) => each.id !== id));
    // A burst of the asker's is one turn: it has the name of its first message, and the place of its last.
    const isAsked = ({ id, author }: WireMessage): boolean =>
      turn.asker.key.endsWith(`:${author.id}`) && !isLater(triggerOf(turn.id), id);
    const talk = [...beyond, ...last]
      .filter((message) => !isAsked(message))
      .map(spokenIn)
      .filter((message) => message !== undefined)
      .map((message) => ({
        author: nameOf(message.author, undefined),
        text: wholeContentOf(message),
        attachments: filesIn(message).map(toAttachment),
      }));
    return askedAbout(turn, talk, { isWhole: beyond.length === 0 });
  } catch (error) {
    const level = signal.aborted ? "debug" : "warn";
    parts.log[level]({ err: error, channelId }, "what stands above a discord question is not known");
    return {};
  }
}

/** The message that somebody wrote; `undefined` for one that only says that something happened. */
function spokenIn(message: WireMessage): Spoken | undefined {
  if (SAYS_SOMETHING.has(message.type)) return message;
  return message.type === THREAD_STARTER ? (message.referenced_message ?? undefined) : undefined;
}
