import type { Abortable } from "../../src/core/ports.ts";
import { MAX_ABOVE, quoteAbove } from "../../src/core/talk-above.ts";
import type { Turn } from "../../src/core/turn.ts";
import { parseAddress } from "./address.ts";
import { type HistoryMessage, isSlow, readHistory } from "./history.ts";
import { mentionedUsers } from "./incoming-text.ts";
import { contentOf, specialFiles, toAttachment, writerOf } from "./message-content.ts";
import type { People } from "./people.ts";
import type { SlackContext } from "./slack-context.ts";

/** How long a question waits for what stands above it, in ms; then it is asked without. */
const WAIT_MS = 2_000;
/** Slack gives a thread from its beginning, and at most 1,000 messages at once; who asks below more is not shown what is newest. */
const PAGE = 200;
const MAX_PAGES = 2;

/**
 * What was said in a thread before somebody asked us there, and the files of its first message and of the one right
 * above. Never throws: what cannot be read is not known.
 */
export async function readAbove(
  context: SlackContext,
  people: People,
  turn: Turn,
  { signal }: Abortable,
): Promise<Partial<Pick<Turn, "quote" | "attachments" | "address">>> {
  const address = parseAddress(turn.address);
  const { team, channel, thread, message } = address;
  // One look a minute is kept for what may be lost (slack.md §8.4).
  if (thread === undefined || message === undefined || isSlow(context, team)) return {};
  const query = { team, channel, thread, maxPages: MAX_PAGES, pageSize: PAGE, permit: "first" } as const;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
  try {
    const messages = (await readHistory(context, query, { signal: patience })) ?? [];
    // A burst of the asker's is one turn, which is named after its first message.
    const first = Number(/:([\d.]+)#/.exec(turn.id)?.[1] ?? message);
    const isAsked = ({ ts, user }: HistoryMessage): boolean => user === address.user && Number(ts) >= first;
    const above = messages.filter((each) => Number(each.ts) < Number(message) && !isAsked(each));
    const read = [...above.slice(0, 1), ...above.slice(1).slice(1 - MAX_ABOVE)];
    const mentioned = read.flatMap(({ user, text = "" }) => [
      ...(user === undefined ? [] : [user]),
      ...mentionedUsers(text),
    ]);
    const { names } = await people.load(
      { asker: undefined, mentioned },
      { team, patient: false, signal: patience },
    );
    const talk = above
      .map((each) => ({ author: writerOf(each, names), text: contentOf(each, names).text }))
      .filter(({ text }) => text !== "");
    const quote = quoteAbove(talk);
    const files = [...new Set([above.at(0), above.at(-1)])].flatMap((each) => contentOf(each, names).files);
    return {
      ...(quote !== undefined && { quote }),
      attachments: [...turn.attachments, ...files.map(toAttachment)],
      address: { ...address, files: { ...address.files, ...specialFiles(files).files } },
    };
  } catch (error) {
    context.log.warn({ err: error, channel }, "what stands above a slack question is not known");
    return {};
  }
}
