import { BridgeError, type ErrorCode } from "../core/errors.ts";

/** What the process says when it ends, after sysexits.h; listed in `docs/operate.md`. */
export const EXIT = {
  ok: 0,
  usage: 64,
  /** The file to import is not whole, or not ours; a file that Coze takes none of. */
  badData: 65,
  /** What was named is not there. */
  notFound: 66,
  /** Coze refused, and will again. */
  refused: 69,
  internal: 70,
  /** Try again later: something outside is away or taken. */
  temporary: 75,
  /** Restarting does not help: somebody has to change the configuration. */
  config: 78,
  /** Ctrl-C, as shells tell it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Errors that a restart does not cure. */
const NEEDS_THE_OPERATOR: readonly ErrorCode[] = [
  "CONFIG_INVALID",
  "PLATFORM_AUTH",
  "COZE_AUTH",
  "COZE_PERMISSION",
  "COZE_BOT_UNPUBLISHED",
];
/** Errors that may be gone after a while. */
const MAY_PASS: readonly ErrorCode[] = ["QUEUE_OWNED", "QUEUE_UNAVAILABLE", "PLATFORM_UNREACHABLE"];

export function exitCodeFor(error: unknown): ExitCode {
  if (!(error instanceof BridgeError)) return EXIT.internal;
  if (NEEDS_THE_OPERATOR.includes(error.code)) return EXIT.config;
  // The bridge begins another one; a command was told which one.
  if (error.code === "COZE_CONVERSATION_GONE") return EXIT.refused;
  if (MAY_PASS.includes(error.code) || error.retryable) return EXIT.temporary;
  if (error.code.startsWith("COZE_")) return EXIT.refused;
  return error.code.startsWith("FILE_") ? EXIT.badData : EXIT.internal;
}
