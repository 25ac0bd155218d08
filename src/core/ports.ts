import type { AnswerEvent, AnswerState } from "./answer-state.ts";
import type { BridgeError } from "./errors.ts";
import type { Clock, Gates } from "./gate.ts";
import type { Json } from "./json.ts";
import type { Attachment, IncomingTurn, Turn } from "./turn.ts";

/** Options of everything that takes time. */
export interface Abortable {
  readonly signal: AbortSignal;
}

// ---------------------------------------------------------------------------------------------- chat platforms

/** What was not known of a turn when it was handed in. */
export type Completion = Partial<Pick<Turn, "asker" | "locale" | "quote" | "attachments" | "address">>;

/**
 * A chat platform, as the core sees it. Implemented under `adapters/`.
 *
 * Two lifetimes on purpose: the adapter itself can write, the intake it opens can read. At shutdown intakes close
 * first, so running turns can still finish their replies.
 */
export interface Adapter extends AsyncDisposable {
  readonly platform: string;
  /** Requests it answers on the bridge's own HTTP port, by path, e.g. `/slack/events`. */
  readonly routes: Readonly<Record<string, HttpHandler>>;
  /** Starts receiving; resolves once the platform accepted us. Disposing the result stops receiving, nothing else. */
  openIntake(onTurn: OnTurn, options: OpenIntakeOptions): Promise<AsyncDisposable>;
  /**
   * Asks the platform who we are.
   *
   * @throws {PlatformError} `PLATFORM_AUTH` with what to do, when it does not take our token.
   */
  checkToken(options: Abortable): Promise<void>;
  /**
   * Finds out what was not looked up before the turn was handed in: who its asker is, and what stands above a question
   * that is `belowTalk`. What it returns replaces what the turn says; `undefined` when nothing was left to find out.
   * Takes a bounded time, and never throws. Meanwhile Coze may be asked, unless it is `belowTalk`; nothing is said to
   * the asker.
   */
  complete?(turn: Turn, options: Abortable): Promise<Completion> | undefined;
  /**
   * Opens the reply to a turn and shows at once that somebody is at work (typing, status).
   *
   * @throws {PlatformError} when the place is gone or forbidden: then nothing can be shown there at all.
   */
  openReply(turn: Turn, options: OpenReplyOptions): Promise<Reply>;
  /**
   * Brings an attachment's bytes from the platform's own file host to a local file.
   *
   * @throws {BridgeError} one of the `FILE_…` codes.
   */
  fetchAttachment(turn: Turn, attachment: Attachment, options: FetchOptions): Promise<LocalFile>;
  /**
   * Shows at the question that it waits for its turn (a reaction, a status), or takes that sign away again. Cosmetic:
   * never throws.
   */
  showWaiting(turn: Turn, waiting: boolean, options: Abortable): Promise<void>;
  /** Whether the intake is connected, in words for `/healthz`. */
  health(): AdapterHealth;
}

/** What every adapter gets from the composition root. */
export interface AdapterTools {
  readonly log: Log;
  readonly clock: Clock;
  /** On that clock; a bucket's name begins with the platform's. */
  readonly gates: Gates;
  readonly download: Download;
  readonly proxy?: HttpProxy | undefined;
  readonly sealer: Sealer;
  /** Durable state of the adapter's own, under spaces that begin with its platform's name, e.g. `discord-seen`. */
  readonly store: Store;
  readonly leases: Leases;
  readonly catchUp: CatchUpLimits;
}

/** Where the world is reached through, where it can't be reached directly. */
export interface HttpProxy {
  /** `http:` or `https:`, with user and password if it wants them: a secret. It must tunnel (CONNECT). */
  readonly url: string;
  /** Hosts that are reached directly: names, `.suffixes` and ports, with commas between them, as `NO_PROXY` has them. */
  readonly except: string;
}

/** What is looked for of the time in which nobody listened. */
export interface CatchUpLimits {
  /** Older questions are not answered any more, in ms. */
  readonly windowMs: number;
  /** Questions per place; what is beyond is named in one notice per place. */
  readonly perPlace: number;
}

/**
 * Fetches a file to a temporary place: https and one of `hosts` only (or what the sandbox wired in), no redirect,
 * counted while it streams.
 *
 * @throws {BridgeError} one of the `FILE_…` codes; `FILE_GONE` for 401, 403, 404 and 410.
 */
