import type { SocketModeOptions } from "@slack/socket-mode";
import type { Dispatcher } from "undici";
import { createAgent } from "../../src/connections.ts";
import { PlatformError } from "../../src/core/errors.ts";
import type { AdapterHealth, HttpProxy, Log } from "../../src/core/ports.ts";
import { untilAborted } from "../../src/core/until-aborted.ts";
import { toPlatformError } from "./errors.ts";
import { GuardedSocket } from "./guarded-socket.ts";
import type { AckResponse, SlackDelivery } from "./receiver.ts";

export interface SocketModeSettings {
  /** Fresh on each call: the SDK writes into what it gets (slack.md §6.5). */
  readonly clientOptions: () => SocketModeOptions;
  readonly proxy: HttpProxy | undefined;
  readonly deliver: (delivery: SlackDelivery) => Promise<AckResponse>;
  readonly log: Log;
  /** Ms on a monotonic clock. */
  readonly now: () => number;
  /** Called when a socket is there again after so many ms without one. */
  readonly onBack: (awayMs: number) => void;
  /** Called when Slack does not let us receive any more. */
  readonly onFatal: (error: unknown) => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Until a connection through a proxy stands, in ms. */
const CONNECT_MS = 10_000;
/** A socket whose `hello` does not come in this time is given up, in ms. */
const HELLO_TIMEOUT_MS = 10_000;
/** A socket that Slack warned about is listened to for at most this long after its successor, in ms. */
const DRAIN_MS = 15_000;
/** Waits before the next try to connect, in ms. The first try after a loss is made at once. */
const BACKOFF_MS = [0, 500, 1_000, 2_000, 5_000, 10_000, 30_000];
/** One refusal of the token may be a hiccup of Slack's (slack.md §14 case 9); so many are not. */
const MAX_AUTH_REFUSALS = 3;
/** Closing waits for Slack's side at most this long, in ms; the SDK would wait for 30 s. */
const CLOSE_TIMEOUT_MS = 1_000;

interface SlackEnvelope {
  readonly ack: (response?: unknown) => Promise<void>;
  readonly type: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly retry_num?: number;
  readonly retry_reason?: string;
}

/**
 * Keeps one Socket Mode connection, and a second one while the first is being replaced. The SDK's own reconnecting is
 * off: it leaves a gap of five seconds and throws where nobody can catch (slack.md §6.2).
 */
export class SocketMode implements AsyncDisposable {
  readonly #settings: SocketModeSettings;
  /** Where a proxy is used: the SDK connects its sockets directly unless it is told, whatever everybody else does. */
  readonly #agent: Dispatcher | undefined;
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  /** The socket that new envelopes are expected on. */
  #current: GuardedSocket | undefined;
  readonly #old = new Set<GuardedSocket>();
  #connecting: Promise<void> | undefined;
  #trouble = "not connected yet";
  #lostAt: number | undefined;

  constructor(settings: SocketModeSettings) {
    this.#settings = settings;
    const { proxy } = settings;
    this.#agent = proxy === undefined ? undefined : createAgent({ connectMs: CONNECT_MS, proxy });
  }

  /**
   * Resolves at the first `hello`.
   *
   * @throws {PlatformError} `PLATFORM_AUTH` when Slack does not take the app token.
   */
  async start({ signal }: { signal: AbortSignal }): Promise<void> {
    const abort = (): void => this.#abort.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    signal.throwIfAborted();
    await this.#reconnect();
  }

