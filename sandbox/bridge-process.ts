/**
 * The real bridge as the sandbox's child: the product's own `start` on an engine set up as the product's, told in code which
 * loopback origins it may fetch files from and how fast the stand-ins' time runs. Arguments are its role, that speed, the
 * queue's lease in ms (empty: the product's own) and those origins; the environment is the configuration.
 */

import { tuneEngine } from "../src/cli/engine.ts";
import { endLingering } from "../src/cli/linger.ts";
import { shutdownSignals } from "../src/cli/shutdown-signals.ts";
import { fastClock } from "./stand-in.ts";

// The parent is gone when the channel closes, whatever killed it: then there is nobody left to serve.
const { shutdown, hurry } = shutdownSignals({
  on(name, listener) {
    process.on(name, listener);
    if (name === "SIGTERM") process.once("disconnect", listener);
  },
});

tuneEngine();
const { start } = await import("../src/cli/start.ts");
const [role, speed, leaseMs, ...trustedOrigins] = process.argv.slice(2);
const clockSpeed = Number(speed);

process.exitCode = await start({
  env: process.env,
  trustedOrigins,
  role: role === "intake" || role === "worker" ? role : "all",
  clock: clockSpeed === 1 ? undefined : fastClock(clockSpeed),
  leaseMs: leaseMs === "" ? undefined : Number(leaseMs),
  shutdown,
  hurry,
  say: (text) => void process.stderr.write(`${text.trimEnd()}\n`),
  onReady: (port) => process.send?.({ ready: port }),
});
endLingering();
if (process.connected) process.disconnect();
