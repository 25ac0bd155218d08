import type { StorageConfig } from "../config.ts";
import { openControlClient } from "../control/control-client.ts";
import type { DeadLetters } from "../control/dead-letters.ts";
import type { DeadLetter, DeadLetterChange, DeadLetterDetails } from "../control/protocol.ts";
import { controlSocketOf, hasStorage, openStorage } from "../open-storage.ts";
import type { CommandTools } from "./command-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { printable } from "./printable.ts";

/** What `coze-bridge dead` is asked to do. */
export type DeadCommand =
  | { readonly act: "list"; readonly limit: number; readonly json: boolean }
  | { readonly act: "show"; readonly ids: readonly string[]; readonly text: boolean; readonly json: boolean }
  | { readonly act: "retry" | "drop"; readonly ids: readonly string[] | "all"; readonly json: boolean };

/**
 * Looks at the turns that were given up, answers them again or forgets them. Asks the bridge that runs on the folder;
 * opens the folder itself when none does.
 *
 * @returns `notFound` when an id is not among them.
 * @throws {BridgeError} `QUEUE_OWNED` when a bridge runs and can't be asked; what opening the queue throws.
 */
export async function dead(
  command: DeadCommand,
  config: StorageConfig,
  tools: CommandTools,
): Promise<ExitCode> {
  if (!hasStorage(config)) {
    tools.say(`There is no queue in ${config.dataDir}: set DATA_DIR or REDIS_URL as the bridge has it.`);
    return EXIT.notFound;
  }
  await using stack = new AsyncDisposableStack();
  // Awaited here, since the return disposes what is open.
  return await run(command, await openDeadLetters(config, tools, stack), tools);
}

async function openDeadLetters(
  config: StorageConfig,
  { log, signal }: CommandTools,
  stack: AsyncDisposableStack,
): Promise<DeadLetters> {
  if (config.redisUrl === undefined) {
    const client = await openControlClient(controlSocketOf(config.dataDir), { signal });
    if (client !== undefined) return stack.use(client);
  }
  return stack.use(await openStorage(config, { log, signal, lockWaitMs: 0 })).deadLetters;
}

async function run(command: DeadCommand, letters: DeadLetters, tools: CommandTools): Promise<ExitCode> {
  switch (command.act) {
    case "list": {
      const found = await letters.list(command.limit);
      if (found.length === 0) tools.say("No dead letters.");
      for (const letter of found) tools.write(command.json ? toLine(letter) : describe(letter));
      return EXIT.ok;
    }
    case "show":
      return show(command, letters, tools);
    case "retry":
      return report(await letters.retry(command.ids), { ...command, done: "waits to be answered" }, tools);
    case "drop":
      return report(await letters.drop(command.ids), { ...command, done: "dropped" }, tools);
  }
}

async function show(
  { ids, text, json }: Extract<DeadCommand, { act: "show" }>,
  letters: DeadLetters,
  { write, say }: CommandTools,
): Promise<ExitCode> {
  const unknown: string[] = [];
  for (const id of ids) {
    const found = await letters.show(id, { text });
    if (found === undefined) unknown.push(id);
    else write(json ? toLine(found) : describeWhole(found));
  }
  return sayUnknown(unknown, say);
}

function report(
  { done, unknown }: DeadLetterChange,
  { json, done: word }: { json: boolean; done: string },
  { write, say }: CommandTools,
): ExitCode {
  if (json) write(toLine({ done, unknown }));
  else for (const id of done) write(`${id} ${word}\n`);
  if (done.length === 0 && unknown.length === 0) say("No dead letters.");
  return sayUnknown(unknown, say);
}

function sayUnknown(ids: readonly string[], say: (text: string) => void): ExitCode {
  if (ids.length === 0) return EXIT.ok;
  say(`No dead letter has the id ${ids.map((id) => printable(id)).join(", ")}; see coze-bridge dead list.`);
  return EXIT.notFound;
}

function describe({ id, at, platform, conversation, error }: DeadLetter): string {
  return `${printable(`${id}  ${toTime(at)}  ${platform}  ${conversation}\n    ${error}`)}\n`;
}

function describeWhole({ key, turn, ...letter }: DeadLetterDetails): string {
  return `${describe(letter)}${printable(`    ${key}\n${JSON.stringify(turn, undefined, 2)}`)}\n`;
}

function toTime(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
}

function toLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
