import { enableCompileCache } from "node:module";
import { VERSION } from "../version.ts";
import { tuneEngine } from "./engine.ts";
import { loadEnvFile } from "./env-file.ts";
import { EXIT, exitCodeFor } from "./exit-code.ts";
import { runProgram } from "./program.ts";
import { shutdownSignals } from "./shutdown-signals.ts";
import type { StoredCommandOptions } from "./stored-command.ts";

// A second start need not compile the SDKs again: about 100 ms.
enableCompileCache();
const say = (text: string): void => void process.stderr.write(`${text.trimEnd()}\n`);
const write = (text: string): void => void process.stdout.write(text);
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // Whoever reads has seen enough, e.g. `coze-bridge dead list | head`.
  if (error.code === "EPIPE") process.exit(EXIT.ok);
  say(`The output can't be written: ${error.code ?? error.message}`);
  process.exit(EXIT.internal);
});
// What is said besides may go unheard; that stops no work.
process.stderr.on("error", () => undefined);
const toolsOf = (): StoredCommandOptions => {
  const { shutdown } = shutdownSignals(process);
  return { env: process.env, say, write, signal: shutdown };
};

try {
  loadEnvFile(".env", process.env);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(exitCodeFor(error));
}

// Each command loads its own parts, since --help needs none of them.
process.exitCode = await runProgram(process.argv.slice(2), {
  version: VERSION,
  write,
  writeError: say,
  async start({ role }) {
    tuneEngine();
    const { start } = await import("./start.ts");
    const { endLingering } = await import("./linger.ts");
    return start({ env: process.env, say, role, ...shutdownSignals(process) }).finally(endLingering);
  },
  async dead(command) {
    const { runStoredCommand } = await import("./stored-command.ts");
    const { dead } = await import("./dead.ts");
    return runStoredCommand((config, tools) => dead(command, config, tools), toolsOf());
  },
  async coze(command) {
    const { runCozeCommand } = await import("./coze-command.ts");
    const { openTerminal } = await import("./terminal.ts");
    const { env, stdin } = process;
    const { shutdown: signal } = shutdownSignals(process);
    return runCozeCommand(command, { env, stdin, signal, terminal: openTerminal(process) });
  },
  async exportAll(to) {
    const { runStoredCommand } = await import("./stored-command.ts");
    const { exportAll } = await import("./export.ts");
    const { stdout } = process;
    return runStoredCommand((config, tools) => exportAll(to, config, { ...tools, stdout }), toolsOf());
  },
  async importAll(options) {
    const { runStoredCommand } = await import("./stored-command.ts");
    const { importAll } = await import("./import.ts");
    const { stdin } = process;
    return runStoredCommand((config, tools) => importAll(options, config, { ...tools, stdin }), toolsOf());
  },
});
