/**
 * What the three stand-ins have in common: a record of all traffic, faults on request, a clock that tests may turn,
 * and the view a person has of a chat.
 */

/** One exchange between the bridge and a stand-in, either way; checked against the specifications by the tests. */
export interface Exchange {
  readonly service: "coze" | "discord" | "slack";
  /** `http`: a request to the stand-in and its answer. `received` / `sent`: frames and events, seen from the stand-in. */
  readonly kind: "http" | "received" | "sent";
  /** Method and path of a request, or the frame's type. */
  readonly name: string;
  readonly request?: unknown;
  readonly status?: number;
  readonly response?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ms since the epoch, by the stand-in's clock. */
  readonly at: number;
}

/**
 * How long a stand-in keeps a connection that nobody uses, in ms: balancers do so for about a minute. Node's own five seconds
 * would make each question in a quiet chat begin with new ones.
 */
export const KEPT_OPEN_MS = 65_000;

/** Ways there and back before a new connection carries anything: TCP's, and those of TLS 1.3 (RFC 8446 §2). */
const HANDSHAKE_WAYS = 4;

/** Connections that have carried a request. */
export class Handshakes {
  readonly #done = new WeakSet<object>();

  /** How long a request has waited for its connection before it could be sent, in ms. */
  waitMs(socket: object, oneWayMs: number): number {
    if (this.#done.has(socket)) return 0;
    this.#done.add(socket);
    return HANDSHAKE_WAYS * oneWayMs;
  }
}

/** How many exchanges are kept; older ones are dropped, listeners saw them. */
const MAX_EXCHANGES = 20_000;

export class Traffic {
  readonly exchanges: Exchange[] = [];
  readonly #listeners = new Set<(exchange: Exchange) => void>();

  record(exchange: Exchange): void {
    this.exchanges.push(exchange);
    if (this.exchanges.length > MAX_EXCHANGES) this.exchanges.shift();
    for (const listener of this.#listeners) listener(exchange);
  }

