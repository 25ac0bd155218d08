import { DelayedError, type Job, WaitingError, Worker, type WorkerOptions } from "bullmq";
import type { Redis } from "ioredis";
import type { Consumer, Log, TurnHandler, WorkOptions } from "../core/ports.ts";
import { BullmqRun } from "./bullmq-run.ts";
import type { Begun, Mailbox } from "./mailbox.ts";
import { describeError, type Outcome, runHandler } from "./outcome.ts";

/** Name of BullMQ's queue of conversations. */
export const BELL_QUEUE = "turns";
/** A number that is never reached: neither a crash nor an outage may ever fail a conversation (queue.md §8.1). */
export const NEVER = 1_000_000_000;
/** Part of the lease after which an unconfirmed run is given up, before anyone may take it over (queue.md §3). */
const LEASE_SHARE = 0.9;
const WATCHES_PER_LEASE = 40;
/** Stalled checks per lease: 10 s and 2.5 s give a takeover of 6.5 to 14 s (queue.md §1). */
const STALLED_CHECKS_PER_LEASE = 4;
/** How long a hand-over may take before it is left to the lease, in ms; longer than a run's patience. */
const HANDOVER_WAIT_MS = 7_000;

/** What a bell carries: which conversation has turns. */
export interface Bell {
  readonly conv: string;
}

export interface ConsumerParts {
  readonly redis: Redis;
  /** BullMQ's key prefix, with the braces that keep all keys in one slot. */
  readonly bellPrefix: string;
  readonly leaseMs: number;
  readonly mailbox: Mailbox;
  readonly log: Log;
  readonly newToken: () => string;
  /** Makes sure that somebody looks into the mailbox again. */
  readonly ring: (lane: string) => Promise<void>;
  /** Puts a conversation we hold to the tail of BullMQ's queue, behind all that wait. */
  readonly toTail: (jobId: string, lockToken: string) => Promise<void>;
  /** Starts a parked conversation now. */
  readonly promote: (lane: string) => Promise<void>;
  /** Whether a cancel of this turn was heard before its run was known here. */
  readonly wasCancelled: (head: string) => boolean;
  readonly toError: (cause: unknown) => Error | undefined;
}

interface Held {
  /** When the lock was last known to be ours, on the monotonic clock: taken before asking, so never too late. */
  confirmedAt: number;
  run: BullmqRun | undefined;
}

