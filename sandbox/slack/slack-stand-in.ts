import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  type ChatView,
  type Exchange,
  type Fault,
  Faults,
  Handshakes,
  KEPT_OPEN_MS,
  type PlatformStandIn,
  REAL_CLOCK,
  type StandInClock,
  Traffic,
} from "../stand-in.ts";
import { type Arguments, parseArguments, readBytes } from "./arguments.ts";
import { Deliveries } from "./delivery.ts";
import { LOGIN_PAGE } from "./files.ts";
import { Limits } from "./limits.ts";
import { type MessageSwitches, Messages } from "./messages.ts";
import { type NewFile, People, type SlackPerson } from "./people.ts";
import { ResponseUrls } from "./response-urls.ts";
import { Sockets } from "./sockets.ts";
import { Uploads, type UploadsOptions } from "./uploads.ts";
import { callMethod } from "./web-api.ts";
import { type SlackChannel, type SlackFile, type SlackMessage, Workspace } from "./workspace.ts";

/** Scopes of the README's manifest, with the optional ones. */
const ALL_SCOPES: readonly string[] = [
  "app_mentions:read",
  "assistant:write",
  "chat:write",
  "commands",
  "files:read",
  "files:write",
  "im:history",
  "im:write",
  "reactions:write",
  "users:read",
  "channels:history",
  "groups:history",
];

export interface SlackStandInOptions {
  /** Default: any free one. */
  readonly port?: number;
  readonly clock?: StandInClock;
  /** Whether rate limits are enforced, default true. */
  readonly limits?: boolean;
  /** How long a call is on its way to the service, and its answer back, each in ms, default 0. */
  readonly oneWayMs?: number;
  /** Where the app finds sockets, files and response addresses, default here; another one leads here through a proxy. */
  readonly publicOrigin?: string;
  /** Default all that the manifest asks for. */
  readonly scopes?: readonly string[];
  /** Events the app is subscribed to, default mentions, DMs and the messages of channels. */
  readonly subscriptions?: readonly string[];
  /** Deliver by signed requests to this address instead of sockets. */
  readonly eventsUrl?: string;
  /** Default 3 s. */
  readonly ackTimeoutMs?: number;
  /** Waits before repeats; default Slack's: nearly at once, 1 min, 5 min. */
  readonly retryMs?: readonly number[];
  readonly switches?: Partial<MessageSwitches>;
  /** Whether people's events tell of the app's own messages, default true. */
  readonly echo?: boolean;
}

/** A Slack workspace on loopback, with one app installed. */
export class SlackStandIn implements PlatformStandIn {
  readonly traffic: Traffic = new Traffic();
  readonly faults: Faults = new Faults();
  readonly workspace: Workspace;
  readonly sockets: Sockets;
  readonly deliveries: Deliveries;
  // Put together so that no scanner takes them for real ones.
  readonly botToken: string = ["xoxb", "sandbox", "bot"].join("-");
  readonly appToken: string = ["xapp", "1", "sandbox"].join("-");
  readonly signingSecret: string = "sandbox-signing-secret";
  /** A public channel that the app is a member of. */
  readonly general: string;
  /** A public channel without the app. */
  readonly random: string;
  /** A private channel without the app. */
  readonly secret: string;
  /** Scopes the app has; may be changed. */
  readonly scopes: Set<string>;
  /** Where events go as signed requests; sockets are used while unset. */
  eventsUrl: string | undefined;
  readonly #options: SlackStandInOptions;
  readonly #server: Server;
  readonly #messages: Messages;
  readonly #people: People;
  readonly #responseUrls: ResponseUrls;
  readonly #limits: Limits;
  readonly #uploads: Uploads;
  readonly #handshakes = new Handshakes();
  #origin = "";
  #publicOrigin = "";

