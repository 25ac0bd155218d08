import { cutText } from "./cut-text.ts";
import type { Json } from "./json.ts";
import type { ContextMessage, Store } from "./ports.ts";
import { questionText } from "./question-text.ts";
import type { Turn } from "./turn.ts";

/**
 * Coze keeps context apart by `user_id`, so in a shared conversation the bot would not know what others said. We
 * remember the last exchanges and send along what happened since the asker's own last turn.
 *
 * @see docs/reference/coze-api.md §4 (`user_id`)
 */
const TALK_SPACE = "talk";
/** Exchanges remembered per conversation; older ones are forgotten. */
const MAX_EXCHANGES = 10;
/** Characters kept of a question or an answer. */
const MAX_TEXT = 2_000;
const TALK_TTL_MS = 7 * 24 * 3_600_000;

interface Exchange {
  readonly asker: string;
  readonly name: string;
  readonly question: string;
  /** What was asked about; absent where the question says it itself. */
  readonly quote?: { readonly author: string; readonly text: string };
  readonly answer: string;
}

/** What others said in this conversation since its asker's last turn, oldest first. */
export async function othersSince(store: Pick<Store, "get">, turn: Turn): Promise<readonly ContextMessage[]> {
  const talk = toExchanges(await store.get(TALK_SPACE, turn.conversation));
  const own = talk.findLastIndex(({ asker }) => asker === turn.asker.key);
  return talk.slice(own + 1).flatMap(({ name, question, quote, answer }) => [
    {
      role: "asker" as const,
      text: questionText({ text: `${name}: ${question}`, ...(quote !== undefined && { quote }) }),
    },
    { role: "bot" as const, text: answer },
  ]);
}

/**
 * Remembers a finished exchange. Called inside the turn, so there is one writer per conversation.
 *
 * @param options - `replaced`: what the same question said before it was changed; that exchange is forgotten.
 */
export async function rememberExchange(
  store: Pick<Store, "get" | "set">,
  turn: Turn,
  answer: string,
  { replaced }: { replaced?: string | undefined } = {},
): Promise<void> {
  const known = toExchanges(await store.get(TALK_SPACE, turn.conversation));
  const before = replaced === undefined ? undefined : cutText(replaced, MAX_TEXT);
  const old = known.findLastIndex(({ asker, question }) => asker === turn.asker.key && question === before);
  const talk = known.filter((_exchange, index) => index !== old);
  const exchange = {
    asker: turn.asker.key,
    name: turn.asker.name,
    question: cutText(turn.text, MAX_TEXT),
    answer: cutText(answer, MAX_TEXT),
    ...(turn.quote !== undefined && {
      quote: { author: turn.quote.author, text: cutText(turn.quote.text, MAX_TEXT) },
    }),
  };
  const next = [...talk, exchange].slice(-MAX_EXCHANGES);
  await store.set(
    TALK_SPACE,
    turn.conversation,
    next.map((item) => ({ ...item })),
    { ttlMs: TALK_TTL_MS },
  );
}

function toExchanges(stored: Json | undefined): readonly Exchange[] {
  return Array.isArray(stored) ? stored.filter(isExchange) : [];
}

function isExchange(value: Json): value is Json & Exchange {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { quote = { author: "", text: "" }, ...rest } = value as Readonly<Record<string, Json>>;
  return hasTexts(rest, ["asker", "name", "question", "answer"]) && hasTexts(quote, ["author", "text"]);
}

function hasTexts(value: Json, keys: readonly string[]): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const record = value as Readonly<Record<string, Json>>;
  return keys.every((key) => typeof record[key] === "string");
}
