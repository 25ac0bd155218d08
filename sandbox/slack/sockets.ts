import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Exchange, StandInClock } from "../stand-in.ts";

/** How long a socket of Slack's lives, in s (slack.md §6.1). */
const CONNECTION_SECONDS = 18_060;
/** Slack pings its clients; they expect a ping within 30 s. */
const PING_EVERY_MS = 10_000;
/** Sockets per app (slack.md §6.1). */
const MAX_SOCKETS = 10;

interface Ack {
  readonly payload: unknown;
}

interface Connection {
  readonly socket: WebSocket;
  ready: boolean;
  stopPings: () => void;
}

export interface SocketsOptions {
  readonly clock: StandInClock;
  readonly appId: string;
  readonly record: (exchange: Omit<Exchange, "service" | "at">) => void;
}

/** Slack's side of Socket Mode: several sockets per app, each envelope goes to one of them. */
export class Sockets {
  readonly #options: SocketsOptions;
  readonly #server: WebSocketServer = new WebSocketServer({ noServer: true });
  readonly #connections: Connection[] = [];
  readonly #tickets = new Set<string>();
  /** Who waits for an acknowledgement, by envelope. */
  readonly #waiting = new Map<string, (ack: Ack) => void>();
  #next = 0;
  /** Greetings to keep back: the next so many sockets get no `hello`. */
  withholdHellos = 0;
  /** Envelopes whose acknowledgement is ignored, as if it had been lost. */
  loseAcks = 0;
  /** How many sockets were greeted so far. */
  greeted = 0;

  constructor(options: SocketsOptions) {
    this.#options = options;
  }

  /** A single-use address path. */
  newTicket(): string {
    const ticket = randomUUID();
    this.#tickets.add(ticket);
    return `/link/?ticket=${ticket}&app_id=${this.#options.appId}`;
  }

  get open(): number {
    return this.#connections.filter(({ ready }) => ready).length;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? "/", "http://localhost");
    const ticket = url.searchParams.get("ticket") ?? "";
    if (url.pathname !== "/link/" || !this.#tickets.delete(ticket)) {
      socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (client) => this.#opened(client));
  }

  #opened(socket: WebSocket): void {
    const ping = setInterval(() => socket.ping(String(Date.now())), PING_EVERY_MS);
    const connection: Connection = { socket, ready: false, stopPings: () => clearInterval(ping) };
    this.#connections.push(connection);
    socket.on("message", (data) => this.#received(Buffer.isBuffer(data) ? data.toString("utf8") : ""));
    socket.on("error", () => socket.terminate());
    socket.on("close", () => {
      connection.stopPings();
      const index = this.#connections.indexOf(connection);
      if (index >= 0) this.#connections.splice(index, 1);
    });
    if (this.#connections.length > MAX_SOCKETS) {
      this.#frame(connection, { type: "disconnect", reason: "too_many_websockets" });
      socket.close(1000);
      return;
    }
    if (this.withholdHellos > 0) {
      this.withholdHellos -= 1;
      return;
    }
    connection.ready = true;
    this.greeted += 1;
    this.#frame(connection, {
      type: "hello",
      num_connections: this.open,
      connection_info: { app_id: this.#options.appId },
      debug_info: {
        host: "applink-sandbox",
        build_number: 1,
        approximate_connection_time: CONNECTION_SECONDS,
      },
    });
  }

  #frame({ socket }: Connection, frame: Readonly<Record<string, unknown>>): void {
    this.#options.record({ kind: "sent", name: String(frame["type"]), request: frame });
    socket.send(JSON.stringify(frame));
  }

  #received(text: string): void {
    const ack: unknown = JSON.parse(text);
    this.#options.record({ kind: "received", name: "ack", request: ack });
    const { envelope_id: id, payload } = ack as { envelope_id?: unknown; payload?: unknown };
    if (typeof id !== "string") return;
    if (this.loseAcks > 0) {
      this.loseAcks -= 1;
      return;
    }
    this.#waiting.get(id)?.({ payload });
    this.#waiting.delete(id);
  }

  /**
   * Sends an envelope to the next socket in turn.
   *
   * @returns Its acknowledgement; `undefined` when no socket is there.
   */
  send(
    envelope: { readonly envelope_id: string } & Readonly<Record<string, unknown>>,
  ): Promise<Ack> | undefined {
    const ready = this.#connections.filter((connection) => connection.ready);
    const connection = ready[this.#next % ready.length];
    if (connection === undefined) return undefined;
    this.#next += 1;
    return new Promise<Ack>((resolve) => {
      this.#waiting.set(envelope.envelope_id, resolve);
      connection.socket.send(JSON.stringify(envelope));
    });
  }

  /** Sends something that is no envelope, as it is, to every socket. */
  sendRaw(data: string | Buffer): void {
    for (const { socket } of this.#connections) socket.send(data);
  }

  /**
   * Tells the sockets to go (slack.md §6.1). With `keepOpen` they stay usable until {@link dropAll}, as after Slack's
   * ten-second warning.
   */
  disconnect(
    reason: "warning" | "refresh_requested" | "link_disabled",
    options: { keepOpen: boolean },
  ): void {
    for (const connection of [...this.#connections]) {
      this.#frame(connection, {
        type: "disconnect",
        reason,
        debug_info: { host: "applink-sandbox" },
      });
      if (!options.keepOpen) connection.socket.close(1000);
    }
  }

  /** Cuts all sockets without a word. */
  dropAll(): void {
    for (const { socket } of [...this.#connections]) socket.terminate();
  }

  /** No pongs and no pings any more: a peer that is gone without having closed. */
  freeze(): void {
    for (const { socket, stopPings } of this.#connections) {
      stopPings();
      socket.pause();
    }
  }

  close(): void {
    this.dropAll();
    this.#server.close();
  }
}
