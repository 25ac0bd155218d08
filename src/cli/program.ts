import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { Role } from "../app.ts";
import { MAX_LISTED } from "../control/protocol.ts";
import type { CozeCommand } from "./coze-command.ts";
import { addCoze } from "./coze-program.ts";
import type { DeadCommand } from "./dead.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";

export interface ProgramOptions {
  readonly version: string;
  readonly start: (options: { role: Role }) => Promise<ExitCode>;
  readonly dead: (command: DeadCommand) => Promise<ExitCode>;
  readonly exportAll: (to: string | undefined) => Promise<ExitCode>;
  readonly importAll: (options: { from?: string; merge: boolean }) => Promise<ExitCode>;
  readonly coze: (command: CozeCommand) => Promise<ExitCode>;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
}

const ROLES: readonly Role[] = ["all", "intake", "worker"];

const SETTINGS_HELP = `
Reads its settings from the environment and from a file .env in this folder; .env.example lists them all.
设置来自环境变量和当前目录的 .env 文件，全部变量见 .env.example。`;

const START_HELP = `${SETTINGS_HELP}

Example:
  COZE_API_TOKEN=… COZE_BOT_ID=… DISCORD_BOT_TOKEN=… coze-bridge start
  REDIS_URL=redis://… SECRET_KEY=… coze-bridge start --role worker

SIGTERM or Ctrl-C: nothing new is taken, running answers may end within SHUTDOWN_GRACE, the rest waits for the
next start. A second one: at once.

Exit codes: 0 stopped as told · 64 wrong command line · 70 internal error · 75 something is away or taken,
try again later · 78 the configuration is not complete or a token was refused`;

const DEAD_HELP = `${SETTINGS_HELP}
Asks the running bridge by DATA_DIR/control.sock, or opens DATA_DIR itself when none runs; with REDIS_URL it asks Redis.

Example:
  coze-bridge dead list
  coze-bridge dead show 17 --text
  coze-bridge dead retry 17 18
  coze-bridge dead drop --all

Exit codes: 0 done · 64 wrong command line · 66 no such dead letter, or no queue there · 75 the queue is taken or
away · 78 the configuration does not fit`;

const MOVE_HELP = `${SETTINGS_HELP}
The bridge must be stopped: what it answered meanwhile would be answered again elsewhere.

Example:
  REDIS_URL= coze-bridge export --to moved.jsonl
  REDIS_URL=redis://… coze-bridge import --from moved.jsonl

Exit codes: 0 done · 64 wrong command line, or the place is not empty · 65 the file is not whole · 66 no such file, or
no queue there · 75 the queue is taken or away · 78 the configuration does not fit`;

/** The command line: parses, runs one command, says how it ended. */
export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const end = (result: ExitCode): void => {
    code = result;
  };
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
      end(EXIT.usage);
    });
  addStart(program, options, end);
  addDead(program, options, end);
  addMove(program, options, end);
  addCoze(program, async (command) => end(await options.coze(command)));
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  return code;
}

type OnEnd = (code: ExitCode) => void;

function addStart(program: Command, { start }: ProgramOptions, end: OnEnd): void {
  const role = new Option("--role <role>", "what this process does; other than all needs REDIS_URL")
    .choices([...ROLES])
    .default("all");
  program
    .command("start")
    .description("runs the bridge until it is told to stop (SIGTERM or Ctrl-C)\n运行桥接服务，直到被要求停止")
    .addOption(role)
    .addHelpText("after", START_HELP)
    .action(async (given: { role: Role }) => end(await start(given)));
}

function addDead(program: Command, options: ProgramOptions, end: OnEnd): void {
  const group = program
    .command("dead")
    .description(
      "questions that were given up: look at them, ask again, forget\n查看、重试或丢弃无法完成的问题",
    )
    .addHelpText("after", DEAD_HELP)
    .action(() => {
      group.outputHelp();
      end(EXIT.usage);
    });
  const add = (name: string, description: string): Command =>
    group
      .command(name)
      .description(description)
      .option("--json", "one line of JSON each")
      .addHelpText("after", DEAD_HELP);
  add(
    "list",
    "id, time, platform, conversation and error of each, newest first\n列出编号、时间、平台、会话和错误",
  )
    .option("--limit <count>", "at most so many", toLimit, 100)
    .action(async ({ limit, json = false }: { limit: number; json?: boolean }) =>
      end(await options.dead({ act: "list", limit, json })),
    );
  add("show", "the stored question, without secrets\n显示已保存的问题（不含密钥）")
    .argument("<id...>")
    .option("--text", "whole texts instead of their beginnings")
    .action(async (ids: string[], { text = false, json = false }: { text?: boolean; json?: boolean }) =>
      end(await options.dead({ act: "show", ids, text, json })),
    );
  const changes = [
    ["retry", "puts them back in line, with fresh attempts\n重新排队处理"],
    ["drop", "forgets them for good\n永久丢弃"],
  ] as const;
  for (const [act, description] of changes) {
    const command = add(act, description)
      .addArgument(new Argument("[id...]"))
      .option("--all", "every dead letter there is")
      .action(async (ids: string[], { all = false, json = false }: { all?: boolean; json?: boolean }) => {
        if (all === ids.length > 0) command.error(`error: name the ids to ${act}, or --all`);
        end(await options.dead({ act, ids: all ? "all" : ids, json }));
      });
  }
}

function addMove(program: Command, { exportAll, importAll }: ProgramOptions, end: OnEnd): void {
  program
    .command("export")
    .description(
      "writes all that is stored: turns, dead letters, conversations\n导出全部数据：排队的问题、死信、会话",
    )
    .option("--to <file>", "instead of stdout")
    .addHelpText("after", MOVE_HELP)
    .action(async ({ to }: { to?: string }) => end(await exportAll(to)));
  program
    .command("import")
    .description("adds what export wrote\n导入之前导出的数据")
    .option("--from <file>", "instead of stdin")
    .option("--merge", "also into a place that is not empty; what is there stays")
    .addHelpText("after", MOVE_HELP)
    .action(async ({ from, merge = false }: { from?: string; merge?: boolean }) =>
      end(await importAll(from === undefined ? { merge } : { from, merge })),
    );
}

function toLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LISTED) return limit;
  throw new InvalidArgumentError(`1 to ${MAX_LISTED}`);
}
