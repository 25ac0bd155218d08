import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface BridgeChildOptions {
  /** The child's whole environment: nothing of ours leaks in. */
  readonly env: Readonly<Record<string, string>>;
  readonly trustedOrigins: readonly string[];
  /** Where its log goes; a function gets it as it comes. */
  readonly stderr: "inherit" | "ignore" | ((text: string) => void);
  /** Default `all`. */
  readonly role?: Role;
  /** How fast the stand-ins' time runs, see {@link fastClock}; default 1. */
  readonly clockSpeed?: number;
  /** How long a silent worker keeps its turns with Redis, in ms; default the product's. */
  readonly leaseMs?: number | undefined;
}

export type Role = "all" | "intake" | "worker";

/** A running bridge in a process of its own, so that a killed bridge does not take the stand-ins along. */
export interface BridgeChild extends AsyncDisposable {
  readonly pid: number;
  /** Its HTTP port. */
  readonly port: number;
  readonly exited: Promise<number | null>;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/** The bridge ended before it was ready; it has said why on its stderr. */
export class BridgeEnded extends Error {
  override readonly name = "BridgeEnded";
  readonly exitCode: number | null;

  constructor(exitCode: number | null) {
    super(`the bridge ended with exit code ${exitCode} · 桥接服务已退出，退出码 ${exitCode}`);
    this.exitCode = exitCode;
  }
}

const READY_MS = 30_000;
const STOP_MS = 35_000;

/** Starts the bridge and resolves once it receives. @throws {BridgeEnded} */
export async function startBridge(options: BridgeChildOptions): Promise<BridgeChild> {
  const { env, trustedOrigins, stderr, role = "all", clockSpeed = 1, leaseMs = "" } = options;
  const child = fork(
    join(import.meta.dirname, "bridge-process.ts"),
    [role, String(clockSpeed), String(leaseMs), ...trustedOrigins],
    {
      env,
      // A process group of its own: Ctrl-C reaches only the sandbox, which then stops the bridge in order.
      detached: true,
      execArgv: [],
      stdio: ["ignore", "ignore", typeof stderr === "string" ? stderr : "pipe", "ipc"],
    },
  );
  if (typeof stderr !== "string") child.stderr?.setEncoding("utf8").on("data", stderr);
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const port = await Promise.race([
    readyPort(child),
    exited.then((code) => Promise.reject(new BridgeEnded(code))),
    sleep(READY_MS, undefined, { ref: false }).then(() =>
      Promise.reject(new Error("the bridge did not get ready")),
    ),
  ]).catch((error: unknown) => {
    child.kill("SIGKILL");
    throw error;
  });
  return {
    pid: child.pid ?? 0,
    port,
    exited,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const late = sleep(STOP_MS, undefined, { ref: false }).then(() => void child.kill("SIGKILL"));
      await Promise.race([exited, late.then(() => exited)]);
    },
  };
}

async function readyPort(child: ChildProcess): Promise<number> {
  for (;;) {
    const [message] = (await once(child, "message")) as [unknown];
    if (
      typeof message === "object" &&
      message !== null &&
      "ready" in message &&
      typeof message.ready === "number"
    ) {
      return message.ready;
    }
  }
}
