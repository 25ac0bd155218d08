import { on } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Interface } from "node:readline";
import { BridgeEnded, startBridge } from "./bridge-child.ts";
import { playScene, watchAnswer } from "./play.ts";
import { scenes } from "./scenes.ts";
import { startServices } from "./services.ts";
import { discordStage, nameOf, type Stage, slackStage } from "./stage.ts";
import { ChatScreen, type Screen } from "./terminal.ts";
import { type PlatformName, readTypedLine, type TypedLine, typingHelp } from "./typed-line.ts";

export interface SandboxOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Play, print the final chats, end. */
  readonly once: boolean;
  /** False with a real Coze: nobody's quota is used by itself. */
  readonly plays: boolean;
  /** What somebody types, one line at a time. */
  readonly keyboard: Interface;
  readonly stdout: Screen;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** The scripted bot writes faster than a usual model, so that the scenes are over before somebody gets bored. */
const PLAY_SPEED = 2;

/** Runs stand-ins and bridge, plays, then takes typed lines. @returns The exit code. */
export async function runSandbox(options: SandboxOptions): Promise<number> {
  try {
    return await playAndConverse(options);
  } catch (error) {
    if (!(error instanceof BridgeEnded)) throw error;
    options.say(error.message);
    return error.exitCode ?? 1;
  }
}

async function playAndConverse(options: SandboxOptions): Promise<number> {
  const { env, once, plays, say, keyboard } = options;
  await using stack = new AsyncDisposableStack();
  // From the beginning on, so that nothing that is typed while it plays is lost.
  const lines = on(keyboard, "line", { close: ["close"] });
  const dataDir = await mkdtemp(join(tmpdir(), "coze-bridge-sandbox-"));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const services = stack.use(await startServices({ env, speed: PLAY_SPEED }));
  const machine = {
    DATA_DIR: dataDir,
    PORT: "0",
    LOG_LEVEL: env["LOG_LEVEL"] ?? "warn",
    // Who ends the sandbox waits for no answer.
    SHUTDOWN_GRACE: "0",
    PATH: env["PATH"] ?? "",
  };
  const bridge = stack.use(
    await startBridge({
      env: { ...services.bridgeEnv, ...machine },
      trustedOrigins: services.fileOrigins,
      stderr: "inherit",
    }),
  );
  say(`sandbox: stand-ins on loopback, the bridge is process ${bridge.pid}, health on port ${bridge.port}
沙盒：替身都在本机，桥接服务的进程号是 ${bridge.pid}，健康检查在端口 ${bridge.port}`);
  const bridgeGone = new AbortController();
  const signal = AbortSignal.any([options.signal, bridgeGone.signal]);
  let over = false;
  stack.defer(() => {
    over = true;
  });
  void bridge.exited.then((code) => {
    if (!over && !options.signal.aborted)
      say(`the bridge has ended with exit code ${code} · 桥接服务已退出，退出码 ${code}`);
    bridgeGone.abort();
  });
  const stages = { discord: discordStage(services), slack: slackStage(services) };
  const screen = new ChatScreen(options.stdout, { live: !once, color: (env["NO_COLOR"] ?? "") === "" });
  let failed = 0;
  for (const scene of plays ? scenes(stages.discord, stages.slack) : []) {
    if (signal.aborted) break;
    if (!(await playScene(scene, screen, signal))) failed += 1;
  }
  if (options.signal.aborted) return 0;
  if (once || bridgeGone.signal.aborted) return failed === 0 && plays ? 0 : 1;
  await converse(stages, screen, { keyboard, lines, help: typingHelp({ scripted: plays }), signal });
  return bridgeGone.signal.aborted && !options.signal.aborted ? 1 : 0;
}

/** Takes typed lines until the input ends or the sandbox is told to stop. */
async function converse(
  stages: Readonly<Record<PlatformName, Stage>>,
  screen: ChatScreen,
  { keyboard, lines, help, signal }: Conversation,
): Promise<void> {
  if (signal.aborted) return;
  screen.say(help);
  let platform: PlatformName = "discord";
  const prompt = (): void => {
    keyboard.setPrompt(`${platform}> `);
    if (keyboard.terminal) keyboard.prompt();
    else screen.ask(keyboard.getPrompt());
  };
  prompt();
  signal.addEventListener("abort", () => keyboard.close(), { once: true });
  for await (const [line] of lines as AsyncIterable<[string]>) {
    const typed = readTypedLine(line, platform);
    if ("platform" in typed) platform = typed.platform;
    if (typed.do === "help") screen.say(help);
    const act = await toAct(typed, stages[platform], screen);
    if (act !== undefined) await watchAnswer(stages[platform], act, { screen, signal });
    if (signal.aborted) return;
    prompt();
  }
}

interface Conversation extends Pick<SandboxOptions, "keyboard" | "signal"> {
  /** Its lines, from the beginning on. */
  readonly lines: AsyncIterable<unknown>;
  readonly help: string;
}

/** What a typed line makes somebody do; `undefined` when nothing. */
async function toAct(
  typed: TypedLine,
  stage: Stage,
  screen: ChatScreen,
): Promise<(() => string) | undefined> {
  switch (typed.do) {
    case "mention":
      return () => stage.mention(typed.text);
    case "command":
      return () => stage.command(typed.text);
    case "dm":
      return () => stage.dm(typed.text);
    case "file":
      try {
        const file = { name: nameOf(typed.path), bytes: await readFile(typed.path) };
        return () => stage.dm(typed.text, [file]);
      } catch {
        screen.say(`cannot read ${typed.path} · 无法读取该文件`);
        return undefined;
      }
    case "switch":
    case "help":
    case "nothing":
      return undefined;
  }
}
