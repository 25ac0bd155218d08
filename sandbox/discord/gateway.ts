import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import type { StandInClock, Traffic } from "../stand-in.ts";
import {
  CHANNEL_TYPES,
  INTENTS,
  isThread,
  MAX_INTENTS,
  PRIVILEGED_INTENTS,
  type WireChannel,
  type WireMessage,
} from "./wire.ts";
import type { World } from "./world.ts";

export interface GatewayOptions {
  readonly world: World;
  readonly traffic: Traffic;
  readonly clock: StandInClock;
  readonly token: string;
  readonly heartbeatMs: number;
  /** Shortest time between two IDENTIFYs, in ms; a faster one gets op 9. */
  readonly identifyGapMs: number;
}

interface Session {
  readonly id: string;
  readonly intents: number;
  readonly sent: Frame[];
  s: number;
  socket: WebSocket | undefined;
}

interface Frame {
  readonly op: number;
  /** Absent in a heartbeat's acknowledgement. */
  readonly d?: unknown;
  readonly s?: number;
  readonly t?: string;
}

/** discord.md §2.1 */
const MAX_FRAME_BYTES = 4_096;
const MAX_FRAMES = 120;
const FRAME_WINDOW_MS = 60_000;
/** Dispatches kept for a resume. */
const MAX_REPLAY = 1_000;

/** IDENTIFYs in a day (discord.md §3.4). */
export const LOGINS = 1_000;
const DAY_MS = 86_400_000;

/** Why the stand-in closes (discord.md §3.4). */
const CLOSE = {
  unknownOpcode: 4001,
  decode: 4002,
  notAuthenticated: 4003,
  authenticationFailed: 4004,
  alreadyAuthenticated: 4005,
  invalidSeq: 4007,
  rateLimited: 4008,
  invalidIntents: 4013,
  disallowedIntents: 4014,
} as const;

