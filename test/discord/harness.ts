import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { createDiscordAdapter } from "../../adapters/discord/index.ts";
import type { DiscordStandIn } from "../../sandbox/discord/start-discord.ts";
import { type Exchange, fastClock, type StandInClock } from "../../sandbox/stand-in.ts";
import { type AnswerState, EMPTY_ANSWER } from "../../src/core/answer-state.ts";
import { BridgeError } from "../../src/core/errors.ts";
import { type Clock, Gates } from "../../src/core/gate.ts";
import type { Json } from "../../src/core/json.ts";
import type {
  Adapter,
  CatchUpLimits,
  Download,
  Leases,
  Log,
  OnTurn,
  OpenIntakeOptions,
  OpenReplyOptions,
  Reply,
  Sealer,
  Store,
} from "../../src/core/ports.ts";
import type { SharedBuckets } from "../../src/core/shared-bucket.ts";
import type { IncomingTurn, Turn } from "../../src/core/turn.ts";
import { createFileLeases } from "../../src/store/file-leases.ts";
import { MemoryStore } from "../core/platform-double.ts";

const REAL_TIME: Clock = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** Ten seconds of waiting take one. The bridge's clock and the stand-in's, so that limits and pace still agree. */
export const QUICK_TIME: StandInClock = fastClock(10);

/** An answer as far as it is written. */
export function answerOf(text: string, completed = false): AnswerState {
  return {
    ...EMPTY_ANSWER,
    status: completed ? "completed" : "running",
    answers: [{ messageId: "1", text, reasoning: "", contentType: "text", completed }],
  };
}

export function toTurn(incoming: IncomingTurn): Turn {
  const { dedupeKey: _key, continues: _continues, ...turn } = incoming;
  return { ...turn, v: 1, reference: "K7Q2FM", route: { botId: "7380000000000000009" } };
}

interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

/** Keeps what is logged. */
function collectingLog(lines: LogLine[]): Log {
  const at =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push({ level, message, fields });
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => collectingLog(lines),
  };
}

/** Unreadable elsewhere and expiring, which is all that the port promises. */
function memorySealer(now: () => number): Sealer {
  const kept = new Map<string, { secret: string; expiresAt: number }>();
  return {
    seal: (secret, expiresAt) => {
      const id = `sealed-${kept.size}`;
      kept.set(id, { secret, expiresAt });
      return id;
    },
    open: (sealed) => {
      const found = kept.get(sealed);
      return found !== undefined && now() < found.expiresAt ? found.secret : undefined;
    },
  };
}

