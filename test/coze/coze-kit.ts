import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CozeStandIn,
  type CozeStandInOptions,
  STAND_IN_BOT,
  STAND_IN_TOKEN,
  startCoze,
} from "../../sandbox/coze/coze-stand-in.ts";
import type { AnswerEvent } from "../../src/core/answer-state.ts";
import { type AnswerState, EMPTY_ANSWER, reduceAnswer } from "../../src/core/answer-state.ts";
import { type Clock, Gates } from "../../src/core/gate.ts";
import type { AnswerSource, LocalFile, Log, Question } from "../../src/core/ports.ts";
import { createAnswerSource } from "../../src/coze/answer-source.ts";
import { staticToken, type TokenSource } from "../../src/coze/auth/token-source.ts";
import { type CozeClient, createCozeClient } from "../../src/coze/coze-client.ts";
import type { CozeTimeouts } from "../../src/coze/http.ts";

/** One line a log got. */
export interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

/** A log that keeps its lines. */
export class KeptLog implements Log {
  readonly lines: LogLine[] = [];

  debug(fields: object, message: string): void {
    this.lines.push({ level: "debug", fields, message });
  }
  info(fields: object, message: string): void {
    this.lines.push({ level: "info", fields, message });
  }
  warn(fields: object, message: string): void {
    this.lines.push({ level: "warn", fields, message });
  }
  error(fields: object, message: string): void {
    this.lines.push({ level: "error", fields, message });
  }
  child(): Log {
    return this;
  }
}

/** Stand-in and real client, joined by a real socket. */
export interface CozePair extends AsyncDisposable {
  readonly coze: CozeStandIn;
  readonly client: CozeClient;
  /** The same client, as the bridge uses it. */
  readonly source: AnswerSource;
  readonly log: KeptLog;
}

export const CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** The bot writes as fast as it can, unless a test says otherwise. */
const AT_ONCE = { firstDeltaMs: 0, deltaMs: 0, toolMs: 0 };

export async function openPair(
  options: CozeStandInOptions & {
    timeouts?: Partial<CozeTimeouts>;
    tokens?: TokenSource;
    chatsPerSecond?: number;
  } = {},
): Promise<CozePair> {
  const coze = await startCoze({ ...options, pace: { ...AT_ONCE, ...options.pace } });
  const log = new KeptLog();
  const client = createCozeClient({
    baseUrl: `${coze.url}/`,
    flavor: coze.flavor,
    tokens: options.tokens ?? staticToken(STAND_IN_TOKEN),
    log,
    gates: new Gates(CLOCK),
    chatsPerSecond: options.chatsPerSecond ?? 20,
    timeouts: { graceMs: 100, ...options.timeouts },
  });
  const dispose = async (): Promise<void> => {
    await client[Symbol.asyncDispose]();
    await coze[Symbol.asyncDispose]();
  };
  const source = createAnswerSource(client);
  return { coze, client, source, log, [Symbol.asyncDispose]: dispose };
}

/** Never fires; the test's own time-out ends what hangs. */
export function noAbort(): AbortSignal {
  return new AbortController().signal;
}

export async function newConversation({ source }: CozePair): Promise<string> {
  return source.createConversation({ botId: STAND_IN_BOT, conversation: "test:key", signal: noAbort() });
}

export function aQuestion(changes: Partial<Question> = {}): Question {
  return {
    botId: STAND_IN_BOT,
    conversationId: "7390000000000000000",
    userId: "discord:1:2",
    turnId: "discord:1:3:4#r0",
    text: "Hello",
    files: [],
    context: [],
    ...changes,
  };
}

/** What came of a question: everything seen, and how it ended. */
export interface Asked {
  readonly events: readonly AnswerEvent[];
  readonly state: AnswerState;
  readonly error: unknown;
}

export async function ask(
  source: AnswerSource,
  question: Question,
  signal: AbortSignal = noAbort(),
): Promise<Asked> {
  const events: AnswerEvent[] = [];
  let error: unknown;
  try {
    for await (const event of source.ask(question, { signal })) events.push(event);
  } catch (caught) {
    error = caught;
  }
  return { events, state: events.reduce(reduceAnswer, EMPTY_ANSWER), error };
}

/** The error a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

/** A local file with this content, gone when disposed. */
export async function aFile(content: string | Uint8Array): Promise<LocalFile> {
  const folder = await mkdtemp(join(tmpdir(), "coze-file-"));
  const path = join(folder, "content");
  await writeFile(path, content);
  return {
    path,
    bytes: Buffer.byteLength(content),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
