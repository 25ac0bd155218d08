import {
  ApplicationFlags,
  Client,
  Events,
  GatewayIntentBits,
  IntentsBitField,
  Options,
  Partials,
  type WebSocketOptions,
} from "discord.js";
import { BridgeError, isRateLimit, PlatformError } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/gate.ts";
import type { AdapterHealth, Log } from "../../src/core/ports.ts";
import { sleep } from "../../src/core/sleep.ts";
import { untilAborted } from "../../src/core/until-aborted.ts";
import { EndableStrategy } from "./endable-strategy.ts";
import { noLoginLeft, toLoginError } from "./errors.ts";
import { applicationFlags, parseDispatch, parseReady, type WireReady } from "./gateway-events.ts";

export interface GatewayOptions {
  readonly token: string;
  readonly apiUrl: string;
  readonly log: Log;
  readonly clock: Clock;
  /** A dispatch, as it came over the wire; must not throw. */
  readonly onDispatch: (name: string, data: unknown) => void;
  /** After each login; must not throw. */
  readonly onLogin: () => void;
  /** After a login: Discord will not have us back. Called at most once; must not throw. */
  readonly onFatal: (error: BridgeError) => void;
}

/** Always, and nothing privileged: mentions, DMs, replies and commands arrive whole without it (discord.md §3.1). */
const INTENTS = [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages, GatewayIntentBits.DirectMessages];

/** Either one: the operator has switched the Message Content intent on, for few users or with Discord's consent. */
const MESSAGE_CONTENT =
  ApplicationFlags.GatewayMessageContent | ApplicationFlags.GatewayMessageContentLimited;

/** A lost session can be resumed for about this long (discord.md §3.4); until then the library's own tries do. */
const RESUMABLE_MS = 60_000;
/** The library tries twice a second for ever (discord.md §3.4); after that we start over, ever more slowly. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 120_000;
/** A login takes a second or two; READY may take 15 s (discord.md §3.3). */
const LOGIN_MS = 30_000;

