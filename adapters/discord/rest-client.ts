import {
  DefaultRestOptions,
  parseResponse,
  RateLimitError,
  REST,
  type RESTOptions,
  type RequestMethod,
} from "discord.js";
import { z } from "zod";
import { PlatformError } from "../../src/core/errors.ts";
import type { RateHeaders } from "../../src/core/pacer.ts";
import type { Abortable } from "../../src/core/ports.ts";
import { isBan, toPlatformError } from "./errors.ts";

/** One call of Discord's API. */
export interface DiscordCall {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  readonly route: `/${string}`;
  readonly body?: object;
  /** Goes along as `files[0]`, `files[1]`, … (discord.md §1.3). */
  readonly files?: readonly SentFile[];
  readonly query?: URLSearchParams;
  /** What is tried, in words; the route itself may hold a token. */
  readonly name: string;
  /** False for interaction routes, which carry their own token and take no other. */
  readonly auth?: boolean;
  readonly signal: AbortSignal;
}

export interface SentFile {
  readonly name: string;
  readonly data: string;
  readonly contentType: string;
}

export interface DiscordAnswer {
  readonly data: unknown;
  /** What the headers said about the bucket, if they did. */
  readonly rate: RateHeaders | undefined;
}

const ownUser = z.object({ id: z.string() });

type Response = Awaited<ReturnType<RESTOptions["makeRequest"]>>;

/** A create or a final edit may take as long as discord.js lets it by default (discord.md §1.3). */
const MAIN_TIMEOUT_MS = 15_000;
/** A draft holds up the newest text while it is out, so it gets less (discord.md §1.5). */
const DRAFT_TIMEOUT_MS = 8_000;
/** Headers that make discord.js wait or refuse by itself, with old text in hand. */
const PACING_HEADERS = [
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
  "x-ratelimit-reset-after",
  "x-ratelimit-bucket",
  // It would hold interactions back, too, which are outside of that limit; the scope says the same (discord.md §1.2).
  "x-ratelimit-global",
];

export interface RestOptions {
  readonly token: string;
  readonly apiUrl: string;
  /** Ms since the epoch, by our clock. */
  readonly now: () => number;
  /** Ms of Discord's time that pass in one of the world, default 1; only a sandbox's differs. */
  readonly speed?: number | undefined;
  /** Told when it is the limit of all calls with the bot's token that refuses one, with the ms until it is over. */
  readonly onOverallLimit: (retryAfterMs: number) => void;
}

/**
 * Two paths to Discord: `main` for creates, finals and all that must arrive, `draft` for interim edits. Neither
 * repeats nor waits by itself: pacing is the gates' job, repeats are the reply's (design.md §11).
 *
 * Two, because each instance handles one call per route and channel at a time: a create must not stand behind a
 * slow draft. And the rate-limit headers are taken off before discord.js sees them: create and edit share one bucket
 * name, so it would hold a create back for edits that count apart (discord.md §1.3).
 */
export class DiscordRest {
  readonly #main: REST;
  readonly #draft: REST;
  readonly #rates = new WeakMap<object, RateHeaders>();
  readonly #now: () => number;
  readonly #speed: number;
  readonly #onOverallLimit: RestOptions["onOverallLimit"];
  #skewMs: number | undefined;
  #ownId: string | undefined;
  /** Under way. */
  #learning: Promise<unknown> | undefined;
  /** Discord's edge turned this address away: until then nothing goes out, by our clock. */
  #bannedUntil = 0;

  constructor({ token, apiUrl, now, speed = 1, onOverallLimit }: RestOptions) {
    this.#onOverallLimit = onOverallLimit;
    this.#now = now;
    this.#speed = speed;
    this.#main = this.#open(token, apiUrl, MAIN_TIMEOUT_MS);
    this.#draft = this.#open(token, apiUrl, DRAFT_TIMEOUT_MS);
  }

  /** Now by Discord's clock, in ms since the epoch, to about a second: ids are made by it, ours may be wrong. */
  discordNow(): number {
    return this.#now() - (this.#skewMs ?? 0);
  }

  /** How long ago a moment of Discord's clock is, in ms of the world: no network gets faster with Discord's time. */
  ageMs(discordMs: number): number {
    return (this.discordNow() - discordMs) / this.#speed;
  }

  /** Whether Discord has told its time yet; until then ours stands in for it. */
  get knowsTime(): boolean {
    return this.#skewMs !== undefined;
  }

