import { PlatformError } from "../../src/core/errors.ts";

/** How long a refusal of a channel stands: somebody may be giving us the right just now. */
const STANDS_MS = 60_000;
const MAX_PLACES = 1_000;
/** The channel is gone, hidden, or we may not write there (discord.md §6.3). */
const CLOSED: ReadonlySet<string> = new Set(["10003", "50001", "50013"]);

/**
 * Channels that refused us a moment ago. Every further refusal is counted against us, and a question that cannot be
 * answered need not be asked (discord.md §6.3, last line).
 */
export class ClosedPlaces {
  readonly #now: () => number;
  readonly #refusals = new Map<string, { readonly error: PlatformError; readonly at: number }>();

  /** @param now - Ms on a monotonic clock. */
  constructor(now: () => number) {
    this.#now = now;
  }

  learn(channelId: string, error: unknown): void {
    if (!(error instanceof PlatformError) || !CLOSED.has(error.platformCode ?? "")) return;
    if (this.#refusals.size >= MAX_PLACES) this.#refusals.clear();
    this.#refusals.set(channelId, { error, at: this.#now() });
  }

  /** What a channel last said, if it still stands. */
  refusalOf(channelId: string): PlatformError | undefined {
    const known = this.#refusals.get(channelId);
    if (known === undefined) return undefined;
    if (this.#now() - known.at < STANDS_MS) return known.error;
    this.#refusals.delete(channelId);
    return undefined;
  }
}