export type Download = (
  url: string,
  options: FetchOptions & {
    /** Exact host names. */
    readonly hosts: readonly string[];
    readonly headers?: Readonly<Record<string, string>>;
  },
) => Promise<LocalFile>;

/** Keeps secrets that must outlive the process (interaction tokens, response URLs) unreadable at rest. */
export interface Sealer {
  /** @param expiresAt - Ms since the epoch after which it opens no more. */
  seal(secret: string, expiresAt: number): string;
  /** `undefined` when expired, altered, or sealed with another key. */
  open(sealed: string): string | undefined;
}

export interface AdapterHealth {
  readonly ok: boolean;
  readonly detail: string;
}

/** A request handler in the web's own terms; the body is read by the handler, within the server's limit. */
export type HttpHandler = (request: Request) => Promise<Response>;

/** Takes a normalized turn; resolves once it is durable (or known already), so the platform may be acknowledged. */
export type OnTurn = (turn: IncomingTurn) => Promise<void>;

export interface OpenIntakeOptions extends Abortable {
  /**
   * Nobody wants the answer to the question with this dedupe key any more: it was deleted, or its asker pressed stop.
   * There may never have been a turn for it.
   */
  readonly onGone?: (dedupeKey: string) => Promise<void>;
  /**
   * A question was changed after it was asked: what it says now, under the dedupe key of the first time. Resolves once
   * that is durable, or known already. There may never have been a turn for it.
   *
   * @param changedAt - In ms since the epoch, by the platform's clock; the same for every delivery of the change.
   */
  readonly onEdited?: (question: IncomingTurn, changedAt: number) => Promise<void>;
  /** The platform will not have us back, whatever we try; called at most once. */
  readonly onFatal?: (error: unknown) => void;
}

export interface OpenReplyOptions extends Abortable {
  /**
   * The turn was started before: messages may exist that `saved` does not know, because the process ended between
   * making one and saving it. They are looked for before a new one is made.
   */
  readonly again: boolean;
  /** What this reply saved in an earlier attempt, if there was one. Only the adapter reads it. */
  readonly saved: Json | undefined;
  /** What the reply to an earlier revision of the question saved last: its messages are taken over, all of them. */
  readonly earlier: Json | undefined;
  /** Makes the reply's own state durable; to be awaited before the effect it describes is relied on. */
  readonly save: (state: Json) => Promise<void>;
  /**
   * Called before `finish`: the answer ends here, whatever text still comes. After a platform's error nothing can be shown any
   * more, and `finish`, called all the same, rejects with it; a refused token is not meant. After any other error `finish`
   * still shows what there is.
   */
  readonly onOver: (error: BridgeError) => void;
}

/** Our answer on the platform: one or more messages that grow by edits. */
export interface Reply {
  /**
   * Shows the newest state as soon as the platform's limits allow. Never waits, never throws: a newer content
   * replaces an unsent older one.
   */
  show(content: ReplyContent): void;
  /**
   * Writes the last state and resolves when it is on screen, whole. Nothing is shown afterwards. It may be called again: after
   * a failure, or when what the messages have to hold has changed.
   *
   * @throws {PlatformError} when it could not be delivered.
   */
  finish(content: ReplyContent): Promise<FinishedReply>;
  /** Stops without a last state, leaving what is on screen: the turn will be tried again, here or elsewhere. */
  abandon(): Promise<void>;
}

/** What a reply shows: the answer so far, and below it a sentence of ours, if there is one. */
export interface ReplyContent {
  readonly answer: AnswerState;
  readonly notice?: string;
}

export interface FinishedReply {
  /** One key per message shown, e.g. `discord:<channel>:<message>`; a later reply to it carries it as `continues`. */
  readonly messageKeys: readonly string[];
}

export interface FetchOptions extends Abortable {
  readonly maxBytes: number;
}

/** A file on this machine, gone when disposed. */
export interface LocalFile extends AsyncDisposable {
  readonly path: string;
  readonly bytes: number;
}

// ------------------------------------------------------------------------------------------------------- Coze

