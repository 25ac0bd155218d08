import { z } from "zod";
import { CozeError } from "../../core/errors.ts";
import type { Abortable } from "../../core/ports.ts";
import { workspacePart } from "./code-flow.ts";
import { demandGranted, type OAuthEndpoint, type TimedAnswer, TOKEN_PATH } from "./oauth-endpoint.ts";
import { type OAuthTokens, seconds, tokensSchema, toTokens, type WireTokens } from "./tokens.ts";

/** A sign-in that a person finishes in any browser (coze-api.md §2.4). */
export interface DeviceCode {
  readonly deviceCode: string;
  /** What the person types there. */
  readonly userCode: string;
  /** Page with the code filled in. */
  readonly verificationUrl: string;
  /** By this machine's clock, in ms since the epoch. */
  readonly expiresAt: number;
  /** Wait between two questions, in ms. */
  readonly intervalMs: number;
}

const deviceCodeSchema = z.object({
  device_code: z.string().min(1),
  user_code: z.string().min(1).max(100),
  verification_uri: z.url({ protocol: /^https?$/ }),
  expires_in: seconds,
  interval: seconds,
});

/** Coze's default (coze-api.md §2.4), in s. */
const USUAL_INTERVAL_S = 5;
/** No server is asked more often, whatever it says, in s. */
const SHORTEST_INTERVAL_S = 1;
/** `slow_down` adds 5 s, up to what Coze's own programs wait at most (coze-api.md §2.4); in ms. */
const SLOWER_MS = 5_000;
const LONGEST_INTERVAL_MS = 30_000;
/** Prose says 300 and the example 1800 (coze-api.md §2.4); always a duration, in s. */
const USUAL_LIFE_S = 300;
const LONGEST_LIFE_S = 3_600;

/** Begins a sign-in. @throws {CozeError} */
export async function requestDeviceCode(
  endpoint: OAuthEndpoint,
  { clientId, workspaceId }: { clientId: string; workspaceId?: string },
  options: Abortable,
): Promise<DeviceCode> {
  const path = `/api/permission/oauth2/${workspacePart(workspaceId)}device/code`;
  const timed = await endpoint.ask({ path, json: { client_id: clientId } }, deviceCodeSchema, options);
  const wire = demandGranted(timed);
  const url = new URL(wire.verification_uri);
  url.searchParams.set("user_code", wire.user_code);
  return {
    deviceCode: wire.device_code,
    userCode: wire.user_code,
    verificationUrl: url.href,
    expiresAt: timed.now + within(wire.expires_in, USUAL_LIFE_S, LONGEST_LIFE_S) * 1000,
    intervalMs:
      Math.max(SHORTEST_INTERVAL_S, within(wire.interval, USUAL_INTERVAL_S, LONGEST_INTERVAL_MS / 1000)) *
      1000,
  };
}

function within(value: number | undefined, usual: number, longest: number): number {
  return value === undefined || !(value > 0) ? usual : Math.min(value, longest);
}

export interface DeviceWait extends Abortable {
  /** Waits; rejects with the signal's reason. */
  readonly sleep: (ms: number, options: Abortable) => Promise<void>;
}

/**
 * Waits until the person has decided.
 *
 * @throws {CozeError} `COZE_AUTH` when they said no or took too long.
 */
export async function waitForDevice(
  endpoint: OAuthEndpoint,
  { clientId, code }: { clientId: string; code: DeviceCode },
  { sleep, signal }: DeviceWait,
): Promise<OAuthTokens> {
  const json = {
    grant_type: "urn:ietf:params:oauth:grant-type:device_code",
    client_id: clientId,
    device_code: code.deviceCode,
  };
  let intervalMs = code.intervalMs;
  while (endpoint.now() < code.expiresAt) {
    await sleep(intervalMs, { signal });
    const timed = await askOnce(endpoint, json, { signal });
    if (timed === undefined) continue;
    const { answer } = timed;
    if (answer.kind === "granted") return toTokens(answer.value, timed);
    if (answer.refusal.name === "slow_down") {
      intervalMs = Math.min(intervalMs + SLOWER_MS, LONGEST_INTERVAL_MS);
    } else if (answer.refusal.name !== "authorization_pending") demandGranted(timed);
  }
  throw new CozeError("COZE_AUTH", "the code was not entered in time; start again");
}

/** @returns `undefined` when there was no answer; the next question may get one. */
async function askOnce(
  endpoint: OAuthEndpoint,
  json: Readonly<Record<string, unknown>>,
  options: Abortable,
): Promise<TimedAnswer<WireTokens> | undefined> {
  try {
    return await endpoint.ask({ path: TOKEN_PATH, json }, tokensSchema, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof CozeError && error.retryable) return undefined;
    throw error;
  }
}
