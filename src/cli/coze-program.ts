import { Argument, type Command, Option } from "commander";
import type { CozeCommand } from "./coze-command.ts";

/** Runs a parsed command. */
type Run = (command: CozeCommand) => Promise<void>;

const SETTINGS_HELP = `
Needs COZE_API_TOKEN and, for coze.com, COZE_API_BASE; from the environment or a file .env in this folder.
需要 COZE_API_TOKEN；国际版（coze.com）还需要 COZE_API_BASE。可写在环境变量或当前目录的 .env 文件中。`;

const EXIT_HELP = `
Exit codes: 0 done · 64 wrong command line · 65 a file that Coze does not take · 66 no such file · 69 Coze refused ·
75 Coze is away or busy, try again later · 78 the token or the bot's settings have to be changed · 130 Ctrl-C`;

function help(...examples: string[]): string {
  const lines = examples.map((example) => `  ${example}`).join("\n");
  return `${SETTINGS_HELP}\n\nExample:\n${lines}\n${EXIT_HELP}`;
}

/** Adds the commands that talk to Coze. */
export function addCoze(program: Command, run: Run): void {
  addAsk(program, run);
}

/** Whoever uses the command line, to the bot: its memory is kept under this name. */
const DEFAULT_USER = "coze-bridge";

interface AskOptions {
  readonly file: readonly string[];
  readonly stream?: boolean;
  readonly block?: boolean;
  readonly bot?: string;
  readonly conversation?: string;
  readonly user: string;
  readonly json?: boolean;
}

function addAsk(program: Command, run: Run): void {
  program
    .command("ask")
    .description("asks the bot and prints its answer while it is written\n向智能体提问，边生成边显示回答")
    .addArgument(new Argument("[question]", "what to ask; - or nothing reads it from stdin"))
    .option("--file <path...>", "goes along with the question; may be given several times", [])
    .addOption(new Option("--stream", "prints the answer as it grows, also into a pipe").conflicts("block"))
    .addOption(new Option("--block", "asks without a stream and waits for the whole answer"))
    .option("--bot <id>", "another bot than COZE_BOT_ID")
    .option("--conversation <id>", "goes on with a conversation")
    .option("--user <id>", "who asks, as the bot knows them", DEFAULT_USER)
    .option(
      "--json",
      "one line of JSON with answer, ids and token usage; with --stream a line for each event",
    )
    .addHelpText(
      "after",
      help(
        'coze-bridge ask "What is in this picture?" --file photo.png',
        'coze-bridge ask "And in French?" --conversation 7390000000000000001',
        "git diff | coze-bridge ask --block --json | jq -r .answer",
      ),
    )
    .action(async (text: string | undefined, options: AskOptions) => {
      const { file: files, stream, block, bot, conversation, user, json = false } = options;
      const mode = stream === true ? "stream" : block === true ? "block" : undefined;
      await run({ act: "ask", text, files, mode, bot, conversation, user, json });
    });
}