/** Coze, as the core sees it. Implemented by `src/coze`. */
export interface AnswerSource {
  /**
   * Creates the conversation before its first chat, so that a crash cannot lose its id (coze-api.md §16.2).
   *
   * @param options - `fresh`: made just now, since Coze has forgotten an older one.
   * @returns Coze's `conversation_id`.
   * @throws {CozeError}
   */
  createConversation(
    options: { botId: string; conversation: string; fresh?: boolean } & Abortable,
  ): Promise<string>;
  /**
   * Brings a local file to Coze, typed by its content. Small text files, which Coze takes none of, come back as text
   * that goes into the question.
   *
   * @throws {CozeError} or a {@link BridgeError} with a `FILE_…` code when Coze would refuse it.
   */
  upload(file: LocalFile, options: { name: string } & Abortable): Promise<BroughtFile>;
  /**
   * Asks, and yields the answer as it is written. Returns normally only when the chat's end was seen; a stream
   * that just stops throws `COZE_STREAM_BROKEN`, silence `COZE_TIMEOUT`.
   *
   * @throws {CozeError}
   */
  ask(question: Question, options: Abortable): AsyncIterable<AnswerEvent>;
  /**
   * Looks for the chat of a question that was sent, of which only this much is known (coze-api.md §16.3).
   *
   * @returns `undefined` when Coze does not show it (any more, or yet).
   * @throws {CozeError}
   */
  findChat(lost: { conversationId: string; turnId: string }, options: Abortable): Promise<string | undefined>;
  /**
   * Follows a chat that nobody reads the stream of: waits for its end, then yields all of its messages and its end as
   * {@link ask} would.
   *
   * @throws {CozeError} as {@link ask} does; `COZE_TIMEOUT` when it does not end.
   */
  follow(
    chat: { conversationId: string; chatId: string },
    options: Abortable & { timeoutMs: number },
  ): AsyncIterable<AnswerEvent>;
  /** Stops a running chat. A chat that is already over is no error. @throws {CozeError} */
  cancel(chat: { conversationId: string; chatId: string }, options: Abortable): Promise<void>;
}

export interface UploadedFile {
  readonly fileId: string;
  readonly kind: "image" | "file" | "audio";
}

/** A text file that is written into the question, since Coze's upload refuses its kind (coze-api.md §10). */
export interface InlineText {
  readonly kind: "text";
  readonly name: string;
  readonly text: string;
}

/** What {@link AnswerSource.upload} makes of an attachment; goes into {@link Question.files} as it is. */
export type BroughtFile = UploadedFile | InlineText;

/** One question to Coze. */
export interface Question {
  readonly botId: string;
  readonly conversationId: string;
  /** Coze's `user_id`: context and memory are isolated by it (coze-api.md §4). */
  readonly userId: string;
  /** Goes into the `meta_data` of chat and message, so that a lost chat can be found again. */
  readonly turnId: string;
  readonly text: string;
  readonly files: readonly BroughtFile[];
  /** What others said meanwhile, oldest first; goes before the question. */
  readonly context: readonly ContextMessage[];
}

export interface ContextMessage {
  readonly role: "asker" | "bot";
  readonly text: string;
}

// ------------------------------------------------------------------------------------------------------ queue

/** What goes into the queue. */
export interface NewTurn {
  /** The platform event: the same key within the dedupe window is the same turn. */
  readonly key: string;
  /** The lane: one at a time, in accepted order. */
  readonly conversation: string;
  readonly payload: Json;
  /** May run together with waiting neighbours of the same group, see {@link WorkOptions.mergeWithinMs}. */
  readonly merge?: MergeMark;
  /** An earlier process may have started it, and died with all that knew of it: it counts as started once. */
  readonly perhapsStarted?: boolean;
}

/** What decides whether waiting neighbours run as one turn. */
export interface MergeMark {
  /** Only turns of the same group merge; the asker. */
  readonly group: string;
  /** When it was written, in ms since the epoch. */
  readonly at: number;
}

export interface EnqueueResult {
  readonly id: string;
  /** The key was known already: nothing was added, `id` is the first one's. */
  readonly duplicate: boolean;
  /** Unfinished turns before it in its conversation. */
  readonly ahead: number;
}

/** One start of one turn (or of one merged batch). */
export interface Run {
  /** One, or a batch fixed at its first start; oldest first. */
  readonly turns: readonly QueuedTurn[];
  readonly conversation: string;
  /** 1, 2, …: how often it was started, whatever the cause. */
  readonly start: number;
  /** 1, 2, …: how often it was tried; starts that did not count as a try (hand-over, crash) are left out. */
  readonly attempt: number;
  /**
   * Its process has died under it so often (20 times) that the turn is taken for the cause: Coze is not asked again, its
   * asker is told, and it becomes a dead letter. Stays so however often it is started.
   */
  readonly suspected: boolean;
  /** Last checkpoint. */
  readonly state: Json | undefined;
  /** `reason` is a {@link RunAborted}: cancelled by somebody, handed over, or no longer ours. */
  readonly signal: AbortSignal;
  /** Stores the checkpoint, fenced: rejects with {@link RunAborted} when the run is no longer ours. */
  save(state: Json): Promise<void>;
}

