import { CozeError } from "../../core/errors.ts";
import type { Abortable } from "../../core/ports.ts";
import { SingleFlight } from "./single-flight.ts";
import type { TokenSource } from "./token-source.ts";

/** A token that has an end. */
export interface LivingToken {
  readonly token: string;
  /** When it is to be replaced, in ms since the epoch. */
  readonly renewAt: number;
  /** When it ends, in ms since the epoch. */
  readonly expiresAt: number;
}

export interface RenewedTokenOptions {
  /**
   * Fetches a token that is good now.
   *
   * @param refused - Coze does not accept this one, whatever its end says.
   */
  readonly fetch: (refused: string | undefined) => Promise<LivingToken>;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Told when a token could not be replaced in time and goes on being used. */
  readonly onLate: (error: unknown) => void;
}

/** A refused token is replaced at most this often, in ms: one that is refused as well needs a person, not more requests. */
const FORCED_GAP_MS = 300_000;
/** After a failure the next attempt waits this long while the old token is still good, in ms. */
const LATE_GAP_MS = 10_000;

/** Keeps one token good: replaced before its end, or once Coze refuses it, by one request for all who wait. */
export class RenewedToken implements TokenSource {
  readonly #options: RenewedTokenOptions;
  readonly #flight = new SingleFlight<LivingToken>();
  #current: LivingToken | undefined;
  #forcedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RenewedTokenOptions) {
    this.#options = options;
  }

  async token(options: Abortable): Promise<string> {
    const now = this.#options.now();
    const current = this.#current;
    if (current !== undefined && now < current.renewAt) return current.token;
    const usable = current !== undefined && now < current.expiresAt;
    if (usable && now < this.#failedAt + LATE_GAP_MS) return current.token;
    try {
      return (await this.#fetch(undefined, options)).token;
    } catch (error) {
      options.signal.throwIfAborted();
      if (!usable) throw beforeTheCall(error);
      this.#failedAt = now;
      this.#options.onLate(error);
      return current.token;
    }
  }

  async renew(refused: string, options: Abortable): Promise<boolean> {
    if (this.#current !== undefined && this.#current.token !== refused) return true;
    const now = this.#options.now();
    if (!this.#flight.isRunning) {
      if (now < this.#forcedAt + FORCED_GAP_MS) return false;
      this.#forcedAt = now;
    }
    try {
      return (await this.#fetch(refused, options)).token !== refused;
    } catch (error) {
      options.signal.throwIfAborted();
      // It may help to try again soon: that was no second refusal.
      if (error instanceof CozeError && error.retryable) this.#forcedAt = Number.NEGATIVE_INFINITY;
      throw beforeTheCall(error);
    }
  }

  /** Resolves when no request is under way. */
  async settled(): Promise<void> {
    await this.#flight.settled();
  }

  #fetch(refused: string | undefined, options: Abortable): Promise<LivingToken> {
    const start = async (): Promise<LivingToken> => {
      const fetched = await this.#options.fetch(refused);
      this.#current = fetched;
      return fetched;
    };
    return this.#flight.join(start, options);
  }
}

/** The call that needs the token was never made, whatever became of the request for it: nothing needs looking up. */
function beforeTheCall(error: unknown): unknown {
  if (!(error instanceof CozeError) || error.outcome === "refused") return error;
  const { code, message, retryable, retryAfterMs, cozeCode, httpStatus, logId } = error;
  return new CozeError(code, message, {
    cause: error,
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(cozeCode !== undefined && { cozeCode }),
    ...(httpStatus !== undefined && { httpStatus }),
    ...(logId !== undefined && { logId }),
    outcome: "refused",
  });
}
