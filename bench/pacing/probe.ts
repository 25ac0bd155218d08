/**
 * Loaded into a measured process before it starts (`node --import`): tells whoever asks at the socket in `BENCH_PROBE`
 * what the process has used. Asking starts the peaks anew.
 */
import { rm } from "node:fs/promises";
import { createServer } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** What a process has used. */
export interface Usage {
  /** CPU time of all threads since its start, in ms. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** Highest since the last time somebody asked. */
  readonly peakRssBytes: number;
  /** How late a timer came, in ms, 99 of 100 times at most; since the last time somebody asked for it, 0 before. */
  readonly loopP99Ms: number;
}

/** A timer of this period is what is late; its period is in the histogram (docs/reference/pacing.md §2). */
const RESOLUTION_MS = 5;
const RSS_EVERY_MS = 100;
/** Where somebody asks how late timers came, too. */
export const LOOP_PATH = "/loop";

/**
 * Counts from now on; how late timers come, from the first time that is asked for: a timer of 5 ms uses more CPU than an
 * idle program does.
 */
export function startUsage(): (options?: { loop: boolean }) => Usage {
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let peakRssBytes = process.memoryUsage.rss();
  const timer = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss());
  }, RSS_EVERY_MS);
  timer.unref();
  return (options = { loop: true }) => {
    if (options.loop) loop.enable();
    const { user, system } = process.cpuUsage();
    const rssBytes = process.memoryUsage.rss();
    const loopP99Ms = Math.max(0, loop.percentile(99) / 1e6 - RESOLUTION_MS);
    const usage = { cpuMs: (user + system) / 1_000, rssBytes, peakRssBytes, loopP99Ms };
    loop.reset();
    peakRssBytes = rssBytes;
    return usage;
  };
}

const socket = process.env["BENCH_PROBE"];
if (socket !== undefined) {
  const read = startUsage();
  await rm(socket, { force: true });
  createServer(({ url }, response) => void response.end(JSON.stringify(read({ loop: url === LOOP_PATH }))))
    .listen(socket)
    .unref();
}
