import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Fault, Faults, KEPT_OPEN_MS, REAL_CLOCK, type StandInClock, Traffic } from "../stand-in.ts";
import { Accounts, STAND_IN_USER, STAND_IN_WORKSPACE } from "./accounts.ts";
import { AudioService } from "./audio.ts";
import { audioRoutes } from "./audio-routes.ts";
import type { BotPace } from "./bot.ts";
import { botRoutes } from "./bot-routes.ts";
import { BotsService } from "./bots.ts";
import { chatRoutes } from "./chat-routes.ts";
import type { ChatRun } from "./chat-run.ts";
import { conversationRoutes } from "./conversation-routes.ts";
import { OpenExchange } from "./exchange.ts";
import { hostedManners, type Manners, type SentRefusal } from "./manners.ts";
import { OAuthService, withoutTokens } from "./oauth.ts";
import { oauthRoutes } from "./oauth-routes.ts";
import { type EventTranslator, matchRoute, type Outcome, type Route } from "./routes.ts";
import { isRefusal, type Refusal } from "./rules.ts";
import { CozeService } from "./service.ts";
import { type Framing, frameEvents, type PlainEvent } from "./sse-bytes.ts";
import { StudioService } from "./studio.ts";
import { studioRoutes } from "./studio-routes.ts";
import { studioManners } from "./studio-wire.ts";
import { type CozeSwitches, DEFAULT_SWITCHES, STUDIO_SWITCHES } from "./switches.ts";
import { workflowRoutes } from "./workflow-routes.ts";
import { WorkflowService } from "./workflows.ts";

/** The bot that exists and is published. */
export const STAND_IN_BOT = "7380000000000000009";
/** A bot that exists and is not published. */
export const UNPUBLISHED_BOT = "7380000000000000010";
/** The token that is accepted. */
export const STAND_IN_TOKEN: string = ["coze", "sandbox", "token"].join("-");

export interface CozeStandInOptions {
  readonly port?: number;
  readonly clock?: StandInClock;
  readonly pace?: Partial<BotPace>;
  readonly switches?: Partial<CozeSwitches>;
  /** The hosted service (default), or a self-hosted Coze Studio (coze-api.md §18). */
  readonly flavor?: CozeFlavor;
}

export type CozeFlavor = "hosted" | "studio";

/** A response written byte by byte, in place of the next chat's. */
export interface RawResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Each is flushed, and the next one waits until it can have been read. */
  readonly packets: readonly (string | Uint8Array)[];
  /** What follows the last packet, default `close`. */
  readonly end?: "close" | "reset" | "stall";
}

/** Coze on loopback, as strict as the real one. */
export interface CozeStandIn extends AsyncDisposable {
  /** Base URL, without a trailing slash. */
  readonly url: string;
  readonly traffic: Traffic;
  readonly faults: Faults;
  readonly flavor: CozeFlavor;
  /** Turn them while it runs. */
  readonly switches: CozeSwitches;
  /** What the service knows: conversations, chats and their messages, files; `script` replaces the bot. */
  readonly service: CozeService;
  /** Apps that people and programs sign in with, and the tokens they got. */
  readonly oauth: OAuthService;
  /** Tokens that are accepted; delete one to let it expire. */
  readonly tokens: Set<string>;
  readonly accounts: Accounts;
  readonly bots: BotsService;
  /** All chats so far, oldest first. */
  readonly chats: readonly ChatRun[];
  /** Connections accepted so far. */
  readonly connections: number;
  /** Connections that stand now. */
  readonly openConnections: number;
  setPace(pace: Partial<BotPace>): void;
  /** The next request to `call` (default `POST /v3/chat`) is answered with these bytes. */
  playNext(response: RawResponse, call?: string): void;
}

/** Starts the stand-in on 127.0.0.1. */
export async function startCoze(options: CozeStandInOptions = {}): Promise<CozeStandIn> {
  const standIn = new HttpCozeStandIn(options);
  await standIn.listen(options.port ?? 0);
  return standIn;
}

