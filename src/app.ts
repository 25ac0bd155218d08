import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OWN_CLOCK } from "./clock.ts";
import type { Config } from "./config.ts";
import { shareAgent } from "./connections.ts";
import { acceptTurn } from "./core/accept-turn.ts";
import { type AnswerParts, answerTurn } from "./core/answer-turn.ts";
import { BridgeError, PlatformError } from "./core/errors.ts";
import { type Clock, Gates } from "./core/gate.ts";
import {
  type Adapter,
  type Consumer,
  type Log,
  type OnTurn,
  type OpenIntakeOptions,
  RetryLater,
  type Run,
  type TurnQueue,
} from "./core/ports.ts";
import { cancelQuestion, type RedoParts, redoTurn } from "./core/redo-turn.ts";
import type { IncomingTurn } from "./core/turn.ts";
import { type SignParts, takeSignDown, WaitingSigns } from "./core/waiting-signs.ts";
import { createAnswerSource } from "./coze/answer-source.ts";
import { ExpiryWatch } from "./coze/auth/expiry.ts";
import { checkBot } from "./coze/check-bot.ts";
import { createCozeClient } from "./coze/coze-client.ts";
import { SpareConversations } from "./coze/spare-conversations.ts";
import { createDownload } from "./http/download.ts";
import { type Health, openHttpServer } from "./http/server.ts";
import { createLoopUse } from "./loop-use.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { openAdapters } from "./open-adapters.ts";
import { type CozeTokens, openCozeTokens } from "./open-coze-tokens.ts";
import { openBridgeSealer } from "./open-sealer.ts";
import { leftBehind, openStorage } from "./open-storage.ts";
import { parseTurn, toPayload } from "./queue/turn-payload.ts";
import { toReference } from "./reference.ts";
import { type StreamStyles, styleOf } from "./stream-style.ts";

export interface AppOptions {
  readonly log: Log;
  /** Stop: running answers are finished within the grace time. */
  readonly shutdown: AbortSignal;
  /** Stop now: running answers are left to the next start. */
  readonly hurry: AbortSignal;
  /** Origins that files may be fetched from besides the platforms' own. */
  readonly trustedOrigins: readonly string[];
  readonly onReady: (port: number) => void;
  /** Told what the operator has to mend although the bridge runs: Coze does not take how it is asked. */
  readonly onBadSetting: (error: BridgeError) => void;
  readonly role: Role;
  /** What paces the platforms, default the machine's own; the sandbox lets hours of limits pass in minutes. */
  readonly clock?: Clock | undefined;
  /** How long a silent worker keeps its turns with Redis, in ms; shorter in tests. */
  readonly leaseMs?: number | undefined;
}

/** `intake` fills the queue, `worker` empties it. */
export type Role = "all" | "intake" | "worker";

/** An intake must answer its platform within 3 s (slack.md §3.4, discord.md §1.6). */
const ACCEPT_DEADLINE_MS = 2_000;

/** Questions found by catch-up, per place; what is beyond is named in one notice. */
const CATCH_UP_PER_PLACE = 20;

/** Messages of one asker that may run as one turn. */
const MAX_MERGE = 10;

/**
 * Joins the parts and runs them until `shutdown`. Opening order is shutdown order reversed: intakes stop first, then
 * the workers finish what they hold, the adapters disconnect, the queue closes.
 *
 * @throws {BridgeError} when a part cannot be opened, or a platform will not have us back or refuses our token; nothing stays
 * open then.
 */
