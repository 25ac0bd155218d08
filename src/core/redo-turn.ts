import { type AcceptParts, acceptTurn } from "./accept-turn.ts";
import type { Store, TurnQueue } from "./ports.ts";
import { changeKey, claimRevision, planChange, revisionsOf, turnIdOf } from "./revisions.ts";
import type { IncomingTurn } from "./turn.ts";

export interface RedoParts extends AcceptParts {
  readonly queue: Pick<TurnQueue, "enqueue" | "amend" | "idOf">;
  readonly store: Pick<Store, "get" | "set">;
}

/**
 * Takes a changed question: one that waits is changed where it waits; one that was started is asked anew, as its next
 * revision, behind it in its conversation. Resolves once that is durable, however often the change is told.
 *
 * @param question - As the adapter would hand it in now, under the dedupe key of the first time.
 * @param changedAt - When it was changed, in ms since the epoch, by the platform's clock; tells changes apart.
 * @returns What was done, for the log.
 * @throws {BridgeError} `QUEUE_FULL`, `QUEUE_UNAVAILABLE`: nothing was taken, the platform may deliver again.
 */
export async function redoTurn(question: IncomingTurn, changedAt: number, parts: RedoParts): Promise<string> {
  const done = await redo(question, changedAt, parts);
  parts.log.info({ turnId: question.id, platform: question.platform, done }, "question changed");
  return done;
}

async function redo(question: IncomingTurn, changedAt: number, parts: RedoParts): Promise<string> {
  const { queue, store } = parts;
  const { dedupeKey, sentAt } = question;
  const key = changeKey(dedupeKey, changedAt);
  if ((await queue.idOf(dedupeKey)) === undefined) return "was no question";
  if ((await queue.idOf(key)) !== undefined) return "known";
  const done = await amendNewest(question, changedAt, parts);
  if (done !== undefined) return done;
  for (;;) {
    const plan = planChange(await revisionsOf(store, dedupeKey), { sentAt, changedAt });
    if (plan.do === "ignore") return plan.reason;
    const id = turnIdOf(dedupeKey, plan.revision);
    // Another intake may have given this number to another change: each round lost is one number less.
    if (!(await claimRevision(store, id, changedAt))) continue;
    await acceptTurn({ ...question, id, dedupeKey: key, editedAt: changedAt, alone: true }, parts);
    return "asked anew";
  }
}

/** @returns Nothing when the newest revision has been started. */
async function amendNewest(
  { dedupeKey, text, quote, locale }: IncomingTurn,
  changedAt: number,
  { queue, store, parseTurn, toPayload }: RedoParts,
): Promise<string | undefined> {
  const newest = (await revisionsOf(store, dedupeKey)).at(-1);
  const id = await queue.idOf(newest === undefined ? dedupeKey : changeKey(dedupeKey, newest));
  if (id === undefined) return undefined;
  let isKnown = false;
  const amended = await queue.amend(
    id,
    (payload) => {
      const waiting = parseTurn(payload);
      isKnown = (waiting.editedAt ?? 0) >= changedAt;
      if (isKnown) return undefined;
      return toPayload({
        ...waiting,
        text,
        ...(quote !== undefined && { quote }),
        locale,
        editedAt: changedAt,
      });
    },
    { key: changeKey(dedupeKey, changedAt) },
  );
  if (amended) return "changed while it waits";
  return isKnown ? "known" : undefined;
}

/** Nobody wants the answer to a question any more, in whichever revision. */
export async function cancelQuestion(
  question: string,
  { queue, store }: { queue: Pick<TurnQueue, "idOf" | "cancel">; store: Pick<Store, "get"> },
): Promise<void> {
  const revisions = await revisionsOf(store, question);
  for (const key of [question, ...revisions.map((changedAt) => changeKey(question, changedAt))]) {
    const queueId = await queue.idOf(key);
    if (queueId !== undefined) await queue.cancel(queueId);
  }
}
