import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Role, runApp } from "../app.ts";
import { type Config, type Environment, loadConfig, secretsOf } from "../config.ts";
import { BridgeError, type ErrorCode } from "../core/errors.ts";
import type { Clock } from "../core/gate.ts";
import { createLog } from "../log.ts";
import { EXIT, type ExitCode, exitCodeFor } from "./exit-code.ts";
import { inWords } from "./in-words.ts";

export interface StartOptions {
  readonly env: Environment;
  /** Ends the bridge: running answers are finished first. */
  readonly shutdown: AbortSignal;
  /** Ends it at once: running answers are left to the next start. */
  readonly hurry: AbortSignal;
  /** Tells the operator what they have to do; the log tells everything else. */
  readonly say: (text: string) => void;
  /** Called once the bridge receives, with its HTTP port. */
  readonly onReady?: (port: number) => void;
  /** Origins that files may be fetched from besides the platforms' own; the sandbox wires in its own. */
  readonly trustedOrigins?: readonly string[];
  /** Default `all`. */
  readonly role?: Role;
  /** Only the sandbox passes one. */
  readonly clock?: Clock | undefined;
  /** Only tests pass one. */
  readonly leaseMs?: number | undefined;
}

const UNANSWERED: readonly ErrorCode[] = [
  "PLATFORM_UNREACHABLE",
  "PLATFORM_UNKNOWN_OUTCOME",
  "COZE_UNREACHABLE",
];
/** Closing everything may take this much longer than SHUTDOWN_GRACE, in ms. */
const CLOSING_MS = 10_000;

/** Runs the bridge until it is told to stop. Never falls back to the sandbox. */
export async function start(options: StartOptions): Promise<ExitCode> {
  const { env, say, shutdown, hurry, trustedOrigins = [], role = "all", clock, leaseMs } = options;
  let config: Config;
  try {
    config = loadConfig(env, (path) => readFileSync(path, "utf8"));
  } catch (error) {
    say(inWords(error));
    return exitCodeFor(error);
  }
  const log = createLog({ level: config.logLevel, secrets: secretsOf(config) });
  const late = overdue(shutdown, config.shutdownGraceMs + CLOSING_MS).then(() => {
    log.error({}, "bridge does not come to its end, the rest is left to the next start");
    return EXIT.internal;
  });
  try {
    const running = runApp(config, {
      log,
      shutdown,
      hurry,
      trustedOrigins,
      role,
      clock,
      leaseMs,
      onReady: options.onReady ?? (() => undefined),
      onBadSetting: (error) => say(`Questions may fail · 提问可能会失败\n${inWords(error)}`),
    });
    return await Promise.race([running.then(() => EXIT.ok), late]);
  } catch (error) {
    if (shutdown.aborted && isAbort(error)) {
      log.info({}, "bridge stopped before it was ready, as it was told to");
      return EXIT.ok;
    }
    log.error({ err: error }, "bridge stopped");
    say([inWords(error), ...wayOut(error, config)].join("\n"));
    return exitCodeFor(error);
  }
}

/** What to look at first where nobody answers: in many networks the way to the platforms leads through a proxy. */
function wayOut(error: unknown, { proxy }: Config): readonly string[] {
  if (!(error instanceof BridgeError) || !UNANSWERED.includes(error.code)) return [];
  if (proxy === undefined) {
    return [
      "Where this network needs a proxy, set HTTPS_PROXY (docs/setup.md).",
      "如果本机要通过代理才能访问，请填写 HTTPS_PROXY（见 docs/setup.zh-CN.md）。",
    ];
  }
  const { host } = new URL(proxy.url);
  return [
    `HTTPS_PROXY is ${host}: check that it runs there, and takes the user and password in it if it wants any.`,
    `HTTPS_PROXY 是 ${host}：请确认代理正在运行；如果它需要用户名和密码，请确认填写正确。`,
  ];
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

/** Resolves when a bridge that was told to stop should have ended. Keeps no process alive. */
async function overdue(shutdown: AbortSignal, longestMs: number): Promise<void> {
  if (!shutdown.aborted) await once(shutdown, "abort");
  await sleep(longestMs, undefined, { ref: false });
}