/** Request bodies of everything but uploads and workflows (coze-api.md §14). */
const MAX_BODY_BYTES = 15 * 1024 * 1024;
/** Long enough for a reader on this machine to take a packet before the next one is written, in ms. */
const PACKET_GAP_MS = 1;
class HttpCozeStandIn implements CozeStandIn {
  readonly traffic = new Traffic();
  readonly faults = new Faults();
  readonly flavor: CozeFlavor;
  readonly switches: CozeSwitches;
  readonly service: CozeService;
  readonly tokens = new Set([STAND_IN_TOKEN]);
  readonly accounts = new Accounts();
  readonly bots: BotsService;
  readonly oauth: OAuthService;
  readonly #clock: StandInClock;
  readonly #server: Server;
  readonly #routes: readonly Route[];
  readonly #manners: Manners;
  readonly #raw = new Map<string, RawResponse[]>();
  #url = "";
  #requests = 0;
  connections = 0;
  openConnections = 0;

  constructor({ clock = REAL_CLOCK, pace, switches, flavor = "hosted" }: CozeStandInOptions) {
    this.#clock = clock;
    this.flavor = flavor;
    const own = flavor === "studio" ? STUDIO_SWITCHES : {};
    this.switches = { ...DEFAULT_SWITCHES, ...own, ...switches };
    const shared = { clock, switches: this.switches, accounts: this.accounts };
    this.bots = new BotsService({
      ...shared,
      newId: () => this.service.newId(),
      hasFile: (fileId) => this.service.files.has(fileId),
    });
    this.service = new CozeService({ ...shared, bots: this.bots });
    const home = { workspaceId: STAND_IN_WORKSPACE, ownerId: STAND_IN_USER.id };
    this.bots.add({ id: STAND_IN_BOT, ...home, published: true });
    this.bots.add({ id: UNPUBLISHED_BOT, ...home, published: false });
    const host = (): string => new URL(this.#url).host;
    this.oauth = new OAuthService({ clock, switches: this.switches, tokens: this.tokens, host });
    if (pace !== undefined) this.setPace(pace);
    const workflows = new WorkflowService(this.service, { switches: this.switches, bots: this.bots });
    const audio = new AudioService(this.service, this.switches);
    const hosted = [
      ...chatRoutes(this.service, this.switches),
      ...conversationRoutes(this.service.threads, this.service.messages),
      ...botRoutes(this.bots, this.accounts),
      ...oauthRoutes(this.oauth, this.switches),
      ...workflowRoutes(workflows),
      ...audioRoutes(audio),
    ];
    if (flavor === "studio") {
      const studio = new StudioService(this.service, { ...shared, bots: this.bots });
      this.#routes = studioRoutes(studio, hosted);
      this.#manners = studioManners(this.switches);
    } else {
      this.#routes = hosted;
      this.#manners = hostedManners(this.switches);
    }
    // A body over the limit, or a bug of ours: the socket is cut, so that nobody waits for it.
    this.#server = createServer({ keepAliveTimeout: KEPT_OPEN_MS }, (request, response) => {
      const { socket } = request;
      this.#handle(request, response).catch(() => socket.resetAndDestroy());
    });
  }

  get url(): string {
    return this.#url;
  }

  get chats(): readonly ChatRun[] {
    return [...this.service.chats.values()];
  }

  async listen(port: number): Promise<void> {
    this.#server.on("connection", (socket) => {
      this.connections += 1;
      this.openConnections += 1;
      socket.on("close", () => {
        this.openConnections -= 1;
      });
    });
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    // A listening TCP server always has an address of this kind.
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  setPace(pace: Partial<BotPace>): void {
    this.service.pace = { ...this.service.pace, ...pace };
  }

  playNext(response: RawResponse, call = "POST /v3/chat"): void {
    this.#raw.set(call, [...(this.#raw.get(call) ?? []), response]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.service.stop();
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Nagle would join packets that tests want apart.
    request.socket.setNoDelay(true);
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const method = request.method ?? "";
    const match = matchRoute(this.#routes, method, url.pathname);
    const route = typeof match === "object" ? match.route : undefined;
    const exchange = new OpenExchange(`${method} ${route?.path ?? url.pathname}`, url, request, response);
    this.#requests += 1;
    response.setHeader(this.#manners.logIdHeader, this.#logId());
    response.setHeader("date", new Date(this.#clock.now()).toUTCString());
    const fault = this.faults.take(exchange.name);
    if (fault?.do === "delay")
      await new Promise<void>((resolve) => void this.#clock.after(fault.ms, resolve));
    if (route?.upload === true) await exchange.readForm(this.switches.maxUploadBytes + MAX_BODY_BYTES);
    else await exchange.readBody(route?.maxBytes ?? MAX_BODY_BYTES);
    if (fault !== undefined && fault.do !== "delay" && !fault.do.startsWith("commit")) {
      return this.#misbehave(exchange, fault);
    }
    const raw = this.#raw.get(exchange.name)?.shift();
    const isOpen = route?.open === true || (route === undefined && this.flavor === "studio");
    const refusal = isOpen ? undefined : this.#refusesCaller(exchange);
    if (raw !== undefined && refusal === undefined) return this.#play(exchange, raw);
    const outcome =
      refusal ??
      (typeof match === "object"
        ? await match.route.handle(exchange.toRouteRequest(match.params))
        : undefined);
    if (fault !== undefined && fault.do !== "delay") {
      if (outcome !== undefined && "run" in outcome) outcome.run.start();
      return this.#misbehave(exchange, fault);
    }
    if (outcome !== undefined) return this.#sendOutcome(exchange, outcome);
    if (typeof match !== "object") this.#sendRefusal(exchange, this.#manners.missing(match));
  }

  #refusesCaller({ bearer }: OpenExchange): Refusal | undefined {
    this.oauth.expire();
    return this.tokens.has(bearer) ? undefined : this.#manners.unknownCaller;
  }

  async #sendOutcome(exchange: OpenExchange, outcome: Outcome): Promise<void> {
    if ("run" in outcome) return this.#stream(exchange, outcome);
    if ("events" in outcome) return this.#streamEvents(exchange, outcome);
    if ("bare" in outcome) return this.#sendJson(exchange, outcome.status, outcome.bare);
    if ("location" in outcome) return this.#redirect(exchange, outcome.location);
    if ("bytes" in outcome) return this.#sendBytes(exchange, outcome);
    const { name, logId } = exchange;
    if (isRefusal(outcome)) this.#sendRefusal(exchange, this.#manners.refuse(name, outcome, logId));
    else this.#sendJson(exchange, 200, this.#manners.wrap(name, outcome.body, logId));
  }

  #sendRefusal(exchange: OpenExchange, { status, body, headers = {} }: SentRefusal): void {
    for (const [name, value] of Object.entries(headers)) exchange.response.setHeader(name, value);
    if (typeof body === "string") this.#sendText(exchange, status, body);
    else this.#sendJson(exchange, status, body);
  }

  #sendJson(exchange: OpenExchange, status: number, body: object): void {
    this.#record(exchange, status, withoutTokens(body));
    exchange.response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
    exchange.response.end(JSON.stringify(body));
  }

  #sendBytes(
    exchange: OpenExchange,
    { bytes, contentType }: { bytes: Uint8Array; contentType: string },
  ): void {
    this.#record(exchange, 200, `${bytes.length} bytes of ${contentType}`);
    exchange.response.writeHead(200, { "content-type": contentType, "content-length": bytes.length });
    exchange.response.end(bytes);
  }

  /** The address carries a code: it is not recorded. */
  #redirect(exchange: OpenExchange, location: string): void {
    this.#record(exchange, 302, undefined);
    exchange.response.writeHead(302, { location }).end();
  }

  #sendText(exchange: OpenExchange, status: number, body: string): void {
    this.#record(exchange, status, body);
    exchange.response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
    exchange.response.end(body);
  }

  /** Joins the response to a run. The run is not stopped when the client goes away (coze-api.md §16.1). */
  #stream(
    exchange: OpenExchange,
    { run, framing, translate = same }: { run: ChatRun; framing?: Framing; translate?: EventTranslator },
  ): void {
    const { response } = exchange;
    this.#record(exchange, 200, "text/event-stream");
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.flushHeaders();
    const stopKeepAlive = this.#keepAlive(response);
    const leave = run.listen({
      event: (said) => {
        for (const event of translate(said)) {
          this.#recordEvent(event);
          response.write(frameEvents([event], framing));
        }
      },
      end: () => void response.end(),
      cut: () => void response.socket?.resetAndDestroy(),
    });
    response.on("close", () => {
      leave();
      stopKeepAlive();
    });
    run.start();
  }

  /** Events of a call that lives only as long as its reader. */
  async #streamEvents(
    exchange: OpenExchange,
    { events, framing }: { events: AsyncIterable<PlainEvent>; framing?: Framing },
  ): Promise<void> {
    const { response } = exchange;
    this.#record(exchange, 200, "text/event-stream");
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.flushHeaders();
    for await (const event of events) {
      if (response.destroyed) return;
      this.#recordEvent(event);
      response.write(frameEvents([event], framing));
    }
    response.end();
  }

  #keepAlive(response: ServerResponse): () => void {
    const ms = this.switches.keepAliveMs;
    if (ms === undefined) return () => undefined;
    const beat = (): (() => void) =>
      this.#clock.after(ms, () => {
        response.write(": ping\n\n");
        stop = beat();
      });
    let stop = beat();
    return () => stop();
  }

  async #play(exchange: OpenExchange, raw: RawResponse): Promise<void> {
    const { response } = exchange;
    const status = raw.status ?? 200;
    response.writeHead(status, raw.headers ?? { "content-type": "text/event-stream; charset=utf-8" });
    response.flushHeaders();
    this.#record(exchange, status, "raw bytes");
    for (const packet of raw.packets) {
      if (response.destroyed) return;
      await new Promise<void>((resolve) => void response.write(packet, () => resolve()));
      await new Promise<void>((resolve) => void setTimeout(resolve, PACKET_GAP_MS));
    }
    if (raw.end === "reset") response.socket?.resetAndDestroy();
    else if (raw.end !== "stall") response.end();
  }

  #misbehave(exchange: OpenExchange, fault: Exclude<Fault, { do: "delay" }>): void {
    switch (fault.do) {
      case "hang":
      case "commit-then-hang":
        this.#record(exchange, undefined, undefined);
        fault.met?.();
        return;
      case "reset":
      case "commit-then-reset":
        this.#record(exchange, undefined, undefined);
        exchange.response.socket?.resetAndDestroy();
        return;
      case "answer":
      case "commit-then-answer": {
        const { status, body = "" } = fault;
        const headers = fault.do === "answer" ? fault.headers : undefined;
        for (const [name, value] of Object.entries(headers ?? {})) exchange.response.setHeader(name, value);
        if (typeof body === "object") {
          this.#sendJson(exchange, status, body);
          return;
        }
        this.#record(exchange, status, body);
        exchange.response.writeHead(status).end(body);
      }
    }
  }

  #record(exchange: OpenExchange, status: number | undefined, response: unknown): void {
    this.traffic.record({
      service: "coze",
      kind: "http",
      name: exchange.name,
      request: exchange.describe(),
      ...(status !== undefined && { status }),
      ...(response !== undefined && { response }),
      headers: exchange.headers(),
      at: this.#clock.now(),
    });
  }

  #recordEvent({ name = "", data }: PlainEvent): void {
    this.traffic.record({ service: "coze", kind: "sent", name, response: data, at: this.#clock.now() });
  }

  #logId(): string {
    return `20260101120000${String(this.#requests).padStart(18, "0")}`;
  }
}

function same(event: PlainEvent): readonly PlainEvent[] {
  return [event];
}
