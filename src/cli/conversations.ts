import type { StoredMessage } from "../coze/stored.ts";
import { type CozeTools, demandBot } from "./coze-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { toDate, toLine, toTable } from "./lines.ts";

/** What `coze-bridge conversations` is asked to do. */
export type ConversationsCommand =
  | {
      readonly act: "conversations list";
      readonly bot: string | undefined;
      readonly limit: number;
      readonly json: boolean;
    }
  | {
      readonly act: "conversations show";
      readonly conversation: string;
      /** How many of the newest messages. */
      readonly limit: number;
      readonly json: boolean;
    }
  | { readonly act: "conversations clear"; readonly conversation: string; readonly json: boolean };

/** Looks at what was said to a bot, and lets it forget. */
export async function conversations(command: ConversationsCommand, tools: CozeTools): Promise<ExitCode> {
  const { coze, terminal, signal } = tools;
  switch (command.act) {
    case "conversations list":
      return list(command, tools);
    case "conversations show": {
      const messages = await newest(command, tools);
      for (const message of messages) terminal.write(command.json ? toLine(message) : describe(message));
      if (messages.length === 0) terminal.say("Nothing was said there.");
      return EXIT.ok;
    }
    case "conversations clear": {
      const sectionId = await coze.conversations.clear(command.conversation, { signal });
      if (command.json) terminal.write(toLine({ conversationId: command.conversation, sectionId }));
      terminal.say("The bot has forgotten what was said there; the messages can still be read.");
      return EXIT.ok;
    }
  }
}

async function list(
  command: Extract<ConversationsCommand, { act: "conversations list" }>,
  tools: CozeTools,
): Promise<ExitCode> {
  const { limit, json } = command;
  const { coze, terminal, signal } = tools;
  const botId = demandBot(command.bot, tools);
  const rows: string[][] = [];
  let count = 0;
  for await (const conversation of coze.conversations.list({ botId, signal })) {
    const { conversationId, createdAt, name } = conversation;
    if (json) terminal.write(toLine(conversation));
    else rows.push([conversationId, toDate(createdAt), name]);
    count += 1;
    if (count === limit) break;
  }
  terminal.write(toTable(rows));
  if (count === 0) terminal.say(`No conversations with bot ${botId} that this account created.`);
  return EXIT.ok;
}

/** The newest messages, oldest of them first. */
async function newest(
  { conversation: conversationId, limit }: { conversation: string; limit: number },
  { coze, signal }: CozeTools,
): Promise<readonly StoredMessage[]> {
  const messages: StoredMessage[] = [];
  for await (const message of coze.messages.list({ conversationId, order: "desc", signal })) {
    messages.push(message);
    if (messages.length === limit) break;
  }
  return messages.toReversed();
}

function describe({ role, createdAt, text }: StoredMessage): string {
  return `${toDate(createdAt)}  ${role}\n${text}\n\n`;
}
