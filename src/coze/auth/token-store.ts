import { z } from "zod";
import { CozeError } from "../../core/errors.ts";
import type { Abortable } from "../../core/ports.ts";
import { parseJsonObject } from "../json.ts";
import type { OAuthTokens } from "./tokens.ts";

/** Where a person's sign-in is kept; several processes may share it. */
export interface TokenStore {
  /** What was written last; `undefined` when there is none. */
  read(): Promise<string | undefined>;
  /** Durable when it resolves, and never half. Only for the holder of the lock. */
  write(text: string): Promise<void>;
  /** Gone when it resolves; false when there was none. Only for the holder of the lock. */
  remove(): Promise<boolean>;
  /** Resolves once no other process has it; disposing gives it back. */
  lock(options: Abortable): Promise<Disposable>;
}

/** The app a person signed in through. A web app proves itself by its secret at each refresh (coze-api.md §2.5). */
export interface PersonApp {
  readonly clientId: string;
  readonly clientSecret?: string | undefined;
}

/** A person's sign-in, as it is kept. Times are in ms since the epoch. */
export interface SignIn extends PersonApp {
  readonly version: 1;
  /** The host that the tokens are for, and the only one they are sent to. */
  readonly baseUrl: string;
  readonly accessToken: string;
  readonly receivedAt: number;
  readonly expiresAt: number;
  readonly refreshToken: string;
  /** When the refresh token ends, if it is not used before. */
  readonly endsAt: number;
  /** A refresh was begun then, and nobody has stored what came of it. */
  readonly refreshingSince?: number | undefined;
}

const signInSchema: z.ZodType<SignIn> = z.object({
  version: z.literal(1),
  clientId: z.string(),
  clientSecret: z.string().optional(),
  baseUrl: z.string(),
  accessToken: z.string(),
  receivedAt: z.number(),
  expiresAt: z.number(),
  refreshToken: z.string(),
  endsAt: z.number(),
  refreshingSince: z.number().optional(),
});

/** What a refresh token lives (coze-api.md §2.1), in ms. */
const REFRESH_LIFE_MS = 30 * 24 * 3_600_000;

/** @throws {CozeError} `COZE_AUTH` when the tokens cannot be refreshed. */
export function toSignIn(
  tokens: OAuthTokens,
  { app, baseUrl, now }: { app: PersonApp; baseUrl: string; now: number },
): SignIn {
  const { accessToken, expiresAt, refreshToken } = tokens;
  if (refreshToken === undefined) {
    throw new CozeError(
      "COZE_AUTH",
      "Coze handed out no refresh token: use an OAuth app that people sign in to",
    );
  }
  return {
    version: 1,
    ...{ baseUrl, accessToken, expiresAt, refreshToken },
    clientId: app.clientId,
    ...(app.clientSecret !== undefined && { clientSecret: app.clientSecret }),
    receivedAt: now,
    endsAt: now + REFRESH_LIFE_MS,
  };
}

/** Keeps what a person's sign-in brought, in place of what was there. */
export async function storeSignIn(store: TokenStore, signIn: SignIn, options: Abortable): Promise<void> {
  using _lock = await store.lock(options);
  await writeSignIn(store, signIn);
}

/** Forgets a person's sign-in. @returns Whether there was one. */
export async function removeSignIn(store: TokenStore, options: Abortable): Promise<boolean> {
  using _lock = await store.lock(options);
  return await store.remove();
}

export async function writeSignIn(store: TokenStore, signIn: SignIn): Promise<void> {
  await store.write(JSON.stringify(signIn));
}

/** @throws {CozeError} `COZE_AUTH` when nobody signed in, or at another host. */
export async function readSignIn(store: TokenStore, { baseUrl }: { baseUrl: string }): Promise<SignIn> {
  const text = await store.read();
  if (text === undefined) {
    throw new CozeError(
      "COZE_AUTH",
      "nobody has signed in to Coze: run `coze-bridge auth login`, or set COZE_API_TOKEN",
    );
  }
  const signIn = parseSignIn(text);
  if (signIn.baseUrl === baseUrl) return signIn;
  throw new CozeError(
    "COZE_AUTH",
    `the stored sign-in is for ${signIn.baseUrl}, but COZE_API_BASE is ${baseUrl}: set it back, or run \`coze-bridge auth login\` again`,
  );
}

function parseSignIn(text: string): SignIn {
  const parsed = signInSchema.safeParse(parseJsonObject(text));
  if (parsed.success) return parsed.data;
  // What it holds is secret, and so may be what a parser says of it.
  throw new CozeError("COZE_AUTH", "the stored sign-in can't be read: run `coze-bridge auth login` again");
}
