import type { DeadTurn, QueueArchive, TurnQueue } from "../core/ports.ts";
import type { DeadLetter, DeadLetterChange, DeadLetterDetails, DeadLetterIds } from "./protocol.ts";
import { redactTurn } from "./redact-turn.ts";

/** More than any queue keeps. */
const ALL = 10_000;

/** What an operator can do with turns that were given up. */
export interface DeadLetters {
  /** Newest first. */
  list(limit: number): Promise<readonly DeadLetter[]>;
  show(id: string, options: { text: boolean }): Promise<DeadLetterDetails | undefined>;
  /** Puts them back at the tail of their conversations, oldest first, with fresh attempts. */
  retry(ids: DeadLetterIds): Promise<DeadLetterChange>;
  drop(ids: DeadLetterIds): Promise<DeadLetterChange>;
}

/** The dead letters of an open queue. */
export function deadLettersOf(
  queue: Pick<TurnQueue, "dead" | "requeue" | "discard">,
  archive: Pick<QueueArchive, "deadPayload">,
): DeadLetters {
  const change = async (
    ids: DeadLetterIds,
    act: (id: string) => Promise<boolean>,
  ): Promise<DeadLetterChange> => {
    const wanted = ids === "all" ? (await queue.dead(ALL)).map(({ id }) => id).toReversed() : ids;
    const done: string[] = [];
    const unknown: string[] = [];
    for (const id of new Set(wanted)) ((await act(id)) ? done : unknown).push(id);
    return { done, unknown };
  };
  return {
    list: async (limit) => (await queue.dead(limit)).map((turn) => toLetter(turn)),
    async show(id, options) {
      const turn = (await queue.dead(ALL)).find((dead) => dead.id === id);
      const payload = turn === undefined ? undefined : await archive.deadPayload(id);
      if (turn === undefined || payload === undefined) return undefined;
      return { ...toLetter(turn), key: turn.key, turn: redactTurn(payload, options) };
    },
    retry: (ids) => change(ids, (id) => queue.requeue(id)),
    drop: (ids) => change(ids, (id) => queue.discard(id)),
  };
}

function toLetter({ id, at, conversation, error }: DeadTurn): DeadLetter {
  // A conversation's key begins with its platform (turn.ts).
  return { id, at, platform: conversation.split(":", 1)[0] ?? "", conversation, error };
}
