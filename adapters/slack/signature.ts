import { createHmac, timingSafeEqual } from "node:crypto";

/** Older or newer requests are refused, in s (slack.md §6.3). */
const MAX_AGE_SECONDS = 300;

/**
 * Whether a request is Slack's and of now.
 *
 * @param body - The raw bytes, before any parser.
 * @param now - Ms since the epoch.
 */
export function isSignedBySlack(
  body: Uint8Array,
  headers: { readonly timestamp: string | null; readonly signature: string | null },
  { secret, now }: { secret: string; now: number },
): boolean {
  const { timestamp, signature } = headers;
  if (secret === "" || timestamp === null || signature === null || !/^\d{1,12}$/.test(timestamp))
    return false;
  // The difference counts both ways: a stamp of tomorrow is as wrong as one of yesterday.
  if (Math.abs(now / 1000 - Number(timestamp)) > MAX_AGE_SECONDS) return false;
  const hmac = createHmac("sha256", secret).update(`v0:${timestamp}:`).update(body).digest("hex");
  const expected = Buffer.from(`v0=${hmac}`);
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