export interface QueuedTurn {
  readonly id: string;
  readonly key: string;
  readonly payload: Json;
  /** When it was accepted, in ms since the epoch. */
  readonly at: number;
}

/** Resolves: done. Throws {@link RetryLater}: again later. Throws while aborted: by the reason. Else: dead letter. */
export type TurnHandler = (run: Run) => Promise<void>;

/** Why a run's signal fired. */
export class RunAborted extends Error {
  override readonly name = "RunAborted";
  readonly why: "cancelled" | "handover" | "lease-lost";

  constructor(why: RunAborted["why"]) {
    super(`run aborted: ${why}`);
    this.why = why;
  }
}

/** Thrown by a handler that wants its turn back later. */
export class RetryLater extends Error {
  override readonly name = "RetryLater";
  /** Wait before the next start, in ms; the queue's own back-off when absent. */
  readonly afterMs: number | undefined;
  /**
   * False when the start shall not count as an attempt, e.g. a payload of a newer version or a refused token. Without
   * `afterMs` it waits a moment at first, for somebody else to take it, then ever longer.
   */
  readonly counts: boolean;

  constructor(options: { afterMs?: number; counts?: boolean; cause?: unknown } = {}) {
    super("turn wants to be tried again later", { cause: options.cause });
    this.afterMs = options.afterMs;
    this.counts = options.counts ?? true;
  }
}

export interface WorkOptions {
  /** Turns running at once in this process. */
  readonly concurrency: number;
  /** Attempts before a turn becomes a dead letter, default 5. */
  readonly maxAttempts?: number;
  /** Wait after a try, in ms, by how many there were; default exponential from 1 s to 60 s. */
  readonly backoffMs?: (tries: number) => number;
  /** Turns that may run as one, default 1. */
  readonly maxMerge?: number;
  /** Waiting neighbours merge when each was written at most this long after the one before it; default 0. */
  readonly mergeWithinMs?: number;
}

/** Workers of this process. */
export interface Consumer {
  /** `drain` finishes what runs; `handover` aborts it and leaves it to the next start. Drain may turn into handover. */
  stop(mode: "drain" | "handover"): Promise<void>;
}

export interface DeadTurn {
  readonly id: string;
  readonly key: string;
  readonly conversation: string;
  readonly error: string;
  readonly at: number;
}

export interface QueueStats {
  readonly depth: number;
  readonly running: number;
  readonly dead: number;
  readonly oldestMs: number;
  readonly paused: boolean;
}

/**
 * The durable turn queue: FIFO inside a conversation, many conversations at once, at least once.
 *
 * @see docs/reference/queue.md §5
 */
export interface TurnQueue extends AsyncDisposable {
  /** Durable when it resolves. @throws {BridgeError} `QUEUE_FULL`, `QUEUE_UNAVAILABLE` */
  enqueue(turn: NewTurn, options?: { deadlineMs?: number }): Promise<EnqueueResult>;
  /** Starts workers in this process. */
  work(handler: TurnHandler, options: WorkOptions): Promise<Consumer>;
  /** True when found: running anywhere, waiting, or in back-off. A waiting one starts with an aborted signal. */
  cancel(id: string): Promise<boolean>;
  /** The turn that was accepted under this key, as long as the key is known; it may have ended. */
  idOf(key: string): Promise<string | undefined>;
  /** Whether the turn was accepted and never started. */
  isWaiting(id: string): Promise<boolean>;
  /**
   * Changes what a turn says that has not started yet, atomically.
   *
   * @param change - Gets the stored payload; `undefined` leaves it. May be called again when another process was faster.
   * @param options - `key`: becomes a key of this turn in the same step, so that the same change is not accepted again.
   * @returns Whether it was changed.
   */
  amend(
    id: string,
    change: (payload: Json) => Json | undefined,
    options?: { key?: string },
  ): Promise<boolean>;
  /** No turn starts until `resume`, in any process, also after a restart. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  stats(): Promise<QueueStats>;
  dead(limit?: number): Promise<readonly DeadTurn[]>;
  /** Puts a dead turn back at the tail of its conversation, with fresh attempts. */
  requeue(id: string): Promise<boolean>;
  discard(id: string): Promise<boolean>;
  health(): Promise<{ ok: boolean; notes: readonly string[] }>;
}

