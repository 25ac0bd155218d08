import { CozeError } from "../core/errors.ts";
import type { Gate, Gates } from "../core/gate.ts";
import type { BucketLimits } from "../core/pacer.ts";

/** Uploads a second of the smaller plans (coze-api.md §14). */
const UPLOADS_PER_SECOND = 10;
/** Calls of workflows a second of the smallest plan (coze-api.md §14). */
const WORKFLOWS_PER_SECOND = 50;
/** Looks at one chat: at most one a second (coze-api.md §14), and a little less, as the way there varies. */
const POLLS: BucketLimits = { burst: 1, tokensPerSecond: 0.9, minGapMs: 0 };
/** Coze names no time when it is busy (coze-api.md §14). */
const BUSY_MS = 1_000;

/** How Coze counts is not documented: burst and rate together stay within any one second. */
function perSecond(calls: number): BucketLimits {
  return { burst: Math.max(1, calls / 4), tokensPerSecond: (calls * 3) / 4, minGapMs: 0 };
}

/** What Coze allows to one token: chats, uploads, workflows, and looks at a running chat. */
export class CozePacer {
  readonly chats: Gate;
  readonly uploads: Gate;
  readonly workflows: Gate;
  readonly #gates: Gates;

  /** @param chatsPerSecond - What the plan of the token's owner allows. */
  constructor(gates: Gates, chatsPerSecond: number) {
    this.#gates = gates;
    this.chats = gates.of("coze:chats", perSecond(chatsPerSecond));
    this.uploads = gates.of("coze:uploads", perSecond(UPLOADS_PER_SECOND));
    this.workflows = gates.of("coze:workflows", perSecond(WORKFLOWS_PER_SECOND));
  }

  polls(chatId: string): Gate {
    return this.#gates.of(`coze:poll:${chatId}`, POLLS);
  }
}

/** Makes one call when it is allowed. Where Coze is busy nonetheless, those that follow wait, too. */
export async function paced<T>(gate: Gate, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  await gate.acquire("first", { signal });
  try {
    return await call();
  } catch (error) {
    heed(gate, error);
    throw error;
  }
}

/** {@link paced} for what comes piece by piece. */
export async function* pacedStream<T>(
  gate: Gate,
  signal: AbortSignal,
  open: () => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  await gate.acquire("first", { signal });
  try {
    yield* open();
  } catch (error) {
    heed(gate, error);
    throw error;
  }
}

function heed(gate: Gate, error: unknown): void {
  if (error instanceof CozeError && error.code === "COZE_BUSY") gate.refused(error.retryAfterMs ?? BUSY_MS);
}
