import { Command, CommanderError } from "commander";
import { EXIT, type ExitCode } from "./exit-code.ts";

export interface ProgramOptions {
  readonly version: string;
  readonly start: () => Promise<ExitCode>;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

const START_HELP = `
Reads its settings from the environment and from a file .env in this folder; .env.example lists them all.
设置来自环境变量和当前目录的 .env 文件，全部变量见 .env.example。

Example:
  COZE_API_TOKEN=… COZE_BOT_ID=… DISCORD_BOT_TOKEN=… coze-bridge start

Exit codes: 0 stopped as told · 64 wrong command line · 70 internal error · 75 something is away or taken,
try again later · 78 the configuration is not complete or a token was refused`;

/** The command line: parses, runs one command, says how it ended. */
export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = new Command("coze-bridge")
    .description("Puts a Coze (扣子) bot into Discord and Slack.\n把扣子智能体接入 Discord 和 Slack。")
    .version(options.version)
    .exitOverride()
    .configureOutput({ writeOut: options.write, writeErr: options.writeError })
    .showSuggestionAfterError()
    .argument("[command]")
    .action((unknown: string | undefined) => {
      if (unknown !== undefined) program.error(`error: unknown command '${unknown}'; see coze-bridge --help`);
      program.outputHelp();
      code = EXIT.usage;
    });
  program
    .command("start")
    .description("runs the bridge until it is told to stop (SIGTERM or Ctrl-C)")
    .addHelpText("after", START_HELP)
    .action(async () => {
      code = await options.start();
    });
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  return code;
}