/** One line of what a queue holds; what `dump` of one driver yields, `load` of any driver takes. */
export type QueueRecord = TurnRecord | DeadRecord | SeenRecord | PausedRecord;

interface TurnFacts {
  /** A whole number, unique in its queue. */
  readonly id: number;
  readonly key: string;
  readonly conversation: string;
  readonly payload: Json;
  readonly merge?: MergeMark;
}

/** An unfinished turn. Inside a conversation the order of the lines is the order of the turns. */
export interface TurnRecord extends TurnFacts {
  readonly kind: "turn";
  /** When it was accepted, in ms since the epoch. */
  readonly at: number;
  readonly cancelled: boolean;
  /** Of the first turn of a batch: how many belong to it, 0 before its first start. */
  readonly batch: number;
  readonly starts: number;
  readonly tries: number;
  readonly crashes: number;
  /** Last checkpoint. */
  readonly state?: Json;
}

/** A dead letter. */
export interface DeadRecord extends TurnFacts {
  readonly kind: "dead";
  readonly error: string;
  /** When it died, in ms since the epoch. */
  readonly at: number;
}

/** The key of a turn that was accepted, finished or not. */
export interface SeenRecord {
  readonly kind: "seen";
  readonly key: string;
  readonly id: number;
  /** Known until then, in ms since the epoch. */
  readonly until: number;
}

/** Nothing starts. */
export interface PausedRecord {
  readonly kind: "paused";
}

/** Everything of a queue or a store, to be carried elsewhere. */
export interface Archive<Line> {
  isEmpty(): Promise<boolean>;
  /** Everything, in steps: to be read while nobody writes. */
  dump(): AsyncIterable<Line>;
  /**
   * Adds some lines, in the order of `dump`; call after call until all are in. What is there already stays as it is.
   *
   * @returns How many were new.
   */
  load(lines: readonly Line[]): Promise<number>;
}

export interface QueueArchive extends Archive<QueueRecord> {
  /** What a dead letter asked; `undefined` when there is none of that id. */
  deadPayload(id: string): Promise<Json | undefined>;
}

// ------------------------------------------------------------------------------------------------------ store

export interface SetOptions {
  readonly ttlMs?: number;
  /**
   * `false`: it outlives this process when `set` resolves, and a power loss only together with the next write that is
   * synced. Default: `true`, but for what has an expiry.
   */
  readonly synced?: boolean;
  /** Write only when nothing is there. */
  readonly ifAbsent?: boolean;
  /**
   * The value says that something else is stored, so it must not outlive that. One file keeps their order; Redis, which may
   * lose its last seconds when it dies, gets it some seconds later: a process that is killed meanwhile leaves the value
   * before it. Not together with `ifAbsent`.
   */
  readonly vouches?: boolean;
}

/** Durable key-value state beside the queue. @see docs/reference/queue.md §6 */
export interface Store {
  get(space: string, key: string): Promise<Json | undefined>;
  /** @returns False when `ifAbsent` found something. */
  set(space: string, key: string, value: Json, options?: SetOptions): Promise<boolean>;
  /** @returns Whether there was something. */
  delete(space: string, key: string): Promise<boolean>;
  /** Rare: admin and start-up. */
  list(space: string): AsyncIterable<readonly [key: string, value: Json]>;
}

/** One value of a store. */
export interface StoreRecord {
  readonly space: string;
  readonly key: string;
  readonly value: Json;
  /** Gone from then on, in ms since the epoch. */
  readonly until?: number;
}

// ----------------------------------------------------------------------------------------------------- leases

/** What only one process at a time may do: who wants to waits until its holder lets go, or is dead. */
export interface Leases {
  /**
   * Resolves once it is ours. Rejects with the signal's reason.
   *
   * @param options.onTaken - Another process has it, and may keep it for as long as it lives. Called at most once.
   */
  acquire(name: string, options: AcquireOptions): Promise<Lease>;
}

export interface AcquireOptions extends Abortable {
  readonly onTaken?: () => void;
}

/** A lease that is ours; disposing gives it back at once. */
export interface Lease extends AsyncDisposable {
  /** Fires when it is no longer sure to be ours: what it allows must stop now, before somebody else may begin. */
  readonly lost: AbortSignal;
}

// -------------------------------------------------------------------------------------------------------- log

/** The slice of the logger the core and the adapters use. Messages are constants, data are fields. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
}