/** The gateway: sessions, heartbeats, resume, and every way it can go wrong (discord.md §7.3). */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #server = new WebSocketServer({ noServer: true });
  readonly #sessions = new Map<string, Session>();
  #url = "";
  #lastIdentifyAt = Number.NEGATIVE_INFINITY;
  #lose = 0;
  #duplicate = 0;
  #refuse = false;
  /** How many sockets were refused or opened since the start. */
  connections = 0;
  /** Most identified sessions with a live socket that there ever were at once. */
  mostConnected = 0;
  /** Whether heartbeats are acknowledged; a client that misses one resumes. */
  acknowledges = true;
  /**
   * How often the bot may still log in, and until when that holds, in ms on the stand-in's clock. Discord takes the token of
   * whoever does so all the same; here the socket is closed as with a refused one.
   */
  readonly logins: { left: number; until: number };
  /** Whether a dispatched message names its channel's type (discord.md §3.2). */
  sendsChannelType = true;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.logins = { left: LOGINS, until: options.clock.now() + DAY_MS };
  }

  set url(url: string) {
    this.#url = url;
  }

  /** Identified sessions with a live socket. */
  get connected(): number {
    return [...this.#sessions.values()].filter(({ socket }) => socket !== undefined).length;
  }

  /** As `GET /gateway/bot` tells it. */
  loginLimit(): { remaining: number; reset_after: number } {
    const { logins } = this;
    const now = this.#options.clock.now();
    if (now >= logins.until) Object.assign(logins, { left: LOGINS, until: now + DAY_MS });
    return { remaining: Math.max(0, logins.left), reset_after: logins.until - now };
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.connections += 1;
    if (this.#refuse) {
      socket.destroy();
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (accepted) => this.#welcome(accepted));
  }

  // ------------------------------------------------------------------------------------------ misbehaviour

  /** TCP loss, without a close frame. */
  drop(): void {
    this.#eachSocket((socket) => socket.terminate());
  }

  /** The server closes with a code. */
  close(code: number): void {
    this.#eachSocket((socket) => socket.close(code));
  }

  /** Op 7: please reconnect and resume. */
  askToReconnect(): void {
    this.#eachSocket((socket) => this.#send(socket, { op: 7, d: null }));
  }

  /** Op 9; without `resumable` the sessions are forgotten too. */
  invalidate(options: { resumable: boolean }): void {
    this.#eachSocket((socket) => this.#send(socket, { op: 9, d: options.resumable }));
    if (!options.resumable) this.#sessions.clear();
  }

  /** New connections are cut before the handshake. */
  refuseConnections(refuse: boolean): void {
    this.#refuse = refuse;
  }

  /** The next `count` dispatches never arrive, also not after a resume. */
  loseNext(count = 1): void {
    this.#lose += count;
  }

  /** The next `count` dispatches arrive twice. */
  duplicateNext(count = 1): void {
    this.#duplicate += count;
  }

  #eachSocket(act: (socket: WebSocket) => void): void {
    for (const { socket } of this.#sessions.values()) if (socket !== undefined) act(socket);
  }

  async stop(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  // ------------------------------------------------------------------------------------------ dispatching

  dispatchMessage(name: "MESSAGE_CREATE" | "MESSAGE_UPDATE", message: WireMessage): void {
    const channel = this.#options.world.channels.get(message.channel_id);
    if (channel === undefined) return;
    const intent = channel.guild_id === undefined ? INTENTS.directMessages : INTENTS.guildMessages;
    for (const session of this.#sessions.values()) {
      if ((session.intents & intent) === 0) continue;
      this.#dispatch(session, name, this.#messageFor(session, message, channel));
    }
  }

  /** @param intent - Bit a session must have, or 0 when everybody hears it. */
  dispatch(name: string, data: object, intent = 0): void {
    for (const session of this.#sessions.values()) {
      if (intent === 0 || (session.intents & intent) !== 0) this.#dispatch(session, name, data);
    }
  }

  /** What is written in an archived thread opens it, by whomever. */
  openThread({ thread_metadata: metadata, ...thread }: WireChannel): void {
    if (metadata?.archived !== true) return;
    metadata.archived = false;
    this.dispatch("THREAD_UPDATE", { ...thread, thread_metadata: metadata }, INTENTS.guilds);
  }

  #messageFor(session: Session, message: WireMessage, channel: WireChannel): object {
    const { referenced_message: referenced } = message;
    return {
      ...this.#visible(session, message),
      ...(referenced !== undefined && {
        referenced_message: referenced === null ? null : this.#visible(session, referenced),
      }),
      ...(this.sendsChannelType && { channel_type: channel.type }),
      ...(channel.guild_id !== undefined && { guild_id: channel.guild_id, member: aMember() }),
    };
  }

  /** Without the privileged intent most messages come empty (discord.md §3.1). */
  #visible(session: Session, message: WireMessage): WireMessage {
    const { bot, channels } = this.#options.world;
    const allowed =
      (session.intents & INTENTS.messageContent) !== 0 ||
      message.author.id === bot.id ||
      channels.get(message.channel_id)?.guild_id === undefined ||
      message.mentions.some(({ id }) => id === bot.id);
    if (allowed) return message;
    const { message_snapshots: _snapshots, ...rest } = message;
    return { ...rest, content: "", attachments: [], embeds: [], components: [] };
  }

  #dispatch(session: Session, t: string, d: object): void {
    if (this.#lose > 0) {
      this.#lose -= 1;
      return;
    }
    session.s += 1;
    const frame: Frame = { op: 0, t, s: session.s, d: structuredClone(d) };
    session.sent.push(frame);
    if (session.sent.length > MAX_REPLAY) session.sent.shift();
    const twice = this.#duplicate > 0 ? 2 : 1;
    if (twice === 2) this.#duplicate -= 1;
    for (let time = 0; time < twice; time += 1) {
      if (session.socket !== undefined) this.#send(session.socket, frame);
    }
  }

  // ------------------------------------------------------------------------------------------ connections

  #welcome(socket: WebSocket): void {
    const connection = new Connection();
    socket.on("message", (data) => this.#receive(socket, connection, data));
    socket.on("close", () => {
      for (const session of this.#sessions.values()) {
        if (session.socket === socket) session.socket = undefined;
      }
    });
    // A reset by the client ends in `close` as well.
    socket.on("error", () => undefined);
    this.#send(socket, { op: 10, d: { heartbeat_interval: this.#options.heartbeatMs } });
  }

  #receive(socket: WebSocket, connection: Connection, data: RawData): void {
    const text = rawText(data);
    if (Buffer.byteLength(text) > MAX_FRAME_BYTES) {
      socket.close(CLOSE.decode);
      return;
    }
    if (connection.tooFast(this.#options.clock.now())) {
      socket.close(CLOSE.rateLimited);
      return;
    }
    const frame = parseFrame(text);
    if (frame === undefined) {
      socket.close(CLOSE.decode);
      return;
    }
    this.#options.traffic.record({
      service: "discord",
      kind: "received",
      name: `op ${frame.op}`,
      request: { ...frame, d: withoutToken(frame.d) },
      at: this.#options.clock.now(),
    });
    switch (frame.op) {
      case 1:
        if (this.acknowledges) this.#send(socket, { op: 11 });
        return;
      case 2:
        this.#identify(socket, frame.d);
        return;
      case 3:
        if (!this.#isIdentified(socket)) socket.close(CLOSE.notAuthenticated);
        return;
      case 6:
        this.#resume(socket, frame.d);
        return;
      default:
        socket.close(CLOSE.unknownOpcode);
        return;
    }
  }

  #identify(socket: WebSocket, data: Record<string, unknown>): void {
    const { token, identifyGapMs, clock, world } = this.#options;
    if (this.#isIdentified(socket)) {
      socket.close(CLOSE.alreadyAuthenticated);
      return;
    }
    if (data["token"] !== token) {
      socket.close(CLOSE.authenticationFailed);
      return;
    }
    const intents = data["intents"];
    if (typeof intents !== "number" || !Number.isInteger(intents) || intents < 0 || intents > MAX_INTENTS) {
      socket.close(CLOSE.invalidIntents);
      return;
    }
    const allowed = world.messageContent ? INTENTS.messageContent : 0;
    if ((intents & PRIVILEGED_INTENTS & ~allowed) !== 0) {
      socket.close(CLOSE.disallowedIntents);
      return;
    }
    if (this.loginLimit().remaining === 0) {
      socket.close(CLOSE.authenticationFailed);
      return;
    }
    if (clock.now() - this.#lastIdentifyAt < identifyGapMs) {
      this.#send(socket, { op: 9, d: false });
      return;
    }
    this.#lastIdentifyAt = clock.now();
    this.logins.left -= 1;
    const session: Session = { id: crypto.randomUUID(), intents, sent: [], s: 0, socket };
    this.#sessions.set(session.id, session);
    this.#countConnected();
    this.#sayReady(session);
  }

  #countConnected(): void {
    this.mostConnected = Math.max(this.mostConnected, this.connected);
  }

  #isIdentified(socket: WebSocket): boolean {
    return [...this.#sessions.values()].some((session) => session.socket === socket);
  }

  #sayReady(session: Session): void {
    const { world } = this.#options;
    const hasGuilds = (session.intents & INTENTS.guilds) !== 0;
    this.#dispatch(session, "READY", {
      v: 10,
      user: { ...world.bot, verified: true, mfa_enabled: false, email: null },
      guilds: hasGuilds ? [{ id: world.guildId, unavailable: true }] : [],
      session_id: session.id,
      resume_gateway_url: this.#url,
      shard: [0, 1],
      application: {
        id: world.applicationId,
        flags: world.applicationFlags,
        flags_new: String(world.applicationFlags),
      },
    });
    if (hasGuilds) this.#dispatch(session, "GUILD_CREATE", guildCreate(world));
  }

  #resume(socket: WebSocket, data: Record<string, unknown>): void {
    if (data["token"] !== this.#options.token) {
      socket.close(CLOSE.authenticationFailed);
      return;
    }
    const session = this.#sessions.get(String(data["session_id"]));
    if (session === undefined) {
      this.#send(socket, { op: 9, d: false });
      return;
    }
    const seq = Number(data["seq"]);
    if (!Number.isInteger(seq) || seq > session.s) {
      socket.close(CLOSE.invalidSeq);
      return;
    }
    session.socket = socket;
    this.#countConnected();
    for (const frame of session.sent) if ((frame.s ?? 0) > seq) this.#send(socket, frame);
    this.#dispatch(session, "RESUMED", {});
  }

  #send(socket: WebSocket, frame: Frame): void {
    this.#options.traffic.record({
      service: "discord",
      kind: "sent",
      name: frame.t ?? `op ${frame.op}`,
      request: frame,
      at: this.#options.clock.now(),
    });
    if (socket.readyState === socket.OPEN) {
      socket.send(JSON.stringify({ t: null, s: null, ...frame }));
    }
  }
}

