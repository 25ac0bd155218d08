import { setImmediate } from "node:timers/promises";
import type { AnswerEvent } from "../../src/core/answer-state.ts";
import { answerMarkdown } from "../../src/core/answer-state.ts";
import { BridgeError, CozeError, PlatformError } from "../../src/core/errors.ts";
import type { Json } from "../../src/core/json.ts";
import type {
  Adapter,
  AnswerSource,
  OpenReplyOptions,
  Question,
  Reply,
  ReplyContent,
  Run,
  SetOptions,
  Store,
} from "../../src/core/ports.ts";

/** A platform held in memory: what its people see, and what the core did with it. */
export class MemoryPlatform implements Adapter {
  readonly platform = "memory";
  readonly routes = {};
  readonly shown: string[] = [];
  /** What stood below each of them. */
  readonly shownNotices: (string | undefined)[] = [];
  readonly opened: (Json | undefined)[] = [];
  /** What each reply was to take over. */
  readonly taken: (Json | undefined)[] = [];
  final: string | undefined;
  notice: string | undefined;
  abandoned = 0;
  /** How often a reply was to end. */
  finishes = 0;
  /** Thrown by the next calls, in order. */
  openErrors: Error[] = [];
  finishErrors: Error[] = [];
  fetchErrors: Error[] = [];

  /** At its first text the next reply finds out that it has to end; after a platform's error nothing can be shown any more. */
  over: BridgeError | undefined;

  openReply(_turn: unknown, { saved, earlier, onOver }: OpenReplyOptions): Promise<Reply> {
    this.opened.push(saved);
    this.taken.push(earlier);
    const error = this.openErrors.shift();
    if (error !== undefined) return Promise.reject(error);
    return Promise.resolve({
      show: (content) => {
        this.shown.push(answerMarkdown(content.answer));
        this.shownNotices.push(content.notice);
        if (this.over !== undefined && this.shown.at(-1) !== "") onOver?.(this.over);
      },
      finish: (content) => this.#finish(content),
      abandon: () => {
        this.abandoned += 1;
        return Promise.resolve();
      },
    });
  }

  #finish(content: ReplyContent): Promise<{ messageKeys: string[] }> {
    this.finishes += 1;
    const lost = this.over instanceof PlatformError ? this.over : undefined;
    const error = this.finishErrors.shift() ?? lost;
    if (error !== undefined) return Promise.reject(error);
    this.final = answerMarkdown(content.answer);
    this.notice = content.notice;
    return Promise.resolve({ messageKeys: ["memory:place:1"] });
  }

  fetchAttachment(): Promise<{ path: string; bytes: number } & AsyncDisposable> {
    const error = this.fetchErrors.shift();
    if (error !== undefined) return Promise.reject(error);
    return Promise.resolve({ path: "/nowhere", bytes: 1, [Symbol.asyncDispose]: () => Promise.resolve() });
  }

  /** Who asks, where that has to be found out. */
  completing: ReturnType<NonNullable<Adapter["complete"]>>;

  complete(): ReturnType<NonNullable<Adapter["complete"]>> {
    return this.completing;
  }

  showWaiting(): Promise<void> {
    return Promise.resolve();
  }

  openIntake(): Promise<AsyncDisposable> {
    return Promise.resolve(this);
  }

  checkToken(): Promise<void> {
    return Promise.resolve();
  }

  health(): { ok: boolean; detail: string } {
    return { ok: true, detail: "in memory" };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** What Coze says to one question: events, and an error to end with. */
export interface Script {
  readonly events?: readonly AnswerEvent[];
  readonly error?: Error;
  /** Waits for the abort before ending. */
  readonly hangs?: boolean;
  /** All events come in one packet; by default each comes by itself. */
  readonly together?: boolean;
}

/** Coze by script; remembers what it was asked. */
export class ScriptedSource implements AnswerSource {
  readonly asked: Question[] = [];
  readonly created: string[] = [];
  readonly canceled: string[] = [];
  /** What the next looks for a lost chat find. */
  readonly found: (string | CozeError | undefined)[] = [];
  readonly looked: string[] = [];
  /** What the next followed chats say. */
  readonly follows: Script[] = [];
  readonly followed: string[] = [];
  /** How long each of them was waited for, in ms. */
  readonly patience: number[] = [];
  readonly #scripts: Script[];

  constructor(...scripts: Script[]) {
    this.#scripts = scripts;
  }

  createConversation({ conversation }: { conversation: string }): Promise<string> {
    this.created.push(conversation);
    return Promise.resolve(`coze-${this.created.length}`);
  }

  upload(): Promise<{ fileId: string; kind: "image" }> {
    return Promise.resolve({ fileId: "file-1", kind: "image" });
  }

  async *ask(question: Question, { signal }: { signal: AbortSignal }): AsyncIterable<AnswerEvent> {
    this.asked.push(question);
    yield* perform(this.#scripts.shift(), signal);
  }

  findChat({ turnId }: { turnId: string }): Promise<string | undefined> {
    this.looked.push(turnId);
    const found = this.found.shift();
    return found instanceof CozeError ? Promise.reject(found) : Promise.resolve(found);
  }

  async *follow(
    { chatId }: { chatId: string },
    { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
  ): AsyncIterable<AnswerEvent> {
    this.followed.push(chatId);
    this.patience.push(timeoutMs);
    yield* perform(this.follows.shift(), signal);
  }

  cancel({ chatId }: { chatId: string }): Promise<void> {
    this.canceled.push(chatId);
    return Promise.resolve();
  }
}

async function* perform(
  script: Script = {},
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent, void, undefined> {
  for (const event of script.events ?? []) {
    yield event;
    if (script.together !== true) await setImmediate();
  }
  if (script.hangs === true) {
    signal.throwIfAborted();
    await new Promise((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error)),
    );
  }
  if (script.error !== undefined) throw script.error;
}

/** A store in memory; TTLs are not kept. */
export class MemoryStore implements Store {
  /** So many of the next lists find it away. */
  listsToFail = 0;
  /** False: its process is killed before anything is written that vouches for something else. */
  settles = true;
  readonly #values = new Map<string, Json>();

  get(space: string, key: string): Promise<Json | undefined> {
    return Promise.resolve(this.#values.get(`${space}/${key}`));
  }

  set(
    space: string,
    key: string,
    value: Json,
    { ifAbsent = false, vouches = false }: SetOptions = {},
  ): Promise<boolean> {
    if (vouches && !this.settles) return Promise.resolve(true);
    if (ifAbsent && this.#values.has(`${space}/${key}`)) return Promise.resolve(false);
    this.#values.set(`${space}/${key}`, value);
    return Promise.resolve(true);
  }

  delete(space: string, key: string): Promise<boolean> {
    return Promise.resolve(this.#values.delete(`${space}/${key}`));
  }

  async *list(space: string): AsyncIterable<readonly [string, Json]> {
    if (this.listsToFail > 0) {
      this.listsToFail -= 1;
      throw new BridgeError("QUEUE_UNAVAILABLE", "the store is away", { retryable: true });
    }
    for (const [key, value] of this.#values)
      if (key.startsWith(`${space}/`)) yield [key.slice(space.length + 1), value];
  }
}

/** A run of the queue as the core sees it. */
export function aRun(changes: Partial<Run> = {}): Run & { readonly saved: Json[] } {
  const saved: Json[] = [];
  return {
    turns: [],
    conversation: "memory:place",
    start: 1,
    attempt: 1,
    suspected: false,
    state: undefined,
    signal: new AbortController().signal,
    save: (state) => {
      saved.push(state);
      return Promise.resolve();
    },
    saved,
    ...changes,
  };
}
