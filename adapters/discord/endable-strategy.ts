import { type SessionInfo, SimpleShardingStrategy } from "discord.js";

/** What is never settled holds up whoever awaits it, and nobody else. */
const NEVER = new Promise<never>(() => undefined);

/** The part of the library's shards that is not public, and the only way to their sockets. */
type Shards = ReadonlyMap<number, { readonly connection: WebSocket | null }>;

/**
 * The library's own strategy, with an end that is one. What `@discordjs/ws` 1.2.3 destroys between two tries to connect
 * goes on trying twice a second for ever and keeps the process alive; a socket that it destroys while that connects
 * throws its late error at the whole process.
 */
export class EndableStrategy extends SimpleShardingStrategy {
  #ended = false;

  constructor(manager: ConstructorParameters<typeof SimpleShardingStrategy>[0]) {
    super(manager);
    const { options } = manager;
    const retrieve = options.retrieveSessionInfo.bind(options);
    // Asked before each try.
    options.retrieveSessionInfo = (shardId): Promise<SessionInfo | null> =>
      this.#ended ? NEVER : Promise.resolve(retrieve(shardId));
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
