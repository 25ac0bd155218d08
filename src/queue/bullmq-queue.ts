import { randomUUID } from "node:crypto";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
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
import { RecentIds } from "../core/recent-ids.ts";
import {
  type ConnectRedis,
  connectRedis,
  describeRedis,
  toQueueError,
  unavailable,
} from "../redis/redis-client.ts";
import { BELL_QUEUE, type Bell, BullmqConsumer, NEVER } from "./bullmq-consumer.ts";
import type { BullmqRun } from "./bullmq-run.ts";
import { parseJson, toJsonText } from "./json-text.ts";
import {
  type Accepted,
  DEDUPE_MS,
  DEFAULT_BOUNDS,
  type QueueBounds,
  queueFull,
  toEnqueueResult,
} from "./limits.ts";
import { Mailbox, type TurnLabel } from "./mailbox.ts";
import { judgeRedis, MEMORY_FULL_SHARE, memoryShare, parseInfo, readRedisFacts } from "./redis-health.ts";
import { type UnsettledTurn, UnsettledTurns } from "./unsettled-turns.ts";

/** With a stalled check every quarter of it: a takeover within 6.5 to 14 s (queue.md §1). */
const LEASE_MS = 10_000;
const CONNECT_WAIT_MS = 10_000;
/** Longest wait for an answer where nobody set a deadline. */
const ANSWER_WAIT_MS = 10_000;
const HEALTH_WAIT_MS = 2_000;
const CLOSE_WAIT_MS = 2_000;
const MEMORY_WATCH_MS = 10_000;
const SWEEP_MS = 60_000;
/** Conversations rung per step of a sweep (queue.md §3). */
const SWEEP_PAGE = 200;

export interface BullmqQueueOptions {
  /** `redis://` or `rediss://`. */
  readonly url: string;
  readonly log: Log;
  /** Names our keys; two bridges on one Redis need two. */
  readonly prefix: string;
  /** Ms since the epoch; default the system's clock. Ages and the dedupe window go by the clock of Redis. */
  readonly now?: () => number;
  /** How long a key is known after its turn was accepted, in ms; default 24 h, and always until it is finished. */
  readonly dedupeMs?: number | undefined;
  /** Unfinished turns taken, in one conversation and in all; default 100 and 100,000. Beyond: `QUEUE_FULL`. */
  readonly bounds?: QueueBounds;
  /** How long a worker may be silent before its turns are taken over, in ms; default 10 s, shorter in tests. */
  readonly leaseMs?: number;
  readonly connect?: ConnectRedis;
}

/**
 * Opens the queue on Redis, shared by all processes that name the same Redis and prefix.
 *
 * @throws {BridgeError} `CONFIG_INVALID` when this Redis must not be used, `QUEUE_UNAVAILABLE` when it can't be
 * reached within 10 s.
 * @see docs/reference/queue.md §3
 */
export async function openBullmqQueue(options: BullmqQueueOptions): Promise<TurnQueue> {
  const { url, log, prefix, now = Date.now, connect = connectRedis } = options;
  const target = describeRedis(url);
  demandPrefix(prefix);
  const redis = connect(url, { log, prefix, name: "queue" });
  const words = connect(url, { log, prefix, name: "cancel" });
  try {
    const facts = await within(readRedisFacts(redis, now), CONNECT_WAIT_MS, target);
    const { refusal, notes } = judgeRedis(facts, target);
    if (refusal !== undefined) throw refusal;
    for (const note of notes) log.warn({ redis: target, note }, "Redis is not set up as it should be");
    const { aheadMs } = facts;
    const queue = new BullmqQueue({ redis, words, target, aheadMs, runId: facts.info["run_id"] }, options);
    await within(queue.open(), CONNECT_WAIT_MS, target);
    return queue;
  } catch (cause) {
    redis.disconnect();
    words.disconnect();
    throw toQueueError(cause, target);
  }
}

interface Connections {
  readonly redis: Redis;
  /** Hears what is said to all processes. */
  readonly words: Redis;
  readonly target: string;
  readonly aheadMs: number;
  readonly runId: string | undefined;
}

