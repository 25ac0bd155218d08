import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";

const WHAT = ["ready", "accepted", "start", "effect", "saved", "done", "left"] as const;

/** Something a process did. */
export interface ProcessLine {
  readonly process: number;
  /** The machine's monotonic clock, in µs: the same for all processes. */
  readonly at: number;
  readonly what: (typeof WHAT)[number];
  readonly key: string;
  readonly start: number;
  readonly step: number;
}

const LINE: z.ZodType<Omit<ProcessLine, "process">> = z.object({
  at: z.number(),
  what: z.enum(WHAT),
  key: z.string().default(""),
  start: z.number().default(0),
  step: z.number().default(0),
});

export interface BridgeProcessSettings {
  readonly url: string;
  readonly prefix: string;
  readonly leaseMs: number;
  readonly concurrency?: number;
  readonly stepMs?: number;
  readonly deliver?: readonly string[];
  readonly retry?: readonly string[];
  readonly crash?: { readonly script: string; readonly when: "before" | "after"; readonly nth: number };
}

/** A real process around a queue. */
export interface BridgeProcess extends AsyncDisposable {
  readonly pid: number;
  /** Resolves once it takes turns. */
  readonly ready: Promise<unknown>;
  /** Resolves with the signal that killed it, or null when it ended by itself; all its lines are read then. */
  readonly ended: Promise<NodeJS.Signals | null>;
  kill(): Promise<void>;
}

/** Starts one; what it does is appended to `lines`. */
export function startBridgeProcess(settings: BridgeProcessSettings, lines: ProcessLine[]): BridgeProcess {
  const whole = { concurrency: 10, stepMs: 5, deliver: [], retry: [], ...settings };
  const script = join(import.meta.dirname, "redis-process.ts");
  const child = spawn(process.execPath, [script, JSON.stringify(whole)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = child.pid ?? 0;
  const ready = Promise.withResolvers<void>();
  const read = readLines(child, (line) => {
    lines.push({ ...line, process: pid });
    if (line.what === "ready") ready.resolve();
  });
  const ended = Promise.all([once(child, "exit"), read]).then(() => child.signalCode);
  return {
    pid,
    ready: Promise.race([ready.promise, ended]),
    ended,
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function readLines(
  child: ChildProcess,
  onLine: (line: Omit<ProcessLine, "process">) => void,
): Promise<void> {
  if (child.stdout === null) throw new Error("its output was not asked for");
  for await (const text of createInterface({ input: child.stdout })) onLine(LINE.parse(JSON.parse(text)));
}
