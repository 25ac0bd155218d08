import type { Match, Outcome } from "./routes.ts";
import { type Refusal, refuse } from "./rules.ts";
import { RATE_LIMITED } from "./service.ts";
import type { CozeSwitches } from "./switches.ts";

/** What goes out in place of a success. */
export interface SentRefusal {
  readonly status: number;
  /** JSON, or plain text. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How a flavor of Coze speaks HTTP around its services (coze-api.md §1.3–1.5, §18). */
export interface Manners {
  readonly logIdHeader: string;
  /** Whoever has no token of ours. */
  readonly unknownCaller: Refusal;
  /** The JSON of a success. */
  wrap(call: string, body: object, logId: string): object;
  /** What a refusal looks like on the wire. */
  refuse(call: string, refusal: Outcome & Refusal, logId: string): SentRefusal;
  /** A call that there is not, or not with this method. */
  missing(match: Exclude<Match, object>): SentRefusal;
}

/** HTTP status by code, where the service is believed to use one. */
const MATCHING_STATUS: ReadonlyMap<number, number> = new Map([
  [4100, 401],
  [4101, 403],
  [4200, 404],
  [4013, 429],
  [RATE_LIMITED, 429],
  [5000, 500],
]);

/** The hosted service's. */
export function hostedManners(switches: CozeSwitches): Manners {
  return {
    logIdHeader: "x-tt-logid",
    unknownCaller: refuse(4100, "authentication is invalid"),
    wrap(call, body, logid) {
      const bare = call === "POST /v3/chat/cancel" && switches.cancelWithoutCode;
      return bare ? body : { code: 0, msg: "", ...body, detail: { logid } };
    },
    refuse(_call, refusal, logid) {
      const { code } = refusal;
      const { retryAfterSeconds: retryAfter } = switches;
      const status = switches.refusalStatus === "ok" ? 200 : (MATCHING_STATUS.get(code) ?? 400);
      const isTold = code === RATE_LIMITED && retryAfter !== undefined;
      return {
        status,
        body: { ...refusal, detail: { logid } },
        ...(isTold && { headers: { "retry-after": String(retryAfter) } }),
      };
    },
    missing: (match) =>
      match === "other method"
        ? { status: 405, body: "405 method not allowed" }
        : { status: 404, body: "404 page not found" },
  };
}