/** The workers of one `work` call: a BullMQ worker whose job is to empty one mailbox by one turn. */
export class BullmqConsumer implements Consumer {
  readonly #handler: TurnHandler;
  readonly #options: WorkOptions;
  readonly #parts: ConsumerParts;
  readonly #worker: LeasedWorker;
  /** Conversations whose lock we hold, by BullMQ's job id. */
  readonly #held = new Map<string, Held>();
  readonly #watchdog: NodeJS.Timeout;
  readonly #gaveUp = Promise.withResolvers<void>();
  #handover: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(handler: TurnHandler, options: WorkOptions, parts: ConsumerParts) {
    this.#handler = handler;
    this.#options = options;
    this.#parts = parts;
    this.#worker = this.#makeWorker();
    this.#watchdog = setInterval(() => this.#watch(), Math.max(5, parts.leaseMs / WATCHES_PER_LEASE));
  }

  get runs(): readonly BullmqRun[] {
    return [...this.#held.values()].map(({ run }) => run).filter((run) => run !== undefined);
  }

  /** Resolves once it is connected and takes turns. */
  async start(): Promise<void> {
    await this.#worker.waitUntilReady();
    this.#worker.run().catch((error: unknown) => {
      this.#parts.log.error({ err: error }, "queue worker stopped");
    });
  }

  async stop(mode: "drain" | "handover"): Promise<void> {
    this.#stopping = true;
    const closed = this.#worker.close();
    if (mode === "handover" && this.#handover === undefined) {
      for (const run of this.runs) run.abort("handover");
      this.#handover = setTimeout(() => this.#gaveUp.resolve(), HANDOVER_WAIT_MS);
    }
    await Promise.race([closed, this.#gaveUp.promise]);
    clearInterval(this.#watchdog);
    clearTimeout(this.#handover);
  }

  /** Lets go without a word to Redis: the connection is closed for good, or did not answer during the hand-over. */
  async abandon(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watchdog);
    clearTimeout(this.#handover);
    for (const run of this.runs) {
      run.lose();
      run.giveUp();
    }
    await this.#worker.close(true);
  }

  #makeWorker(): LeasedWorker {
    const { redis, bellPrefix, leaseMs, log } = this.#parts;
    const worker = new LeasedWorker((job, token) => this.#process(job, token ?? ""), {
      connection: redis,
      prefix: bellPrefix,
      autorun: false,
      concurrency: this.#options.concurrency,
      lockDuration: leaseMs,
      stalledInterval: leaseMs / STALLED_CHECKS_PER_LEASE,
      maxStalledCount: NEVER,
      drainDelay: 5,
      runRetryDelay: 1_000,
    });
    worker.onRenewed = (ids, lostIds, askedAt) => this.#renewed(ids, lostIds, askedAt);
    worker.onTakenAgain = (id) => this.#takenAgain(id);
    worker.on("error", (error) => log.debug({ err: error }, "BullMQ reports an error"));
    return worker;
  }

  /** One job of BullMQ: one turn, or one merged batch, from the head of the conversation's mailbox. */
  async #process(job: Job<Bell>, lockToken: string): Promise<void> {
    if (this.#stopping) return this.#putBack(job, lockToken);
    const jobId = job.id ?? "";
    const held: Held = { confirmedAt: claimedAt(job), run: undefined };
    this.#held.set(jobId, held);
    try {
      const begun = await this.#begin(job, lockToken);
      if (begun !== undefined) await this.#answer(begun, held, job, lockToken);
    } finally {
      this.#held.delete(jobId);
    }
  }

  async #begin(job: Job<Bell>, lockToken: string): Promise<Begun | undefined> {
    const { mailbox, log, newToken } = this.#parts;
    const lane = job.data.conv;
    const { begun, lost, paused, buried } = await mailbox.begin(lane, {
      token: newToken(),
      maxMerge: Math.max(1, this.#options.maxMerge ?? 1),
      mergeWithinMs: this.#options.mergeWithinMs ?? 0,
      lock: { key: `${this.#worker.toKey(job.id ?? "")}:lock`, token: lockToken },
      meta: this.#worker.toKey("meta"),
    });
    for (const id of buried) log.error({ queueId: id }, "turn killed its process too often: dead letter");
    if (lost) throw new Error("the conversation was taken over before it was started");
    if (paused) return this.#putBack(job, lockToken);
    if (begun?.takenOver === true) {
      log.warn({ conversationKey: lane, start: begun.start }, "turn of a dead process starts again");
    }
    return begun;
  }

  async #answer(begun: Begun, held: Held, job: Job<Bell>, lockToken: string): Promise<void> {
    const run = this.#open(begun);
    if (run instanceof Error) return this.#finish(begun, describeError(run), job, lockToken);
    held.run = run;
    if (this.#parts.wasCancelled(run.head)) run.abort("cancelled");
    if (this.#stopping && this.#handover !== undefined) run.abort("handover");
    const outcome = await Promise.race([runHandler(this.#handler, run, this.#options), run.gaveUp]);
    run.close();
    // It is over: whoever takes the conversation next, here or elsewhere, takes nothing from it.
    held.run = undefined;
    await this.#end(run, outcome, job, lockToken);
  }

  /** What is stored and is not JSON would block its conversation for ever. */
  #open(begun: Begun): BullmqRun | Error {
    try {
      return new BullmqRun(begun, this.#parts);
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      const fields = { err: error, conversationKey: begun.lane };
      this.#parts.log.error(fields, "stored turn is damaged: dead letter");
      return error;
    }
  }

  /** First our own record, then BullMQ's: a death in between is a spare bell or a takeover, never a loss. */
  async #end(run: BullmqRun, outcome: Outcome, job: Job<Bell>, lockToken: string): Promise<void> {
    const fields = { conversationKey: run.conversation, queueIds: run.turns.map(({ id }) => id) };
    switch (outcome.end) {
      case "done":
        return this.#finish(run.begun, undefined, job, lockToken);
      case "dead":
        this.#parts.log.warn({ ...fields, reason: outcome.error }, "turn is a dead letter");
        return this.#finish(run.begun, outcome.error, job, lockToken);
      case "retry":
        return this.#park(run, outcome, job, lockToken);
      case "release":
        await this.#parts.mailbox.release(run.begun, { counts: false });
        return this.#putBack(job, lockToken);
    }
  }

  async #finish(begun: Begun, problem: string | undefined, job: Job<Bell>, lockToken: string): Promise<void> {
    const left = await this.#parts.mailbox.finish(begun, problem);
    if (left === undefined) {
      this.#parts.log.warn({ conversationKey: begun.lane }, "a run ended that was no longer ours");
      await this.#parts.ring(begun.lane);
    } else if (left > 0) {
      await this.#parts.toTail(job.id ?? "", lockToken);
      throw new WaitingError();
    }
  }

  async #park(
    run: BullmqRun,
    { afterMs, counts }: Outcome & { end: "retry" },
    job: Job<Bell>,
    lockToken: string,
  ): Promise<never> {
    const owned = await this.#parts.mailbox.release(run.begun, { counts });
    // A cancel must not wait. What is lost is somebody else's, and BullMQ will say so.
    if (owned !== "ours") return this.#putBack(job, lockToken);
    // BullMQ counts delays by the clock of its worker (queue.md §8.10).
    await job.moveToDelayed(Date.now() + afterMs, lockToken);
    const [cancelled] = await this.#parts.mailbox.cancelled([run.head]);
    if (cancelled !== undefined) await this.#parts.promote(run.conversation);
    throw new DelayedError();
  }

  /** To the head of BullMQ's queue: the next worker takes it at once. */
  async #putBack(job: Job<Bell>, lockToken: string): Promise<never> {
    await job.moveToWait(lockToken);
    throw new WaitingError();
  }

  /**
   * Redis is another process: it gets what it may have lost of our runs. One that it does not know to be ours leaves at
   * once, since somebody else will start its turns. Never rejects.
   */
  async saveAgain(): Promise<void> {
    await Promise.all([...this.#held.values()].map((held) => this.#saveAgain(held)));
  }

  async #saveAgain(held: Held): Promise<void> {
    try {
      if ((await held.run?.saveAgain()) === false) this.#lose(held, "Redis has lost that it is");
    } catch (error) {
      // The next checkpoint or renewal of the lease says it as well.
      this.#parts.log.debug({ err: error }, "a run could not be saved again");
    }
  }

  #renewed(ids: readonly string[], lostIds: readonly string[], askedAt: number): void {
    for (const id of ids) {
      const held = this.#held.get(id);
      if (held === undefined) continue;
      if (lostIds.includes(id)) this.#lose(held, "somebody else holds its lock");
      else held.confirmedAt = askedAt;
    }
  }

  /** We took over from ourselves: the lease of the run before was over, and nobody had noticed yet. */
  #takenAgain(id: string): void {
    const held = this.#held.get(id);
    if (held !== undefined) this.#lose(held, "its lease was over, and it was taken again here");
  }

  /** BullMQ learns of a lost lock only from Redis; while that is away, only this clock knows (queue.md §8.5). */
  #watch(): void {
    const oldest = performance.now() - this.#parts.leaseMs * LEASE_SHARE;
    for (const held of this.#held.values()) {
      if (held.confirmedAt < oldest) this.#lose(held, "its lease could not be renewed");
    }
  }

  #lose(held: Held, reason: string): void {
    if (held.run === undefined || held.run.aborted?.why === "lease-lost") return;
    this.#parts.log.warn({ conversationKey: held.run.conversation, reason }, "run is no longer ours");
    held.run.lose();
  }
}

