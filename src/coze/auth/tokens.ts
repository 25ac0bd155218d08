import { z } from "zod";

/** What a token endpoint hands out (coze-api.md §2.3, §2.5). */
export interface OAuthTokens {
  readonly accessToken: string;
  /** By this machine's clock, in ms since the epoch. */
  readonly expiresAt: number;
  /** Rotating: dead once it was used. A JWT brings none. */
  readonly refreshToken?: string;
}

/** Seconds, a number or its digits; what is neither counts as absent. */
export const seconds: z.ZodType<number | undefined> = z
  .union([z.number(), z.string().transform(Number)])
  .optional()
  .catch(undefined);

export const tokensSchema: z.ZodType<WireTokens> = z.object({
  // What can stand in a header.
  access_token: z.string().regex(/^[\x21-\x7e]+$/),
  expires_in: seconds,
  refresh_token: z.string().min(1).optional().catch(undefined),
});

export interface WireTokens {
  readonly access_token: string;
  readonly expires_in?: number | undefined;
  readonly refresh_token?: string | undefined;
}

/** Larger ones are no durations but points in time: 10^9 s are 31 years (coze-api.md §2.3). */
const LONGEST_DURATION_S = 1_000_000_000;
/** What both kinds of access tokens live by default, in s (coze-api.md §2.1). */
const USUAL_LIFE_S = 900;
/** No access token lives longer, in s (coze-api.md §2.1). */
const LONGEST_LIFE_S = 86_400;

/**
 * How long something lives from now, in ms. A point in time is compared with Coze's clock, so that a wrong clock here
 * neither ends a token at once nor keeps it too long.
 *
 * @param expiresIn - In s: a duration, or a point in time since the epoch.
 * @param serverNow - Coze's clock, in ms since the epoch.
 */
function toLifeMs(expiresIn: number | undefined, serverNow: number): number {
  if (expiresIn === undefined || !Number.isFinite(expiresIn)) return USUAL_LIFE_S * 1000;
  const ms = expiresIn > LONGEST_DURATION_S ? expiresIn * 1000 - serverNow : expiresIn * 1000;
  return Math.min(Math.max(0, ms), LONGEST_LIFE_S * 1000);
}

/** @param clocks - Ours and Coze's, in ms since the epoch. */
export function toTokens(
  wire: WireTokens,
  { now, serverNow }: { now: number; serverNow: number },
): OAuthTokens {
  return {
    accessToken: wire.access_token,
    expiresAt: now + toLifeMs(wire.expires_in, serverNow),
    ...(wire.refresh_token !== undefined && { refreshToken: wire.refresh_token }),
  };
}

/** A token is renewed this long before its end, in ms: a call that begins with it may wait in a queue (coze-api.md §2.3). */
const LEEWAY_MS = 120_000;
/** A new token is used at least this long, in ms, however short it is said to live: else each call would ask for one. */
const SHORTEST_USE_MS = 10_000;

/** When a token is to be replaced, in ms since the epoch; short-lived ones after half of their life. */
export function renewAt({ receivedAt, expiresAt }: { receivedAt: number; expiresAt: number }): number {
  const lifeMs = expiresAt - receivedAt;
  return receivedAt + Math.max(lifeMs - LEEWAY_MS, lifeMs / 2, SHORTEST_USE_MS);
}
