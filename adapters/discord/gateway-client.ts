import { Client, Events, GatewayIntentBits, Options, Partials } from "discord.js";
import type { AdapterHealth, Log } from "../../src/core/ports.ts";
import { toLoginError } from "./errors.ts";
import { parseDispatch, parseReady, type WireReady } from "./gateway-events.ts";

export interface GatewayOptions {
  readonly token: string;
  readonly apiUrl: string;
  readonly log: Log;
  /** A dispatch, as it came over the wire; must not throw. */
  readonly onDispatch: (name: string, data: unknown) => void;
}

/** Nothing privileged: mentions, DMs, replies and commands arrive whole without it (discord.md §3.1). */
const INTENTS = [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages, GatewayIntentBits.DirectMessages];

/** Close codes after which the library does not come back by itself (discord.md §3.4). */
const FATAL: Readonly<Record<number, string>> = {
  4004: "Discord no longer accepts the bot token",
  4010: "Discord refused the shard",
  4011: "Discord demands sharding",
  4012: "Discord no longer speaks this gateway version",
  4013: "Discord does not know the intents",
  4014: "Discord no longer allows the intents; see the bot's settings in the developer portal",
};

/** The connection to the gateway: discord.js, with caches kept small, seen through its raw dispatches. */
export class GatewayClient {
  readonly #client: Client;
  readonly #options: GatewayOptions;
  #state: { readonly ok: boolean; readonly detail: string } = { ok: false, detail: "not connected yet" };
  #ready: WireReady | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#client = openClient(options.apiUrl);
    this.#listen();
  }

  get health(): AdapterHealth {
    return this.#state;
  }

  /** Who we are; known once a login has succeeded. */
  get identity(): WireReady | undefined {
    return this.#ready;
  }

  /** Type of a channel the gateway told us about. */
  channelType(channelId: string): number | undefined {
    return this.#client.channels.cache.get(channelId)?.type;
  }

  guildLocale(guildId: string): string | undefined {
    return this.#client.guilds.cache.get(guildId)?.preferredLocale;
  }

  /**
   * Connects; resolves once Discord said READY.
   *
   * @throws {PlatformError} `PLATFORM_AUTH` with what to click, `PLATFORM_UNREACHABLE`; or the signal's reason.
   */
  async login({ signal }: { signal: AbortSignal }): Promise<WireReady> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await Promise.race([this.#client.login(this.#options.token), aborted.promise]);
      if (this.#ready === undefined) throw new Error("logged in without READY");
      return this.#ready;
    } catch (error) {
      await this.#client.destroy();
      throw signal.aborted ? error : toLoginError(error);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async close(): Promise<void> {
    this.#client.removeAllListeners(Events.Raw);
    await this.#client.destroy();
    this.#state = { ok: false, detail: "closed" };
  }

  #listen(): void {
    const client = this.#client;
    const { log } = this.#options;
    client.on(Events.Raw, (packet: unknown) => this.#receive(packet));
    client.on(Events.ShardReady, () => this.#change(true, "connected"));
    client.on(Events.ShardResume, () => this.#change(true, "connected"));
    client.on(Events.ShardReconnecting, () => this.#change(false, "reconnecting"));
    client.on(Events.ShardDisconnect, ({ code }) => {
      const detail = FATAL[code] ?? `disconnected for good (${code})`;
      this.#change(false, detail);
      log.error({ code }, "discord gateway closed for good");
    });
    // Without a listener an error event would end the process; the state changes tell the rest.
    client.on(Events.ShardError, (error) => log.debug({ err: error }, "discord gateway error"));
    client.on(Events.Error, (error) => log.warn({ err: error }, "discord client error"));
  }

  /** Logs changes only: while Discord is away the library tries twice a second (discord.md §3.4). */
  #change(ok: boolean, detail: string): void {
    if (this.#state.detail === detail) return;
    this.#state = { ok, detail };
    if (ok) this.#options.log.info({ detail }, "discord gateway state");
    else this.#options.log.warn({ detail }, "discord gateway state");
  }

  #receive(packet: unknown): void {
    const dispatch = parseDispatch(packet);
    if (dispatch === undefined) return;
    if (dispatch.name === "READY") {
      this.#ready = parseReady(dispatch.data);
      this.#change(true, "connected");
    }
    this.#options.onDispatch(dispatch.name, dispatch.data);
  }
}

function openClient(apiUrl: string): Client {
  return new Client({
    intents: INTENTS,
    partials: [Partials.Channel, Partials.Message],
    allowedMentions: { parse: [], repliedUser: false },
    makeCache: Options.cacheWithLimits({
      ...Options.DefaultMakeCacheSettings,
      AutoModerationRuleManager: 0,
      DMMessageManager: 0,
      GuildBanManager: 0,
      GuildEmojiManager: 0,
      GuildInviteManager: 0,
      GuildMemberManager: { maxSize: 0, keepOverLimit: (member) => member.id === member.client.user.id },
      GuildMessageManager: 0,
      GuildScheduledEventManager: 0,
      GuildStickerManager: 0,
      MessageManager: 0,
      PresenceManager: 0,
      ReactionManager: 0,
      ReactionUserManager: 0,
      StageInstanceManager: 0,
      ThreadMemberManager: 0,
      UserManager: { maxSize: 0, keepOverLimit: (user) => user.id === user.client.user.id },
      VoiceStateManager: 0,
    }),
    rest: { api: apiUrl },
  });
}
