import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { type BridgeChild, BridgeEnded, type Role, startBridge } from "../../sandbox/bridge-child.ts";
import { holdsText } from "../../sandbox/same-text.ts";
import { type Services, type ServicesOptions, startServices } from "../../sandbox/services.ts";
import { botText, discordStage, type Stage, slackStage } from "../../sandbox/stage.ts";
import { fastClock } from "../../sandbox/stand-in.ts";
import { EXIT } from "../../src/cli/exit-code.ts";
import { startRedis, type TestRedis } from "../redis-server.ts";
import { type RedisTap, tapRedis } from "../redis-tap.ts";

/** One process of a bridge, over all its lives. */
export interface Member {
  readonly role: Role;
  /** Its line to Redis. */
  readonly tap: RedisTap | undefined;
  /** SIGKILL, sent at once; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it unless it runs; one that finds Redis away is started again, as a supervisor does. */
  start(): Promise<void>;
}

/** The three stand-ins and the real bridge, in one or more processes of its own. */
export interface BridgeUnderTest extends AsyncDisposable {
  readonly services: Services;
  readonly discord: Stage;
  readonly slack: Stage;
  readonly redis: TestRedis | undefined;
  /** Its processes; one that takes questions in stands first. */
  readonly members: readonly Member[];
  /** How often the log has this; with Redis only. */
  logged(pattern: RegExp): number;
  /** All its processes: SIGKILL, then the next ones on the same data. */
  killAndRestart(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface RedisSetup {
  /** Default: an intake and two workers. */
  readonly roles?: readonly Role[];
  /** Default: the product's. */
  readonly leaseMs?: number;
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
  /** Several processes on a Redis of their own; without it one, with the embedded queue. */
  readonly redis?: RedisSetup;
}

const ROLES = ["intake", "worker", "worker"] as const;
const SECRET_KEY = "a key for these tests, long enough for it";

export async function openBridge({
  speed = 20,
  env = {},
  clockSpeed = 1,
  onLog,
  standIns = {},
  redis: setup,
}: TestOptions = {}): Promise<BridgeUnderTest> {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "coze-bridge-test-"));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const services = stack.use(await startServices({ env: {}, speed, ...atSpeed(clockSpeed, standIns) }));
  const redis = setup === undefined ? undefined : stack.use(await startRedis());
  let log = "";
  const keepLog = (text: string): void => {
    log += text;
    if (process.env["LOG_LEVEL"] !== undefined) process.stderr.write(text);
  };
  const launch = (role: Role, index: number, tap: RedisTap | undefined): Promise<BridgeChild> =>
    startBridge({
      env: {
        ...services.bridgeEnv,
        ...(tap !== undefined && { REDIS_URL: tap.url, SECRET_KEY }),
        DATA_DIR: join(dataDir, String(index)),
        PORT: "0",
        LOG_LEVEL: process.env["LOG_LEVEL"] ?? (redis === undefined ? "silent" : "info"),
        ...env,
      },
      trustedOrigins: services.fileOrigins,
      stderr: onLog ?? (redis === undefined ? "inherit" : keepLog),
      role,
      clockSpeed,
      leaseMs: setup?.leaseMs,
    });
  const members: Process[] = [];
  for (const [index, role] of (setup === undefined ? ["all" as const] : (setup.roles ?? ROLES)).entries()) {
    const tap = redis === undefined ? undefined : stack.use(await tapRedis(redis.port));
    members.push(stack.use(new Process(role, tap, () => launch(role, index, tap))));
  }
  const start = async (): Promise<void> => void (await Promise.all(members.map((member) => member.start())));
  const kill = async (): Promise<void> => void (await Promise.all(members.map((member) => member.kill())));
  await start();
  const opened = stack.move();
  return {
    services,
    discord: discordStage(services),
    slack: slackStage(services),
    redis,
    members,
    logged: (pattern) => log.matchAll(new RegExp(pattern, "g")).toArray().length,
    kill,
    start,
    async killAndRestart() {
      await kill();
      await start();
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

class Process implements Member, AsyncDisposable {
  readonly role: Role;
  readonly tap: RedisTap | undefined;
  readonly #launch: () => Promise<BridgeChild>;
  #child: BridgeChild | undefined;

  constructor(role: Role, tap: RedisTap | undefined, launch: () => Promise<BridgeChild>) {
    this.role = role;
    this.tap = tap;
    this.#launch = launch;
  }

  async start(): Promise<void> {
    while (this.#child === undefined) {
      try {
        this.#child = await this.#launch();
      } catch (error) {
        const mayPass = error instanceof BridgeEnded && error.exitCode === EXIT.temporary;
        if (this.tap === undefined || !mayPass) throw error;
      }
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill("SIGKILL");
    await child?.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.[Symbol.asyncDispose]();
  }
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

/** Calls that the platforms refused for being too many. */
export function refusals({ services }: BridgeUnderTest): readonly string[] {
  const exchanges = [...services.discord.traffic.exchanges, ...services.slack.traffic.exchanges];
  return exchanges.filter(({ status }) => status === 429).map(({ service, name }) => `${service} ${name}`);
}
