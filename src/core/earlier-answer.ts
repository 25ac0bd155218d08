import type { Json } from "./json.ts";
import { mergeTurns } from "./merge-turns.ts";
import type { Store } from "./ports.ts";
import { questionOf, revisionOf } from "./revisions.ts";
import type { Turn } from "./turn.ts";

/** What stands there of an earlier revision of a question. */
export interface EarlierAnswer {
  /** The reply's own state: its messages are taken over. */
  readonly reply: Json | undefined;
  /** All that was answered together, oldest first. */
  readonly asked: readonly Turn[];
  /** An answer, not a sentence about a failure. */
  readonly whole: boolean;
}

/** Where an answer is found by each question it answers. */
const ANSWER_SPACE = "answer";
/** A redo may wait behind others of its conversation. */
const TTL_MS = 24 * 3_600_000;

/** Keeps what a redo of any of these questions has to know. Called inside the turn. */
export async function rememberAnswer(
  store: Pick<Store, "set">,
  { reply, asked, whole }: EarlierAnswer,
): Promise<void> {
  // Turns are plain JSON.
  const value = { ...(reply !== undefined && { reply }), asked, whole } as unknown as Json;
  for (const { id } of asked) await store.set(ANSWER_SPACE, questionOf(id), value, { ttlMs: TTL_MS });
}

/** What an earlier revision of this turn left; nothing for one that is no redo. */
export async function earlierAnswer(
  store: Pick<Store, "get">,
  { id }: Turn,
): Promise<EarlierAnswer | undefined> {
  if (revisionOf(id) === 0) return undefined;
  const value = await store.get(ANSWER_SPACE, questionOf(id));
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  // Only `rememberAnswer` writes here.
  const { reply, asked, whole } = value as unknown as Partial<EarlierAnswer>;
  return Array.isArray(asked) ? { reply, asked: asked as readonly Turn[], whole: whole === true } : undefined;
}

/** All questions that a redo answers: those of the earlier answer, with the changed one in its place. */
export function withChange(changed: Turn, earlier: EarlierAnswer | undefined): readonly Turn[] {
  const question = questionOf(changed.id);
  const asked = earlier?.asked ?? [];
  if (!asked.some(({ id }) => questionOf(id) === question)) return [changed];
  return asked.map((turn) => (questionOf(turn.id) === question ? changed : turn));
}

/** The same as one turn, under the name of the changed one. */
export function mergeRedo(changed: Turn, asked: readonly Turn[]): Turn {
  const { late: _late, ...merged } = mergeTurns(asked);
  return { ...merged, id: changed.id, reference: changed.reference };
}

/** Whether an edit says what was answered already, e.g. told late about a text that was read in between. */
export function changesNothing({ id, text, editedAt }: Turn, earlier: EarlierAnswer | undefined): boolean {
  if (editedAt === undefined || earlier?.whole !== true) return false;
  return earlier.asked.some((turn) => questionOf(turn.id) === questionOf(id) && turn.text === text);
}
