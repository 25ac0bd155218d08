/**
 * A bridge's worker or intake as a process of its own, to be killed. Started by `startBridgeProcess`; it tells what
 * it does in lines of JSON, written at once, so that a kill loses none.
 */
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { z } from "zod";
import { BridgeError } from "../../src/core/errors.ts";
import { type Log, RetryLater, type Run, type TurnQueue } from "../../src/core/ports.ts";
import { openBullmqQueue } from "../../src/queue/bullmq-queue.ts";
import { type ConnectRedis, connectRedis } from "../../src/redis/redis-client.ts";
import { aNewTurn } from "../contract/queue-contract.ts";

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };

const SETTINGS = z.object({
  url: z.string(),
  prefix: z.string(),
  leaseMs: z.number(),
  concurrency: z.number(),
  /** A turn has three steps; each takes this long, in ms. */
  stepMs: z.number(),
  /** Keys to accept before it works; it works only when there are none. */
  deliver: z.array(z.string()),
  /** Keys whose first attempt asks for another one. */
  retry: z.array(z.string()),
  crash: z.exactOptional(
    z.object({ script: z.string(), when: z.enum(["before", "after"]), nth: z.number() }),
  ),
});

const settings = SETTINGS.parse(JSON.parse(process.argv[2] ?? "{}"));
const queue = await openAsSupervised();
if (settings.deliver.length > 0) {
  for (const key of settings.deliver) {
    await queue.enqueue(aNewTurn(key));
    say("accepted", { key });
  }
  await queue[Symbol.asyncDispose]();
} else {
  const consumer = await queue.work(answer, { concurrency: settings.concurrency, backoffMs: () => 20 });
  say("ready", {});
  process.on("SIGTERM", () => void consumer.stop("handover").then(() => queue[Symbol.asyncDispose]()));
}

/** A start that finds Redis away ends, and a supervisor starts it again; here that is the same process. */
async function openAsSupervised(): Promise<TurnQueue> {
  const { url, prefix, leaseMs } = settings;
  const connect: ConnectRedis = (address, options) => armed(connectRedis(address, options));
  for (;;) {
    try {
      return await openBullmqQueue({ url, prefix, leaseMs, log: SILENT, connect });
    } catch (error) {
      if (!(error instanceof BridgeError && error.retryable)) throw error;
    }
  }
}

async function answer(run: Run): Promise<void> {
  const key = run.turns[0]?.key ?? "";
  const first = typeof run.state === "number" ? run.state : 0;
  say("start", { key, start: run.start, step: first });
  try {
    for (let step = first + 1; step <= 3; step += 1) {
      await sleep(settings.stepMs, undefined, { signal: run.signal });
      say("effect", { key, step });
      await run.save(step);
      say("saved", { key, step });
      if (step === 1 && run.attempt === 1 && settings.retry.includes(key)) throw new RetryLater();
    }
    say("done", { key });
  } finally {
    say("left", { key });
  }
}

function say(what: string, fields: object): void {
  const at = Number(process.hrtime.bigint() / 1_000n);
  writeSync(1, `${JSON.stringify({ at, what, ...fields })}\n`);
}

/** Dies by SIGKILL before or after the nth use of a script, whoever uses it. */
function armed(redis: Redis): Redis {
  const { crash } = settings;
  if (crash === undefined) return redis;
  const send = redis.sendCommand.bind(redis);
  let left = crash.nth;
  redis.sendCommand = (command, stream) => {
    const isIt = scriptOf(redis, command.name, String(command.args[0])) === crash.script;
    if (isIt && crash.when === "before" && --left === 0) process.kill(process.pid, "SIGKILL");
    const reply = send(command, stream);
    if (isIt && crash.when === "after") void dieAfter(reply);
    return reply;
  };
  // A reply that says NOSCRIPT did nothing; it is asked again with the whole script.
  const dieAfter = async (reply: unknown): Promise<void> => {
    const [{ status }] = await Promise.allSettled([reply]);
    if (status === "fulfilled" && --left === 0) process.kill(process.pid, "SIGKILL");
  };
  return redis;
}

/** Which script a command runs, without BullMQ's version behind it. */
function scriptOf(redis: Redis, command: string, first: string): string | undefined {
  if (command !== "evalsha" && command !== "eval") return undefined;
  // ioredis keeps its defined commands here; its types do not say so.
  const { scriptsSet } = redis as unknown as { scriptsSet: Record<string, { sha: string; lua: string }> };
  const found = Object.entries(scriptsSet).find(([, { sha, lua }]) => sha === first || lua === first);
  return found?.[0].split(":")[0];
}