class BullmqQueue implements TurnQueue {
  readonly #redis: Redis;
  readonly #words: Redis;
  readonly #target: string;
  readonly #options: BullmqQueueOptions;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #bounds: QueueBounds;
  readonly #bellPrefix: string;
  readonly #bell: Queue<Bell>;
  readonly #mailbox: Mailbox;
  readonly #consumers = new Set<BullmqConsumer>();
  readonly #recentCancels = new RecentIds();
  readonly #unsettled: UnsettledTurns;
  /** Tokens of this process differ from those of any other (fence). */
  readonly #epoch = randomUUID();
  #runCount = 0;
  #delivering = 0;
  /** The clock of Redis ahead of ours, in ms. */
  #aheadMs: number;
  #memoryShare = 0;
  /** Names the process that Redis is, as far as it says so: another one may have lost something. */
  #runId: string | undefined;
  /** Set while Redis is away, and until it was brought what it may have lost. */
  #away: { readonly since: number; readonly over: PromiseWithResolvers<void> } | undefined;
  #phase: "open" | "closing" | "closed" = "open";
  #memoryTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;

  constructor({ redis, words, target, aheadMs, runId }: Connections, options: BullmqQueueOptions) {
    const { prefix, dedupeMs = DEDUPE_MS, bounds = DEFAULT_BOUNDS } = options;
    this.#redis = redis;
    this.#words = words;
    this.#target = target;
    this.#aheadMs = aheadMs;
    this.#runId = runId;
    this.#options = options;
    this.#log = options.log;
    this.#now = options.now ?? Date.now;
    this.#bounds = bounds;
    this.#unsettled = new UnsettledTurns(this.#now);
    const server = (): string | undefined => (this.#away === undefined ? this.#runId : undefined);
    this.#mailbox = new Mailbox(redis, { prefix, dedupeMs, bounds, server });
    this.#bellPrefix = `{${prefix}}`;
    this.#bell = new Queue<Bell>(BELL_QUEUE, {
      connection: redis,
      prefix: this.#bellPrefix,
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: {
        attempts: NEVER,
        backoff: { type: "fixed", delay: 1_000 },
        removeOnComplete: true,
        stackTraceLimit: 1,
      },
    });
    this.#bell.on("error", (error) => this.#log.debug({ err: error }, "BullMQ reports an error"));
  }

  /** Listens for cancels, and rings for what an earlier process left without a bell. */
  async open(): Promise<void> {
    this.#words.on("message", (_channel: string, head: string) => this.#hearCancel(head));
    this.#words.on("ready", () => void this.#listenAgain());
    this.#redis.on("close", () => {
      this.#away ??= { since: this.#now(), over: Promise.withResolvers<void>() };
    });
    this.#redis.on("ready", () => void this.#comeBack());
    await this.#words.subscribe(this.#mailbox.cancelChannel);
    await this.#bell.waitUntilReady();
    await this.#watchMemory();
    void this.#sweepAll();
  }

  /**
   * Durable as far as the append-only file of Redis is when it resolves; what Redis loses of the last minute all the same
   * is brought again, as long as this process lives. Without `deadlineMs` it waits until Redis is back; what misses its
   * deadline is not accepted later either.
   */
  async enqueue(turn: NewTurn, { deadlineMs }: { deadlineMs?: number } = {}): Promise<EnqueueResult> {
    this.#demandOpen();
    const payload = toJsonText(turn.payload, "turn");
    this.#demandRoom();
    this.#delivering += 1;
    const delivery = this.#deliver(turn, payload, deadlineMs).finally(() => {
      this.#delivering -= 1;
    });
    try {
      const result = this.#toResult(await within(delivery, deadlineMs, this.#target), deadlineMs);
      // What is known may have come to a process that died since, and took with it what it knew of its turns.
      if (!result.duplicate || !this.#unsettled.has(turn.key))
        this.#unsettled.accepted(result.id, turn, payload);
      return result;
    } catch (cause) {
      throw toQueueError(cause, this.#target);
    }
  }

  async work(handler: TurnHandler, options: WorkOptions): Promise<Consumer> {
    if (this.#phase !== "open") throw this.#unavailable("the queue is closing");
    const consumer = new BullmqConsumer(handler, options, {
      redis: this.#redis,
      bellPrefix: this.#bellPrefix,
      leaseMs: this.#options.leaseMs ?? LEASE_MS,
      mailbox: this.#mailbox,
      log: this.#log,
      newToken: () => `${this.#epoch}:${++this.#runCount}`,
      ring: (lane) => this.#ring(lane),
      toTail: (jobId, lockToken) => this.#bell.getBackend().retryJob(jobId, false, lockToken),
      promote: (lane) => this.#promote(lane),
      wasCancelled: (head) => this.#recentCancels.has(head),
      toError: (cause) =>
        this.#isConnected ? this.#unavailable("the checkpoint can't be written", cause) : undefined,
    });
    this.#consumers.add(consumer);
    try {
      await this.#ask(() => consumer.start());
      return consumer;
    } catch (error) {
      this.#consumers.delete(consumer);
      await consumer.abandon();
      throw error;
    }
  }

  async cancel(id: string): Promise<boolean> {
    const found = await this.#ask(() => this.#mailbox.cancel(id));
    if (found === undefined) return false;
    this.#unsettled.cancelled(id);
    this.#hearCancel(found.head);
    if (found.isFirst) await this.#ask(() => this.#promote(found.lane));
    return true;
  }

  async idOf(key: string): Promise<string | undefined> {
    return this.#ask(() => this.#mailbox.idOf(key));
  }

  async isWaiting(id: string): Promise<boolean> {
    return (await this.#ask(() => this.#mailbox.waiting(id))) !== undefined;
  }

  async amend(
    id: string,
    change: (payload: Json) => Json | undefined,
    { key }: { key?: string } = {},
  ): Promise<boolean> {
    this.#demandOpen();
    return this.#ask(async () => {
      // Each round lost is another's change, so this ends.
      for (;;) {
        const before = await this.#mailbox.waiting(id);
        const changed = before === undefined ? undefined : change(parseJson(before));
        if (before === undefined || changed === undefined) return false;
        const after = toJsonText(changed, "turn");
        const answer = await this.#mailbox.amend(id, { before, after, key });
        if (answer === "changed") continue;
        if (answer === "amended") this.#unsettled.amended(id, after);
        return answer === "amended";
      }
    });
  }

  async pause(): Promise<void> {
    await this.#ask(() => this.#bell.pause());
  }

  async resume(): Promise<void> {
    await this.#ask(() => this.#bell.resume());
  }

  /** Of all processes together. */
  async stats(): Promise<QueueStats> {
    return this.#ask(async () => {
      const [count, running, paused] = await Promise.all([
        this.#mailbox.count(),
        this.#bell.getActiveCount(),
        this.#bell.isPaused(),
      ]);
      return { ...count, running, paused };
    });
  }

  /** Newest first; at most 10,000 are kept, the oldest go. */
  async dead(limit = 100): Promise<readonly DeadTurn[]> {
    return this.#ask(() => this.#mailbox.dead(limit));
  }

  /** Its checkpoint is not kept: the turn is answered as if it had just been written. */
  async requeue(id: string): Promise<boolean> {
    return this.#ask(async () => {
      const lane = await this.#mailbox.requeue(id);
      if (lane !== undefined) await this.#ring(lane);
      return lane !== undefined;
    });
  }

  async discard(id: string): Promise<boolean> {
    return this.#ask(() => this.#mailbox.discard(id));
  }

  async health(): Promise<{ ok: boolean; notes: readonly string[] }> {
    if (this.#phase !== "open") return { ok: false, notes: ["the queue is closed"] };
    try {
      return await within(this.#examine(), HEALTH_WAIT_MS, this.#target);
    } catch (error) {
      return { ok: false, notes: [toQueueError(error, this.#target).message] };
    }
  }

  /** Hands over what still runs, and closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#phase !== "open") return;
    this.#phase = "closing";
    clearTimeout(this.#memoryTimer);
    clearTimeout(this.#sweepTimer);
    if (this.#isConnected) {
      await Promise.all([...this.#consumers].map((consumer) => consumer.stop("handover")));
    }
    this.#phase = "closed";
    this.#away?.over.resolve();
    await this.#hangUp();
  }

  get #isConnected(): boolean {
    return this.#redis.status !== "end";
  }

  async #deliver(turn: NewTurn, payload: string, deadlineMs: number | undefined): Promise<Accepted> {
    const deadline = deadlineMs === undefined ? undefined : this.#now() + this.#aheadMs + deadlineMs;
    await this.#whenBack();
    return this.#bring(turn, payload, { deadline });
  }

  /**
   * Mailbox first, bell second, one behind the other on one connection. A known turn rings too: so the platform's own
   * repeat heals an enqueue whose process died half-way.
   */
  async #bring(
    label: TurnLabel,
    payload: string,
    options: { deadline?: number | undefined; again?: boolean },
  ): Promise<Accepted> {
    const delivered = this.#mailbox.enqueue(label, payload, options);
    const [answer] = await Promise.all([delivered, this.#ring(label.conversation)]);
    return answer;
  }

  /** What came before may have to be brought again first. */
  async #whenBack(): Promise<void> {
    while (this.#away !== undefined && this.#phase !== "closed") await this.#away.over.promise;
    this.#demandOpen();
  }

  /** A Redis that was killed, or a replica in its place, may come back without what was confirmed last. Never rejects. */
  async #comeBack(): Promise<void> {
    const runId = await this.#askRunId();
    const away = this.#away;
    const isAnother = runId === undefined || runId !== this.#runId;
    this.#away = undefined;
    this.#runId = runId;
    if (away !== undefined && isAnother) {
      // Ids that it had given are given again.
      this.#recentCancels.clear();
      // Before their turns are brought again: what is not ours any more must not run beside its next start.
      for (const consumer of this.#consumers) void consumer.saveAgain();
      // All at once: the answers come in the order of the questions, and what waits goes behind.
      for (const turn of this.#unsettled.before(away.since)) void this.#bringAgain(turn);
    }
    away?.over.resolve();
  }

  async #askRunId(): Promise<string | undefined> {
    try {
      return parseInfo(await this.#redis.info("server"))["run_id"];
    } catch (error) {
      this.#log.debug({ err: error }, "could not ask Redis who it is");
      return undefined;
    }
  }

  /** Never rejects. A turn that Redis still knows stays where it is. */
  async #bringAgain({ label, payload }: UnsettledTurn): Promise<void> {
    const fields = { turnKey: label.key, conversationKey: label.conversation };
    try {
      const { id, duplicate } = this.#toResult(await this.#bring(label, payload, { again: true }), undefined);
      this.#unsettled.confirmed(label.key, id);
      if (!duplicate)
        this.#log.warn(fields, "Redis had lost a turn that it had confirmed, it is queued again");
    } catch (error) {
      if (!this.#isConnected) return;
      this.#log.error({ err: error, ...fields }, "Redis may have lost a turn that it had confirmed");
    }
  }

  #toResult(answer: Accepted, deadlineMs: number | undefined): EnqueueResult {
    const unavailable = (what: string): BridgeError => this.#unavailable(what);
    return toEnqueueResult(answer, { bounds: this.#bounds, deadlineMs, unavailable });
  }

  /** A full Redis stops workers as well, so new turns must stop before (queue.md §7). */
  #demandRoom(): void {
    if (this.#memoryShare >= MEMORY_FULL_SHARE) {
      throw queueFull(
        `Redis at ${this.#target} is nearly full: raise maxmemory, new turns are not taken until then`,
      );
    }
    if (this.#delivering >= this.#bounds.total) {
      throw queueFull(`${this.#delivering} turns wait for Redis at ${this.#target}, more are not taken`);
    }
  }

  async #ring(lane: string): Promise<void> {
    const deduplication = { id: lane, keepLastIfActive: true };
    await this.#bell.add("c", { conv: lane }, { deduplication });
  }

  async #promote(lane: string): Promise<void> {
    const jobId = await this.#bell.getDeduplicationJobId(lane);
    const job = jobId === null ? undefined : await this.#bell.getJob(jobId);
    if (job === undefined || !(await job.isDelayed())) return;
    try {
      await job.promote();
    } catch (error) {
      // Its time came in between; anything worse shows at the next command as well.
      this.#log.debug({ err: error, conversationKey: lane }, "conversation was not parked any more");
    }
  }

  #hearCancel(head: string): void {
    this.#unsettled.cancelled(head);
    // Kept for a run whose start is on its way back to us.
    this.#recentCancels.add(head);
    for (const run of this.#runs()) if (run.head === head) run.abort("cancelled");
  }

  /** Words said while the connection was away are gone; the marks stay. Never rejects. */
  async #listenAgain(): Promise<void> {
    try {
      await this.#words.subscribe(this.#mailbox.cancelChannel);
      for (const head of await this.#mailbox.cancelled(this.#runs().map((run) => run.head))) {
        this.#hearCancel(head);
      }
    } catch (error) {
      // The next checkpoint of each run says it too.
      this.#log.debug({ err: error }, "could not listen for cancels again");
    }
  }

  #runs(): readonly BullmqRun[] {
    return [...this.#consumers].flatMap((consumer) => consumer.runs);
  }

  async #examine(): Promise<{ ok: boolean; notes: readonly string[] }> {
    const [facts, stats] = await Promise.all([readRedisFacts(this.#redis, this.#now), this.stats()]);
    this.#memoryShare = memoryShare(facts.info);
    this.#aheadMs = facts.aheadMs;
    const { refusal, ok, notes } = judgeRedis(facts, this.#target);
    const more = refusal === undefined ? [...notes] : [refusal.message, ...notes];
    if (stats.paused) more.push("the queue is paused");
    if (stats.dead > 0) more.push(`${stats.dead} dead letters`);
    return { ok: ok && refusal === undefined, notes: more };
  }

  async #watchMemory(): Promise<void> {
    try {
      const facts = await readRedisFacts(this.#redis, this.#now);
      this.#memoryShare = memoryShare(facts.info);
      this.#aheadMs = facts.aheadMs;
    } catch (error) {
      this.#log.debug({ err: error }, "could not ask Redis for its memory");
    }
    if (this.#phase !== "open") return;
    this.#memoryTimer = setTimeout(() => void this.#watchMemory(), MEMORY_WATCH_MS);
  }

  /** At start: every conversation, so that even the loss of all bells loses no turn. */
  async #sweepAll(): Promise<void> {
    let first = 0;
    for (let seen = SWEEP_PAGE; seen === SWEEP_PAGE && this.#phase === "open"; first += SWEEP_PAGE) {
      seen = await this.#sweepPage(first);
    }
    this.#sweepLater();
  }

  #sweepLater(): void {
    if (this.#phase !== "open") return;
    this.#sweepTimer = setTimeout(() => {
      void this.#sweepPage(0).then(() => this.#sweepLater());
    }, SWEEP_MS);
  }

  /** Never rejects. @returns How many turns were looked at. */
  async #sweepPage(first: number): Promise<number> {
    try {
      const { seen, lanes } = await this.#mailbox.lanes(first, SWEEP_PAGE);
      await Promise.all(lanes.map((lane) => this.#ring(lane)));
      return seen;
    } catch (error) {
      // The next one does it.
      this.#log.debug({ err: error }, "sweep failed");
      return 0;
    }
  }

  /** Does something on Redis that nobody set a deadline for. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    this.#demandOpen();
    const working = this.#whenBack().then(work);
    try {
      return await within(working, ANSWER_WAIT_MS, this.#target);
    } catch (cause) {
      throw toQueueError(cause, this.#target);
    }
  }

  async #hangUp(): Promise<void> {
    // Handlers that did not react are left to their lease, and from here on not able to write.
    const closing = Promise.all([...this.#consumers].map((consumer) => consumer.abandon()));
    this.#words.disconnect();
    try {
      if (this.#isConnected) await within(this.#redis.quit(), CLOSE_WAIT_MS, this.#target);
      await within(closing, CLOSE_WAIT_MS, this.#target);
    } catch (error) {
      this.#log.debug({ err: error }, "Redis did not say goodbye");
    } finally {
      this.#redis.disconnect();
      await this.#bell.close();
    }
  }

  #demandOpen(): void {
    if (this.#phase === "closed") throw this.#unavailable("the queue is closed");
  }

  #unavailable(what: string, cause?: unknown): BridgeError {
    return unavailable(this.#target, what, cause);
  }
}

/** Braces in it would move keys to other slots of a Cluster, a colon would break BullMQ's. */
function demandPrefix(prefix: string): void {
  if (/^[\w.-]{1,64}$/.test(prefix)) return;
  throw new BridgeError(
    "CONFIG_INVALID",
    "the prefix of the queue's keys may hold letters, digits, dot, dash and underscore, 64 at most",
  );
}

/**
 * Waits for an answer of Redis, but not for ever: the command itself can't be taken back.
 *
 * @throws {BridgeError} `QUEUE_UNAVAILABLE` after `ms`.
 */
async function within<T>(answer: Promise<T>, ms: number | undefined, target: string): Promise<T> {
  if (ms === undefined) return answer;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(unavailable(target, `no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
