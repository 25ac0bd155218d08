import type { Readable } from "node:stream";
import type { CozeConfig } from "../config.ts";
import type { Abortable, AnswerSource } from "../core/ports.ts";
import type { CozeClient } from "../coze/coze-client.ts";
import type { CozeTokens } from "../open-coze-tokens.ts";
import { CommandError } from "./command-error.ts";
import { EXIT } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

/** The slice of stdin that is needed. */
export type Input = Readable & { readonly isTTY?: boolean };

/** What the commands that talk to Coze get from the process. */
export interface CozeTools extends Abortable {
  readonly coze: CozeClient;
  readonly source: AnswerSource;
  readonly config: CozeConfig;
  readonly tokens: CozeTokens;
  /** The bot of the configuration, if there is one. */
  readonly botId: string | undefined;
  readonly terminal: Terminal;
  readonly stdin: Input;
}

/** The bot a command is about. @throws {CommandError} when nobody said which. */
export function demandBot(given: string | undefined, { botId }: CozeTools): string {
  const bot = given ?? botId;
  if (bot !== undefined) return bot;
  throw new CommandError(EXIT.config, "Which bot? Give --bot, or set COZE_BOT_ID.");
}
