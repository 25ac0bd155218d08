import { createHmac, randomUUID } from "node:crypto";
import type { Exchange, StandInClock } from "../stand-in.ts";
import type { Arguments } from "./arguments.ts";
import type { Sockets } from "./sockets.ts";

export type DeliveryKind = "events_api" | "slash_commands" | "interactive";

export interface DeliveryOptions {
  readonly clock: StandInClock;
  readonly sockets: Sockets;
  readonly record: (exchange: Omit<Exchange, "service" | "at">) => void;
  /** Where signed requests go; without it, sockets are used. */
  readonly http: () => { url: string; signingSecret: string } | undefined;
  /** Not acknowledged by then is not delivered, in ms (slack.md §3.4: 3 s). */
  readonly ackTimeoutMs: number;
  /** Waits before the three repeats, in ms (slack.md §3.4: nearly at once, 1 min, 5 min). */
  readonly retryMs: readonly number[];
}

/** One payload on its way. */
export interface Delivery {
  readonly kind: DeliveryKind;
  readonly payload: Arguments;
  readonly envelopeId: string;
  acked: boolean;
  /** Acknowledged with this; commands only. */
  response: unknown;
  attempts: number;
  readonly done: Promise<void>;
}

/** Brings payloads to the app, and again when it does not acknowledge them. */
export class Deliveries {
  readonly #options: DeliveryOptions;
  readonly #cancels = new Set<() => void>();
  readonly #running = new Set<Promise<unknown>>();
  readonly all: Delivery[] = [];
  #closed = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  deliver(kind: DeliveryKind, payload: Arguments): Delivery {
    const { promise, resolve } = Promise.withResolvers<void>();
    const delivery: Delivery = {
      kind,
      payload,
      envelopeId: randomUUID(),
      acked: false,
      response: undefined,
      attempts: 0,
      done: promise,
    };
    this.all.push(delivery);
    if (this.all.length > 5_000) this.all.shift();
    this.#attempt(delivery, resolve, "");
    return delivery;
  }

  /** Payloads that nobody acknowledged yet. */
  get open(): readonly Delivery[] {
    return this.all.filter(({ acked }) => !acked);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    await Promise.allSettled(this.#running);
  }

  #attempt(delivery: Delivery, done: () => void, reason: string): void {
    const running = this.#send(delivery, reason)
      .then((acked) => {
        if (acked && !delivery.acked) {
          delivery.acked = true;
          done();
        }
        if (!delivery.acked) this.#again(delivery, done);
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #again(delivery: Delivery, done: () => void): void {
    // Commands and clicks come once: their sender sees the failure (slack.md §4.1).
    const wait = delivery.kind === "events_api" ? this.#options.retryMs[delivery.attempts - 1] : undefined;
    if (wait === undefined || this.#closed) {
      done();
      return;
    }
    const cancel = this.#options.clock.after(wait, () => {
      this.#cancels.delete(cancel);
      this.#attempt(delivery, done, "http_timeout");
    });
    this.#cancels.add(cancel);
  }

  async #send(delivery: Delivery, reason: string): Promise<boolean> {
    const retry = delivery.attempts;
    delivery.attempts += 1;
    const http = this.#options.http();
    if (http !== undefined) return this.#sendHttp(delivery, { ...http, retry, reason });
    return this.#sendSocket(delivery, { retry, reason });
  }

  async #sendSocket(
    delivery: Delivery,
    { retry, reason }: { retry: number; reason: string },
  ): Promise<boolean> {
    const { kind, payload, envelopeId } = delivery;
    const envelope = {
      type: kind,
      envelope_id: envelopeId,
      accepts_response_payload: kind !== "events_api",
      payload,
      ...(kind === "events_api" && { retry_attempt: retry, retry_reason: reason === "" ? "" : "timeout" }),
    };
    const acked = this.#options.sockets.send(envelope);
    if (acked === undefined) return false;
    this.#options.record({ kind: "sent", name: kind, request: payload });
    const timeout = new Promise<undefined>((resolve) => {
      const cancel = this.#options.clock.after(this.#options.ackTimeoutMs, () => resolve(undefined));
      this.#cancels.add(() => {
        cancel();
        resolve(undefined);
      });
      void acked.then(cancel);
    });
    const answer = await Promise.race([acked, timeout]);
    if (answer !== undefined) delivery.response = answer.payload;
    return answer !== undefined;
  }

  async #sendHttp(
    delivery: Delivery,
    {
      url,
      signingSecret,
      retry,
      reason,
    }: { url: string; signingSecret: string; retry: number; reason: string },
  ): Promise<boolean> {
    const { kind, payload } = delivery;
    const isJson = kind === "events_api";
    const body = isJson ? JSON.stringify(payload) : toForm(kind, payload);
    this.#options.record({ kind: "sent", name: kind, request: payload });
    try {
      const response = await fetch(url, {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": isJson ? "application/json" : "application/x-www-form-urlencoded; charset=utf-8",
          ...signedHeaders(body, signingSecret, this.#options.clock.now()),
          ...(retry > 0 && { "x-slack-retry-num": String(retry), "x-slack-retry-reason": reason }),
        },
        body,
        signal: AbortSignal.timeout(this.#options.ackTimeoutMs),
      });
      const text = await response.text();
      const ok = response.status >= 200 && response.status < 300;
      if (ok && text !== "") delivery.response = parseAnswer(text);
      return ok;
    } catch {
      // Refused, reset or too slow: for Slack that is a failed delivery.
      return false;
    }
  }
}

function toForm(kind: DeliveryKind, payload: Arguments): string {
  if (kind === "interactive") return new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
  return new URLSearchParams(Object.entries(payload).map(([key, value]) => [key, String(value)])).toString();
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Plain text is an answer, too.
    return { text };
  }
}

/** Slack's signature (slack.md §6.3). */
export function signedHeaders(
  body: string | Uint8Array,
  signingSecret: string,
  nowMs: number,
): { "x-slack-request-timestamp": string; "x-slack-signature": string } {
  const timestamp = String(Math.floor(nowMs / 1000));
  const hmac = createHmac("sha256", signingSecret).update(`v0:${timestamp}:`).update(body).digest("hex");
  return { "x-slack-request-timestamp": timestamp, "x-slack-signature": `v0=${hmac}` };
}
