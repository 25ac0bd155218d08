import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { type BridgeChild, startBridge } from "../../sandbox/bridge-child.ts";
import { holdsText } from "../../sandbox/same-text.ts";
import { type Services, type ServicesOptions, startServices } from "../../sandbox/services.ts";
import { botText, discordStage, type Stage, slackStage } from "../../sandbox/stage.ts";
import { fastClock } from "../../sandbox/stand-in.ts";

/** The three stand-ins and the real bridge in a process of its own. */
export interface BridgeUnderTest extends AsyncDisposable {
  readonly services: Services;
  readonly discord: Stage;
  readonly slack: Stage;
  /** The running process; another one after {@link restart}. */
  child(): BridgeChild;
  /** SIGKILL, then the next process on the same data. */
  killAndRestart(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface TestOptions {
  readonly speed?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** How fast the time of the platforms runs, their limits with it, and the bridge's pace; default 1. */
  readonly clockSpeed?: number;
  /** Gets what the bridge logs; by default it goes to our own stderr. */
  readonly onLog?: (text: string) => void;
  /** How the stand-ins differ from their default. */
  readonly standIns?: Pick<ServicesOptions, "coze" | "discord" | "slack">;
}

export async function openBridge({
  speed = 20,
  env = {},
  clockSpeed = 1,
  onLog,
  standIns = {},
}: TestOptions = {}): Promise<BridgeUnderTest> {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "coze-bridge-test-"));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const services = stack.use(await startServices({ env: {}, speed, ...atSpeed(clockSpeed, standIns) }));
  const start = (): Promise<BridgeChild> =>
    startBridge({
      env: {
        ...services.bridgeEnv,
        DATA_DIR: dataDir,
        PORT: "0",
        LOG_LEVEL: process.env["LOG_LEVEL"] ?? "silent",
        ...env,
      },
      trustedOrigins: services.fileOrigins,
      stderr: onLog ?? "inherit",
      clockSpeed,
    });
  let child = await start();
  stack.defer(() => child[Symbol.asyncDispose]());
  const opened = stack.move();
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    services,
    discord: discordStage(services),
    slack: slackStage(services),
    child: () => child,
    kill,
    async start() {
      child = await start();
    },
    async killAndRestart() {
      await kill();
      child = await start();
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Time for an acknowledgement (slack.md §3.4, discord.md §1.6). */
const ACKNOWLEDGE_MS = 3_000;

/** Only waiting gets faster, not the machine: what has to be done within a time keeps that time. */
function atSpeed(
  clockSpeed: number,
  { coze, discord, slack }: NonNullable<TestOptions["standIns"]>,
): NonNullable<TestOptions["standIns"]> {
  const within = ACKNOWLEDGE_MS * clockSpeed;
  const clock = fastClock(clockSpeed);
  return {
    ...(coze !== undefined && { coze }),
    discord: { clock, answerWithinMs: within, ...discord },
    slack: { clock, ackTimeoutMs: within, ...slack },
  };
}

/** Waits until a place holds the whole answer and nothing in it is unfinished. */
export async function expectAnswer(
  stage: Stage,
  place: string,
  expected: string,
  timeout = 60_000,
): Promise<void> {
  const seen = (): { whole: boolean; unfinished: number } => {
    const view = stage.standIn.view(place);
    return {
      whole: holdsText(botText(view), expected),
      unfinished: view.messages.filter(({ unfinished }) => unfinished).length,
    };
  };
  await expect.poll(seen, { timeout, interval: 20 }).toEqual({ whole: true, unfinished: 0 });
}

/** How often the platforms refused a call for being too many. */
export function refusals({ services }: BridgeUnderTest): number {
  const exchanges = [...services.discord.traffic.exchanges, ...services.slack.traffic.exchanges];
  return exchanges.filter(({ status }) => status === 429).length;
}