/** When this job's lock was asked for, on the monotonic clock. */
function claimedAt(job: Job<Bell>): number {
  // BullMQ sends the worker's own time with the request and keeps it as `processedOn`.
  return performance.now() - Math.max(0, Date.now() - (job.processedOn ?? Date.now()));
}

/** A worker that says when it asked for its locks to be renewed, and which it lost. */
class LeasedWorker extends Worker<Bell, void> {
  onRenewed: ((ids: readonly string[], lostIds: readonly string[], askedAt: number) => void) | undefined;
  onTakenAgain: ((id: string) => void) | undefined;
  /** What still runs of each job, or leaves it. */
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(process: (job: Job<Bell>, token?: string) => Promise<void>, options: WorkerOptions) {
    super(BELL_QUEUE, process, options);
  }

  /**
   * One run of a job after the other: BullMQ renews locks by the job's id alone, so a run that ended late would end the
   * renewal of the one that took over from it, and two would run at once.
   */
  override async processJob(
    ...[job, ...rest]: Parameters<Worker<Bell, void>["processJob"]>
  ): ReturnType<Worker<Bell, void>["processJob"]> {
    const id = job.id ?? "";
    const before = this.#running.get(id);
    if (before !== undefined) this.onTakenAgain?.(id);
    const running = Promise.allSettled([before]).then(() => super.processJob(job, ...rest));
    this.#running.set(id, running);
    try {
      return await running;
    } finally {
      if (this.#running.get(id) === running) this.#running.delete(id);
    }
  }

  override async extendJobLocks(ids: string[], tokens: string[], durationMs: number): Promise<string[]> {
    const askedAt = performance.now();
    const lostIds = await super.extendJobLocks(ids, tokens, durationMs);
    this.onRenewed?.(ids, lostIds, askedAt);
    return lostIds;
  }
}