  health(): AdapterHealth {
    return this.#current === undefined
      ? { ok: false, detail: `Slack Socket Mode: ${this.#trouble}` }
      : { ok: true, detail: "Slack Socket Mode: connected" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error("slack intake closed"));
    await this.#connecting?.catch(() => undefined);
    const sockets = [...this.#old, ...(this.#current === undefined ? [] : [this.#current])];
    this.#current = undefined;
    // What was received is stored and acknowledged before its socket goes.
    await Promise.allSettled(this.#running);
    await Promise.all(sockets.map(closeSocket));
    await this.#agent?.destroy();
  }

  /** Opens the next socket; only then the one before is let go. */
  #reconnect(): Promise<void> {
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<void> {
    let refusals = 0;
    for (let tries = 0; ; tries += 1) {
      try {
        await this.#openNext();
        return;
      } catch (error) {
        this.#abort.signal.throwIfAborted();
        const failure = toPlatformError("apps.connections.open", error);
        this.#trouble = failure.message;
        if (failure.code === "PLATFORM_AUTH") refusals += 1;
        if (refusals >= MAX_AUTH_REFUSALS || failure.code === "PLATFORM_PERMISSION")
          throw appTokenError(failure);
        this.#settings.log.warn({ err: failure, tries }, "slack socket not opened, trying again");
        const backoff = BACKOFF_MS[Math.min(tries + 1, BACKOFF_MS.length - 1)] ?? 0;
        await this.#settings.sleep(Math.max(backoff, failure.retryAfterMs ?? 0), this.#abort.signal);
      }
    }
  }

  async #openNext(): Promise<void> {
    const socket: GuardedSocket = new GuardedSocket(
      {
        ...this.#settings.clientOptions(),
        ...(this.#agent !== undefined && { dispatcher: this.#agent }),
        autoReconnectEnabled: false,
      },
      { onDisconnectFrame: (reason) => this.#onDisconnectFrame(socket, reason) },
    );
    socket.on("slack_event", (envelope: SlackEnvelope) => this.#track(this.#onEnvelope(envelope)));
    await waitForHello(socket, this.#abort.signal);
    const before = this.#current;
    this.#current = socket;
    socket.on("disconnected", () => this.#onClosed(socket));
    this.#settings.log.info({}, "slack socket connected");
    if (this.#lostAt !== undefined) this.#settings.onBack(this.#settings.now() - this.#lostAt);
    this.#lostAt = undefined;
    if (before !== undefined) this.#track(this.#drain(before));
  }

  #track(running: Promise<unknown>): void {
    const kept = running
      .catch((error: unknown) => this.#settings.log.warn({ err: error }, "slack socket work failed"))
      .finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }

  async #onEnvelope({ ack, type, body, retry_num, retry_reason }: SlackEnvelope): Promise<void> {
    const { deliver, log } = this.#settings;
    if (body === undefined) return;
    if (type === "bare_payload") {
      log.warn({ type: body["type"], team: body["team_id"] }, "slack payload without an event");
      await ack();
      return;
    }
    const response = await deliver({
      body,
      ...(retry_num !== undefined && { retryNum: retry_num }),
      ...(retry_reason !== undefined && { retryReason: retry_reason }),
    });
    // A socket that closed meanwhile takes no acknowledgement: Slack delivers again, and the turn is known then.
    await ack(response);
  }

  #onDisconnectFrame(socket: GuardedSocket, reason: string): void {
    const { log } = this.#settings;
    if (reason === "link_disabled") {
      this.#trouble = "Socket Mode is switched off in the app's settings";
      log.error({ reason }, "slack socket mode is switched off, no longer receiving");
      if (this.#current === socket) this.#current = undefined;
      this.#abort.abort(new Error(this.#trouble));
      this.#track(closeSocket(socket));
      this.#settings.onFatal(
        new PlatformError("PLATFORM_PERMISSION", this.#trouble, { platform: "slack", platformCode: reason }),
      );
      return;
    }
    log.debug({ reason }, "slack asks for a new socket");
    if (this.#current === socket) this.#keepTrying();
  }

  /** Listens on the old socket until Slack closes it; nothing it still carries is lost. */
  async #drain(socket: GuardedSocket): Promise<void> {
    this.#old.add(socket);
    const closed = new AbortController();
    socket.once("disconnected", () => closed.abort());
    // Ends early, by an abort, when the socket or everything closes.
    await this.#settings
      .sleep(DRAIN_MS, AbortSignal.any([closed.signal, this.#abort.signal]))
      .catch(() => undefined);
    await closeSocket(socket);
    this.#old.delete(socket);
  }

  #onClosed(socket: GuardedSocket): void {
    if (this.#current !== socket || this.#abort.signal.aborted) return;
    this.#current = undefined;
    this.#lostAt ??= this.#settings.now();
    this.#trouble = "connection lost, reconnecting";
    this.#settings.log.info({}, "slack socket closed, opening the next");
    this.#keepTrying();
  }

  #keepTrying(): void {
    this.#track(
      this.#reconnect().catch((error: unknown) => {
        if (this.#abort.signal.aborted) return;
        this.#settings.log.error({ err: error }, "slack no longer takes the app token, not receiving");
        this.#settings.onFatal(error);
      }),
    );
  }
}

/** Starts a socket and waits until Slack greets. */
async function waitForHello(socket: GuardedSocket, signal: AbortSignal): Promise<void> {
  const timeout = AbortSignal.timeout(HELLO_TIMEOUT_MS);
  const either = AbortSignal.any([signal, timeout]);
  try {
    // The SDK rejects with nothing when the socket closes before the greeting.
    const greeted = socket.start().catch((error: unknown) => {
      throw error ?? new Error("socket closed before hello");
    });
    await untilAborted(greeted, either);
  } catch (error) {
    await closeSocket(socket);
    throw error;
  }
}

async function closeSocket(socket: GuardedSocket): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
  });
  await Promise.race([socket.disconnect(), timeout]);
  clearTimeout(timer);
}

function appTokenError(cause: PlatformError): PlatformError {
  return new PlatformError(
    cause.code,
    `Slack does not take the app-level token (${cause.platformCode ?? cause.message}): create one with the scope ` +
      "connections:write under Basic Information > App-Level Tokens, and switch Socket Mode on",
    { platform: "slack", cause },
  );
}
