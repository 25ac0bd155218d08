import type { Json } from "./json.ts";
import { type EnqueueResult, type Log, RetryLater, type Store, type TurnQueue } from "./ports.ts";
import { type Attachment, type IncomingTurn, type Route, TURN_VERSION, type Turn } from "./turn.ts";

export interface AcceptParts {
  readonly queue: Pick<TurnQueue, "enqueue" | "amend">;
  readonly store: Pick<Store, "get">;
  readonly log: Log;
  /** Short, speakable, the same for the same turn id in every process. */
  readonly toReference: (turnId: string) => string;
  readonly toPayload: (turn: Turn) => Json;
  /** @throws {RetryLater} for a turn of a newer version. @throws {BridgeError} for what is none. */
  readonly parseTurn: (payload: Json) => Turn;
  /** Called for every turn that is new. */
  readonly onAccepted: (turn: Turn, queueId: string) => void;
  /** Which bot answers here; frozen into the turn. */
  readonly route: (turn: IncomingTurn) => Route;
  readonly acceptDeadlineMs: number;
}

/** Where a reply message's conversation is remembered. */
export const REPLY_SPACE = "msg";

/**
 * Turns what an adapter hands in into a durable turn. Resolves once it is stored, or known already.
 *
 * @throws {BridgeError} `QUEUE_FULL`, `QUEUE_UNAVAILABLE`: nothing was accepted, the platform may deliver again.
 */
export async function acceptTurn(incoming: IncomingTurn, parts: AcceptParts): Promise<EnqueueResult> {
  const { dedupeKey, continues, alone, perhapsStarted, ...given } = incoming;
  const continued = continues === undefined ? undefined : await parts.store.get(REPLY_SPACE, continues);
  const turn: Turn = {
    ...given,
    v: TURN_VERSION,
    reference: parts.toReference(incoming.id),
    conversation: typeof continued === "string" ? continued : incoming.conversation,
    route: parts.route(incoming),
  };
  const result = await parts.queue.enqueue(
    {
      key: dedupeKey,
      conversation: turn.conversation,
      payload: parts.toPayload(turn),
      ...(alone !== true && { merge: { group: turn.asker.key, at: turn.sentAt } }),
      ...(perhapsStarted === true && { perhapsStarted }),
    },
    { deadlineMs: parts.acceptDeadlineMs },
  );
  if (!result.duplicate) parts.onAccepted(turn, result.id);
  else if (turn.attachments.length > 0) await addAttachments(result.id, turn.attachments, parts);
  const { id: turnId, reference, platform, conversation } = turn;
  const { id: queueId, duplicate, ahead } = result;
  parts.log.info({ turnId, reference, platform, conversation, queueId, duplicate, ahead }, "turn accepted");
  return result;
}

/** A twin of a known turn may bring files that the first one did not have; they count while it waits. */
async function addAttachments(
  queueId: string,
  attachments: readonly Attachment[],
  parts: AcceptParts,
): Promise<void> {
  await parts.queue.amend(queueId, (payload) => {
    const known = readTurn(payload, parts);
    if (known === undefined) return undefined;
    const ids = new Set(known.attachments.map(({ id }) => id));
    const fresh = attachments.filter(({ id }) => !ids.has(id));
    return fresh.length === 0
      ? undefined
      : parts.toPayload({ ...known, attachments: [...known.attachments, ...fresh] });
  });
}

/** @returns `undefined` for a turn of a newer version, which stays as it is. */
function readTurn(payload: Json, { parseTurn }: AcceptParts): Turn | undefined {
  try {
    return parseTurn(payload);
  } catch (error) {
    if (error instanceof RetryLater) return undefined;
    throw error;
  }
}