  constructor(options: SlackStandInOptions) {
    this.#options = options;
    const clock = options.clock ?? REAL_CLOCK;
    this.eventsUrl = options.eventsUrl;
    this.scopes = new Set(options.scopes ?? ALL_SCOPES);
    this.workspace = new Workspace(clock);
    const switches: MessageSwitches = {
      recipientInDms: false,
      refuseTables: false,
      limitedHistory: false,
      smallAppendBurst: false,
      taskChunks: "shown",
      listsUploads: false,
      sharingMs: 0,
      ...options.switches,
    };
    this.#limits = new Limits(clock, switches);
    const record = (exchange: Omit<Exchange, "service" | "at">): void => this.#record(exchange);
    this.sockets = new Sockets({ clock, appId: this.workspace.appId, record });
    this.deliveries = new Deliveries({
      clock,
      sockets: this.sockets,
      record,
      http: () =>
        this.eventsUrl === undefined ? undefined : { url: this.eventsUrl, signingSecret: this.signingSecret },
      ackTimeoutMs: options.ackTimeoutMs ?? 3_000,
      retryMs: options.retryMs ?? [100, 60_000, 300_000],
    });
    const echo: UploadsOptions["echo"] = (kind, channel, message) => this.#echo(kind, channel, message);
    this.#messages = new Messages(this.workspace, switches, echo, () => this.#publicOrigin);
    this.#uploads = new Uploads({ workspace: this.workspace, switches, echo });
    this.#responseUrls = new ResponseUrls(this.workspace);
    this.#people = new People({
      workspace: this.workspace,
      deliveries: this.deliveries,
      responseUrls: this.#responseUrls,
      subscriptions: new Set(
        options.subscriptions ?? [
          "agent_session_stopped",
          "app_mention",
          "message.channels",
          "message.groups",
          "message.im",
        ],
      ),
      scopes: this.scopes,
      origin: () => this.#publicOrigin,
    });
    const bot = this.workspace.bot.userId;
    this.general = this.workspace.addChannel("general", "channel", [bot]).id;
    this.random = this.workspace.addChannel("random", "channel", []).id;
    this.secret = this.workspace.addChannel("secret", "group", []).id;
    this.#server = createServer({ keepAliveTimeout: KEPT_OPEN_MS }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    this.#server.on("upgrade", (request, socket, head) => this.sockets.upgrade(request, socket, head));
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#options.port ?? 0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    this.#origin = `http://127.0.0.1:${address.port}`;
    this.#publicOrigin = this.#options.publicOrigin ?? this.#origin;
  }

  /** Base of the Web API, for `SLACK_API_URL`. */
  get apiUrl(): string {
    return `${this.#origin}/api/`;
  }

  /** Address without a path. */
  get origin(): string {
    return this.#origin;
  }

  /** Somebody in the workspace; the same name is the same person. */
  person(name: string, options: { locale?: string; team?: string } = {}): SlackPerson {
    return this.#people.person(name, options);
  }

  /** A file as people upload it. `odd` overrides fields of the file object. */
  newFile(file: NewFile): SlackFile {
    return this.#people.newFile(file);
  }

  view(place: string, as?: string): ChatView {
    return this.workspace.view(place, as);
  }

  onChange(listener: (place: string) => void): () => void {
    return this.workspace.onChange(listener);
  }

  /** The recipient presses stop on everything that streams in a place (slack.md §2.2). */
  stopStreams(place: string): void {
    const channel = this.workspace.channels.get(place);
    for (const message of channel?.messages.values() ?? []) {
      if (channel === undefined || message.stream?.state !== "in_progress") continue;
      message.stream.state = "stopped";
      this.#people.stopped(channel, message);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.deliveries.close();
    this.sockets.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #record(exchange: Omit<Exchange, "service" | "at">): void {
    this.traffic.record({ service: "slack", at: this.workspace.clock.now(), ...exchange });
  }

  /** The app's own messages come back as events (slack.md §3.2). */
  #echo(kind: "posted" | "changed" | "deleted", channel: SlackChannel, message: SlackMessage): void {
    if (this.#options.echo !== false) this.#people.echo(kind, channel, this.#messages.toJson(message));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.#origin);
    const name = `${request.method} ${callName(url.pathname)}`;
    const call: HttpCall = { request, url, name, body: await readBytes(request) };
    const oneWayMs = this.#options.oneWayMs ?? 0;
    await this.#pass(this.#handshakes.waitMs(request.socket, oneWayMs) + oneWayMs);
    const fault = this.faults.take(name);
    if (fault?.do === "hang") return fault.met?.();
    if (fault?.do === "reset") return void request.socket.destroy();
    if (fault?.do === "delay") await this.#pass(fault.ms);
    const answer = fault?.do === "answer" ? toAnswer(fault) : await this.#answer(call);
    if (fault?.do === "commit-then-hang") return fault.met?.();
    if (fault?.do === "commit-then-reset") return void request.socket.destroy();
    const shown = fault?.do === "commit-then-answer" ? toAnswer(fault) : answer;
    this.#record({
      kind: "http",
      name,
      request: shown.args ?? answer.args,
      status: shown.status,
      response: shown.json ?? shown.body.toString("utf8", 0, 2_000),
      headers: shown.headers,
    });
    await this.#pass(oneWayMs);
    response.writeHead(shown.status, shown.headers).end(shown.body);
  }

  async #pass(ms: number): Promise<void> {
    if (ms > 0) await new Promise<void>((resolve) => this.workspace.clock.after(ms, resolve));
  }

  async #answer(call: HttpCall): Promise<HttpAnswer> {
    const { pathname } = call.url;
    if (pathname.startsWith("/api/")) return this.#answerApi(call, pathname.slice("/api/".length));
    if (pathname.startsWith("/files-pri/")) return this.#answerFile(call);
    if (pathname.startsWith("/upload/v1/")) return this.#answerUpload(call);
    if (pathname.startsWith("/commands/")) {
      const { status, body } = this.#responseUrls.post(call.url.pathname, call.body.toString("utf8"));
      return text(status, body);
    }
    return text(404, "not found");
  }

  async #answerApi({ request, url, body }: HttpCall, method: string): Promise<HttpAnswer> {
    const type = request.headers["content-type"] ?? "";
    const parsed =
      request.method === "GET" ? Object.fromEntries(url.searchParams) : await parseArguments(type, body);
    const { token: bodyToken, ...args } = parsed ?? {};
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    const token = bearer ?? (typeof bodyToken === "string" ? bodyToken : undefined);
    if (token === this.botToken || token === this.appToken) {
      const wait =
        this.#options.limits === false ? 0 : this.#limits.take(method, String(args["channel"] ?? ""));
      if (wait > 0) return limited(wait, args);
    }
    const { body: result, accepted } = callMethod(
      method,
      { token, args: parsed === undefined ? undefined : args },
      {
        workspace: this.workspace,
        messages: this.#messages,
        origin: this.#publicOrigin,
        newSocketUrl: () => `${this.#publicOrigin.replace("http", "ws")}${this.sockets.newTicket()}`,
        uploads: this.#uploads,
        tokens: { bot: this.botToken, app: this.appToken, scopes: this.scopes },
      },
    );
    return json(200, result, args, {
      "x-slack-req-id": newRequestId(),
      "x-oauth-scopes": [...this.scopes].join(","),
      "x-accepted-oauth-scopes": accepted,
    });
  }

  /** The address is all the permission there is; a token in it is only noted down (slack.md §5). */
  async #answerUpload({ request, url, body }: HttpCall): Promise<HttpAnswer> {
    const type = request.headers["content-type"] ?? "";
    const bytes = type.startsWith("multipart/form-data") ? await firstFile(type, body) : body;
    const ticket = url.pathname.split("/").at(-1) ?? "";
    const { status, text: said } = this.#uploads.take(ticket, request.method ?? "", bytes);
    const answer = text(status, said);
    const authorization = request.headers.authorization === undefined ? "none" : "some";
    return { ...answer, headers: { ...answer.headers, "x-request-authorization": authorization } };
  }

  #answerFile({ request, url }: HttpCall): HttpAnswer {
    const id = /^\/files-pri\/[^-/]+-([^/]+)\//.exec(url.pathname)?.[1] ?? "";
    const file = this.workspace.files.get(id);
    const allowed =
      request.headers.authorization === `Bearer ${this.botToken}` && this.scopes.has("files:read");
    if (!allowed) {
      return {
        ...text(200, LOGIN_PAGE),
        headers: { "content-type": "text/html; charset=utf-8", "x-slack-meta": "acl_fail" },
      };
    }
    if (file === undefined) return text(404, "not found");
    return { status: 200, headers: { "content-type": file.mimetype }, body: file.bytes };
  }
}

