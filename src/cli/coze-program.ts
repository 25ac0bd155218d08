import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import type { CozeCommand } from "./coze-command.ts";

/** Runs a parsed command. */
type Run = (command: CozeCommand) => Promise<void>;

const SETTINGS_HELP = `
Signs in by COZE_API_TOKEN, an OAuth app or "auth login"; for coze.com set COZE_API_BASE. Settings come from the
environment or a file .env in this folder.
通过 COZE_API_TOKEN、OAuth 应用或 auth login 登录；国际版（coze.com）还需要 COZE_API_BASE。设置来自环境变量或当前目录的 .env 文件。`;

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
  addFiles(program, run);
  addBots(program, run);
  addWorkspaces(program, run);
  addConversations(program, run);
  addAuth(program, run);
}

/** A command that only has others below it: says which. */
function addGroup(program: Command, name: string, description: string): Command {
  const group = program.command(name).description(description);
  return group.action(() => group.error(`error: say what to do; see coze-bridge ${name} --help`));
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
    .option("--bot <id>", "another bot than COZE_BOT_ID", toId)
    .option("--conversation <id>", "goes on with a conversation", toId)
    .option("--user <id>", "who asks, as the bot knows them", toId, DEFAULT_USER)
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

function addFiles(program: Command, run: Run): void {
  addGroup(program, "files", "files that questions and bots refer to\n提问和智能体用到的文件")
    .command("upload")
    .description(
      "uploads files and prints the id of each; Coze keeps them for three months\n上传文件并输出每个文件的编号；扣子保留三个月",
    )
    .argument("<path...>")
    .option("--json", "one line of JSON each")
    .addHelpText("after", help("coze-bridge files upload report.pdf photo.png"))
    .action((paths: string[], { json = false }: Json) => run({ act: "files upload", paths, json }));
}

interface Json {
  readonly json?: boolean;
}

interface CreateOptions extends Json {
  readonly workspace?: string;
  readonly name: string;
  readonly description?: string;
  readonly promptFile?: string;
  readonly avatar?: string;
  readonly prologue?: string;
  readonly publish?: boolean;
}

function addBots(program: Command, run: Run): void {
  const group = addGroup(program, "bots", "the bots of the account\n管理账号下的智能体");
  const add = (name: string, description: string, ...examples: string[]): Command =>
    group
      .command(name)
      .description(description)
      .option("--json", "JSON for scripts")
      .addHelpText("after", help(...examples));
  const workspace = ["--workspace <id>", "which workspace; needed where there are several", toId] as const;
  add("list", "id, state, time and name of each\n列出智能体", "coze-bridge bots list --all")
    .option(...workspace)
    .option("--all", "also those that are not published")
    .action(({ workspace: id, all = false, json = false }: Json & { workspace?: string; all?: boolean }) =>
      run({ act: "bots list", workspace: id, all, json }),
    );
  add("show", "how a bot is set up\n查看智能体的配置", "coze-bridge bots show 7380000000000000009 --draft")
    .argument("<bot>", "its id", toId)
    .option("--draft", "as it is being edited, not as it is online")
    .action((bot: string, { draft = false, json = false }: Json & { draft?: boolean }) =>
      run({ act: "bots show", bot, draft, json }),
    );
  add(
    "create",
    "makes a bot and prints its id\n创建智能体并输出其编号",
    'coze-bridge bots create --name "Travel guide" --prompt-file prompt.md --avatar avatar.png --publish',
  )
    .requiredOption("--name <name>", "1 to 20 characters")
    .option("--description <text>", "at most 500 characters")
    .option("--prompt-file <path>", "who the bot is and how it answers, at most 20,000 characters")
    .option("--avatar <path>", "a picture")
    .option("--prologue <text>", "what it says first, at most 300 characters")
    .option(...workspace)
    .option("--publish", "puts it online as an API service at once")
    .action(async (given: CreateOptions) => {
      const {
        workspace: id,
        name,
        description,
        promptFile,
        avatar,
        prologue,
        publish = false,
        json = false,
      } = given;
      const bot = { name, description, promptFile, avatar, prologue };
      await run({ act: "bots create", workspace: id, ...bot, publish, json });
    });
  add(
    "publish",
    "puts a bot online as an API service, or what was changed in it\n把智能体发布为 API 服务",
    "coze-bridge bots publish 7380000000000000009",
  )
    .argument("<bot>", "its id", toId)
    .action((bot: string, { json = false }: Json) => run({ act: "bots publish", bot, json }));
}

function addWorkspaces(program: Command, run: Run): void {
  program
    .command("workspaces")
    .description("id, kind, role and name of each workspace of the account\n列出账号的工作空间")
    .option("--json", "one line of JSON each")
    .addHelpText("after", help("coze-bridge workspaces"))
    .action(({ json = false }: Json) => run({ act: "workspaces", json }));
}

/** How much is listed unless said otherwise. */
const DEFAULT_LIMIT = "50";

function addConversations(program: Command, run: Run): void {
  const group = addGroup(program, "conversations", "what was said to a bot\n查看和清除会话");
  const add = (name: string, description: string, ...examples: string[]): Command =>
    group
      .command(name)
      .description(description)
      .option("--json", "one line of JSON each")
      .addHelpText("after", help(...examples));
  add(
    "list",
    "id, time and name of each, newest first\n列出会话",
    "coze-bridge conversations list --limit 10",
  )
    .option("--bot <id>", "another bot than COZE_BOT_ID", toId)
    .option("--limit <count>", "at most so many", toCount, toCount(DEFAULT_LIMIT))
    .action(({ bot, limit, json = false }: Json & { bot?: string; limit: number }) =>
      run({ act: "conversations list", bot, limit, json }),
    );
  add(
    "show",
    "the newest messages, oldest of them first\n查看会话中的消息",
    "coze-bridge conversations show 7390000000000000001",
  )
    .argument("<conversation>", "its id", toId)
    .option("--limit <count>", "at most so many", toCount, toCount(DEFAULT_LIMIT))
    .action((conversation: string, { limit, json = false }: Json & { limit: number }) =>
      run({ act: "conversations show", conversation, limit, json }),
    );
  add(
    "clear",
    "lets the bot forget what was said; it can still be read\n让智能体忘记说过的话；消息仍可查看",
    "coze-bridge conversations clear 7390000000000000001",
  )
    .argument("<conversation>", "its id", toId)
    .action((conversation: string, { json = false }: Json) =>
      run({ act: "conversations clear", conversation, json }),
    );
}

interface LoginOptions extends Json {
  readonly clientId: string;
  readonly workspace?: string;
}

interface StatusOptions extends Json {
  readonly tryOtherRegion?: boolean;
}

function addAuth(program: Command, run: Run): void {
  const group = addGroup(program, "auth", "how the bridge signs in to Coze\n登录扣子");
  group
    .command("login")
    .description("signs a person in with any browser, once per machine\n用浏览器登录，每台机器一次")
    .requiredOption("--client-id <id>", "of an OAuth app of the kind for devices, made at Coze", toId)
    .option("--workspace <id>", "for this workspace alone", toId)
    .option("--json", "one line of JSON each: where to go, and that it is done")
    .addHelpText("after", help("coze-bridge auth login --client-id 1234567890.app.coze"))
    .action(({ clientId, workspace, json = false }: LoginOptions) =>
      run({ act: "auth login", clientId, workspace, json }),
    );
  group
    .command("logout")
    .description("forgets on this machine who signed in\n退出登录，删除本机保存的登录信息")
    .option("--json", "JSON for scripts")
    .addHelpText("after", help("coze-bridge auth logout"))
    .action(({ json = false }: Json) => run({ act: "auth logout", json }));
  group
    .command("status")
    .description("how, as whom and until when\n查看登录方式、账号和有效期")
    .option(
      "--try-other-region",
      "shows a refused token to Coze's other region, coze.cn or coze.com, as well",
    )
    .option("--json", "JSON for scripts")
    .addHelpText("after", help("coze-bridge auth status"))
    .action(({ tryOtherRegion = false, json = false }: StatusOptions) =>
      run({ act: "auth status", tryOtherRegion, json }),
    );
}

/** Nothing is no id, but what a script's unset variable leaves; without it, another thing would be done. */
function toId(text: string): string {
  if (text.trim() === "") throw new InvalidArgumentError("it is empty");
  return text;
}

function toCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError("a number from 1 on");
}
