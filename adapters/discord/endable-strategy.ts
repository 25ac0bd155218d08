import { type SessionInfo, SimpleShardingStrategy } from "discord.js";

/** What is never settled holds up whoever awaits it, and nobody else. */
const NEVER = new Promise<never>(() => undefined);

type Manager = ConstructorParameters<typeof SimpleShardingStrategy>[0];

/** The part of the library's shards that is not public, and the only way to their sockets. */
type Shards = ReadonlyMap<number, { readonly connection: WebSocket | null }>;

/**
 * The library's own strategy, with an end that is one. What `@discordjs/ws` 1.2.3 destroys between two tries to connect
 * goes on trying twice a second for ever and keeps the process alive; a socket that it destroys while that connects
 * throws its late error at the whole process.
 *
 * And it looks before each IDENTIFY whether one is left, which the library does before the first one only: one too many
 * costs the bot its token (discord.md §3.4).
 */
export class EndableStrategy extends SimpleShardingStrategy {
  #ended = false;

  /** @param onNoLogin - Told instead of an IDENTIFY, with the ms until there are new ones. */
  constructor(manager: Manager, onNoLogin: (resetAfterMs: number) => void) {
    super(manager);
    const { options } = manager;
    const retrieve = options.retrieveSessionInfo.bind(options);
    // Asked before each try.
    options.retrieveSessionInfo = (shardId): Promise<SessionInfo | null> =>
      this.#ended ? NEVER : Promise.resolve(retrieve(shardId));
    const build = options.buildIdentifyThrottler.bind(options);
    options.buildIdentifyThrottler = async (of) => {
      const throttler = await build(of);
      return {
        async waitForIdentify(shardId, signal): Promise<void> {
          await throttler.waitForIdentify(shardId, signal);
          const limit = await loginLimit(of);
          if (limit === undefined || limit.remaining > 0) return;
          onNoLogin(limit.reset_after);
          await NEVER;
        },
      };
    };
  }

  /** A login that was under way finds nothing to connect. */
  override connect(): Promise<void> {
    return this.#ended ? NEVER : super.connect();
  }

  /** Closes the sockets for good; `destroy` may be followed by a new start. */
  async end(): Promise<void> {
    this.#ended = true;
    const sockets = [...(this["shards"] as Shards).values()].flatMap(({ connection }) => connection ?? []);
    for (const socket of sockets) socket.addEventListener("error", () => undefined);
    await this.destroy({ reason: "ended" });
    for (const socket of sockets) socket.close();
  }
}

/** As of now; `undefined` when Discord does not say: then its socket would not have opened either. */
async function loginLimit(manager: Manager): Promise<{ remaining: number; reset_after: number } | undefined> {
  try {
    const { session_start_limit: limit } = await manager.fetchGatewayInformation(true);
    return limit;
  } catch {
    return undefined;
  }
}
