import type { Clock } from "./core/gate.ts";

/** The machine's own: ms that never go back, and one-off timers. */
export const OWN_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
