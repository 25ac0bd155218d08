import { randomUUID } from "node:crypto";
import { BridgeError } from "../core/errors.ts";
import type { Json } from "../core/json.ts";
import type {
  Consumer,
  DeadTurn,
  EnqueueResult,
  Log,
  NewTurn,
  QueueStats,
  TurnHandler,
  TurnQueue,
  WorkOptions,
} from "../core/ports.ts";
import { parseJson, toJsonText } from "./json-text.ts";
import { DEDUPE_MS, DEFAULT_BOUNDS, type QueueBounds, toEnqueueResult } from "./limits.ts";
import { describeError, type Outcome } from "./outcome.ts";
import { SqliteConsumer } from "./sqlite-consumer.ts";
import { SqliteRun } from "./sqlite-run.ts";
import { type QueueFile, type TableClaim, TurnTable } from "./turn-table.ts";

/** Turns started, and ends written, per transaction; a bigger one would hold up the loop. */
const MAX_CLAIMS = 50;
const MAX_ENDS = 200;
const SWEEP_MS = 60_000;
/** Wait before the next try when the file can't be written. */
const TROUBLE_MS = 1_000;
/** An unfinished turn of this age is worth a word (queue.md §7). */
const OLD_MS = 5 * 60_000;
/** Timers are looked at again after this long at the latest, should the clock be set. */
const MAX_TIMER_MS = 60_000;

export interface SqliteQueueOptions {
  readonly file: QueueFile;
  readonly log: Log;
  /** Ms since the epoch; default the system's clock. */
  readonly now?: () => number;
  /** How long a key is known after its turn was accepted, in ms; default 24 h, and always until it is finished. */
  readonly dedupeMs?: number | undefined;
  /** Unfinished turns taken, in one conversation and in all; default 100 and 100,000. Beyond: `QUEUE_FULL`. */
  readonly bounds?: QueueBounds;
}

/**
 * Opens the embedded queue on a file that this process owns. What a dead process had begun starts again with its
 * last checkpoint.
 *
 * @throws {BridgeError} `QUEUE_UNAVAILABLE` when the file can't be read or written.
 * @see docs/reference/queue.md §4
 */
export async function openSqliteQueue(options: SqliteQueueOptions): Promise<TurnQueue> {
  try {
    const table = new TurnTable(options.file);
    const now = (options.now ?? Date.now)();
    const { freed, buried } = options.file.transaction(() => {
      table.sweep(now);
      return table.takeOver(now);
    });
    if (freed > 0) options.log.info({ count: freed }, "turns of a dead process start again");
    for (const id of buried)
      options.log.error({ queueId: id }, "turn killed its process too often: dead letter");
    return new SqliteQueue(table, options);
  } catch (cause) {
    throw unavailable(options.file, "can't be read", cause);
  }
}

interface Ended {
  readonly run: SqliteRun;
  readonly outcome: Outcome;
  readonly written: () => void;
}

class SqliteQueue implements TurnQueue {
  readonly #table: TurnTable;
  readonly #file: QueueFile;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #dedupeMs: number;
  readonly #bounds: QueueBounds;
  /** Tokens of this process differ from those of any other (fence). */
  readonly #epoch = randomUUID();
  readonly #consumers = new Set<SqliteConsumer>();
  #runCount = 0;
  #ended: Ended[] = [];
  #paused: boolean;
  #phase: "open" | "closing" | "closed" = "open";
  #trouble: string | undefined;
  #nextCycle: NodeJS.Immediate | undefined;
  #isWaking = false;
  #dueTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout;

  constructor(table: TurnTable, options: SqliteQueueOptions) {
    this.#table = table;
    this.#file = options.file;
    this.#log = options.log;
    this.#now = options.now ?? Date.now;
    this.#dedupeMs = options.dedupeMs ?? DEDUPE_MS;
    this.#bounds = options.bounds ?? DEFAULT_BOUNDS;
    this.#paused = table.isPaused();
    this.#sweepTimer = setTimeout(() => this.#sweep(), SWEEP_MS);
  }

