import { CozeError, type ErrorCode } from "../core/errors.ts";
import type { Abortable, Log } from "../core/ports.ts";
import type { BotsApi } from "./api/bots.ts";

/**
 * What speaks against an answer. Of the rest nothing follows: a token may be allowed to chat and not to look, and
 * not every Coze knows the call.
 */
const BAD_SIGNS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "COZE_AUTH",
  "COZE_BOT_UNPUBLISHED",
  "COZE_NOT_FOUND",
  "COZE_UNREACHABLE",
  "COZE_TIMEOUT",
]);

export interface CheckBotParts {
  readonly bots: Pick<BotsApi, "retrieve">;
  readonly log: Log;
  /** Called when questions may fail. */
  readonly onBad: (error: CozeError) => void;
}

/**
 * Looks whether the bot can be asked, so that a wrong token, host or bot is not found out by whoever asks first. Tells the
 * log; never rejects.
 */
export async function checkBot(
  botId: string,
  { bots, log, onBad, signal }: CheckBotParts & Abortable,
): Promise<void> {
  try {
    const { name } = await bots.retrieve(botId, { signal });
    log.info({ botId, name }, "Coze knows the bot");
  } catch (error) {
    if (signal.aborted) return;
    const isBad = error instanceof CozeError && BAD_SIGNS.has(error.code);
    if (isBad) {
      log.error({ err: error, botId }, "questions may fail: Coze could not be asked for the bot");
      onBad(error);
    } else log.debug({ err: error, botId }, "the bot could not be looked at");
  }
}
