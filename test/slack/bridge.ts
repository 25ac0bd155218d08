import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSlackAdapter } from "../../adapters/slack/index.ts";
import type { SlackSettings } from "../../adapters/slack/settings.ts";
import {
  type SlackStandIn,
  type SlackStandInOptions,
  startSlack,
} from "../../sandbox/slack/slack-stand-in.ts";
import { type AnswerState, EMPTY_ANSWER } from "../../src/core/answer-state.ts";
import { BridgeError } from "../../src/core/errors.ts";
import { type Clock, Gates } from "../../src/core/gate.ts";
import type { Json } from "../../src/core/json.ts";
import type {
  Adapter,
  AdapterTools,
  Download,
  Log,
  OnTurn,
  OpenReplyOptions,
  Reply,
  Sealer,
} from "../../src/core/ports.ts";
import type { IncomingTurn, Turn } from "../../src/core/turn.ts";
import { createFileLeases } from "../../src/store/file-leases.ts";
import { MemoryStore } from "../core/platform-double.ts";

/** Patience of a test that waits for something to happen on a busy machine. */
export const SOON = { timeout: 20_000 } as const;

interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

function logInto(lines: LogLine[]): Log {
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields, message });
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => logInto(lines),
  };
}

/** Over a key of its own, as the composition root's. */
function openSealer(): Sealer {
  const key = randomBytes(32);
  return {
    seal: (secret, expiresAt) => {
      const iv = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, iv);
      const text = Buffer.concat([cipher.update(JSON.stringify([expiresAt, secret])), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), text]).toString("base64url");
    },
    open: (sealed) => {
      const bytes = Buffer.from(sealed, "base64url");
      if (bytes.length < 29) return undefined;
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12));
      decipher.setAuthTag(bytes.subarray(12, 28));
      const text = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString();
      const [expiresAt, secret] = JSON.parse(text) as [number, string];
      return Date.now() < expiresAt ? secret : undefined;
    },
  };
}

/** What the port promises, over plain HTTP as a sandbox wires it; remembers where tokens went. */
function downloadInto(fetched: { url: string; authorization: string | undefined }[]): Download {
  return async (url, { hosts, headers, maxBytes, signal }) => {
    if (!hosts.includes(new URL(url).hostname)) throw new BridgeError("FILE_FORBIDDEN_HOST", "host");
    fetched.push({ url, authorization: headers?.["authorization"] });
    const response = await fetch(url, { signal, redirect: "manual", ...(headers && { headers }) });
    if (response.status >= 300) throw new BridgeError("FILE_GONE", `status ${response.status}`);
    const bytes = Buffer.from(await response.arrayBuffer());
    if (bytes.length > maxBytes) throw new BridgeError("FILE_TOO_LARGE", "size");
    if (bytes.length === 0) throw new BridgeError("FILE_EMPTY", "empty");
    const folder = await mkdtemp(join(tmpdir(), "slack-file-"));
    const path = join(folder, "file");
    await writeFile(path, bytes);
    return {
      path,
      bytes: bytes.length,
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    };
  };
}

export interface SlackBridge extends AsyncDisposable {
  readonly slack: SlackStandIn;
  readonly adapter: Adapter;
  readonly turns: IncomingTurn[];
  /** Dedupe keys of turns that nobody wants any more. */
  readonly gone: string[];
  /** Why Slack will not have us back. */
  readonly fatal: unknown[];
  /** Questions that were changed, and when. */
  readonly edited: { readonly question: IncomingTurn; readonly changedAt: number }[];
  readonly log: LogLine[];
  readonly store: MemoryStore;
  readonly fetched: { url: string; authorization: string | undefined }[];
  readonly signal: AbortSignal;
  /** Opens the reply to the last turn, or to another. */
  reply(
    turn?: IncomingTurn,
    saved?: Json,
    options?: {
      again?: boolean;
      reference?: string;
      earlier?: Json;
      onOver?: OpenReplyOptions["onOver"];
    },
  ): Promise<OpenedReply>;
  /** Another process on the same workspace. */
  openAnother(): Promise<Adapter>;
}

interface OpenedReply {
  readonly reply: Reply;
  readonly saves: Json[];
}

export interface BridgeOptions {
  readonly slack?: SlackStandInOptions;
  readonly settings?: Partial<SlackSettings>;
  /** Stores a turn; what it throws keeps the payload from being acknowledged. */
  readonly onTurn?: OnTurn;
  /** Default Socket Mode. */
  readonly mode?: "socket" | "http" | "none";
  /** The adapter's clock. */
  readonly now?: () => number;
  /** Told of each timer the adapter sets on its clock, in ms. */
  readonly onTimer?: (ms: number) => void;
  /** How many times as fast as real its clock goes, default 1. */
  readonly speed?: number;
  /** Questions per place that are caught up, default 20. */
  readonly perPlace?: number;
  /** False: its process is killed before its marks are written. */
  readonly settles?: boolean;
}