/** What is known of one socket: how fast it sends. */
class Connection {
  #frames: number[] = [];

  tooFast(now: number): boolean {
    this.#frames = this.#frames.filter((at) => now - at < FRAME_WINDOW_MS);
    this.#frames.push(now);
    return this.#frames.length > MAX_FRAMES;
  }
}

function rawText(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return data instanceof ArrayBuffer ? Buffer.from(data).toString("utf8") : data.toString("utf8");
}

function parseFrame(text: string): { op: number; d: Record<string, unknown> } | undefined {
  try {
    const value = JSON.parse(text) as { op?: unknown; d?: unknown };
    if (typeof value.op !== "number") return undefined;
    const d = typeof value.d === "object" && value.d !== null ? value.d : {};
    return { ...value, op: value.op, d: (value.op === 1 ? value.d : d) as Record<string, unknown> };
  } catch {
    // The caller closes with 4002, as the real gateway does.
    return undefined;
  }
}

function withoutToken(data: unknown): unknown {
  if (typeof data !== "object" || data === null || !("token" in data)) return data;
  return { ...data, token: "(token)" };
}

function aMember(): object {
  return {
    roles: [],
    premium_since: null,
    pending: false,
    nick: null,
    mute: false,
    joined_at: "2026-01-01T00:00:00.000000+00:00",
    flags: 0,
    deaf: false,
    communication_disabled_until: null,
    banner: null,
    avatar: null,
  };
}

