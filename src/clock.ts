import { performance } from "node:perf_hooks";
import type { Clock } from "./core/gate.ts";

/** The machine's own: ms that never go back, and one-off timers. */
export const OWN_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** Tells which part of the time since it was asked last the event loop worked, 0 to 1. */
export function loopUse(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}
