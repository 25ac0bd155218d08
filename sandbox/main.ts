/** `npm start`: the bridge when there are tokens, else the sandbox. The image has neither this file nor the stand-ins. */
import { createInterface, type Interface } from "node:readline";
import { loadEnvFile } from "../src/cli/env-file.ts";
import { exitCodeFor } from "../src/cli/exit-code.ts";
import { shutdownSignals } from "../src/cli/shutdown-signals.ts";
import { configuredServices } from "../src/config.ts";
import { parseArguments, SANDBOX_HELP, type SandboxArguments } from "./arguments.ts";

const say = (text: string): void => void process.stderr.write(`${text.trimEnd()}\n`);

/** Whoever meant to start the bridge has forgotten a platform, or written its name wrong. */
const REAL_COZE = `Neither DISCORD_BOT_TOKEN nor SLACK_BOT_TOKEN is set: this is the sandbox, with your real Coze.
没有设置 DISCORD_BOT_TOKEN 或 SLACK_BOT_TOKEN：这是连接真实扣子的沙盒。`;

process.exitCode = await main();

async function main(): Promise<number> {
  let options: SandboxArguments;
  try {
    options = parseArguments(process.argv.slice(2));
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n\n${SANDBOX_HELP}`);
    return 64;
  }
  if (options.help) {
    process.stdout.write(SANDBOX_HELP);
    return 0;
  }
  try {
    loadEnvFile(".env", process.env);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return exitCodeFor(error);
  }
  const signals = shutdownSignals(process);
  const configured = configuredServices(process.env);
  if (configured.platforms) {
    const { start } = await import("../src/cli/start.ts");
    const { endLingering } = await import("../src/cli/linger.ts");
    return start({ env: process.env, say, ...signals }).finally(endLingering);
  }
  // Whoever read has seen enough, e.g. `npm start | head`: that ends the sandbox as Ctrl-C does.
  const unread = new AbortController();
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => unread.abort());
  const interrupted = new AbortController();
  using keyboard = openKeyboard(() => interrupted.abort());
  if (configured.coze) say(REAL_COZE);
  const { runSandbox } = await import("./run-sandbox.ts");
  return await runSandbox({
    env: process.env,
    once: options.once,
    plays: !configured.coze,
    keyboard,
    stdout: process.stdout,
    say,
    signal: AbortSignal.any([signals.shutdown, unread.signal, interrupted.signal]),
  });
}

/**
 * On a terminal Ctrl-C is a key, and no signal: that would also end the shell that npm starts, and npm would call it a
 * failure.
 */
function openKeyboard(onInterrupt: () => void): Interface {
  const { stdin: input, stdout: output } = process;
  const isTerminal = input.isTTY && output.isTTY;
  const keyboard = createInterface(isTerminal ? { input, output, terminal: true } : { input });
  return keyboard.on("SIGINT", onInterrupt);
}
