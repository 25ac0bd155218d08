import { setTimeout as sleep } from "node:timers/promises";
import type { RedisSetup } from "../e2e/bridge-under-test.ts";
import type { TestRedis } from "../redis-server.ts";
import { Arena, LANE_KINDS } from "./arena.ts";
import { judge, type Verdict } from "./judge.ts";
import { TAKEN_OVER } from "./torture.ts";

export interface OutageOptions {
  /** SIGKILL and a start again, SIGSTOP, or SIGKILL and nobody there. */
  readonly redisIs: "restarted" | "frozen" | "gone";
  readonly forMs: number;
  /** Conversations of each kind. */
  readonly perKind: number;
  readonly redis: RedisSetup;
}

export interface OutageResult {
  readonly verdict: Verdict;
  /** Turns that ran when it began. */
  readonly running: number;
  /** Turns that their worker let go of, since it could not renew its lease. */
  readonly letGo: number;
  /** Starts of turns that had been started before. */
  readonly takeovers: number;
  readonly seconds: number;
}

/**
 * Redis goes away while answers are being written and others are asked for. What had been taken is answered whole and
 * once; what is asked meanwhile is answered, or refused with a sentence where the platform brings it only once.
 */
export async function sufferOutage({ redisIs, forMs, perKind, redis }: OutageOptions): Promise<OutageResult> {
  const begun = performance.now();
  await using arena = await Arena.open({ redis });
  const lanes = LANE_KINDS.flatMap((kind) => Array.from({ length: perKind }, () => arena.lane(kind)));
  const running = lanes.map((lane) => arena.ask(lane, 400));
  await arena.until(() => running.every((turn) => arena.isAsked(turn)));
  const server = arena.bridge.redis;
  if (server === undefined) throw new Error("the arena has no Redis");
  const over = suffer(server, redisIs, forMs);
  // A command comes once, and its asker sees at once that it was not taken.
  for (const lane of lanes) if (!lane.kind.endsWith("command")) arena.ask(lane, 20);
  await over;
  await arena.settle();
  for (const lane of lanes) arena.ask(lane, 5);
  await arena.settle();
  return {
    verdict: judge(arena.history()),
    running: running.length,
    letGo: arena.bridge.logged(/"msg":"run is no longer ours"/),
    takeovers: arena.bridge.logged(TAKEN_OVER),
    seconds: (performance.now() - begun) / 1000,
  };
}

async function suffer(server: TestRedis, how: OutageOptions["redisIs"], forMs: number): Promise<void> {
  switch (how) {
    case "restarted":
      return server.restart();
    case "frozen":
      server.freeze();
      await sleep(forMs);
      return server.thaw();
    case "gone":
      await server.kill();
      await sleep(forMs);
      return server.restart();
  }
}
