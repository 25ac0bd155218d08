/**
 * What became of every question, judged only by what people see and by what Coze was asked. Answers consist of tagged
 * words (`k<question>n<number>`), so a missing, doubled or misplaced piece of any answer shows.
 */

export interface JudgedTurn {
  /** Number of the question, unique in a history. */
  readonly tag: number;
  /** Its turns are to be answered one at a time, in the order of the history. */
  readonly lane: string;
  readonly place: string;
  /** Tagged words of its answer. */
  readonly words: number;
}

export interface JudgedMessage {
  readonly bot: boolean;
  readonly text: string;
  readonly unfinished: boolean;
  /** Shown to one person only, and gone when their client restarts. */
  readonly ephemeral?: boolean;
}

/** One question as Coze got it. */
export interface Asking {
  /** Several when waiting neighbours ran as one. */
  readonly tags: readonly number[];
  /** An earlier turn of its lane had been asked and did not stand whole on the screen: two ran at once. */
  readonly overtook: boolean;
}

export interface History {
  /** In the order people asked. */
  readonly turns: readonly JudgedTurn[];
  /** What stands in each place, from top to bottom. */
  readonly places: ReadonlyMap<string, readonly JudgedMessage[]>;
  readonly askings: readonly Asking[];
}

/** Numbers of the turns that went wrong, by how. */
export interface Verdict {
  readonly turns: number;
  /** Nothing of the answer is there. */
  readonly lost: readonly number[];
  /** Words are missing, or its message still grows. */
  readonly half: readonly number[];
  /** Words stand there more than once. */
  readonly doubled: readonly number[];
  /** Words stand in the wrong order, or before the answer to an earlier question of the lane. */
  readonly misplaced: readonly number[];
  /** Asked while an earlier turn of the lane was being answered. */
  readonly overtaking: readonly number[];
  /** Asked more than once: not visible, but paid for. */
  readonly askedTwice: readonly number[];
  /** Messages of the bot without a word of an answer, or with a sentence of failure below one. */
  readonly strays: readonly string[];
}

/** A question that makes {@link answerTo} write so many tagged words. */
export function questionText(tag: number, words: number): string {
  return `ask${tag} words${words}`;
}

/** The questions a text holds. */
export function questionsIn(text: string): { tag: number; words: number }[] {
  return [...text.matchAll(/\bask(\d+) words(\d+)\b/g)].map(([, tag, words]) => ({
    tag: Number(tag),
    words: Number(words),
  }));
}

/** The whole answer to a text with questions in it. */
export function answerTo(text: string): string {
  return questionsIn(text)
    .map(({ tag, words }) => Array.from({ length: words }, (_, index) => `k${tag}n${index}`).join(" "))
    .join("\n\n");
}

/** Whether a turn's answer stands in a place, whole, and nothing of it grows any more. */
export function isWhole(turn: JudgedTurn, messages: readonly JudgedMessage[]): boolean {
  const seen = readWords(messages).get(turn.tag);
  return seen !== undefined && new Set(seen.numbers).size === turn.words && !seen.unfinished;
}

export function judge(history: History): Verdict {
  const words = new Map([...history.places].map(([place, messages]) => [place, readWords(messages)]));
  const seen = (turn: JudgedTurn): SeenWords | undefined => words.get(turn.place)?.get(turn.tag);
  const which = (wrong: (turn: JudgedTurn) => boolean): number[] =>
    history.turns.filter(wrong).map(({ tag }) => tag);
  const asked = Map.groupBy(
    history.askings.flatMap(({ tags }) => tags),
    (tag) => tag,
  );
  const behind = overtaken(history.turns, seen);
  return {
    turns: history.turns.length,
    lost: which((turn) => seen(turn) === undefined),
    half: which((turn) => {
      const found = seen(turn);
      return found !== undefined && (found.unfinished || new Set(found.numbers).size !== turn.words);
    }),
    doubled: which((turn) => {
      const numbers = seen(turn)?.numbers ?? [];
      return new Set(numbers).size !== numbers.length;
    }),
    misplaced: which((turn) => behind.has(turn.tag) || !isAscending(seen(turn)?.numbers ?? [])),
    overtaking: history.askings.filter(({ overtook }) => overtook).flatMap(({ tags }) => tags),
    askedTwice: [...asked].filter(([, times]) => times.length > 1).map(([tag]) => tag),
    strays: [...history.places.values()]
      .flat()
      .filter(isStray)
      .map(({ text }) => text),
  };
}

interface SeenWords {
  /** Numbers of its words, in the order they stand there. */
  readonly numbers: number[];
  /** Where its first word stands among all of the place. */
  readonly position: number;
  unfinished: boolean;
}

function readWords(messages: readonly JudgedMessage[]): Map<number, SeenWords> {
  const words = new Map<number, SeenWords>();
  let position = 0;
  for (const { bot, text, unfinished } of messages) {
    if (!bot) continue;
    for (const [, tagText, number] of text.matchAll(/\bk(\d+)n(\d+)\b/g)) {
      const tag = Number(tagText);
      const known = words.get(tag) ?? { numbers: [], position, unfinished: false };
      words.set(tag, known);
      known.numbers.push(Number(number));
      known.unfinished ||= unfinished;
      position += 1;
    }
  }
  return words;
}

/** Turns that stand above an earlier one of their lane. */
function overtaken(
  turns: readonly JudgedTurn[],
  seen: (turn: JudgedTurn) => SeenWords | undefined,
): ReadonlySet<number> {
  const last = new Map<string, number>();
  const wrong = new Set<number>();
  for (const turn of turns) {
    const position = seen(turn)?.position;
    if (position === undefined) continue;
    const before = last.get(turn.lane) ?? -1;
    if (position < before) wrong.add(turn.tag);
    last.set(turn.lane, Math.max(before, position));
  }
  return wrong;
}

function isAscending(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0));
}

/**
 * A reference stands only in sentences about failures; a posted question of a command is no stray, nor is the passing
 * word that a command was taken.
 */
function isStray({ bot, text, ephemeral = false }: JudgedMessage): boolean {
  if (!bot || ephemeral) return false;
  const says = /\bk\d+n\d+\b/.test(text) || questionsIn(text).length > 0;
  return !says || /\([2-9A-HJKMNP-TV-Z]{6}\)/.test(text);
}

/** Whether everything is as it must be; Coze may have been asked twice where it does not let us know. */
export function isClean(verdict: Verdict): boolean {
  const { lost, half, doubled, misplaced, overtaking, strays } = verdict;
  return [lost, half, doubled, misplaced, overtaking, strays].every((list) => list.length === 0);
}

/** One line with every count. */
export function describeVerdict(verdict: Verdict): string {
  const { turns, ...lists } = verdict;
  const counts = Object.entries(lists).map(([name, list]) => `${list.length} ${name}`);
  return [`${turns} turns`, ...counts].join(", ");
}
