import { performance } from "node:perf_hooks";
import type { LoopUse } from "./core/draft-rate.ts";

/** A meter of this process' event loop, from now on. */
export function createLoopUse(): LoopUse {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}
