import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type ChatView,
  type Fault,
  Faults,
  Handshakes,
  isDocument,
  KEPT_OPEN_MS,
  type PlatformStandIn,
  REAL_CLOCK,
  type SeenMessage,
  type StandInClock,
  Traffic,
} from "../stand-in.ts";
import { Gateway } from "./gateway.ts";
import { Interactions } from "./interactions.ts";
import { Limits } from "./limits.ts";
import { type PeopleParts, Person } from "./people.ts";
import { readBody } from "./read-body.ts";
import { type ApiResult, RestApi } from "./rest.ts";
import { MAX_REQUEST_BYTES } from "./validate.ts";
import { FLAGS, MESSAGE_TYPES, type Permission, type WireMessage } from "./wire.ts";
import { World } from "./world.ts";

export interface DiscordOptions {
  /** Port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number;
  readonly clock?: StandInClock;
  /** Whether rate limits hold, default true. */
  readonly limits?: boolean;
  /** The token it accepts; made up when absent. */
  readonly token?: string;
  /** How long a call is on its way to the service, and its answer back, each in ms, default 0. */
  readonly oneWayMs?: number;
  /** Where the bot finds gateway and files, default here; another one leads here through a proxy. */
  readonly publicOrigin?: string;
  /** Default 41,250, as Discord's. */
  readonly heartbeatMs?: number;
  /** Whether the application may ask for message content, default false. */
  readonly messageContent?: boolean;
  /** How long an interaction may stay without an answer, in ms, default 3,000 (discord.md §1.6). */
  readonly answerWithinMs?: number;
  /** Shortest time between two IDENTIFYs, default 0; Discord's is 5,000. */
  readonly identifyGapMs?: number;
  /** Default 300,000; Discord says "past few minutes". */
  readonly nonceWindowMs?: number;
  /** Whether a deferred response's id is told at once, default true; uncertain (discord.md §13). */
  readonly tellsResponseId?: boolean;
  /** Whether fetched messages tell their nonce, default false; uncertain (discord.md §2.3 says it of creates only). */
  readonly listsNonces?: boolean;
  /**
   * Whether a request may name its sender as it likes, default false. Discord requires a form (discord.md §1.2), yet
   * programs that send Node's own `User-Agent` are in use; uncertain (discord.md §13).
   */
  readonly anyUserAgent?: boolean;
}

/** Discord on loopback: one guild, its people, and a bot that is not there until somebody logs in. */
export interface DiscordStandIn extends PlatformStandIn {
  /** For `DISCORD_API_URL`. */
  readonly apiUrl: string;
  /** For `DISCORD_BOT_TOKEN`. */
  readonly token: string;
  /** Host and port that files are served from. */
  readonly fileHost: string;
  readonly applicationId: string;
  readonly botId: string;
  readonly guildId: string;
  /** The first channel of the guild. */
  readonly general: string;
  readonly gateway: Gateway;
  readonly limits: Limits;
  readonly world: World;
  /** Registered slash commands. */
  readonly commands: readonly Record<string, unknown>[];
  person(name: string): Person;
  addChannel(name: string): string;
  addThread(parent: string, name: string): string;
  /** Time, or a moderator, archives a thread. */
  archiveThread(thread: string, options?: { locked: boolean }): void;
  deny(channel: string, permission: Permission): void;
  /** A moderator takes a message away. */
  removeMessage(messageId: string): void;
}