interface HttpCall {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly name: string;
  readonly body: Buffer;
}

interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly json?: unknown;
  readonly args?: Arguments;
}

/** An upload may also come as a form with one file, whatever the field is called (slack.md §5). */
async function firstFile(type: string, body: Buffer): Promise<Buffer> {
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
  const file = [...form.values()].find((value) => typeof value !== "string");
  return Buffer.from((await file?.arrayBuffer()) ?? new ArrayBuffer(0));
}

/** Secrets and names in paths do not belong in a call's name. */
function callName(pathname: string): string {
  if (pathname.startsWith("/api/")) return pathname;
  return `/${pathname.split("/")[1] ?? ""}`;
}

function text(status: number, body: string): HttpAnswer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: Buffer.from(body) };
}

function json(
  status: number,
  body: object,
  args: Arguments,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return {
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
    body: Buffer.from(JSON.stringify(body)),
    json: body,
    args,
  };
}

function newRequestId(): string {
  return randomUUID().replaceAll("-", "");
}

function limited(seconds: number, args: Arguments): HttpAnswer {
  const headers = { "retry-after": String(seconds), "x-slack-req-id": newRequestId() };
  return json(429, { ok: false, error: "ratelimited" }, args, headers);
}

function toAnswer(fault: Extract<Fault, { readonly status: number }>): HttpAnswer {
  const headers = "headers" in fault ? fault.headers : undefined;
  if (typeof fault.body === "object") return json(fault.status, fault.body, {}, headers);
  const page = { "content-type": "text/html; charset=utf-8", ...headers };
  return { ...text(fault.status, fault.body ?? ""), headers: page };
}

/** Starts a workspace. */
export async function startSlack(options: SlackStandInOptions = {}): Promise<SlackStandIn> {
  const slack = new SlackStandIn(options);
  await slack.listen();
  return slack;
}
