import { z } from "zod";
import { CozeError } from "../../core/errors.ts";
import type { Abortable } from "../../core/ports.ts";
import { HOSTED } from "../flavor.ts";
import { CozeHttp, DEFAULT_TIMEOUTS } from "../http.ts";
import { staticToken } from "./token-source.ts";

export interface RegionProbe extends Abortable {
  readonly token: string;
  /** Base URL that is set, without a trailing slash. */
  readonly yours: string;
  /** Base URL of the other region, likewise. */
  readonly other: string;
}

/**
 * Finds out which of two hosts knows a token. The token goes to both: only for an operator who asked for that.
 *
 * @throws {CozeError} when one of them cannot be asked.
 */
export async function probeRegion(probe: RegionProbe): Promise<"yours" | "other" | "neither"> {
  for (const name of ["yours", "other"] as const) if (await knows(probe[name], probe)) return name;
  return "neither";
}

/** Asks who the token belongs to: the cheapest call there is (coze-api.md §12.3). */
async function knows(baseUrl: string, { token, signal }: RegionProbe): Promise<boolean> {
  await using http = new CozeHttp({
    baseUrl,
    tokens: staticToken(token),
    timeouts: DEFAULT_TIMEOUTS,
    // Only the hosted service has regions.
    flavor: HOSTED,
  });
  try {
    await http.call({ method: "GET", path: "/v1/users/me", signal }, z.unknown());
    return true;
  } catch (error) {
    if (!(error instanceof CozeError)) throw error;
    if (error.code === "COZE_AUTH") return false;
    // Not allowed to look, but known.
    if (error.code === "COZE_PERMISSION") return true;
    throw error;
  }
}
