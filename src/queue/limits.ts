import { BridgeError } from "../core/errors.ts";
import type { EnqueueResult } from "../core/ports.ts";

/** Platforms repeat an event for minutes, catch-up after a long outage sees a day (design.md §8). */
export const DEDUPE_MS: number = 24 * 60 * 60 * 1_000;
/** Dead letters kept; the oldest go first. */
export const MAX_DEAD = 10_000;
export const DEFAULT_BOUNDS: QueueBounds = { perConversation: 100, total: 100_000 };

/** Unfinished turns that are taken. */
export interface QueueBounds {
  readonly perConversation: number;
  readonly total: number;
}

/** What becomes of a turn that a driver is to write. */
export type Accepted = EnqueueResult | "late" | "full" | "conversation-full";

export interface AcceptedWhere {
  readonly bounds: QueueBounds;
  readonly deadlineMs: number | undefined;
  /** The driver's `QUEUE_UNAVAILABLE`, which names its place. */
  readonly unavailable: (what: string) => BridgeError;
}

/** @throws {BridgeError} `QUEUE_FULL`, or `QUEUE_UNAVAILABLE` when it came too late: nothing was taken. */
export function toEnqueueResult(
  answer: Accepted,
  { bounds, deadlineMs, unavailable }: AcceptedWhere,
): EnqueueResult {
  switch (answer) {
    case "late":
      throw unavailable(`nothing was written within ${deadlineMs} ms`);
    case "full":
      throw queueFull(`${bounds.total} turns are waiting, more are not taken`);
    case "conversation-full":
      throw queueFull(`${bounds.perConversation} turns of one conversation are waiting, more are not taken`);
    default:
      return answer;
  }
}

/** There is no room; some may be later. */
export function queueFull(message: string): BridgeError {
  return new BridgeError("QUEUE_FULL", message, { retryable: true });
}
