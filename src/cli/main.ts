#!/usr/bin/env node
import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { VERSION } from "../version.ts";
import { runProgram } from "./program.ts";
import { shutdownSignals } from "./shutdown-signals.ts";

// A second start need not compile the SDKs again: about 100 ms.
enableCompileCache();
if (existsSync(".env")) process.loadEnvFile(".env");
const say = (text: string): void => void process.stderr.write(`${text.trimEnd()}\n`);

process.exitCode = await runProgram(process.argv.slice(2), {
  version: VERSION,
  write: (text) => void process.stdout.write(text),
  writeError: say,
  async start() {
    // Loaded here, since --help needs none of it.
    const { start } = await import("./start.ts");
    return start({ env: process.env, say, ...shutdownSignals(process) });
  },
});
