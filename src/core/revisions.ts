import type { Store } from "./ports.ts";

/** An edit counts for so long after its question was asked, by the platform's clock; a later one changes nothing. */
export const REDO_WITHIN_MS: number = 15 * 60_000;
/** Times that one question is asked anew. */
export const MAX_REVISIONS = 5;
/** Where it is kept which change a revision is: by its turn's id, when the question was changed. */
const REVISION_SPACE = "revision";
const TTL_MS = 24 * 3_600_000;

/** The question of a turn: its id without the revision; also the dedupe key of its first one. */
export function questionOf(turnId: string): string {
  return turnId.replace(/#r\d+$/, "");
}

/** 0 for the question as it was first asked. */
export function revisionOf(turnId: string): number {
  return Number(/#r(\d+)$/.exec(turnId)?.[1] ?? 0);
}

/** @param revision - 0 for the question as it was first asked. */
export function turnIdOf(question: string, revision: number): string {
  return `${question}#r${revision}`;
}

/** Dedupe key of a change to a question, however often and to whomever it is told. */
export function changeKey(question: string, changedAt: number): string {
  return `${question}~${changedAt}`;
}

/** When each revision of a question was made, the first one's at 0. */
export async function revisionsOf(store: Pick<Store, "get">, question: string): Promise<readonly number[]> {
  const found: number[] = [];
  while (found.length < MAX_REVISIONS) {
    const changedAt = await store.get(REVISION_SPACE, turnIdOf(question, found.length + 1));
    if (typeof changedAt !== "number") break;
    found.push(changedAt);
  }
  return found;
}

/** Takes the number of a revision for a change. @returns False when another change has it. */
export async function claimRevision(
  store: Pick<Store, "get" | "set">,
  turnId: string,
  changedAt: number,
): Promise<boolean> {
  if (await store.set(REVISION_SPACE, turnId, changedAt, { ttlMs: TTL_MS, ifAbsent: true })) return true;
  return (await store.get(REVISION_SPACE, turnId)) === changedAt;
}

/** What becomes of a change to a question that has been started. */
export type ChangePlan =
  | { readonly do: "redo"; readonly revision: number }
  | { readonly do: "ignore"; readonly reason: "older than what is known" | "too late" | "too often" };

/**
 * Decides whether a changed question is asked anew. Pure.
 *
 * @param revisions - When each revision was made, as {@link revisionsOf}.
 */
export function planChange(
  revisions: readonly number[],
  { sentAt, changedAt }: { sentAt: number; changedAt: number },
): ChangePlan {
  const own = revisions.indexOf(changedAt);
  // Begun before and not accepted: whoever began may have been killed.
  if (own >= 0) return { do: "redo", revision: own + 1 };
  if ((revisions.at(-1) ?? 0) > changedAt) return { do: "ignore", reason: "older than what is known" };
  if (changedAt - sentAt > REDO_WITHIN_MS) return { do: "ignore", reason: "too late" };
  if (revisions.length >= MAX_REVISIONS) return { do: "ignore", reason: "too often" };
  return { do: "redo", revision: revisions.length + 1 };
}