  /** A moment of Discord's clock on ours. */
  toOwnTime(discordMs: number): number {
    return discordMs + (this.#skewMs ?? 0);
  }

  /** @throws {PlatformError}, or the signal's reason. */
  main(call: DiscordCall): Promise<DiscordAnswer> {
    return this.#call(this.#main, call);
  }

  /** For interim edits. @throws {PlatformError}, or the signal's reason. */
  draft(call: DiscordCall): Promise<DiscordAnswer> {
    return this.#call(this.#draft, call);
  }

  /** Id of the bot's own user, asked for once. @throws {PlatformError}, or the signal's reason. */
  async ownId({ signal }: Abortable): Promise<string | undefined> {
    if (this.#ownId !== undefined) return this.#ownId;
    const { data } = await this.main({ method: "GET", route: "/users/@me", name: "get own user", signal });
    this.#ownId = ownUser.safeParse(data).data?.id;
    return this.#ownId;
  }

  /** Asks Discord for the time, where ours may have been set meanwhile. Never rejects: then what was known stays. */
  async learnTime({ signal }: Abortable): Promise<void> {
    const call = { method: "GET", route: "/gateway", name: "ask for the time", auth: false, signal } as const;
    this.#learning ??= this.main(call)
      .catch(() => undefined)
      .finally(() => {
        this.#learning = undefined;
      });
    await this.#learning;
  }

  /** Stops the timers of both. */
  close(): void {
    for (const rest of [this.#main, this.#draft]) {
      rest.clearHashSweeper();
      rest.clearHandlerSweeper();
    }
  }

  async #call(rest: REST, call: DiscordCall): Promise<DiscordAnswer> {
    const { method, route, body, files, query, name, auth = true, signal } = call;
    signal.throwIfAborted();
    this.#refuseWhileBanned(name);
    try {
      const response = await rest.queueRequest({
        // The enum's values are the method names.
        method: method as RequestMethod,
        fullRoute: route,
        ...(body !== undefined && { body }),
        ...(files !== undefined && { files: [...files] }),
        ...(query !== undefined && { query }),
        auth,
        // discord.js never takes its listener off a signal, and a turn's signal lives long: each call gets its own.
        signal: AbortSignal.any([signal]),
      });
      return { data: await parseResponse(response), rate: this.#rates.get(response) };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const known = toPlatformError(error, name);
      if (error instanceof RateLimitError && error.scope === "global") {
        this.#onOverallLimit(known.retryAfterMs ?? 0);
      }
      if (isBan(known)) this.#bannedUntil = this.#now() + (known.retryAfterMs ?? 0);
      throw known;
    }
  }

  /** Every call into a ban makes it longer (discord.md §6.3, 403 HTML). */
  #refuseWhileBanned(name: string): void {
    const retryAfterMs = this.#bannedUntil - this.#now();
    if (retryAfterMs <= 0) return;
    throw new PlatformError("PLATFORM_RATE_LIMITED", `Discord turned this address away before "${name}"`, {
      platform: "discord",
      retryable: true,
      retryAfterMs,
    });
  }

  #open(token: string, apiUrl: string, timeout: number): REST {
    return new REST({
      api: apiUrl,
      retries: 0,
      timeout,
      rejectOnRateLimit: () => true,
      // It would count calls of interactions, which are outside that limit (discord.md §1.2); ours is a gate.
      globalRequestsPerSecond: Number.POSITIVE_INFINITY,
      makeRequest: async (url, init) =>
        this.#learn(await DefaultRestOptions.makeRequest(url, await withPlainBody(init))),
    }).setToken(token);
  }

  #learn(response: Response): Response {
    const { headers } = response;
    const number = (name: string): number => Number(headers.get(name) ?? Number.NaN);
    const rate = {
      limit: number("x-ratelimit-limit"),
      remaining: number("x-ratelimit-remaining"),
      resetAfterMs: number("x-ratelimit-reset-after") * 1000,
    };
    if (!Object.values(rate).some(Number.isNaN)) this.#rates.set(response, rate);
    const date = Date.parse(headers.get("date") ?? "");
    if (!Number.isNaN(date)) this.#skewMs = this.#now() - date;
    for (const name of PACING_HEADERS) headers.delete(name);
    return response;
  }
}

type Init = Parameters<RESTOptions["makeRequest"]>[1];

/**
 * A form as bytes. Whose `FormData` the client takes depends on which undici was loaded first in this process:
 * discord.js has one, we have another, Node has a third.
 */
async function withPlainBody(init: Init): Promise<Init> {
  if (!(init.body instanceof FormData)) return init;
  const form = new Response(init.body);
  const headers = { ...init.headers, "content-type": form.headers.get("content-type") ?? "" };
  return { ...init, headers, body: new Uint8Array(await form.arrayBuffer()) };
}
