import { readFile } from "node:fs/promises";
import type { StoredBot } from "../coze/stored-bot.ts";
import { CommandError } from "./command-error.ts";
import type { CozeTools } from "./coze-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { uploadOne } from "./files-upload.ts";
import { toDate, toLine, toTable } from "./lines.ts";
import { localFile } from "./local-file.ts";

/** What `coze-bridge bots` is asked to do. */
export type BotsCommand = ListBots | ShowBot | CreateBot | PublishBot;

interface ListBots {
  readonly act: "bots list";
  readonly workspace: string | undefined;
  /** Also those that are not published. */
  readonly all: boolean;
  readonly json: boolean;
}

interface ShowBot {
  readonly act: "bots show";
  readonly bot: string;
  readonly draft: boolean;
  readonly json: boolean;
}

interface CreateBot {
  readonly act: "bots create";
  readonly workspace: string | undefined;
  readonly name: string;
  readonly description: string | undefined;
  readonly promptFile: string | undefined;
  readonly avatar: string | undefined;
  readonly prologue: string | undefined;
  readonly publish: boolean;
  readonly json: boolean;
}

interface PublishBot {
  readonly act: "bots publish";
  readonly bot: string;
  readonly json: boolean;
}

/** Looks at the account's bots, makes one, puts one online. */
export async function bots(command: BotsCommand, tools: CozeTools): Promise<ExitCode> {
  switch (command.act) {
    case "bots list":
      return list(command, tools);
    case "bots show":
      return show(command, tools);
    case "bots create":
      return create(command, tools);
    case "bots publish":
      return publish(command, tools);
  }
}

async function list({ workspace, all, json }: ListBots, tools: CozeTools): Promise<ExitCode> {
  const { coze, terminal, signal } = tools;
  const workspaceId = workspace ?? (await onlyWorkspace(tools));
  const publishStatus = all ? "all" : "published_online";
  const rows: string[][] = [];
  for await (const bot of coze.bots.list({ workspaceId, publishStatus, signal })) {
    if (json) terminal.write(toLine(bot));
    else rows.push([bot.botId, bot.published ? "online" : "draft", toDate(bot.updatedAt), bot.name]);
  }
  terminal.write(toTable(rows));
  if (!json && rows.length === 0)
    terminal.say(`No ${all ? "" : "published "}bots in workspace ${workspaceId}.`);
  return EXIT.ok;
}

async function show(
  { bot: botId, draft, json }: ShowBot,
  { coze, terminal, signal }: CozeTools,
): Promise<ExitCode> {
  const bot = await coze.bots.retrieve(botId, { published: !draft, signal });
  terminal.write(json ? toLine(bot) : `${[...describe(bot)].join("\n")}\n`);
  return EXIT.ok;
}

function* describe(bot: StoredBot): Generator<string, void, undefined> {
  yield `${bot.name} (${bot.botId})`;
  if (bot.description !== "") yield bot.description;
  yield `version: ${bot.version === "" ? "never published" : bot.version}`;
  if (bot.model !== undefined) yield `model: ${bot.model.name} (${bot.model.modelId})`;
  for (const { name, tools } of bot.plugins)
    yield `plugin: ${name}: ${tools.map((tool) => tool.name).join(", ")}`;
  for (const { name, workflowId } of bot.workflows) yield `workflow: ${name} (${workflowId})`;
  for (const { command, commandId } of bot.shortcuts) yield `quick command: ${command} (${commandId})`;
  if (bot.onboarding.prologue !== "") yield `says first: ${bot.onboarding.prologue}`;
  for (const question of bot.onboarding.suggestedQuestions) yield `suggests: ${question}`;
  if (bot.prompt !== "") yield `\n${bot.prompt}`;
}

/** Nothing here is repeated by itself: each upload and each create makes another one (coze-api.md §12.2). */
async function create(command: CreateBot, tools: CozeTools): Promise<ExitCode> {
  const { coze, terminal, signal } = tools;
  const { name, description, prologue, json } = command;
  const prompt = command.promptFile === undefined ? undefined : await readText(command.promptFile);
  const workspaceId = command.workspace ?? (await onlyWorkspace(tools));
  const icon = command.avatar === undefined ? undefined : await uploadOne(command.avatar, tools);
  const bot = {
    ...{ workspaceId, name },
    ...(description !== undefined && { description }),
    ...(prompt !== undefined && { prompt }),
    ...(icon !== undefined && { iconFileId: icon.fileId }),
    ...(prologue !== undefined && { onboarding: { prologue } }),
  };
  const botId = await coze.bots.create(bot, { signal });
  // Told before anything else can go wrong: whoever tries again would make a second one.
  terminal.say(`Bot ${botId} is created.`);
  const version = command.publish ? await goOnline(botId, tools) : undefined;
  if (version === undefined) terminal.say(`Put it online: coze-bridge bots publish ${botId}`);
  terminal.write(json ? toLine({ botId, version, iconFileId: icon?.fileId }) : `${botId}\n`);
  return EXIT.ok;
}

async function publish({ bot: botId, json }: PublishBot, tools: CozeTools): Promise<ExitCode> {
  const version = await goOnline(botId, tools);
  tools.terminal.write(json ? toLine({ botId, version }) : `${botId}\n`);
  return EXIT.ok;
}

async function goOnline(botId: string, { coze, terminal, signal }: CozeTools): Promise<string> {
  const { version } = await coze.bots.publish(botId, { signal });
  terminal.say(`Version ${version} is online as an API service. Ask it: coze-bridge ask "…" --bot ${botId}`);
  return version;
}

/** The workspace, where there is no choice. @throws {CommandError} */
async function onlyWorkspace({ coze, signal }: CozeTools): Promise<string> {
  const found = [];
  for await (const workspace of coze.workspaces.list({ signal })) found.push(workspace);
  const [first, ...others] = found;
  if (first === undefined) throw new CommandError(EXIT.config, "The token belongs to no workspace.");
  if (others.length === 0) return first.workspaceId;
  const rows = found.map(({ workspaceId, name }) => [`  --workspace ${workspaceId}`, name]);
  throw new CommandError(EXIT.usage, `Which workspace?\n${toTable(rows).trimEnd()}`);
}

/** Longest prompt file that is read, in bytes: far more than a bot takes. */
const MAX_PROMPT_BYTES = 1024 * 1024;

async function readText(path: string): Promise<string> {
  const { bytes } = await localFile(path);
  if (bytes > MAX_PROMPT_BYTES) throw new CommandError(EXIT.badData, `${path} is too long for a prompt.`);
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw new CommandError(EXIT.notFound, `${path} can't be read.`, { cause: error });
  }
}