export async function runApp(config: Config, options: AppOptions): Promise<void> {
  const { log, shutdown, role, clock = OWN_CLOCK, leaseMs } = options;
  checkRole(config, role);
  await using stack = new AsyncDisposableStack();
  const { proxy } = config;
  if (proxy !== undefined)
    log.info({ proxy: new URL(proxy.url).host, except: proxy.except }, "a proxy is used");
  stack.use(shareAgent(proxy));
  const tempDir = join(config.dataDir, "tmp");
  const warning = await leftBehind(config, { log, signal: shutdown });
  if (warning !== undefined) log.warn({ note: warning }, "what was stored before REDIS_URL is not used");
  const { queue, store, leases, buckets, serveControl } = stack.use(
    await openStorage(config, { log, signal: shutdown, leaseMs }),
  );
  // What a killed process had fetched is fetched again.
  await rm(tempDir, { recursive: true, force: true });
  await mkdir(tempDir, { recursive: true, mode: 0o700 });
  stack.use(await serveControl());
  const tokens = stack.use(await openCozeTokens(config, { log }));
  stack.use(new ExpiryWatch({ ...tokens, log, now: Date.now, clock: OWN_CLOCK }));
  const { baseUrl, flavor, chatsPerSecond } = config.coze;
  const gates = new Gates(OWN_CLOCK, { shared: buckets });
  const coze = createCozeClient({
    ...{ baseUrl, flavor, chatsPerSecond, log, gates, proxy },
    tokens: tokens.source,
  });
  stack.use(coze);
  const { conversations } = coze;
  const spares = stack.use(new SpareConversations({ conversations, log, after: OWN_CLOCK.after }));
  const source = createAnswerSource(coze, spares);
  const tools = {
    log,
    clock,
    // Where the platforms' time is faster than the machine's, a second says nothing of what it can do.
    gates: new Gates(clock, { shared: buckets, loopUse: clock === OWN_CLOCK ? createLoopUse() : undefined }),
    download: createDownload({ trustedOrigins: options.trustedOrigins, tempDir, proxy }),
    proxy,
    sealer: await openBridgeSealer(config),
    store,
    leases,
    catchUp: { windowMs: config.catchUpWindowMs, perPlace: CATCH_UP_PER_PLACE },
  };
  const adapters = await openAdapters(config, tools);
  for (const adapter of adapters) stack.use(adapter);
  const metrics = metricsOf(tokens);
  const server = stack.use(
    await openHttpServer({
      ...config.http,
      routes: role === "worker" ? {} : routesOf(adapters),
      // A worker has no connection to be ill.
      health: () => healthOf(queue, role === "worker" ? [] : adapters),
      metrics: () => metrics.render(),
      log,
    }),
  );
  const adapterOf = (platform: string): Adapter | undefined =>
    adapters.find((adapter) => adapter.platform === platform);
  const fatal = Promise.withResolvers<never>();
  // During a shutdown nobody waits for it any more.
  fatal.promise.catch(() => undefined);
  const answer = async (run: Run): Promise<void> => {
    try {
      await answerRun(run, { adapterOf, source, store, log, styles: config.streamStyles });
    } catch (error) {
      throw leftBehindBy(run, error, { log, onFatal: fatal.reject });
    }
  };
  if (role === "worker") await checkTokens(adapters, { log, signal: shutdown });
  if (role !== "intake") {
    const consumer = await queue.work(answer, {
      concurrency: config.concurrency,
      maxAttempts: MAX_STARTS,
      maxMerge: config.mergeBurstMs === 0 ? 1 : MAX_MERGE,
      mergeWithinMs: config.mergeBurstMs,
    });
    stack.defer(() => stopWork(consumer, { graceMs: config.shutdownGraceMs, hurry: options.hurry }));
  }
  const signs = stack.use(new WaitingSigns({ queue, store, log, adapterOf, after: clock.after }));
  const accept: RedoParts = {
    queue,
    store,
    log,
    toReference,
    toPayload,
    parseTurn,
    onAccepted: (turn, queueId) => signs.watch(turn, queueId),
    route: () => ({ botId: config.coze.botId }),
    acceptDeadlineMs: ACCEPT_DEADLINE_MS,
  };
  const onTurn = async (turn: IncomingTurn): Promise<void> => void (await acceptTurn(turn, accept));
  const listening = role === "worker" ? [] : adapters;
  const intakeOptions: OpenIntakeOptions = {
    signal: shutdown,
    onGone: (dedupeKey) => cancelQuestion(dedupeKey, { queue, store }),
    onEdited: async (question, changedAt) => void (await redoTurn(question, changedAt, accept)),
    onFatal: fatal.reject,
  };
  for (const intake of await openIntakes(listening, onTurn, intakeOptions)) stack.use(intake);
  const platforms = adapters.map(({ platform }) => platform);
  log.info({ role, platforms, port: server.port, signIn: config.coze.signIn.kind }, "bridge is ready");
  options.onReady(server.port);
  // What a Coze Studio says to that call, nothing tells.
  if (role !== "intake" && flavor === "hosted") {
    void checkBot(config.coze.botId, { bots: coze.bots, log, onBad: options.onBadSetting, signal: shutdown });
  }
  if (!shutdown.aborted) await Promise.race([once(shutdown, "abort"), fatal.promise]);
  log.info({}, "bridge is stopping");
}

/** @throws {BridgeError} `CONFIG_INVALID` */
function checkRole({ redisUrl }: Config, role: Role): void {
  if (role === "all" || redisUrl !== undefined) return;
  throw new BridgeError(
    "CONFIG_INVALID",
    `--role ${role} needs REDIS_URL: without it the queue is a file that belongs to one process, so nobody else could ` +
      "see its turns. Set REDIS_URL for all processes, or leave --role out.",
  );
}