  /** Durable, i.e. synced to the disk, when it resolves. A write that hangs is not cut short by `deadlineMs`. */
  async enqueue(turn: NewTurn, { deadlineMs }: { deadlineMs?: number } = {}): Promise<EnqueueResult> {
    this.#demandOpen();
    const payload = toJsonText(turn.payload, "turn");
    const until = deadlineMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + deadlineMs;
    const answer = await this.#commit(() => {
      if (performance.now() > until) return "late";
      return this.#table.accept(turn, payload, {
        now: this.#now(),
        dedupeMs: this.#dedupeMs,
        bounds: this.#bounds,
      });
    });
    const result = toEnqueueResult(answer, {
      bounds: this.#bounds,
      deadlineMs,
      unavailable: (what) => unavailable(this.#file, what, undefined),
    });
    this.#wakeAtOnce();
    return result;
  }

  async work(handler: TurnHandler, options: WorkOptions): Promise<Consumer> {
    if (this.#phase !== "open") throw unavailable(this.#file, "the queue is closing", undefined);
    const consumer = new SqliteConsumer(handler, options, (run, outcome) => this.#end(run, outcome));
    this.#consumers.add(consumer);
    this.#wake();
    return consumer;
  }

  async cancel(id: string): Promise<boolean> {
    const found = this.#write(() => this.#table.cancel(toNumber(id)));
    if (found === undefined) return false;
    const running = this.#runs().find(({ claim }) => claim.turns.some(({ ord }) => ord === found.ord));
    running?.abort("cancelled");
    this.#wake();
    return true;
  }

  async idOf(key: string): Promise<string | undefined> {
    return this.#table.idOf(key, this.#now());
  }

  async isWaiting(id: string): Promise<boolean> {
    return this.#table.waiting(toNumber(id)) !== undefined;
  }

  async amend(
    id: string,
    change: (payload: Json) => Json | undefined,
    { key }: { key?: string } = {},
  ): Promise<boolean> {
    this.#demandOpen();
    return this.#commit(() => {
      const found = this.#table.waiting(toNumber(id));
      const changed = found === undefined ? undefined : change(parseJson(found.payload));
      if (found === undefined || changed === undefined) return false;
      this.#table.setPayload(found.ord, toJsonText(changed, "turn"));
      if (key !== undefined) this.#table.addKey(toNumber(id), key, this.#now() + this.#dedupeMs);
      return true;
    });
  }

  async pause(): Promise<void> {
    await this.#setPaused(true);
  }

  async resume(): Promise<void> {
    await this.#setPaused(false);
    this.#wake();
  }

  async stats(): Promise<QueueStats> {
    const oldestAt = this.#table.oldestAt();
    return {
      depth: this.#table.depth,
      running: this.#runs().length,
      dead: this.#table.deadCount,
      oldestMs: oldestAt === undefined ? 0 : Math.max(0, this.#now() - oldestAt),
      paused: this.#paused,
    };
  }

  /** Newest first; at most 10,000 are kept, the oldest go. */
  async dead(limit = 100): Promise<readonly DeadTurn[]> {
    return this.#table.dead(limit);
  }

  /** Its checkpoint is not kept: the turn is answered as if it had just been written. */
  async requeue(id: string): Promise<boolean> {
    this.#demandOpen();
    const found = await this.#commit(() => this.#table.requeue(toNumber(id), this.#now()));
    this.#wake();
    return found;
  }

  async discard(id: string): Promise<boolean> {
    return this.#write(() => this.#table.discard(toNumber(id)));
  }

  async health(): Promise<{ ok: boolean; notes: readonly string[] }> {
    const file = await this.#file.check();
    const notes = [...file.notes];
    if (this.#trouble !== undefined) notes.push(`the queue file can't be written: ${this.#trouble}`);
    const { oldestMs } = await this.stats();
    if (oldestMs > OLD_MS)
      notes.push(`the oldest unfinished turn is ${Math.floor(oldestMs / 60_000)} minutes old`);
    if (this.#paused) notes.push("the queue is paused");
    if (this.#table.deadCount > 0) notes.push(`${this.#table.deadCount} dead letters`);
    return { ok: file.ok && this.#trouble === undefined && this.#phase === "open", notes };
  }

  /** Hands over what still runs. The file stays open: it belongs to the caller. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#phase !== "open") return;
    this.#phase = "closing";
    if (this.#file.isOpen) {
      await Promise.all([...this.#consumers].map((consumer) => consumer.stop("handover")));
      this.#releaseRest();
    }
    this.#shut();
  }

  /** Handlers that did not react: told to hand over, and from here on not able to write. */
  #releaseRest(): void {
    const rest = this.#runs();
    if (rest.length === 0 || !this.#file.isOpen) return;
    this.#log.warn({ count: rest.length }, "handlers did not stop: their turns are left to the next start");
    this.#write(() => {
      for (const { claim } of rest) this.#table.end(claim, { end: "release" }, this.#now());
    });
  }

  #shut(): void {
    this.#phase = "closed";
    clearImmediate(this.#nextCycle);
    clearTimeout(this.#dueTimer);
    clearTimeout(this.#sweepTimer);
    for (const run of this.#runs()) run.lose();
    for (const { written } of this.#ended) written();
    this.#ended = [];
  }

  #runs(): readonly SqliteRun[] {
    return [...this.#consumers].flatMap((consumer) => consumer.runs);
  }

  #end(run: SqliteRun, outcome: Outcome): Promise<void> {
    if (this.#phase === "closed") return Promise.resolve();
    return new Promise((written) => {
      this.#ended.push({ run, outcome, written });
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#phase === "closed") return;
    this.#nextCycle ??= setImmediate(() => this.#cycle());
  }

  /** For what was just taken in: all of one commit together, and before anything else that came meanwhile. */
  #wakeAtOnce(): void {
    if (this.#phase === "closed" || this.#isWaking) return;
    this.#isWaking = true;
    queueMicrotask(() => {
      this.#isWaking = false;
      if (this.#phase !== "closed") this.#cycle();
    });
  }

  /** One step of everything: what ended is written, what may start is started, in one transaction. */
  #cycle(): void {
    clearImmediate(this.#nextCycle);
    this.#nextCycle = undefined;
    const ended = this.#ended.slice(0, MAX_ENDS);
    try {
      const step = this.#file.transaction(() => this.#step(ended));
      this.#ended = this.#ended.slice(ended.length);
      this.#recovered();
      for (const { written } of ended) written();
      for (const { consumer, claim } of step.claims) this.#start(consumer, claim);
      this.#armTimer(step.nextDue);
      // Perhaps there is more; an idle queue falls asleep here.
      if (this.#ended.length > 0 || step.claims.length >= MAX_CLAIMS) this.#wake();
    } catch (error) {
      this.#inTrouble(error);
    }
  }

  #step(ended: readonly Ended[]): {
    claims: readonly { consumer: SqliteConsumer; claim: TableClaim }[];
    nextDue: number | undefined;
  } {
    const now = this.#now();
    // A step with nothing to write proves nothing: this one writes.
    if (this.#trouble !== undefined) this.#table.setPaused(this.#paused);
    for (const { run, outcome } of ended) this.#writeEnd(run, outcome, now);
    const nextDue = this.#table.promote(now);
    const claims = this.#paused ? [] : [...this.#consumers].flatMap((consumer) => this.#claim(consumer));
    return { claims, nextDue };
  }

  #writeEnd(run: SqliteRun, outcome: Outcome, now: number): void {
    const ours = this.#table.end(run.claim, outcome, now);
    const fields = { conversationKey: run.conversation, queueIds: run.turns.map(({ id }) => id) };
    if (!ours) this.#log.warn(fields, "a run ended that was no longer ours");
    else if (outcome.end === "dead")
      this.#log.warn({ ...fields, reason: outcome.error }, "turn is a dead letter");
  }

  #claim(consumer: SqliteConsumer): readonly { consumer: SqliteConsumer; claim: TableClaim }[] {
    const room = Math.min(MAX_CLAIMS, consumer.room);
    if (room === 0) return [];
    const token = (): string => `${this.#epoch}:${++this.#runCount}`;
    return this.#table
      .claim(room, { maxMerge: consumer.maxMerge, mergeWithinMs: consumer.mergeWithinMs, token })
      .map((claim) => ({ consumer, claim }));
  }

  #start(consumer: SqliteConsumer, claim: TableClaim): void {
    try {
      consumer.start(new SqliteRun(claim, this.#file, this.#table));
    } catch (error) {
      // What is stored is not JSON: it would block its conversation for ever.
      this.#write(() => this.#table.end(claim, { end: "dead", error: describeError(error) }, this.#now()));
      this.#log.error({ err: error, conversationKey: claim.lane }, "stored turn is damaged: dead letter");
      this.#wake();
    }
  }

  #armTimer(nextDue: number | undefined): void {
    clearTimeout(this.#dueTimer);
    if (nextDue === undefined) return;
    const waitMs = Math.min(MAX_TIMER_MS, Math.max(0, nextDue - this.#now()));
    this.#dueTimer = setTimeout(() => this.#wake(), waitMs);
  }

  #inTrouble(error: unknown): void {
    if (!this.#file.isOpen) {
      this.#log.error({ err: error }, "queue file was closed under the queue");
      this.#shut();
      return;
    }
    if (this.#trouble === undefined)
      this.#log.error({ err: error }, "queue file can't be written, trying again");
    this.#trouble = describeError(error);
    this.#table.recount();
    clearTimeout(this.#dueTimer);
    this.#dueTimer = setTimeout(() => this.#wake(), TROUBLE_MS);
  }

  #recovered(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    this.#log.info({}, "queue file can be written again");
  }

  #sweep(): void {
    let more = false;
    try {
      more = this.#file.transaction(() => this.#table.sweep(this.#now()));
    } catch (error) {
      // Only tidying; the next one does it.
      this.#log.debug({ err: error }, "sweep failed");
    }
    this.#sweepTimer = setTimeout(() => this.#sweep(), more ? TROUBLE_MS : SWEEP_MS);
  }

  async #setPaused(paused: boolean): Promise<void> {
    this.#demandOpen();
    await this.#commit(() => this.#table.setPaused(paused));
    this.#paused = paused;
  }

  #write<T>(work: () => T): T {
    this.#demandOpen();
    try {
      return this.#file.transaction(work);
    } catch (cause) {
      throw this.#refused(cause);
    }
  }

  async #commit<T>(work: () => T): Promise<T> {
    try {
      return await this.#file.commit(work);
    } catch (cause) {
      throw this.#refused(cause);
    }
  }

  #refused(cause: unknown): BridgeError {
    const error = cause instanceof BridgeError ? cause : unavailable(this.#file, "can't be written", cause);
    if (!this.#file.isOpen) return error;
    // Whoever asks for our health need not wait for the next step to fail as well.
    if (error.code === "QUEUE_UNAVAILABLE") this.#inTrouble(error);
    else this.#table.recount();
    return error;
  }

  #demandOpen(): void {
    if (this.#phase === "closed") throw unavailable(this.#file, "the queue is closed", undefined);
  }
}

function unavailable(file: QueueFile, what: string, cause: unknown): BridgeError {
  return new BridgeError("QUEUE_UNAVAILABLE", `${file.path}: ${what}`, { cause, retryable: true });
}

/** Our ids are whole numbers; anything else is simply unknown. */
function toNumber(id: string): number {
  return /^\d{1,15}$/.test(id) ? Number(id) : -1;
}
