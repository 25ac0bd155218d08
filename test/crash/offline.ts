import { Arena, type LaneKind } from "./arena.ts";
import { judge, type Verdict } from "./judge.ts";

export interface OfflineOptions {
  /** By kind, how many places. A command needs a listener at once, so it has none here. */
  readonly places: Readonly<Partial<Record<Exclude<LaneKind, "discord command" | "slack command">, number>>>;
  /** Questions that each place gets while nobody listens. */
  readonly perPlace: number;
}

export interface OfflineResult {
  readonly verdict: Verdict;
  /** Messages without an answer in them, by place: above the cap there is to be one each. */
  readonly noticesPerPlace: readonly number[];
}

/** Each place has been used before; then the bridge is gone, everybody asks, and it comes back. */
export async function askWhileOffline({ places, perPlace }: OfflineOptions): Promise<OfflineResult> {
  // Slack gives up repeating before anybody is back: only what is looked for is found.
  await using arena = await Arena.open({
    standIns: { slack: { limits: false, retryMs: [100] } },
  });
  const lanes = (Object.entries(places) as [LaneKind, number][]).flatMap(([kind, count]) =>
    Array.from({ length: count }, () => arena.lane(kind)),
  );
  for (const lane of lanes) arena.ask(lane, 5);
  await arena.settle();
  await arena.bridge.kill();
  const late = lanes.flatMap((lane) => Array.from({ length: perPlace }, () => arena.ask(lane, 20)));
  await arena.bridge.start();
  await arena.settle(late);
  const history = arena.history();
  const verdict = judge(history);
  const noticesPerPlace = [...history.places.values()].map(
    (messages) => messages.filter(({ text }) => verdict.strays.includes(text)).length,
  );
  return { verdict, noticesPerPlace };
}
