/** What an answer's growth comes to, from a record of what arrived and what stood on the screen (docs/reference/pacing.md §2). */

/** Letters and digits that Coze sent, by time in ms. */
export interface Arrived {
  readonly at: number;
  readonly letters: number;
}

/** What the bot's messages of one answer show from a moment on, in ms: letters and digits alone. */
export interface Screen {
  readonly at: number;
  readonly letters: string;
}

export interface Growth {
  /** The whole answer's letters and digits. */
  readonly answer: string;
  /** When the question was handed to the bot, and when it reached Coze. */
  readonly askedAt: number;
  readonly cozeAskedAt: number;
  readonly arrived: readonly Arrived[];
  readonly screens: readonly Screen[];
}

/** All in ms, but for coverage. */
export interface Figures {
  /** Until Coze is asked. */
  readonly pre: number;
  /** From the first letter's arrival until something is visible. */
  readonly post: number;
  /** Mean delay of a letter that does appear. */
  readonly staleness: number;
  /** The same over all letters, one that never appears charged until 10 s after the last arrival. */
  readonly stalenessAll: number;
  /** From the last arrival until the last change. */
  readonly lag: number;
  /** Share of the answer that stands there in the end; 1 is all of it. */
  readonly coverage: number;
}

/** How long after the last arrival a letter that never appears is charged, in ms. */
const NEVER_MS = 10_000;
/** Letters that must agree for two places to be the same one. */
const ANCHOR = 12;

export function figuresOf({ answer, askedAt, cozeAskedAt, arrived, screens }: Growth): Figures {
  const shown = screens.map(({ at, letters }) => ({ at, count: lettersShown(letters, answer) }));
  const final = shown.at(-1)?.count ?? 0;
  const firstAt = arrived.find(({ letters }) => letters > 0)?.at ?? Number.NaN;
  const lastAt = arrived.findLast(({ letters }) => letters > 0)?.at ?? Number.NaN;
  const visibleAt = shown.find(({ count }) => count > 0)?.at ?? Number.NaN;
  const settledAt = shown[shown.findLastIndex(({ count }) => count !== final) + 1]?.at ?? Number.NaN;
  const missing = { arrived, shown, until: Math.max(lastAt, settledAt) };
  return {
    pre: cozeAskedAt - askedAt,
    post: visibleAt - firstAt,
    staleness: missingTime({ ...missing, atMost: final }) / final,
    stalenessAll:
      missingTime({ ...missing, until: lastAt + NEVER_MS, atMost: answer.length }) / answer.length,
    lag: settledAt - lastAt,
    coverage: final / answer.length,
  };
}

/** Letters × ms during which they had arrived and were not on the screen. */
function missingTime({
  arrived,
  shown,
  until,
  atMost,
}: {
  arrived: readonly Arrived[];
  shown: readonly { at: number; count: number }[];
  until: number;
  atMost: number;
}): number {
  const events = [
    ...arrived.map(({ at, letters }) => ({ at, letters, count: undefined })),
    ...shown.map(({ at, count }) => ({ at, letters: 0, count })),
  ].sort((a, b) => a.at - b.at);
  let [sum, there, seen, since] = [0, 0, 0, 0];
  for (const { at, letters, count } of [...events, { at: until, letters: 0, count: undefined }]) {
    const now = Math.min(at, until);
    sum += Math.max(0, Math.min(there, atMost) - seen) * Math.max(0, now - since);
    since = Math.max(since, now);
    there += letters;
    seen = count ?? seen;
  }
  return sum;
}

/**
 * How many letters of the answer stand on the screen. Letters that are there besides (a label, a fence's language) and
 * letters that are not there yet (the end of a message whose next one is there already) are stepped over.
 */
export function lettersShown(shown: string, answer: string): number {
  let count = 0;
  let [at, to] = [0, 0];
  while (at < shown.length && to < answer.length) {
    if (shown[at] === answer[to]) {
      count += 1;
      at += 1;
      to += 1;
      continue;
    }
    const missing = answer.indexOf(shown.slice(at, at + ANCHOR), to);
    const extra = shown.indexOf(answer.slice(to, to + ANCHOR), at);
    if (missing >= 0 && (extra < 0 || missing - to <= extra - at)) to = missing;
    else if (extra >= 0) at = extra;
    else at += 1;
  }
  return count;
}