/** The least that discord.js accepts (discord.md §7.3), and what the schema wants besides. */
function guildCreate(world: World): object {
  const channels = [...world.channels.values()].filter(({ guild_id: guildId }) => guildId !== undefined);
  return {
    id: world.guildId,
    name: "Sandbox",
    icon: null,
    splash: null,
    discovery_splash: null,
    banner: null,
    description: null,
    owner_id: world.ownerId,
    afk_channel_id: null,
    afk_timeout: 300,
    application_id: null,
    default_message_notifications: 0,
    explicit_content_filter: 0,
    mfa_level: 0,
    nsfw_level: 0,
    premium_tier: 0,
    premium_progress_bar_enabled: false,
    preferred_locale: "en-US",
    public_updates_channel_id: null,
    rules_channel_id: null,
    safety_alerts_channel_id: null,
    system_channel_id: null,
    system_channel_flags: 0,
    vanity_url_code: null,
    verification_level: 0,
    incidents_data: null,
    region: "",
    hub_type: null,
    features: [],
    roles: [everyoneRole(world.guildId)],
    emojis: [],
    stickers: [],
    soundboard_sounds: [],
    guild_scheduled_events: [],
    stage_instances: [],
    presences: [],
    voice_states: [],
    members: [{ ...aMember(), user: world.bot }],
    member_count: world.users.size,
    joined_at: "2026-01-01T00:00:00.000000+00:00",
    large: false,
    unavailable: false,
    channels: channels
      .filter((channel) => !isThread(channel) && channel.type !== CHANNEL_TYPES.dm)
      .map((channel, position) => ({ ...channel, position, permission_overwrites: [] })),
    // Those that are archived are not told.
    threads: channels.filter((each) => isThread(each) && each.thread_metadata?.archived !== true),
  };
}

function everyoneRole(guildId: string): object {
  return {
    id: guildId,
    name: "@everyone",
    color: 0,
    colors: { primary_color: 0, secondary_color: null, tertiary_color: null },
    hoist: false,
    icon: null,
    unicode_emoji: null,
    position: 0,
    permissions: "274878008320",
    managed: false,
    mentionable: false,
    flags: 0,
  };
}
