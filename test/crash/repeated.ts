import { Arena, type ArenaOptions, LANE_KINDS } from "./arena.ts";
import { judge, type Verdict } from "./judge.ts";

const DELIVERED = new Set(["MESSAGE_CREATE", "INTERACTION_CREATE"]);

/**
 * Asks `rounds` times in every kind of place, and brings every delivery `times` times in all: twice while the first
 * is being answered, the others after a restart.
 */
export async function repeatDeliveries({
  times,
  rounds,
  ...options
}: Pick<ArenaOptions, "redis"> & {
  times: number;
  rounds: number;
}): Promise<Verdict & { readonly deliveries: number }> {
  await using arena = await Arena.open(options);
  const { discord, slack } = arena.bridge.services;
  const dispatches: { t: string; d: object }[] = [];
  const leave = discord.traffic.onExchange(({ kind, name, request }) => {
    if (kind === "sent" && DELIVERED.has(name)) dispatches.push(request as { t: string; d: object });
  });
  const lanes = LANE_KINDS.map((kind) => arena.lane(kind));
  for (let round = 0; round < rounds; round += 1) for (const lane of lanes) arena.ask(lane, 60);
  leave();
  const asked = dispatches.filter(({ d }) => !isBot(d));
  const events = slack.deliveries.all.filter(({ payload }) => !isBot(payload["event"]));
  const again = (): void => {
    for (const { t, d } of asked) discord.gateway.dispatch(t, d);
    for (const { kind, payload } of events) slack.deliveries.deliver(kind, payload);
  };
  again();
  await arena.settle();
  await arena.bridge.killAndRestart();
  // Of several processes one is connected to Discord, once the lease of the killed one is over.
  await arena.until(() => discord.gateway.connected > 0);
  for (let time = 2; time < times; time += 1) again();
  // Lanes run in order: once these are answered, whatever the repeats started is over, too.
  for (const lane of lanes) arena.ask(lane, 5);
  await arena.settle();
  return { ...judge(arena.history()), deliveries: asked.length + events.length };
}

/** The bot's own messages come back as events as well. */
function isBot(event: unknown): boolean {
  const { author, bot_id: botId } = (event ?? {}) as { author?: { bot?: boolean }; bot_id?: string };
  return author?.bot === true || botId !== undefined;
}
