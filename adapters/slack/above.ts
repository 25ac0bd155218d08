import type { Abortable, Completion } from "../../src/core/ports.ts";
import { askedAbout, selectAbove } from "../../src/core/talk-above.ts";
import type { Turn } from "../../src/core/turn.ts";
import { parseAddress } from "./address.ts";
import { type HistoryMessage, isSlow, readHistory } from "./history.ts";
import { mentionedUsers } from "./incoming-text.ts";
import {
  filesIn,
  parseContent,
  saysSomething,
  specialFiles,
  toAttachment,
  wholeContentOf,
  writerOf,
} from "./message-content.ts";
import type { People } from "./people.ts";
import type { SlackContext } from "./slack-context.ts";

/** How long a question waits for what stands above it, in ms; then it is asked without. */
const WAIT_MS = 2_000;
/** Of a thread that is longer only the first message is known. */
const PAGE = 999;

/**
 * What was said in a thread before somebody asked us there, and the files of its first message and of the one right
 * above. Never throws: what cannot be read is not known.
 */
export async function readAbove(
  context: SlackContext,
  people: People,
  turn: Turn,
  { signal }: Abortable,
): Promise<Completion> {
  const address = parseAddress(turn.address);
  const { team, channel, thread, message } = address;
  // One look a minute is kept for what may be lost (slack.md §8.4).
  if (thread === undefined || message === undefined || isSlow(context, team)) return {};
  const query = { team, channel, thread, maxPages: 1, pageSize: PAGE, permit: "first" } as const;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
  try {
    const messages = (await readHistory(context, query, { signal: patience })) ?? [];
    // A burst of the asker's is one turn: it has the name of its first message, and the place of its last.
    const first = Number(/:([\d.]+)#/.exec(turn.id)?.[1] ?? message);
    const isAsked = ({ ts, user }: HistoryMessage): boolean => user === address.user && Number(ts) >= first;
    const above = messages.filter(
      (each) => Number(each.ts) < Number(message) && !isAsked(each) && saysSomething(each),
    );
    // Slack gives a thread from its beginning, some apps 15 messages of it: where the question is not among them, its end is not.
    const isEndKnown = messages.some(({ ts }) => ts === message);
    const { read, isWhole } = selectAbove(isEndKnown ? above : above.slice(0, 1));
    const contents = read.map(parseContent);
    const mentioned = contents.flatMap(({ user, text = "" }) => [
      ...(user === undefined ? [] : [user]),
      ...mentionedUsers(text),
    ]);
    const { names } = await people.load(
      { asker: undefined, mentioned },
      { team, patient: false, signal: patience },
    );
    const talk = contents.map((content) => ({
      author: writerOf(content, names),
      text: wholeContentOf(content, names),
      attachments: filesIn(content).map(toAttachment),
    }));
    const special = { ...address.files, ...specialFiles(contents.flatMap(filesIn)).files };
    return {
      ...askedAbout(turn, talk, { isWhole: isWhole && isEndKnown }),
      address: { ...address, files: special },
    };
  } catch (error) {
    context.log[signal.aborted ? "debug" : "warn"](
      { err: error, channel },
      "what stands above a slack question is not known",
    );
    return {};
  }
}
