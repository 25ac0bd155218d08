import { CozeError } from "../../core/errors.ts";
import type { Abortable, Log } from "../../core/ports.ts";
import { type OAuthEndpoint, TOKEN_PATH } from "./oauth-endpoint.ts";
import { type LivingToken, RenewedToken } from "./renewed-token.ts";
import { readSignIn, type SignIn, type TokenStore, toSignIn, writeSignIn } from "./token-store.ts";
import { type OAuthTokens, renewAt } from "./tokens.ts";

export interface StoredTokenSourceOptions {
  readonly store: TokenStore;
  readonly endpoint: OAuthEndpoint;
  readonly log: Log;
}

/** The tokens of a person who signed in once: each refresh brings a new pair, and kills the old one. */
export class StoredTokenSource extends RenewedToken {
  readonly #refresher: Refresher;
  readonly #now: () => number;

  constructor({ store, endpoint, log }: StoredTokenSourceOptions) {
    const refresher = new Refresher(store, endpoint);
    super({
      now: endpoint.now,
      onLate: (error) =>
        log.warn({ err: error }, "coze token could not be renewed in time, the old one is used"),
      fetch: (refused) => refresher.fetch(refused),
    });
    this.#refresher = refresher;
    this.#now = endpoint.now;
  }

  /** When somebody has to sign in anew if nothing is refreshed until then, as far as it was read; ms since the epoch. */
  get endsAt(): number | undefined {
    return this.#refresher.endsAt;
  }

  /**
   * Looks at the sign-in, and refreshes one that nobody has used for long: it would end by that.
   *
   * @throws {CozeError}
   */
  async keep(options: Abortable): Promise<void> {
    const { endsAt } = await this.#refresher.read();
    if (endsAt < this.#now() + IDLE_MS) await this.token(options);
  }
}

/** Half of what a refresh token lives (coze-api.md §2.1), in ms. */
const IDLE_MS = 15 * 24 * 3_600_000;

/** A refresh token that was refused is not shown again for this long, in ms: only a new sign-in helps. */
const REFUSED_GAP_MS = 300_000;

/**
 * Takes the stored access token, or refreshes it: under the lock, so that of all processes one asks Coze; with the new
 * pair stored before anybody uses it; with a mark before the request, so that a lost answer is known for what it is.
 */
class Refresher {
  readonly #store: TokenStore;
  readonly #endpoint: OAuthEndpoint;
  endsAt: number | undefined;
  #refusal: { refreshToken: string; at: number; error: CozeError } | undefined;

  constructor(store: TokenStore, endpoint: OAuthEndpoint) {
    this.#store = store;
    this.#endpoint = endpoint;
  }

  async fetch(refused: string | undefined): Promise<LivingToken> {
    const stored = await this.read();
    if (this.#isGood(stored, refused)) return toLiving(stored);
    // Nobody's signal: what rotates a token is brought to its end. The endpoint's own time-out bounds it.
    using _lock = await this.#store.lock(new AbortController());
    // Another process may have been faster.
    const current = await this.read();
    return toLiving(this.#isGood(current, refused) ? current : await this.#refresh(current));
  }

  async read(): Promise<SignIn> {
    const signIn = await readSignIn(this.#store, this.#endpoint);
    this.endsAt = signIn.endsAt;
    return signIn;
  }

  #isGood(signIn: SignIn, refused: string | undefined): boolean {
    return signIn.accessToken !== refused && this.#endpoint.now() < renewAt(signIn);
  }

  async #refresh(current: SignIn): Promise<SignIn> {
    const { baseUrl, now } = this.#endpoint;
    const { refreshToken } = current;
    const last = this.#refusal;
    if (last?.refreshToken === refreshToken && now() < last.at + REFUSED_GAP_MS) throw last.error;
    // Also shows that the disk takes a new pair, before the old one is spent.
    await writeSignIn(this.#store, { ...current, refreshingSince: current.refreshingSince ?? now() });
    // Without a new refresh token the old one would still be good (RFC 6749 §6); Coze's is never (coze-api.md §2.5).
    const tokens = { refreshToken, ...(await this.#ask(current)) };
    const next = toSignIn(tokens, { app: current, baseUrl, now: now() });
    await writeSignIn(this.#store, next);
    this.endsAt = next.endsAt;
    return next;
  }

  async #ask(current: SignIn): Promise<OAuthTokens> {
    const { clientId, clientSecret, refreshToken } = current;
    const request = {
      path: TOKEN_PATH,
      json: { grant_type: "refresh_token", client_id: clientId, refresh_token: refreshToken },
      ...(clientSecret !== undefined && { bearer: clientSecret }),
    };
    try {
      return await this.#endpoint.tokens(request, new AbortController());
    } catch (error) {
      if (!(error instanceof CozeError) || error.outcome === "unknown") throw error;
      // The end of this one is known: it brought nothing.
      await writeSignIn(this.#store, current);
      if (error.retryable) throw error;
      const told = signInAgain(error, current.refreshingSince);
      this.#refusal = { refreshToken, at: this.#endpoint.now(), error: told };
      throw told;
    }
  }
}

function toLiving(signIn: SignIn): LivingToken {
  const { accessToken, expiresAt } = signIn;
  return { token: accessToken, renewAt: renewAt(signIn), expiresAt };
}

/** @param since - A refresh that was begun earlier and whose answer nobody stored. */
function signInAgain(error: CozeError, since: number | undefined): CozeError {
  const lost =
    since === undefined
      ? ""
      : `. The answer to a refresh at ${new Date(since).toISOString()} was lost, by a broken connection or a kill, and a refresh token works only once`;
  const message = `${error.message}${lost}. Nothing here can renew this sign-in: run \`coze-bridge auth login\` again`;
  const { httpStatus, logId, cozeCode } = error;
  return new CozeError("COZE_AUTH", message, {
    cause: error,
    ...(httpStatus !== undefined && { httpStatus }),
    ...(logId !== undefined && { logId }),
    ...(cozeCode !== undefined && { cozeCode }),
  });
}
