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
  const { quote, ...rest } = first;
  // One quote above all of it stays one; else each stands above what was said about it.
  const isAbove = turns.every((turn) => turn === first || turn.quote === undefined);
  return {
    ...rest,
    ...(isAbove && quote !== undefined && { quote }),
    text: turns
      .map((turn) => (isAbove ? turn.text : questionText(turn)))
      .filter((text) => text !== "")
      // Behind a quote the next line would go on with it.
      .join(isAbove ? "\n" : "\n\n"),
    attachments: turns.flatMap(({ attachments }) => attachments),
    ...(turns.some(({ late }) => late === true) && { late: true }),
    ...(turns.some(({ belowTalk }) => belowTalk === true) && { belowTalk: true }),
    // The first one may have been handed in before their name was known.
    asker: last.asker,
    locale: last.locale,
    address: last.address,
  };
}
