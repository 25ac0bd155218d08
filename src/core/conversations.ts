import type { AnswerSource, Store } from "./ports.ts";
import type { Turn } from "./turn.ts";

const CONVERSATION_SPACE = "conv";

interface ConversationParts {
  readonly store: Pick<Store, "get" | "set" | "delete">;
  readonly source: Pick<AnswerSource, "createConversation">;
}

/** The Coze conversation of a turn: created and stored before its first chat, then reused. */
export async function cozeConversationOf(
  turn: Turn,
  parts: ConversationParts,
  signal: AbortSignal,
): Promise<string> {
  const key = storeKey(turn);
  const known = await parts.store.get(CONVERSATION_SPACE, key);
  if (typeof known === "string") return known;
  const { conversation, route } = turn;
  const created = await parts.source.createConversation({ botId: route.botId, conversation, signal });
  // A power loss that takes this takes the checkpoint that follows, too: the turn is asked in a new one then.
  await parts.store.set(CONVERSATION_SPACE, key, created, { synced: false });
  return created;
}

/** Coze answered in another conversation than the one we named: that one counts (coze-api.md §16.6). */
export async function replaceConversation(
  turn: Turn,
  parts: ConversationParts,
  cozeId: string,
): Promise<void> {
  await parts.store.set(CONVERSATION_SPACE, storeKey(turn), cozeId);
}

/** Coze no longer knows it: the next turn creates a new one. */
export async function forgetConversation(turn: Turn, parts: ConversationParts): Promise<void> {
  await parts.store.delete(CONVERSATION_SPACE, storeKey(turn));
}

/** Another bot is another memory. */
function storeKey(turn: Turn): string {
  return `${turn.route.botId}:${turn.conversation}`;
}