/** Opens all at once, since each waits for its platform; when one fails, those that stand are closed again. */
async function openIntakes(
  adapters: readonly Adapter[],
  onTurn: OnTurn,
  options: OpenIntakeOptions,
): Promise<readonly AsyncDisposable[]> {
  const opened = await Promise.allSettled(adapters.map((adapter) => adapter.openIntake(onTurn, options)));
  const intakes = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = opened.find((result) => result.status === "rejected");
  if (failed === undefined) return intakes;
  await Promise.all(intakes.map((intake) => intake[Symbol.asyncDispose]()));
  throw failed.reason;
}

/** The turn decides about its own attempts (`after-failure.ts`); the queue's limit only catches what it forgot. */
const MAX_STARTS = 60;

/**
 * What a failed run leaves to another process: a newer version's turn, and one whose platform refuses our token, for all of
 * its questions. The latter ends this process.
 *
 * @returns What to throw.
 */
function leftBehindBy(
  { conversation, start }: Run,
  error: unknown,
  { log, onFatal }: { log: Log; onFatal: (error: PlatformError) => void },
): unknown {
  if (error instanceof RetryLater && !error.counts) {
    const fields = { conversation, start, err: error.cause };
    log.warn(fields, "turn of a newer version is left to a bridge that knows it");
  }
  if (!(error instanceof PlatformError) || error.code !== "PLATFORM_AUTH") return error;
  log.warn({ conversation, start, err: error }, "turn is left to a process whose token is taken");
  onFatal(error);
  return new RetryLater({ counts: false, cause: error });
}

/** A worker hears nothing of the platforms: without this look it would take questions before it knows. */
async function checkTokens(
  adapters: readonly Adapter[],
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  for (const adapter of adapters) {
    try {
      await adapter.checkToken({ signal });
    } catch (error) {
      if (signal.aborted || (error instanceof BridgeError && error.code === "PLATFORM_AUTH")) throw error;
      log.warn({ err: error, platform: adapter.platform }, "token could not be checked");
    }
  }
}

async function answerRun(
  run: Run,
  {
    adapterOf,
    source,
    store,
    log,
    styles,
  }: Pick<SignParts, "adapterOf"> &
    Pick<AnswerParts, "source" | "store" | "log"> & { readonly styles: StreamStyles },
): Promise<void> {
  const turns = run.turns.map(({ payload }) => parseTurn(payload));
  const [first] = turns;
  if (first === undefined) throw new Error("a run without a turn");
  const adapter = adapterOf(first.platform);
  if (adapter === undefined) {
    throw new BridgeError(
      "CONFIG_INVALID",
      `turn ${first.id} needs ${first.platform}, which is not configured`,
    );
  }
  for (const waited of turns) await takeSignDown(waited, { store, adapterOf }, run.signal);
  await answerTurn(turns, run, {
    adapter,
    source,
    store,
    log,
    now: OWN_CLOCK.now,
    wallNow: Date.now,
    sleep: (ms, signal) => sleep(ms, undefined, { signal }),
    live: styleOf(styles, first) === "live",
  });
}

/** Finishes what runs within the grace time, then hands over; `hurry` hands over at once. */
async function stopWork(
  consumer: Consumer,
  { graceMs, hurry }: { graceMs: number; hurry: AbortSignal },
): Promise<void> {
  const drained = new AbortController();
  const patience = AbortSignal.any([hurry, drained.signal]);
  const outOfTime = sleep(graceMs, undefined, { signal: patience }).catch(() => undefined);
  const drain = consumer.stop("drain");
  await Promise.race([drain, outOfTime]);
  drained.abort();
  await consumer.stop("handover");
  await drain;
}

function routesOf(adapters: readonly Adapter[]): Adapter["routes"] {
  return Object.assign({}, ...adapters.map(({ routes }) => routes)) as Adapter["routes"];
}

function metricsOf({ endsAt }: CozeTokens): Metrics {
  const metrics = createMetrics();
  metrics.gauge(
    "coze_token_expires_seconds",
    "When somebody has to sign in to Coze anew, in seconds since the epoch; absent when never, or nobody knows.",
    () => {
      const end = endsAt();
      return end === undefined ? undefined : Math.floor(end / 1000);
    },
  );
  return metrics;
}

async function healthOf(queue: TurnQueue, adapters: readonly Adapter[]): Promise<Health> {
  const { ok, notes } = await queue.health();
  const states = adapters.map((adapter) => [adapter.platform, adapter.health()] as const);
  return {
    ok: ok && states.every(([, state]) => state.ok),
    parts: {
      queue: ok ? "ok" : notes.join("; "),
      ...Object.fromEntries(states.map(([platform, { detail }]) => [platform, detail])),
    },
  };
}