  onExchange(listener: (exchange: Exchange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** What a stand-in can be told to do wrong with a call. "Commit" means that its effect has happened. */
export type Fault =
  | { readonly do: "delay"; readonly ms: number }
  | {
      readonly do: "answer";
      readonly status: number;
      readonly body?: string | object;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** `met` is called when the call hangs. */
  | { readonly do: "hang"; readonly met?: () => void }
  | { readonly do: "reset" }
  /** `met` is called when the effect has happened and the call hangs. */
  | { readonly do: "commit-then-hang"; readonly met?: () => void }
  | { readonly do: "commit-then-reset" }
  | { readonly do: "commit-then-answer"; readonly status: number; readonly body?: string | object };

interface PlannedFault {
  readonly matches: (call: string) => boolean;
  readonly fault: Fault;
  /** Calls that pass unharmed before it. */
  skip: number;
  left: number;
}

/** Faults waiting for their call. */
export class Faults {
  readonly #planned: PlannedFault[] = [];

  /**
   * @param call - A call's name as in {@link Exchange.name}, or a pattern of it.
   * @param skip - How many such calls pass unharmed first.
   */
  plan(call: string | RegExp, fault: Fault, times = 1, skip = 0): void {
    const matches =
      typeof call === "string" ? (name: string) => name === call : (name: string) => call.test(name);
    this.#planned.push({ matches, fault, skip, left: times });
  }

  /** The fault for this call, if one was planned; it is used up. */
  take(call: string): Fault | undefined {
    const planned = this.#planned.find(({ matches, left }) => left > 0 && matches(call));
    if (planned === undefined) return undefined;
    if (planned.skip > 0) {
      planned.skip -= 1;
      return undefined;
    }
    planned.left -= 1;
    return planned.fault;
  }

  /** Forgets what was planned. */
  clear(): void {
    this.#planned.length = 0;
  }
}

/** The stand-ins' time. Real by default; {@link VirtualClock} makes 15 minutes pass at once, {@link fastClock} in one. */
export interface StandInClock {
  /** Ms since the epoch. */
  now(): number;
  after(ms: number, call: () => void): () => void;
  /** Ms of it that pass in one of the world, default 1. */
  readonly speed?: number;
}

export const REAL_CLOCK: StandInClock = {
  now: () => Date.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Lets `speed` seconds pass in one. Given to the stand-ins and to the bridge, so that limits and pace still agree: each
 * starts it by itself, since only differences count.
 */
export function fastClock(speed: number): StandInClock {
  const startedAt = Date.now();
  return {
    now: () => startedAt + (Date.now() - startedAt) * speed,
    after: (ms, call) => REAL_CLOCK.after(ms / speed, call),
    speed,
  };
}

/** A clock that stands still until it is told to move. */
export class VirtualClock implements StandInClock {
  #now: number;
  readonly #timers = new Set<{ at: number; call: () => void }>();

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** How many calls are still to come. */
  get timers(): number {
    return this.#timers.size;
  }

  /** How long it is until the last of them, in ms; 0 without any. */
  get longestWaitMs(): number {
    return Math.max(0, ...[...this.#timers].map(({ at }) => at - this.#now));
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + ms, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves on by `ms`, running what falls due on the way, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = due.at;
      due.call();
    }
    this.#now = end;
  }
}

/** A leaky bucket as the services enforce it; `take` says what the answer's headers need. */
export class LeakyBucket {
  readonly #capacity: number;
  readonly #perSecond: number;
  readonly #clock: StandInClock;
  #tokens: number;
  #at: number;

  constructor(options: { capacity: number; perSecond: number; clock: StandInClock }) {
    this.#capacity = options.capacity;
    this.#perSecond = options.perSecond;
    this.#clock = options.clock;
    this.#tokens = options.capacity;
    this.#at = options.clock.now();
  }

  take(): { ok: boolean; tokens: number; retryAfterMs: number; resetAfterMs: number } {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#capacity, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    const ok = this.#tokens >= 1;
    if (ok) this.#tokens -= 1;
    return {
      ok,
      tokens: this.#tokens,
      retryAfterMs: ok ? 0 : ((1 - this.#tokens) / this.#perSecond) * 1000,
      resetAfterMs: ((this.#capacity - this.#tokens) / this.#perSecond) * 1000,
    };
  }
}

/** A message as a person sees it in a chat. */
export interface SeenMessage {
  readonly id: string;
  readonly author: string;
  readonly bot: boolean;
  readonly text: string;
  readonly files: readonly string[];
  /** What those of its files say that people read in place: a click opens them. */
  readonly documents: readonly string[];
  /** How often it was changed after it appeared. */
  readonly edits: number;
  /** Still growing, by the platform's own sign (a Slack stream, a Discord "thinking…"). */
  readonly unfinished: boolean;
  /** Id of the message it replies to, or of the thread's root. */
  readonly parent?: string;
  readonly ephemeral?: boolean;
  /** Cards that say what the bot does besides writing. */
  readonly tasks?: readonly SeenTask[];
  readonly at: number;
}

/** A card of a message. */
export interface SeenTask {
  readonly title: string;
  readonly status: "pending" | "in_progress" | "complete" | "error";
}

/** Whether a file of this name is shown as text below its message. */
export function isDocument(name: string): boolean {
  return name.endsWith(".md");
}

/** A chat as a person sees it. */
export interface ChatView {
  readonly place: string;
  readonly messages: readonly SeenMessage[];
  /** "… is typing", or an assistant status line; empty when nobody is. */
  readonly status: string;
}

/** The people's side of a platform stand-in. */
export interface PlatformStandIn extends AsyncDisposable {
  readonly traffic: Traffic;
  readonly faults: Faults;
  /** The chat of a place: a channel's or DM's id. */
  view(place: string): ChatView;
  /** Calls back whenever a view changed. */
  onChange(listener: (place: string) => void): () => void;
}
