import { readFileSync } from "node:fs";
import { OWN_CLOCK } from "../clock.ts";
import { type Environment, loadCozeConfig, secretsOf } from "../config.ts";
import { CozeError } from "../core/errors.ts";
import { Gates } from "../core/gate.ts";
import type { Abortable } from "../core/ports.ts";
import { createAnswerSource } from "../coze/answer-source.ts";
import { createCozeClient } from "../coze/coze-client.ts";
import { createLog } from "../log.ts";
import { openCozeTokens } from "../open-coze-tokens.ts";
import type { AskCommand } from "./ask.ts";
import type { LoginCommand } from "./auth-login.ts";
import type { LogoutCommand } from "./auth-logout.ts";
import type { StatusCommand } from "./auth-status.ts";
import type { BotsCommand } from "./bots.ts";
import { CommandError } from "./command-error.ts";
import type { ConversationsCommand } from "./conversations.ts";
import type { CozeTools, Input } from "./coze-tools.ts";
import { EXIT, type ExitCode, exitCodeFor } from "./exit-code.ts";
import type { UploadCommand } from "./files-upload.ts";
import { inWords } from "./in-words.ts";
import type { Terminal } from "./terminal.ts";
import type { WorkspacesCommand } from "./workspaces.ts";

/** What the commands that talk to Coze can be asked. */
export type CozeCommand =
  | AskCommand
  | UploadCommand
  | BotsCommand
  | WorkspacesCommand
  | ConversationsCommand
  | LoginCommand
  | LogoutCommand
  | StatusCommand;

export interface CozeCommandOptions extends Abortable {
  readonly env: Environment;
  readonly terminal: Terminal;
  readonly stdin: Input;
}

/** Runs one command on Coze; whatever goes wrong ends in a sentence and an exit code. */
export async function runCozeCommand(command: CozeCommand, options: CozeCommandOptions): Promise<ExitCode> {
  const { env, terminal, signal } = options;
  try {
    if (command.act === "auth login") {
      const { authLogin } = await import("./auth-login.ts");
      return await authLogin(command, options);
    }
    if (command.act === "auth logout") {
      const { authLogout } = await import("./auth-logout.ts");
      return await authLogout(command, options);
    }
    const config = loadCozeConfig(env, (path) => readFileSync(path, "utf8"));
    const { baseUrl, flavor, botId, chatsPerSecond } = config.coze;
    const log = createLog({ level: "error", secrets: secretsOf(config) });
    await using tokens = await openCozeTokens(config, { log });
    await using coze = createCozeClient({
      ...{ baseUrl, flavor, chatsPerSecond, log, tokens: tokens.source },
      gates: new Gates(OWN_CLOCK),
      proxy: config.proxy,
    });
    return await dispatch(command, {
      ...options,
      ...{ coze, config, tokens },
      source: createAnswerSource(coze),
      botId: botId || undefined,
    });
  } catch (error) {
    if (signal.aborted) {
      terminal.status();
      return EXIT.interrupted;
    }
    sayError(error, command, terminal);
    return error instanceof CommandError ? error.exitCode : exitCodeFor(error);
  }
}

/** Each command loads its own parts, since the others need none of them. */
async function dispatch(
  command: Exclude<CozeCommand, LoginCommand | LogoutCommand>,
  tools: CozeTools,
): Promise<ExitCode> {
  switch (command.act) {
    case "ask": {
      const { ask } = await import("./ask.ts");
      return ask(command, tools);
    }
    case "files upload": {
      const { filesUpload } = await import("./files-upload.ts");
      return filesUpload(command, tools);
    }
    case "bots list":
    case "bots show":
    case "bots create":
    case "bots publish": {
      const { bots } = await import("./bots.ts");
      return bots(command, tools);
    }
    case "auth status": {
      const { authStatus } = await import("./auth-status.ts");
      return authStatus(command, tools);
    }
    case "workspaces": {
      const { workspaces } = await import("./workspaces.ts");
      return workspaces(command, tools);
    }
    case "conversations list":
    case "conversations show":
    case "conversations clear": {
      const { conversations } = await import("./conversations.ts");
      return conversations(command, tools);
    }
  }
}

/** The operator's sentence, which names Coze's code and log id; as JSON for scripts. */
function sayError(error: unknown, { json }: CozeCommand, terminal: Terminal): void {
  if (!json) {
    terminal.say(inWords(error));
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  const facts =
    error instanceof CozeError
      ? { code: error.code, cozeCode: error.cozeCode, logId: error.logId, retryable: error.retryable }
      : {};
  terminal.say(JSON.stringify({ error: { ...facts, message } }));
}
