import type { Abortable, AnswerSource, Store } from "./ports.ts";
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
  const known = await parts.store.get(CONVERSATION_SPACE, storeKey(turn));
  return typeof known === "string" ? known : createFor(turn, parts, { signal, fresh: false });
}

/** Coze no longer knows the one before: another one from now on. */
export async function newConversationOf(
  turn: Turn,
  parts: ConversationParts,
  signal: AbortSignal,
): Promise<string> {
  await parts.store.delete(CONVERSATION_SPACE, storeKey(turn));
  return createFor(turn, parts, { signal, fresh: true });
}

async function createFor(
  turn: Turn,
  parts: ConversationParts,
  how: Abortable & { readonly fresh: boolean },
): Promise<string> {
  const { conversation, route } = turn;
  const created = await parts.source.createConversation({ botId: route.botId, conversation, ...how });
  // A power loss that takes this takes the checkpoint that follows, too: the turn is asked in a new one then.
  await parts.store.set(CONVERSATION_SPACE, storeKey(turn), created, { synced: false });
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

/** Another bot is another memory. */
function storeKey(turn: Turn): string {
  return `${turn.route.botId}:${turn.conversation}`;
}