/** Closing waits for Discord's side at most this long; the library would wait for 30 s. */
const CLOSE_MS = 1_000;

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
  readonly #options: GatewayOptions;
  readonly #closing = new AbortController();
  #client: Client;
  /** The client's, once it logs in. */
  #strategy: EndableStrategy | undefined;
  #downSince: number | undefined;
  #startingOver: Promise<void> | undefined;
  #state: { readonly ok: boolean; readonly detail: string } = { ok: false, detail: "not connected yet" };
  #ready: WireReady | undefined;
  /** Nobody waits for the login any more: what goes wrong is told by `onFatal`. */
  #unattended = false;
  #failed = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#client = this.#open();
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
   * @throws {PlatformError} `PLATFORM_AUTH` with what to click, `PLATFORM_RATE_LIMITED` with when a login is possible again,
   * `PLATFORM_UNREACHABLE`; or the signal's reason.
   */
  async login({ signal }: { signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted();
    try {
      await untilAborted(this.#logIn(), signal);
      if (this.#ready === undefined) throw new Error("logged in without READY");
      this.#unattended = true;
      this.#options.onLogin();
    } catch (error) {
      await this.#end();
      throw signal.aborted ? error : toLoginError(error);
    }
  }

  /** As {@link login}, for as long as it takes; in `afterMs` at the earliest. */
  connect({ afterMs = 0 }: { afterMs?: number } = {}): void {
    this.#unattended = true;
    this.#startingOver ??= this.#startOver(afterMs);
  }

  /** Logged in again when that is possible; until then health says why not. */
  waitFor(error: BridgeError): void {
    if (this.#closing.signal.aborted) return;
    this.#change(false, error.message);
    this.connect({ afterMs: error.retryAfterMs ?? FIRST_PAUSE_MS });
  }

  async #logIn(): Promise<void> {
    const client = this.#client;
    const { token } = this.#options;
    // Whoever asks for an intent that is not switched on is turned away (discord.md §9.4).
    const application = await client.rest.setToken(token).get("/applications/@me");
    const readsAll = (applicationFlags(application) & MESSAGE_CONTENT) !== 0;
    client.options.intents = new IntentsBitField([
      ...INTENTS,
      ...(readsAll ? [GatewayIntentBits.MessageContent] : []),
    ]);
    await client.login(token);
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("gateway closed"));
    this.#client.removeAllListeners(Events.Raw);
    await this.#startingOver;
    await this.#end();
    this.#state = { ok: false, detail: "closed" };
  }

  /** Ends the client for good, whatever it was doing. */
  async #end(): Promise<void> {
    const patience = new AbortController();
    const ending = this.#strategy?.end().then(() => this.#client.destroy()) ?? this.#client.destroy();
    this.#strategy = undefined;
    await Promise.race([ending, this.#pause(CLOSE_MS, patience.signal)]);
    patience.abort();
  }

  #open(): Client {
    const client = createClient(this.#options.apiUrl, (manager) => {
      this.#strategy = new EndableStrategy(manager, (resetAfterMs) =>
        this.waitFor(noLoginLeft(resetAfterMs)),
      );
      return this.#strategy;
    });
    const { log, clock } = this.#options;
    const up = (): void => {
      this.#downSince = undefined;
      this.#change(true, "connected");
    };
    client.on(Events.Raw, (packet: unknown) => this.#receive(packet));
    client.on(Events.ShardReady, up);
    client.on(Events.ShardResume, up);
    client.on(Events.ShardReconnecting, () => {
      // The library says so of a connection that we close, too.
      if (this.#closing.signal.aborted) return;
      this.#downSince ??= clock.now();
      this.#change(false, "reconnecting");
      if (clock.now() - this.#downSince > RESUMABLE_MS)
        this.#startingOver ??= this.#startOver(FIRST_PAUSE_MS);
    });
    client.on(Events.ShardDisconnect, ({ code }) => {
      const detail = FATAL[code] ?? `disconnected for good (${code})`;
      this.#change(false, detail);
      log.error({ code }, "discord gateway closed for good");
      this.#fail(
        new PlatformError("PLATFORM_AUTH", detail, { platform: "discord", platformCode: `${code}` }),
      );
    });
    // Without a listener an error event would end the process; the state changes tell the rest.
    client.on(Events.ShardError, (error) => log.debug({ err: error }, "discord gateway error"));
    client.on(Events.Error, (error) => log.warn({ err: error }, "discord client error"));
    return client;
  }

  /** There is no session that could be saved: a new client, tried at growing distances until it is in. Never rejects. */
  async #startOver(firstPauseMs: number): Promise<void> {
    const { signal } = this.#closing;
    for (let pauseMs = firstPauseMs; !signal.aborted; ) {
      this.#client.removeAllListeners(Events.ShardReconnecting);
      await this.#end();
      if (pauseMs > 0) await this.#pause(pauseMs, signal);
      pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, 2 * pauseMs));
      if (signal.aborted) break;
      this.#client = this.#open();
      try {
        // Where only the gateway is away, the library would try for ever inside the login.
        await this.login({ signal: AbortSignal.any([signal, AbortSignal.timeout(LOGIN_MS)]) });
        break;
      } catch (error) {
        if (error instanceof BridgeError && error.code === "PLATFORM_AUTH") {
          this.#change(false, error.message);
          this.#options.log.error({ err: error }, "discord gateway closed for good");
          this.#fail(error);
          break;
        }
        if (isRateLimit(error)) {
          this.#change(false, error.message);
          pauseMs = Math.max(pauseMs, error.retryAfterMs ?? 0);
        }
        this.#options.log.debug({ err: error, pauseMs }, "discord login failed");
      }
    }
    this.#startingOver = undefined;
  }

  #fail(error: BridgeError): void {
    if (!this.#unattended || this.#failed || this.#closing.signal.aborted) return;
    this.#failed = true;
    this.#options.onFatal(error);
  }

  /** Ends early when the signal fires. */
  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return sleep(this.#options.clock, ms, signal).catch(() => undefined);
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

function createClient(apiUrl: string, buildStrategy: WebSocketOptions["buildStrategy"] & {}): Client {
  return new Client({
    intents: INTENTS,
    // Not of messages: the library would build one for each edit of an answer, and drop it.
    partials: [Partials.Channel],
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
    ws: { buildStrategy },
  });
}