/** Fetches from the stand-in only, as the sandbox wires it. */
function loopbackDownload(standIn: DiscordStandIn): Download {
  return async (url, { maxBytes, signal }) => {
    if (new URL(url).host !== standIn.fileHost) throw new BridgeError("FILE_FORBIDDEN_HOST", "not here");
    const response = await fetch(url, { signal, redirect: "error" });
    if (!response.ok) throw new BridgeError("FILE_GONE", `status ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.byteLength > maxBytes) throw new BridgeError("FILE_TOO_LARGE", "too large");
    const folder = await mkdtemp(join(tmpdir(), "coze-bridge-test-"));
    const path = join(folder, "file");
    await writeFile(path, bytes);
    return {
      path,
      bytes: bytes.byteLength,
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    };
  };
}

export interface BridgeOptions {
  readonly wallNow?: () => number;
  readonly clock?: Clock | undefined;
  readonly token?: string;
  /** Default `thread`, as the product's. */
  readonly secondAnswer?: "thread" | "channel";
  /** Default 5. */
  readonly maxReplyParts?: number;
  /** Replaces the storing of a turn. */
  readonly onTurn?: OnTurn;
  /** What outlives the process; one of its own by default. */
  readonly store?: Store;
  /** Shared with the other bridges of a test; alone by default. */
  readonly leases?: Leases;
  readonly sealer?: Sealer;
  readonly catchUp?: Partial<CatchUpLimits>;
  readonly onGone?: OpenIntakeOptions["onGone"];
  readonly onEdited?: OpenIntakeOptions["onEdited"];
  readonly onFatal?: OpenIntakeOptions["onFatal"];
  /** Where other processes spend out of the same limits; alone by default. */
  readonly buckets?: SharedBuckets;
  /** Opens the intake too, default true. */
  readonly intake?: boolean;
}

interface ReplyOptions {
  readonly saved?: Json;
  /** What the reply to an earlier revision saved. */
  readonly earlier?: Json;
  /** Started before; by default when something is saved. */
  readonly again?: boolean;
  readonly signal?: AbortSignal;
  readonly onOver?: OpenReplyOptions["onOver"];
}

/** The adapter, connected to a stand-in, with what came out of it. */
export interface Bridge extends AsyncDisposable {
  readonly adapter: Adapter;
  /** Turns as they were handed in, twins included. */
  readonly turns: IncomingTurn[];
  readonly log: LogLine[];
  /** What the replies saved last. */
  saved: Json | undefined;
  /** All that they saved, oldest first. */
  readonly saves: Json[];
  /** Opens the reply to a turn. */
  reply(turn: IncomingTurn, options?: ReplyOptions): Promise<Reply>;
}

export async function openBridge(standIn: DiscordStandIn, options: BridgeOptions = {}): Promise<Bridge> {
  const turns: IncomingTurn[] = [];
  const log: LogLine[] = [];
  const wallNow = options.wallNow ?? Date.now;
  const { clock = REAL_TIME } = options;
  const adapter = createDiscordAdapter(
    {
      token: options.token ?? standIn.token,
      apiUrl: standIn.apiUrl,
      secondAnswer: options.secondAnswer ?? "thread",
      maxReplyParts: options.maxReplyParts ?? 5,
    },
    {
      log: collectingLog(log),
      clock,
      gates: new Gates(clock, { shared: options.buckets }),
      download: loopbackDownload(standIn),
      sealer: options.sealer ?? memorySealer(wallNow),
      store: options.store ?? new MemoryStore(),
      leases: options.leases ?? createFileLeases(),
      catchUp: { windowMs: 900_000, perPlace: 20, ...options.catchUp },
      wallNow,
    },
  );
  const onTurn: OnTurn = async (turn) => {
    await options.onTurn?.(turn);
    turns.push(turn);
  };
  const bridge: Bridge = {
    adapter,
    turns,
    log,
    saved: undefined,
    saves: [],
    reply: (
      turn,
      {
        saved,
        earlier,
        again = saved !== undefined,
        signal = new AbortController().signal,
        onOver = () => undefined,
      } = {},
    ) =>
      adapter.openReply(toTurn(turn), {
        saved,
        earlier,
        again,
        signal,
        onOver,
        save: (state) => {
          bridge.saved = state;
          bridge.saves.push(state);
          return Promise.resolve();
        },
      }),
    [Symbol.asyncDispose]: async () => {
      await adapter[Symbol.asyncDispose]();
      const previews = [...standIn.world.messages.values()].flatMap(({ author, embeds }) =>
        author.id === standIn.world.bot.id ? embeds : [],
      );
      expect(previews, "pages fetched for what the model wrote (§9.2)").toEqual([]);
      expect(loudCalls(standIn), "calls without silent allowed_mentions (§11.33)").toEqual([]);
    },
  };
  try {
    if (options.intake !== false) {
      const { onGone, onEdited, onFatal } = options;
      await adapter.openIntake(onTurn, {
        signal: AbortSignal.timeout(60_000),
        ...(onGone !== undefined && { onGone }),
        ...(onEdited !== undefined && { onEdited }),
        ...(onFatal !== undefined && { onFatal }),
      });
    }
  } catch (error) {
    await adapter[Symbol.asyncDispose]();
    throw error;
  }
  return bridge;
}

/** Creates and edits that could ping somebody: checked at the end of every test. */
function loudCalls(standIn: DiscordStandIn): readonly string[] {
  const writes = /^(POST|PATCH) \/(channels\/\d+\/messages(\/\d+)?$|webhooks\/)/;
  const silent = JSON.stringify({ parse: [], replied_user: false });
  return calls(standIn, writes)
    .filter(({ request }) => {
      const { allowed_mentions: allowed } = request as { allowed_mentions?: unknown };
      return JSON.stringify(allowed) !== silent;
    })
    .map(({ name }) => name);
}

/** HTTP exchanges whose name matches, oldest first. */
export function calls(standIn: DiscordStandIn, name: RegExp): readonly Exchange[] {
  return standIn.traffic.exchanges.filter((exchange) => exchange.kind === "http" && name.test(exchange.name));
}

export const CREATE: RegExp = /^POST \/channels\/\d+\/messages$/;
export const EDIT: RegExp = /^PATCH \/channels\/\d+\/messages\/\d+$/;
export const HOOK_EDIT: RegExp = /^PATCH \/webhooks\//;
