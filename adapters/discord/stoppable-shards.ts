import {
  type SessionInfo,
  SimpleShardingStrategy,
  type WebSocketManager,
  type WebSocketShardDestroyOptions,
  WebSocketShardEvents,
  WebSocketShardStatus,
} from "@discordjs/ws";

/**
 * The library's own strategy, made to stop for good. In @discordjs/ws 1.2.3 a `destroy` between two tries to connect
 * does nothing: a client that was given up tries on for ever, and is in one day. And a `destroy` while the socket opens
 * takes its error listener away: the error then ends the process.
 */
export class StoppableShards extends SimpleShardingStrategy {
  readonly #manager: WebSocketManager;
  /** Shards whose socket is open for certain, since Discord has greeted on it. */
  readonly #greeted = new Set<number>();
  #stopped = false;

  constructor(manager: WebSocketManager) {
    super(manager);
    this.#manager = manager;
    const { options } = manager;
    const retrieve = options.retrieveSessionInfo;
    // Asked before each try, which then never comes; nothing waits for it that would keep the process.
    options.retrieveSessionInfo = (shardId) =>
      this.#stopped ? new Promise<SessionInfo | null>(() => undefined) : retrieve(shardId);
    manager.on(WebSocketShardEvents.Hello, ({ shardId }) => this.#greeted.add(shardId));
    manager.on(WebSocketShardEvents.Closed, ({ shardId }) => this.#greeted.delete(shardId));
  }

  /** Each login begins with a `destroy`, then this. */
  override async spawn(shardIds: number[]): Promise<void> {
    this.#stopped = false;
    await super.spawn(shardIds);
  }

  /** Resolves at once while a socket opens: it is closed when it has been greeted, unless it fails before. */
  override async destroy(options?: Omit<WebSocketShardDestroyOptions, "recover">): Promise<void> {
    this.#stopped = true;
    const states = await this.fetchStatus();
    const opens = states.some(
      (state, shardId) => state === WebSocketShardStatus.Connecting && !this.#greeted.has(shardId),
    );
    if (!opens) return super.destroy(options);
    this.#manager.once(WebSocketShardEvents.Hello, () => void this.destroy(options));
  }
}
