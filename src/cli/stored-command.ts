import { readFileSync } from "node:fs";
import { type Environment, loadStorageConfig, type StorageConfig } from "../config.ts";
import { createLog } from "../log.ts";
import { CommandError } from "./command-error.ts";
import type { CommandTools } from "./command-tools.ts";
import { type ExitCode, exitCodeFor } from "./exit-code.ts";
import { inWords } from "./in-words.ts";

export interface StoredCommandOptions extends Omit<CommandTools, "log"> {
  readonly env: Environment;
}

/** Runs a command on what the bridge has stored; whatever goes wrong ends in a sentence and an exit code. */
export async function runStoredCommand(
  command: (config: StorageConfig, tools: CommandTools) => Promise<ExitCode>,
  { env, ...tools }: StoredCommandOptions,
): Promise<ExitCode> {
  try {
    const config = loadStorageConfig(env, (path) => readFileSync(path, "utf8"));
    // What is worth a word is said; a command has no log that anybody reads.
    return await command(config, { ...tools, log: createLog({ level: "error", secrets: [] }) });
  } catch (error) {
    tools.say(inWords(error));
    return error instanceof CommandError ? error.exitCode : exitCodeFor(error);
  }
}