/** The real adapter on a stand-in workspace. */
export async function openBridge(options: BridgeOptions = {}): Promise<SlackBridge> {
  const slack = await startSlack({ retryMs: [20, 40, 80], ...options.slack });
  const { speed = 1 } = options;
  const abort = new AbortController();
  const log: LogLine[] = [];
  const fetched: { url: string; authorization: string | undefined }[] = [];
  const clock: Clock = {
    now: options.now ?? (() => performance.now() * speed),
    after: (ms, call) => {
      options.onTimer?.(ms);
      const timer = setTimeout(call, ms / speed);
      return () => clearTimeout(timer);
    },
  };
  const memory = new MemoryStore();
  memory.settles = options.settles ?? true;
  const tools: AdapterTools = {
    log: logInto(log),
    clock,
    gates: new Gates(clock),
    download: downloadInto(fetched),
    sealer: openSealer(),
    store: memory,
    leases: createFileLeases(),
    catchUp: { windowMs: 900_000, perPlace: options.perPlace ?? 20 },
  };
  const mode = options.mode ?? "socket";
  const settings: SlackSettings = {
    botToken: slack.botToken,
    apiUrl: slack.apiUrl,
    channelStyle: "edit",
    maxReplyParts: 5,
    ...(mode === "socket" && { appToken: slack.appToken }),
    ...(mode === "http" && { signingSecret: slack.signingSecret }),
    ...options.settings,
  };
  const turns: IncomingTurn[] = [];
  const gone: string[] = [];
  const fatal: unknown[] = [];
  const onFatal = (error: unknown): void => void fatal.push(error);
  const edited: SlackBridge["edited"][number][] = [];
  const onEdited = async (question: IncomingTurn, changedAt: number): Promise<void> => {
    await options.onTurn?.(question);
    edited.push({ question, changedAt });
  };
  const onGone = (dedupeKey: string): Promise<void> => Promise.resolve(void gone.push(dedupeKey));
  const store = async (turn: IncomingTurn): Promise<void> => {
    await options.onTurn?.(turn);
    if (!turns.some(({ dedupeKey }) => dedupeKey === turn.dedupeKey)) turns.push(turn);
  };
  const stack = new AsyncDisposableStack();
  stack.use(slack);
  const open = async (): Promise<Adapter> => {
    const adapter = stack.use(createSlackAdapter(settings, tools));
    if (mode !== "none")
      stack.use(await adapter.openIntake(store, { signal: abort.signal, onGone, onEdited, onFatal }));
    return adapter;
  };
  const adapter = await open();
  return {
    slack,
    adapter,
    turns,
    gone,
    fatal,
    edited,
    log,
    store: memory,
    fetched,
    signal: abort.signal,
    openAnother: open,
    reply: async (turn, saved, { again = saved !== undefined, reference = "K7Q2FM", ...more } = {}) => {
      const saves: Json[] = [];
      const asked = { ...toTurn(turn ?? turns.at(-1)), reference };
      const reply = await adapter.openReply(
        { ...asked, ...(await adapter.complete?.(asked, { signal: abort.signal })) },
        {
          saved,
          earlier: more.earlier,
          onOver: more.onOver ?? (() => undefined),
          again,
          save: (state) => {
            saves.push(state);
            return Promise.resolve();
          },
          signal: abort.signal,
        },
      );
      return { reply, saves };
    },
    [Symbol.asyncDispose]: async () => {
      await stack.disposeAsync();
      abort.abort();
    },
  };
}

export function toTurn(incoming: IncomingTurn | undefined): Turn {
  if (incoming === undefined) throw new Error("no turn yet");
  const { dedupeKey: _key, continues: _continues, ...turn } = incoming;
  return { ...turn, v: 1, reference: "K7Q2FM", route: { botId: "7380000000000000009" } };
}

/** An answer that says this so far. */
export function answer(text: string, changes: Partial<AnswerState> = {}): AnswerState {
  return {
    ...EMPTY_ANSWER,
    answers: [{ messageId: "1", text, reasoning: "", contentType: "text", completed: false }],
    ...changes,
  };
}

/** Calls of a method, oldest first. */
export function callsOf(slack: SlackStandIn, method: string): readonly Record<string, unknown>[] {
  return slack.traffic.exchanges
    .filter(({ kind, name }) => kind === "http" && name === `POST /api/${method}`)
    .map(({ request }) => request as Record<string, unknown>);
}
