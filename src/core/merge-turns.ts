import { questionText } from "./question-text.ts";
import type { Turn } from "./turn.ts";

/**
 * What one asker typed in a burst, as one turn: the first one's identity, so that a restart finds its effects again;
 * the last one's place, so that the reply stands below all of it.
 */
export function mergeTurns(turns: readonly Turn[]): Turn {
  const [first] = turns;
  const last = turns.at(-1);
  if (first === undefined || last === undefined) throw new Error("a run without a turn");
  if (first === last) return first;
  const { quote: _, ...rest } = first;
  return {
    ...rest,
    // Each with what it refers to; behind a quote the next line would go on with it.
    text: turns
      .map(questionText)
      .filter((text) => text !== "")
      .join(turns.some(({ quote }) => quote !== undefined) ? "\n\n" : "\n"),
    attachments: turns.flatMap(({ attachments }) => attachments),
    ...(turns.some(({ late }) => late === true) && { late: true }),
    ...(turns.some(({ belowTalk }) => belowTalk === true) && { belowTalk: true }),
    // The first one may have been handed in before their name was known.
    asker: last.asker,
    locale: last.locale,
    address: last.address,
  };
}
