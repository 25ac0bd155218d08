/**
 * Time to ready and memory of the built bridge beside a bare discord.js + Bolt program, in one run on the same
 * stand-ins: `npm run bench:start`. Ratios count; the machine's speed cancels out.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { startServices } from "../sandbox/services.ts";

const ROUNDS = 9;
const ROOT = join(import.meta.dirname, "..");
/** Memory is read after the start-up's garbage has had time to go. */
const SETTLE_MS = 1_500;

interface Sample {
  readonly readyMs: number;
  readonly rssMiB: number;
}

async function measure(
  script: string,
  args: string[],
  env: Record<string, string>,
  ready: RegExp,
): Promise<Sample> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [script, ...args], {
    cwd: ROOT,
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    for await (const line of createInterface({ input: child.stderr })) {
      if (!ready.test(line)) continue;
      const readyMs = performance.now() - startedAt;
      await sleep(SETTLE_MS);
      const [, kib = "0"] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8")) ?? [];
      return { readyMs, rssMiB: Number(kib) / 1024 };
    }
    throw new Error(`${script} ended before it was ready`);
  } finally {
    // As operators stop it: then Node's compile cache is written, which the next start reads.
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const bridgeMain = join(ROOT, "dist/src/cli/main.js");
if (!existsSync(bridgeMain)) throw new Error("there is no dist: run `npm run build` first");
await using services = await startServices({ env: {} });
const dataDir = await mkdtemp(join(tmpdir(), "coze-bridge-bench-"));
const env = {
  ...services.bridgeEnv,
  // A cache of this run's own, so that the first start is a first start.
  NODE_COMPILE_CACHE: join(dataDir, "compile-cache"),
  DATA_DIR: dataDir,
  PORT: "0",
  LOG_LEVEL: "info",
  PATH: process.env["PATH"] ?? "",
};
// The bare program has no cache of its own accord.
const { NODE_COMPILE_CACHE: _cache, ...bareEnv } = env;
const bridge: Sample[] = [];
const bare: Sample[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const ours = await measure(bridgeMain, ["start"], env, /bridge is ready/);
  const theirs = await measure(join(ROOT, "bench/bare-program.js"), [], bareEnv, /^ready$/);
  // The first round warms the caches.
  if (round === 0)
    console.log(
      `first start ever           ready ${ours.readyMs.toFixed(0).padStart(5)} ms, without a compile cache`,
    );
  else {
    bridge.push(ours);
    bare.push(theirs);
  }
}
await rm(dataDir, { recursive: true, force: true });

const row = (name: string, samples: Sample[]): { time: number; rss: number } => {
  const time = median(samples.map(({ readyMs }) => readyMs));
  const rss = median(samples.map(({ rssMiB }) => rssMiB));
  console.log(
    `${name.padEnd(24)} ready ${time.toFixed(0).padStart(5)} ms   RSS ${rss.toFixed(0).padStart(4)} MiB`,
  );
  return { time, rss };
};
console.log(`Node ${process.version}, ${ROUNDS} rounds in turn, medians`);
const ours = row("coze-bridge (dist)", bridge);
const theirs = row("bare discord.js + Bolt", bare);
console.log(
  `ratio                    ready ${(ours.time / theirs.time).toFixed(2)} ×    RSS ${(ours.rss / theirs.rss).toFixed(2)} ×`,
);
