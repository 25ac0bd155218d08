import { type AnswerState, answerMarkdown } from "../../src/core/answer-state.ts";
import type { Json } from "../../src/core/json.ts";
import type { Locale } from "../../src/core/turn.ts";
import { toInertText } from "./neutralize.ts";

/** What a bot does besides writing, as a card in a stream (slack.md §1.3). */
export interface TaskCard {
  /** The same id updates the same card of a message. */
  readonly id: string;
  readonly title: string;
  readonly status: "in_progress" | "complete" | "error";
}

/** Cards by id as a message shows them. */
export type ShownCards = Map<string, TaskCard>;

/** More tell nobody anything; a message has room for 50 blocks (slack.md §1.2). */
const MAX_CARDS = 20;
/** A name's characters; Slack takes 256 in a title (slack.md §1.3). */
const MAX_NAME = 60;

/** The bot's plugins and its looks into its knowledge, none of them under way once the answer is over. */
export function taskCards(
  answer: AnswerState,
  { final, locale }: { final: boolean; locale: Locale },
): readonly TaskCard[] {
  const rest = !final ? "in_progress" : isWhole(answer) ? "complete" : "error";
  const words = WORDS[locale];
  const looked = answerMarkdown(answer) !== "";
  const knowledge: readonly TaskCard[] =
    answer.knowledgeLookups === 0
      ? []
      : [{ id: "knowledge", title: words.knowledge, status: looked ? "complete" : rest }];
  const tools = answer.tools.map(({ name, done }, index): TaskCard => {
    const title = words.tool(toName(name));
    return { id: `tool-${index}`, title, status: done ? "complete" : rest };
  });
  return [...knowledge, ...tools].slice(0, MAX_CARDS);
}

function isWhole({ status }: AnswerState): boolean {
  return status === "completed" || status === "requires_action";
}

const WORDS: Readonly<
  Record<Locale, { readonly knowledge: string; readonly tool: (name: string) => string }>
> = {
  en: {
    knowledge: "Looking into the knowledge base",
    tool: (name) => (name === "" ? "Using a tool" : `Using ${name}`),
  },
  zh: {
    knowledge: "正在查阅知识库",
    tool: (name) => (name === "" ? "正在使用工具" : `正在使用 ${name}`),
  },
};

/** Coze's name of a plugin comes from outside: one short line, and nothing in it is markup. */
function toName(name: string): string {
  const line = toInertText(name.replace(/[<>&*_~`[\]]/g, " "))
    .replace(/\s+/g, " ")
    .trim();
  const short = [...line].slice(0, MAX_NAME).join("");
  return short === line ? line : `${short}…`;
}

/**
 * Cards that a message has to be given, by what it and those before it show.
 *
 * @param closing - The message ends: what is under way is complete for it, and goes on in the next one.
 */
export function pendingCards(
  cards: readonly TaskCard[],
  messages: readonly ShownCards[],
  { closing }: { closing: boolean },
): readonly TaskCard[] {
  return cards.flatMap((card): readonly TaskCard[] => {
    const shown = messages.findLast((message) => message.has(card.id))?.get(card.id);
    const goesOn = closing && card.status === "in_progress";
    if (goesOn && shown === undefined) return [];
    const wanted: TaskCard = goesOn ? { ...card, status: "complete" } : card;
    return shown?.status === wanted.status && shown.title === wanted.title ? [] : [wanted];
  });
}

/** UTF-8 bytes that cards take of what a stream may hold. */
export function bytesOfCards(cards: Iterable<TaskCard>): number {
  let bytes = 0;
  for (const { id, title } of cards) bytes += Buffer.byteLength(id) + Buffer.byteLength(title);
  return bytes;
}

/** What a stream call carries. */
export function streamContent(text: string, cards: readonly TaskCard[]): { readonly [key: string]: Json } {
  if (cards.length === 0) return { markdown_text: text };
  const tasks = cards.map(({ id, title, status }): Json => ({ type: "task_update", id, title, status }));
  return { chunks: text === "" ? tasks : [...tasks, { type: "markdown_text", text }] };
}
