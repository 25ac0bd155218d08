import { PassThrough } from "node:stream";
import {
  type CozeStandIn,
  type CozeStandInOptions,
  STAND_IN_BOT,
  STAND_IN_TOKEN,
  startCoze,
} from "../../sandbox/coze/coze-stand-in.ts";
import { runCozeCommand } from "../../src/cli/coze-command.ts";
import type { ExitCode } from "../../src/cli/exit-code.ts";
import { EXIT } from "../../src/cli/exit-code.ts";
import { runProgram } from "../../src/cli/program.ts";
import { openTerminal } from "../../src/cli/terminal.ts";
import type { Environment } from "../../src/config.ts";

/** A command's end, and what it wrote. */
export interface Ran {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** Somebody looks at stdout and stderr. */
  readonly terminal?: boolean;
  /** What is piped in; nothing and a terminal when absent. */
  readonly stdin?: string;
  readonly env?: Environment;
  readonly signal?: AbortSignal;
  /** Sees each piece that is written to stdout. */
  readonly onWrite?: (text: string) => void;
}

/** The command line as the program runs it, beside a stand-in on a real socket. */
export interface CozeCli extends AsyncDisposable {
  readonly coze: CozeStandIn;
  run(args: readonly string[], options?: RunOptions): Promise<Ran>;
}

/** The bot writes as fast as it can, unless a test says otherwise. */
const AT_ONCE = { firstDeltaMs: 0, deltaMs: 0, toolMs: 0 };

export async function openCli(options: CozeStandInOptions = {}): Promise<CozeCli> {
  const coze = await startCoze({ ...options, pace: { ...AT_ONCE, ...options.pace } });
  const usual = {
    COZE_FLAVOR: coze.flavor,
    COZE_API_BASE: coze.url,
    COZE_API_TOKEN: STAND_IN_TOKEN,
    COZE_BOT_ID: STAND_IN_BOT,
  };
  return {
    coze,
    run: (args, given = {}) => run(args, { ...given, env: { ...usual, ...given.env } }),
    [Symbol.asyncDispose]: () => coze[Symbol.asyncDispose](),
  };
}

async function run(
  args: readonly string[],
  { terminal = false, stdin, env = {}, signal = new AbortController().signal, onWrite }: RunOptions,
): Promise<Ran> {
  let out = "";
  let err = "";
  const stdout = {
    isTTY: terminal,
    write(text: string) {
      out += text;
      onWrite?.(text);
    },
  };
  const stderr = {
    isTTY: terminal,
    write(text: string) {
      err += text;
    },
  };
  const input = Object.assign(new PassThrough(), { isTTY: stdin === undefined });
  input.end(stdin ?? "");
  const code = await runProgram(args, {
    version: "",
    start: async () => EXIT.internal,
    dead: async () => EXIT.internal,
    exportAll: async () => EXIT.internal,
    importAll: async () => EXIT.internal,
    coze: (command) =>
      runCozeCommand(command, { env, signal, stdin: input, terminal: openTerminal({ stdout, stderr }) }),
    write: stdout.write,
    writeError: (text) => stderr.write(`${text.trimEnd()}\n`),
  });
  return { code, out, err };
}