/** Starts the stand-in. Disposing it ends every connection. */
export async function startDiscord(options: DiscordOptions = {}): Promise<DiscordStandIn> {
  const server = createServer({ keepAliveTimeout: KEPT_OPEN_MS });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const standIn = new StandIn(host, options);
  server.on("request", (request, response) => {
    // `handle` answers every failure itself.
    void standIn.handle(request, response);
  });
  server.on("upgrade", (request, socket, head) => standIn.gateway.upgrade(request, socket, head));
  standIn.onDispose(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return standIn;
}

/** Built so that no scanner takes it for a real one. */
const SANDBOX_TOKEN = ["c2FuZGJveA", "test", "discord-stand-in"].join(".");

class StandIn implements DiscordStandIn {
  readonly traffic = new Traffic();
  readonly faults = new Faults();
  readonly apiUrl: string;
  readonly token: string;
  readonly fileHost: string;
  readonly general: string;
  readonly gateway: Gateway;
  readonly limits: Limits;
  readonly world: World;
  readonly #options: DiscordOptions;
  readonly #clock: StandInClock;
  readonly #rest: RestApi;
  readonly #people = new Map<string, Person>();
  readonly #handshakes = new Handshakes();
  readonly #parts: PeopleParts;
  readonly #listeners = new Set<(place: string) => void>();
  #closeServer: () => Promise<void> = () => Promise.resolve();
  #disposed: Promise<void> | undefined;

  constructor(host: string, options: DiscordOptions) {
    this.#options = options;
    this.#clock = options.clock ?? REAL_CLOCK;
    this.token = options.token ?? SANDBOX_TOKEN;
    this.fileHost = host;
    this.apiUrl = `http://${host}/api`;
    this.limits = new Limits(this.#clock, options.limits ?? true);
    this.world = new World(this.#clock);
    this.world.messageContent = options.messageContent ?? false;
    const { publicOrigin: origin = `http://${host}` } = options;
    this.world.cdnUrl = `${origin}/cdn`;
    this.general = this.world.addChannel("general").id;
    this.gateway = new Gateway({
      world: this.world,
      traffic: this.traffic,
      clock: this.#clock,
      token: this.token,
      heartbeatMs: options.heartbeatMs ?? 41_250,
      identifyGapMs: options.identifyGapMs ?? 0,
    });
    const gatewayUrl = `${origin.replace("http", "ws")}/gateway`;
    this.gateway.url = gatewayUrl;
    const interactions = new Interactions(this.#clock, this.world.ids, options.answerWithinMs ?? 3_000);
    const onChange = (place: string): void => {
      for (const listener of this.#listeners) listener(place);
    };
    this.#parts = { world: this.world, gateway: this.gateway, interactions, onChange };
    this.#rest = new RestApi({
      ...this.#parts,
      clock: this.#clock,
      nonceWindowMs: options.nonceWindowMs ?? 300_000,
      tellsResponseId: options.tellsResponseId ?? true,
      listsNonces: options.listsNonces ?? false,
      gatewayUrl: () => gatewayUrl,
    });
  }

  get applicationId(): string {
    return this.world.applicationId;
  }

  get botId(): string {
    return this.world.bot.id;
  }

  get guildId(): string {
    return this.world.guildId;
  }

  get commands(): readonly Record<string, unknown>[] {
    return this.#rest.commands;
  }

  person(name: string): Person {
    const known = this.#people.get(name);
    if (known !== undefined) return known;
    const person = new Person(this.world.addUser(name), this.#parts);
    this.#people.set(name, person);
    return person;
  }

  addChannel(name: string): string {
    return this.world.addChannel(name).id;
  }

  addThread(parent: string, name: string): string {
    return this.world.addThread(parent, name, this.world.ownerId).id;
  }

  archiveThread(id: string, options: { locked: boolean } = { locked: false }): void {
    const thread = this.world.channels.get(id);
    if (thread !== undefined) this.#rest.threads.archive(thread, options);
  }

  deny(channel: string, permission: Permission): void {
    this.world.deny(channel, permission);
  }

  removeMessage(messageId: string): void {
    const message = this.world.messages.get(messageId);
    const channel = this.world.channels.get(message?.channel_id ?? "");
    if (message !== undefined && channel !== undefined) this.#rest.remove(message, channel);
  }

  view(place: string): ChatView {
    const typing = (this.#rest.typingUntil.get(place) ?? 0) > this.#clock.now();
    return {
      place,
      messages: this.world.messagesIn(place).map((message) => this.#seen(message)),
      status: typing ? "Coze is typing…" : "",
    };
  }

  /** The client shows names where the wire has ids. */
  #withNames(content: string): string {
    return content.replace(/<@!?(\d+)>/g, (token, id: string) => {
      const user = this.world.users.get(id);
      return user === undefined ? token : `@${user.global_name ?? user.username}`;
    });
  }

  #seen(message: WireMessage): SeenMessage {
    // A thread begins with the message it was opened under.
    if (message.type === MESSAGE_TYPES.threadStarter && message.referenced_message) {
      return this.#seen(message.referenced_message);
    }
    const state = this.world.states.get(message.id);
    const parent = message.message_reference?.message_id;
    return {
      id: message.id,
      author: message.author.global_name ?? message.author.username,
      bot: message.author.bot ?? false,
      text: this.#withNames(message.content),
      files: message.attachments.map(({ filename }) => filename),
      documents: this.#documentsOf(message),
      edits: state?.edits ?? 0,
      unfinished: (message.flags & FLAGS.loading) !== 0,
      ...(parent !== undefined && { parent }),
      ...(state?.ephemeral === true && { ephemeral: true }),
      at: Date.parse(message.timestamp),
    };
  }

  #documentsOf({ attachments }: WireMessage): readonly string[] {
    return attachments
      .filter(({ filename }) => isDocument(filename))
      .map(({ id }) => Buffer.from(this.world.file(id)?.bytes ?? []).toString("utf8"));
  }

  onChange(listener: (place: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onDispose(close: () => Promise<void>): void {
    this.#closeServer = close;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.gateway.stop().then(() => this.#closeServer());
    return this.#disposed;
  }

  // ------------------------------------------------------------------------------------------------ HTTP

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? "/", this.apiUrl);
      if (url.pathname.startsWith("/cdn/")) this.#serveFile(url, response);
      else await this.#serveApi(request, response, url);
    } catch (error) {
      // A client that went away, or a defect of ours: either way this request is over.
      response.destroy(error instanceof Error ? error : undefined);
    }
  }

  #serveFile(url: URL, response: ServerResponse): void {
    const id = url.pathname.split("/")[4] ?? "";
    const file = this.world.file(id);
    const expires = Number.parseInt(url.searchParams.get("ex") ?? "", 16) * 1000;
    // Without a valid signature: 404 and a sentence, as the real host does since 2024.
    const valid = url.searchParams.get("hm") === id && this.#clock.now() < expires;
    const status = file !== undefined && valid ? 200 : 404;
    const name = `GET ${url.pathname}`;
    this.traffic.record({ service: "discord", kind: "http", name, status, at: this.#clock.now() });
    if (file === undefined || status === 404) {
      response.writeHead(404, { "content-type": "text/plain" }).end("This content is no longer available.");
      return;
    }
    const type = file.attachment.content_type ?? "application/octet-stream";
    response
      .writeHead(200, { "content-type": type, "content-length": file.bytes.byteLength })
      .end(file.bytes);
  }

  async #serveApi(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const path = decodeURIComponent(url.pathname.replace(/^\/api\/v10/, ""));
    const method = request.method ?? "GET";
    const name = `${method} ${path}`;
    const { body, files, bytes } = await readBody(request);
    const oneWayMs = this.#options.oneWayMs ?? 0;
    await this.#pause(this.#handshakes.waitMs(request.socket, oneWayMs) + oneWayMs);
    const fault = this.faults.take(name);
    if (await this.#misbehaveFirst(fault, name, body, response)) return;
    const answer = this.#answer({ request, method, path, url, body, files, bytes });
    await this.#pause(oneWayMs);
    if (this.#misbehaveAfter(fault, name, body, response)) return;
    this.#finish(response, name, body, answer, request.headers.authorization);
  }

  #answer(call: {
    request: IncomingMessage;
    method: string;
    path: string;
    url: URL;
    body: unknown;
    files: Awaited<ReturnType<typeof readBody>>["files"];
    bytes: number;
  }): ApiResult & { headers: Record<string, string> } {
    const { request, method, path, url } = call;
    const plain = (
      status: number,
      code: number,
      message: string,
    ): ApiResult & { headers: Record<string, string> } => ({
      status,
      body: { code, message },
      headers: {},
    });
    if (!url.pathname.startsWith("/api/v10/")) return plain(404, 0, "404: Not Found");
    const known = /^DiscordBot \(.+, .+\)/.test(request.headers["user-agent"] ?? "");
    if (!known && this.#options.anyUserAgent !== true) return plain(403, 40333, "internal network error");
    const route = this.#rest.routes.find((each) => each.method === method && each.path.test(path));
    if (route === undefined) return plain(404, 0, "404: Not Found");
    if (!route.open && request.headers.authorization !== `Bot ${this.token}`) {
      return plain(401, 0, "401: Unauthorized");
    }
    const ids = route.path.exec(path)?.slice(1) ?? [];
    const major = route.open ? ids.slice(0, 2).join("/") : ids[0];
    const counter = route.counter === undefined ? undefined : `${route.counter}:${major}`;
    const verdict = this.limits.take(counter, route.bucket, { global: !route.open });
    if (!verdict.ok) return tooMany(verdict);
    if (call.bytes > MAX_REQUEST_BYTES) return plain(413, 40005, "Request entity too large");
    if (call.body === undefined) return plain(400, 50109, "The request body contains invalid JSON.");
    const result = route.handle(
      { method, path, query: url.searchParams, body: call.body, files: call.files },
      ids,
    );
    return { ...result, headers: { ...verdict.headers } };
  }

  #finish(
    response: ServerResponse,
    name: string,
    body: unknown,
    answer: ApiResult & { headers: Record<string, string> },
    authorization: string | undefined,
  ): void {
    if (this.limits.countInvalid(answer.status)) {
      response.writeHead(403, { "content-type": "text/html" }).end("<html>error code: 1015</html>");
      return;
    }
    this.traffic.record({
      service: "discord",
      kind: "http",
      name,
      request: body,
      status: answer.status,
      response: structuredClone(answer.body),
      headers: { ...answer.headers, "request-authorization": authorization?.split(" ")[0] ?? "none" },
      at: this.#clock.now(),
    });
    const headers = { ...answer.headers, date: new Date(this.#clock.now()).toUTCString() };
    if (answer.body === undefined) {
      response.writeHead(answer.status, headers).end();
      return;
    }
    response
      .writeHead(answer.status, { ...headers, "content-type": "application/json" })
      .end(JSON.stringify(answer.body));
  }

  // -------------------------------------------------------------------------------------------- faults

  /** Faults that come instead of the effect. @returns Whether the request is over. */
  async #misbehaveFirst(
    fault: Fault | undefined,
    name: string,
    body: unknown,
    response: ServerResponse,
  ): Promise<boolean> {
    switch (fault?.do) {
      case undefined:
      case "commit-then-hang":
      case "commit-then-reset":
      case "commit-then-answer":
        return false;
      case "delay":
        await this.#pause(fault.ms);
        return false;
      case "hang":
        this.#recordFault(name, body, 0);
        fault.met?.();
        return true;
      case "reset":
        this.#recordFault(name, body, 0);
        response.socket?.resetAndDestroy();
        return true;
      case "answer":
        this.#recordFault(name, body, fault.status);
        this.#answerWith(response, fault);
        return true;
    }
  }

  /** Faults that come after the effect. @returns Whether the request is over. */
  #misbehaveAfter(fault: Fault | undefined, name: string, body: unknown, response: ServerResponse): boolean {
    switch (fault?.do) {
      case "commit-then-hang":
        this.#recordFault(name, body, 0);
        fault.met?.();
        return true;
      case "commit-then-reset":
        this.#recordFault(name, body, 0);
        response.socket?.resetAndDestroy();
        return true;
      case "commit-then-answer":
        this.#recordFault(name, body, fault.status);
        this.#answerWith(response, fault);
        return true;
      case undefined:
      case "delay":
      case "answer":
      case "hang":
      case "reset":
        return false;
    }
  }

  #answerWith(
    response: ServerResponse,
    {
      status,
      body = "",
      headers = {},
    }: { status: number; body?: string | object; headers?: Readonly<Record<string, string>> },
  ): void {
    const json = typeof body === "object";
    const date = new Date(this.#clock.now()).toUTCString();
    response
      .writeHead(status, { date, "content-type": json ? "application/json" : "text/html", ...headers })
      .end(json ? JSON.stringify(body) : body);
  }

  /** Status 0: never answered. */
  #recordFault(name: string, request: unknown, status: number): void {
    this.traffic.record({ service: "discord", kind: "http", name, request, status, at: this.#clock.now() });
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await new Promise<void>((resolve) => this.#clock.after(ms, resolve));
  }
}

function tooMany({ headers, retryAfterMs, global }: ReturnType<Limits["take"]>): ApiResult & {
  headers: Record<string, string>;
} {
  const seconds = Math.max(0.001, retryAfterMs / 1000);
  return {
    status: 429,
    body: { message: "You are being rate limited.", retry_after: seconds, global, code: 0 },
    headers: {
      ...headers,
      "retry-after": seconds.toFixed(3),
      "x-ratelimit-scope": global ? "global" : "user",
      ...(global && { "x-ratelimit-global": "true" }),
    },
  };
}
