import { lateNotice, noticeFor } from "../../src/core/notices.ts";

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
  /** Id of its message. */
  readonly question?: string;
  /** Its asker may take it back: then it needs no answer, only an end. */
  readonly stopped?: true;
}

export interface JudgedMessage {
  readonly bot: boolean;
  readonly text: string;
  /** What its files say. */
  readonly documents?: readonly string[];
  readonly unfinished: boolean;
  /** Id of the message it replies to. */
  readonly parent?: string;
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
  /** Not taken, and its asker was told so: the queue was away. */
  readonly refused: readonly number[];
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

/** Whether a turn's answer stands among these words, whole, and nothing of it grows any more. */
export function isWhole({ tag, words }: JudgedTurn, seen: WordsSeen): boolean {
  const own = seen.get(tag);
  return own !== undefined && new Set(own.numbers).size === words && !own.unfinished;
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
  const stopped = new Set(which((turn) => turn.stopped === true));
  const refusals = new Map(
    history.turns.flatMap((turn) => {
      const refusal = seen(turn) === undefined ? refusalOf(turn, history.places.get(turn.place)) : undefined;
      return refusal === undefined ? [] : [[refusal, turn.tag]];
    }),
  );
  const refused = [...refusals.values()];
  return {
    turns: history.turns.length,
    lost: which((turn) => seen(turn) === undefined && turn.stopped !== true && !refused.includes(turn.tag)),
    refused,
    half: which((turn) => {
      const found = seen(turn);
      const isCut = new Set(found?.numbers).size !== turn.words && turn.stopped !== true;
      return found !== undefined && (found.unfinished || isCut);
    }),
    doubled: which((turn) => {
      const numbers = seen(turn)?.numbers ?? [];
      return new Set(numbers).size !== numbers.length;
    }),
    misplaced: which((turn) => behind.has(turn.tag) || !isAscending(seen(turn)?.numbers ?? [])),
    overtaking: history.askings.filter(({ overtook }) => overtook).flatMap(({ tags }) => tags),
    askedTwice: [...asked].filter(([, times]) => times.length > 1).map(([tag]) => tag),
    strays: [...history.places].flatMap(([place, messages]) => {
      // Stopped and gone on with by another process, an answer ends in a message of its own that says so.
      let excused = history.turns.filter(
        (turn) => turn.place === place && stopped.has(turn.tag) && !saysEnd(turn, messages),
      ).length;
      const strays = messages.filter(
        (message, index) =>
          isStray(message, stopped) &&
          !refusals.has(message) &&
          !isLateBelowFull(message, messages.slice(0, index)),
      );
      const isExcused = ({ text }: JudgedMessage): boolean => {
        if (!text.includes(STOPPED) || excused === 0) return false;
        excused -= 1;
        return true;
      };
      return strays.filter((stray) => !isExcused(stray)).map(({ text }) => text);
    }),
  };
}

/** The sentence under a question that it can't be taken. */
export function refusalOf(
  { question }: JudgedTurn,
  messages: readonly JudgedMessage[] = [],
): JudgedMessage | undefined {
  const sentence = noticeFor("QUEUE_UNAVAILABLE", "en");
  return messages.find(({ bot, parent, text }) => bot && parent === question && text === sentence);
}

/**
 * How many messages of the bot only repeat what others of the place say, or say nothing and grow: what a killed process
 * posted and nobody found again.
 */
export function countOrphans(messages: readonly JudgedMessage[]): number {
  const own = messages.filter(({ bot, ephemeral = false }) => bot && !ephemeral);
  const left = new Set(own);
  for (const message of own) {
    const words = tagged(message);
    if (words.length === 0 && !message.unfinished && message.text !== "") continue;
    left.delete(message);
    const elsewhere = new Set([...left].flatMap(tagged));
    if (!words.every((word) => elsewhere.has(word))) left.add(message);
  }
  return own.length - left.size;
}

/** A file may repeat what messages say, but not what another file says. */
function tagged({ text, documents = [] }: JudgedMessage): readonly string[] {
  // A command's question is posted by the bot, too.
  const wordsOf = (of: string): readonly string[] => of.match(/\b(k\d+n\d+|ask\d+ words\d+)\b/g) ?? [];
  return [...wordsOf(text), ...documents.flatMap(wordsOf).map((word) => `file ${word}`)];
}

/** What stands in a place of each answer, by the question's number. */
export type WordsSeen = ReadonlyMap<number, SeenWords>;

export interface SeenWords {
  /** Numbers of its words, in the order they stand there. */
  readonly numbers: number[];
  /** Where its first word stands among all of the place. */
  readonly position: number;
  unfinished: boolean;
  /** Some of them stand in a file. */
  hasFile: boolean;
}

export function readWords(messages: readonly JudgedMessage[]): WordsSeen {
  const words = new Map<number, SeenWords>();
  let position = 0;
  const of = (tag: number): SeenWords => {
    const known = words.get(tag) ?? { numbers: [], position, unfinished: false, hasFile: false };
    words.set(tag, known);
    return known;
  };
  for (const { bot, text, documents = [], unfinished } of messages) {
    if (!bot) continue;
    for (const [tag, number] of wordsIn(text)) {
      const known = of(tag);
      known.numbers.push(number);
      known.unfinished ||= unfinished;
      position += 1;
    }
    for (const document of documents) {
      for (const [tag, found] of Map.groupBy(wordsIn(document), ([tag]) => tag)) {
        addFile(
          of(tag),
          found.map(([, number]) => number),
        );
      }
    }
  }
  return words;
}

function wordsIn(text: string): (readonly [tag: number, number: number])[] {
  return [...text.matchAll(/\bk(\d+)n(\d+)\b/g)].map(([, tag, number]) => [Number(tag), Number(number)]);
}

/** The file of an answer has all of it: what the messages before it say it may say again, once and in their order. */
function addFile(seen: SeenWords, numbers: readonly number[]): void {
  const goesOn = !seen.hasFile && seen.numbers.every((number, index) => numbers[index] === number);
  seen.numbers.push(...(goesOn ? numbers.slice(seen.numbers.length) : numbers));
  seen.hasFile = true;
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

/** Most characters of a message on Discord, in whose small print the sentence stands (discord.md §2.1). */
const MAX_MESSAGE = 2_000;

/** That an answer is late stands in a message of its own where the answer's last one had no room for it. */
function isLateBelowFull({ bot, text }: JudgedMessage, before: readonly JudgedMessage[]): boolean {
  if (!bot || text !== `-# ${lateNotice("en")}`) return false;
  const above = before.findLast((message) => message.bot && message.ephemeral !== true);
  return (
    above !== undefined && wordsIn(above.text).length > 0 && above.text.length + 1 + text.length > MAX_MESSAGE
  );
}

/** What an answer that was stopped says. */
const STOPPED = noticeFor("COZE_CANCELED", "en");
const REFERENCE = /[(：][2-9A-HJKMNP-TV-Z]{6}[)）]/;

/**
 * A reference stands only in sentences about failures, or below an answer that its asker stopped; a posted question of
 * a command is no stray, nor is the passing word that a command was taken.
 */
function isStray(
  { bot, text, documents = [], ephemeral = false }: JudgedMessage,
  stopped: ReadonlySet<number>,
): boolean {
  if (!bot || ephemeral) return false;
  const tags = [text, ...documents].flatMap(wordsIn).map(([tag]) => tag);
  const says = tags.length > 0 || questionsIn(text).length > 0;
  const isExcused = tags.some((tag) => stopped.has(tag));
  return !says || (!isExcused && REFERENCE.test(text));
}

/** Whether the sentence that an answer was stopped stands in a message with some of the answer. */
function saysEnd({ tag }: JudgedTurn, messages: readonly JudgedMessage[]): boolean {
  return messages.some(({ text }) => REFERENCE.test(text) && wordsIn(text).some(([found]) => found === tag));
}

/** Whether everything is as it must be; Coze may have been asked twice where it does not let us know. */
export function isClean(verdict: Verdict): boolean {
  const { lost, refused, half, doubled, misplaced, overtaking, strays } = verdict;
  return [lost, refused, half, doubled, misplaced, overtaking, strays].every((list) => list.length === 0);
}

/** One line with every count. */
export function describeVerdict(verdict: Verdict): string {
  const { turns, ...lists } = verdict;
  const counts = Object.entries(lists).map(([name, list]) => `${list.length} ${name}`);
  return [`${turns} turns`, ...counts].join(", ");
}
