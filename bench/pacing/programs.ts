import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { startBridge } from "../../sandbox/bridge-child.ts";
import type { DiscordOptions } from "../../sandbox/discord/start-discord.ts";
import type { Services } from "../../sandbox/services.ts";
import { PEER_FOLDER } from "./peer-packages.ts";

/** How the answer is shown: three ways, each under limits of its own. */
export const STYLES = ["Discord channel", "Slack update", "Slack native"] as const;
export type Style = (typeof STYLES)[number];

export interface StartOptions {
  readonly platform: "discord" | "slack";
  readonly services: Services;
  /** For files of its own. */
  readonly folder: string;
  /** Address of the probe that tells what the process uses (`probe.ts`). */
  readonly socket: string;
  /** Gets what it writes to its log. */
  readonly onLog: (text: string) => void;
}

/** Who is measured: a program of its own process, on either platform. */
export interface Program {
  readonly name: string;
  /** Where people must ask in Slack to be answered in a style, as the program comes. */
  readonly slackPlaces: Readonly<Record<Exclude<Style, "Discord channel">, "channel" | "dm">>;
  /** What the application is allowed in Discord's portal, and what Discord must put up with. */
  readonly discord: DiscordOptions;
  /** A message in its log is the first group. */
  readonly logged: RegExp;
  /** Resolves once it receives; disposing ends the process. */
  start(options: StartOptions): Promise<AsyncDisposable>;
}

/** Coze's largest plan, so that it is the platform that decides how fast a crowd is answered. */
export const CHATS_PER_SECOND = 1_000;

export const BRIDGE: Program = {
  name: "coze-bridge",
  slackPlaces: { "Slack update": "channel", "Slack native": "dm" },
  discord: {},
  logged: /"msg":"([^"]+)"/g,
  start: ({ platform, services, folder, socket, onLog }) =>
    startBridge({
      env: {
        ...variablesOf(services, platform),
        ...probed(socket),
        DATA_DIR: join(folder, "data"),
        PORT: "0",
        LOG_LEVEL: "warn",
        WORKER_CONCURRENCY: "2000",
        COZE_CHATS_PER_SECOND: String(CHATS_PER_SECOND),
      },
      trustedOrigins: services.fileOrigins,
      stderr: onLog,
    }),
};

/** Vercel's Chat SDK as its quick start has it: `bench/peer/bot.js`. */
export const PEER: Program = {
  name: "Chat SDK",
  // Its answers in a channel are native streams in a thread; in a DM there is no thread, so it edits.
  slackPlaces: { "Slack update": "dm", "Slack native": "channel" },
  discord: { messageContent: true, anyUserAgent: true },
  logged: /^\[[\w:-]+\] +(.+?)(?: \{| \[| \(url|: |$)/gm,
  start: startPeer,
};

/** What reading Coze and making the calls costs by itself: `least-program.ts`. */
export const LEAST: Program = {
  name: "the least",
  slackPlaces: BRIDGE.slackPlaces,
  discord: { messageContent: true },
  logged: /^\[(.+)\]$/gm,
  start: (options) => startProgram(join(import.meta.dirname, "least-program.ts"), options),
};

function startPeer(options: StartOptions): Promise<AsyncDisposable> {
  const { discord } = options.services;
  return startProgram(join(PEER_FOLDER, "bot.js"), options, {
    // The two addresses differ: the adapter's holds the version, discord.js adds it.
    ...(options.platform === "discord" && {
      DISCORD_API_URL: `${discord.apiUrl}/v10`,
      BENCH_DISCORD_REST: discord.apiUrl,
      DISCORD_APPLICATION_ID: discord.applicationId,
      DISCORD_PUBLIC_KEY: "0".repeat(64),
    }),
  });
}

/** How long a program may take to log in, in ms. */
const READY_MS = 30_000;
const READY_EVERY_MS = 50;

/** A program that says nothing of its own when it is ready: it is once the platform's stand-in has its connection. */
async function startProgram(
  file: string,
  { platform, services, socket, onLog }: StartOptions,
  env: Readonly<Record<string, string>> = {},
): Promise<AsyncDisposable> {
  const { discord, slack } = services;
  const child = fork(file, {
    env: {
      ...variablesOf(services, platform),
      ...probed(socket),
      PROGRAM_PLATFORM: platform,
      ...env,
    },
    execArgv: [],
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", onLog);
  const exited = once(child, "exit");
  const isReady = (): boolean =>
    platform === "discord" ? discord.gateway.connected > 0 : slack.sockets.open > 0;
  for (const start = performance.now(); !isReady(); await sleep(READY_EVERY_MS)) {
    if (child.exitCode !== null) throw new Error(`${file} ended with exit code ${child.exitCode}`);
    if (performance.now() - start > READY_MS) {
      child.kill("SIGKILL");
      throw new Error(`${file} did not get ready`);
    }
  }
  return {
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** What a program must be told to find the stand-ins of Coze and of one platform. */
function variablesOf({ bridgeEnv }: Services, platform: "discord" | "slack"): Record<string, string> {
  const wanted = Object.entries(bridgeEnv).filter(
    ([name]) => name.startsWith("COZE_") || name.startsWith(`${platform.toUpperCase()}_`),
  );
  return Object.fromEntries(wanted);
}

function probed(socket: string): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, "probe.ts"))}`,
    BENCH_PROBE: socket,
  };
}
