import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { BridgeError } from "../../src/core/errors.ts";
import { noticeFor } from "../../src/core/notices.ts";
import type { OnTurn, OpenIntakeOptions } from "../../src/core/ports.ts";
import { RecentIds } from "../../src/core/recent-ids.ts";
import type { IncomingTurn, Locale } from "../../src/core/turn.ts";
import { optional, readableOf } from "../../src/wire.ts";
import { parseAddress } from "./address.ts";
import { AskedInThread } from "./asked-in-thread.ts";
import { CatchUp, isLeftOut } from "./catch-up.ts";
import { Help, helpText } from "./help.ts";
import { isSlow } from "./history.ts";
import { Lanes } from "./lanes.ts";
import {
  deletedMessage,
  editedMessage,
  type Normalized,
  normalizeCommand,
  normalizeMessage,
  RESPONSE_URL_TTL_MS,
  type SlackSelf,
  threadInQuestion,
  usersOf,
  usersOfCommand,
} from "./normalize.ts";
import { ownerOfStream } from "./own-messages.ts";
import type { People } from "./people.ts";
import { Posts } from "./posts.ts";
import type { SlackContext } from "./slack-context.ts";
import type { Threads } from "./threads.ts";

const WORKING: Readonly<Record<Locale, string>> = { en: "Working on it…", zh: "正在处理…" };

const sessionStopped = z.object({
  channel: z.string(),
  thread_ts: optional(z.string()),
  streaming_message_ts: readableOf(z.string()),
  user: optional(z.string()),
  event_ts: optional(z.string()),
});

/** After so long without a socket Slack has given up repeating what came first, in ms (slack.md §3.4: 5 min). */
const REPEATED_FOR_MS = 270_000;
/** The first repeat comes nearly at once, the second a minute later (slack.md §3.4): by then an answer is late. */
const LATE_REPEAT = 2;

const saidSchema = z.object({
  channel: z.string(),
  ts: z.string(),
  thread_ts: optional(z.string()),
  files: readableOf(z.unknown()),
});
type Said = z.infer<typeof saidSchema>;

/** How long a delivery waits for the look at what was missed; it must be acknowledged within 3 s (slack.md §3.4). */
const HELD_MS = 2_000;

export interface SlackIntakeParts {
  readonly context: SlackContext;
  readonly people: People;
  readonly threads: Threads;
  readonly self: SlackSelf;
  readonly onTurn: OnTurn;
  readonly onGone: OpenIntakeOptions["onGone"];
  readonly onEdited: OpenIntakeOptions["onEdited"];
  readonly signal: AbortSignal;
}

/** Makes turns of what Slack tells, and remembers where. */
export class SlackIntake implements AsyncDisposable {
  readonly #parts: SlackIntakeParts;
  readonly #posts: Posts;
  readonly #help: Help;
  readonly #lanes = new Lanes();
  readonly #running = new Set<Promise<unknown>>();
  /** Messages whose questions are stored: Slack brings most of them twice, as a mention, too (slack.md §3.2). */
  readonly #stored = new RecentIds();
  /** Questions that were taken back, by their dedupe key. */
  readonly #deleted = new RecentIds();
  readonly #asked = new AskedInThread();
  #catchingUp: Promise<void> | undefined;
  /** Whether the last look came to its end; what one that failed or was stopped did not see is left to the next process. */
  #isCaughtUp = false;
  readonly #noMore = new AbortController();
  /** The look at what was missed, while there is one; the first begins with the intake. */
  #looking: CatchUp | undefined;
  readonly #begun = Promise.withResolvers<void>();
  /** Messages that were delivered while somebody looks. */
  readonly #live = new Set<string>();

  constructor(parts: SlackIntakeParts) {
    this.#parts = parts;
    this.#posts = new Posts(parts.context);
    this.#help = new Help(this.#posts);
  }

  /** Rejects when the turn could not be stored: the payload is not acknowledged then, and comes again. */
  async onMessage(
    body: unknown,
    event: unknown,
    { retryNum = 0 }: { retryNum?: number | undefined } = {},
  ): Promise<void> {
    const deleted = deletedMessage(body, event, this.#parts.self);
    const lane = z.object({ channel: z.string() }).safeParse(event).data?.channel ?? "";
    if (deleted !== undefined) {
      // The question may still be on its way to the store, or held before it.
      this.#deleted.add(deleted);
      return this.#lanes.run(lane, () => this.gone(deleted));
    }
    const edited = editedMessage(event);
    if (edited !== undefined) {
      // The question itself may still have to be found.
      const question = saidSchema.safeParse({ ...edited.event, channel: lane }).data;
      if (question !== undefined) await this.#afterMissed(question, { late: true });
      return this.#lanes.run(lane, () => this.#takeEdit(body, edited));
    }
    const said = saidSchema.safeParse(event).data;
    const late = retryNum >= LATE_REPEAT;
    if (said !== undefined) await this.#afterMissed(said, { late });
    const take = (): Promise<boolean> => this.#take(body, event, { late });
    await this.#lanes.run(lane, async () => {
      if (said === undefined) await take();
      else await this.#takeOnce(said, take);
    });
  }

  /** What is stored already can only get files by its twin. */
  async #takeOnce(said: Said, take: () => Promise<boolean>): Promise<void> {
    const id = idOf(said);
    if (said.files.length === 0 && this.#stored.has(id)) return;
    if (await take()) this.#stored.add(id);
  }

  /**
   * What was missed in a conversation comes before what is said there now. The look that is waited for finds both: when
   * it takes too long, this delivery is refused, and its repeat is known.
   */
  async #afterMissed({ channel, ts, thread_ts: thread }: Said, { late }: { late: boolean }): Promise<void> {
    await this.#begun.promise;
    const catchUp = this.#looking;
    // A mention in a channel begins a conversation of its own.
    if (catchUp === undefined || (thread === undefined && !channel.startsWith("D"))) return;
    if (isSlow(this.#parts.context, this.#parts.self.teamId)) return;
    // A later repeat was missed as well: the look decides whether it is answered.
    if (!late) this.#live.add(idOf({ channel, ts }));
    const looked = catchUp.before({ channel, ...(thread !== undefined && { thread }) });
    const held = new AbortController();
    const tooLate = sleep(HELD_MS, false, { signal: held.signal });
    const isLooked = await Promise.race([looked, tooLate]).finally(() => held.abort());
    if (!isLooked) throw new Error("what was missed in this place is not known yet");
  }

  /** @returns Whether it is a question that is stored now. */
  async #take(body: unknown, event: unknown, { late }: { late: boolean }): Promise<boolean> {
    const { context, signal } = this.#parts;
    const normalized = await this.#normalizeLive(body, event, { patient: late });
    const { dropped: reason, help, bare, fields } = normalized;
    const isBare = bare !== undefined && (await this.#isBelowTalk(bare));
    const turn = isBare ? bare : normalized.turn;
    if (turn !== undefined) {
      if (this.#deleted.has(turn.dedupeKey)) return false;
      if (await isLeftOut(context, turn)) return false;
      return this.#accept({ ...turn, ...(late && { late }) });
    }
    if (bare !== undefined && (await this.#wasTaken(bare))) return false;
    if (help !== undefined) await this.#help.answer(help, { signal });
    else if (fields !== undefined) context.log.warn({ fields }, "unreadable slack message dropped");
    else context.log.debug({ reason }, "slack message dropped");
    return false;
  }

  /** A change that asks us nothing, e.g. without our mention, is none. */
  async #takeEdit(
    body: unknown,
    { event, changedAt }: NonNullable<ReturnType<typeof editedMessage>>,
  ): Promise<void> {
    const { context, onEdited } = this.#parts;
    const normalized = await this.#normalizeLive(body, event, { patient: true });
    if (normalized.dropped === undefined) await onEdited?.(normalized.turn, changedAt);
    else context.log.debug({ reason: normalized.dropped }, "slack edit dropped");
  }

  async #normalizeLive(body: unknown, event: unknown, how: { patient: boolean }): Promise<Normalized> {
    const { threads, self, signal } = this.#parts;
    const asked = threadInQuestion(event, self);
    const where = asked === undefined ? undefined : { team: self.teamId, ...asked };
    const ours = where === undefined ? false : await threads.isOurs(where, { self, signal });
    return this.#normalize(body, event, { ...how, ours });
  }

  /**
   * Names are looked up only for what is for us.
   *
   * @param how - `patient`: the asker's profile is waited for, too; help waits always, since it is said at once.
   */
  async #normalize(
    body: unknown,
    event: unknown,
    { ours, patient }: { ours: boolean; patient: boolean },
  ): Promise<Normalized> {
    const { people, self, signal } = this.#parts;
    const known = { self, isOurThread: () => ours };
    const quick = normalizeMessage(body, event, { ...known, names: new Map() });
    const isHelp = quick.dropped !== undefined;
    if (isHelp && quick.help === undefined) return quick;
    const how = { team: self.teamId, patient: patient || isHelp, signal };
    const named = await people.load(usersOf(event, self), how);
    return normalizeMessage(body, event, { ...known, ...named });
  }

  /** Whether it stands in a thread that we take no part in, below what others have said. */
  async #isBelowTalk({ address }: IncomingTurn): Promise<boolean> {
    const { channel, thread, message, kind } = parseAddress(address);
    if (kind !== "channel" || thread === undefined || thread === message) return false;
    return !(await this.#parts.threads.isKept({ channel, thread }));
  }

  /** Mentions come twice, and the second time another process may get it. */
  async #wasTaken({ address }: IncomingTurn): Promise<boolean> {
    const { channel, thread = "", message = "" } = parseAddress(address);
    return this.#parts.threads.hasSeen({ channel, thread, ts: message });
  }

  /** @returns False where the queue is full, which its asker is told. */
  async #accept(turn: IncomingTurn): Promise<boolean> {
    const { onTurn, people, threads, signal } = this.#parts;
    const { channel, thread, message, user } = parseAddress(turn.address);
    const belowTalk = turn.quote === undefined && (await this.#isBelowTalk(turn));
    try {
      await onTurn({ ...turn, ...(belowTalk && { belowTalk }) });
    } catch (error) {
      if (!(error instanceof BridgeError) || error.code !== "QUEUE_FULL") throw error;
      // Repeats would only fill it further: the asker is told instead.
      this.#parts.context.log.warn({ err: error, channel }, "slack question not taken");
      const { locale } = (await people.meet(turn, { signal })) ?? turn;
      const notice = { channel, thread, text: noticeFor("QUEUE_FULL", locale) };
      this.#track(this.#posts.postSeldom(notice, { signal }));
      return false;
    }
    if (thread === undefined || message === undefined) return true;
    this.#asked.add({ channel, thread }, { dedupeKey: turn.dedupeKey, user, ts: message });
    // Before everything older was caught up, nothing counts as seen: the next process would not look for it.
    const isSeen = this.#isCaughtUp;
    await threads.join(channel, thread, isSeen ? message : undefined);
    if (thread === message) await threads.follow(channel, message, { ifAbsent: !isSeen });
    return true;
  }

  /** @returns What the sender of the command reads. Never rejects: a command is not delivered again. */
  async onCommand(body: unknown): Promise<string> {
    const { context, people, self, onTurn, signal } = this.#parts;
    const { log, tools } = context;
    const how = { team: self.teamId, patient: true, signal };
    const named = await people.load(usersOfCommand(body), how);
    const now = Date.now();
    const seal = (secret: string): string => tools.sealer.seal(secret, now + RESPONSE_URL_TTL_MS);
    const normalized = normalizeCommand(body, { ...named, seal, now });
    if (normalized.dropped !== undefined) {
      const { fields, help } = normalized;
      if (fields !== undefined) log.warn({ fields }, "unreadable slack command dropped");
      return helpText(help?.locale ?? "en");
    }
    const { locale } = normalized.turn;
    try {
      await onTurn(normalized.turn);
      return WORKING[locale];
    } catch (error) {
      log.error({ err: error }, "slack command not stored");
      return noticeFor(error instanceof BridgeError ? error.code : "INTERNAL", locale);
    }
  }

  /** The asker pressed stop (slack.md §2.2): on what streams, or on what has not begun yet. */
  async onStopped(event: unknown): Promise<void> {
    const parsed = sessionStopped.safeParse(event);
    if (!parsed.success) return;
    const { context, self } = this.#parts;
    const { channel, thread_ts: thread, streaming_message_ts: streams } = parsed.data;
    const owners = await Promise.all(streams.map((ts) => ownerOfStream(context, channel, ts)));
    const keys = owners.flatMap((owner) => (owner === undefined ? [] : [owner.key]));
    if (keys.length === 0 && thread !== undefined) {
      const asked = this.#asked.of({ channel, thread });
      keys.push(...stoppedOf(asked, parsed.data));
      // Of an earlier process there is the thread's first question to try.
      const isKnown = asked.some(({ ts }) => ts === thread);
      if (keys.length === 0 && !isKnown) keys.push(`slack:${self.teamId}:${channel}:${thread}`);
    }
    for (const key of keys) await this.gone(key);
  }

  /** Nobody wants the answer any more. Never rejects. */
  async gone(dedupeKey: string): Promise<void> {
    try {
      await this.#parts.onGone?.(dedupeKey);
    } catch (error) {
      this.#parts.context.log.warn({ err: error }, "slack turn not cancelled");
    }
  }

  /** Looks for what was asked while nobody listened; once at a time. */
  catchUp(): void {
    if (this.#catchingUp !== undefined) return;
    const signal = AbortSignal.any([this.#parts.signal, this.#noMore.signal]);
    this.#isCaughtUp = false;
    this.#catchingUp = this.#catchUp(signal)
      .then(() => {
        this.#isCaughtUp = !signal.aborted;
      })
      .catch((error: unknown) => {
        if (!signal.aborted) this.#parts.context.log.error({ err: error }, "slack catch-up failed");
      })
      .finally(() => {
        this.#catchingUp = undefined;
        this.#looking = undefined;
        this.#live.clear();
      });
  }

  #catchUp(signal: AbortSignal): Promise<void> {
    const { context, threads, self, onTurn } = this.#parts;
    const normalize = async (event: Readonly<Record<string, unknown>>): Promise<Normalized> => {
      const asked = threadInQuestion(event, self);
      const ours = asked !== undefined && (await threads.isKept(asked));
      return this.#normalize({ team_id: self.teamId }, event, { ours, patient: true });
    };
    const inLane = (turn: IncomingTurn): Promise<void> =>
      this.#lanes.run(parseAddress(turn.address).channel, () => onTurn(turn));
    const isLive = (channel: string, ts: string): boolean => this.#live.has(idOf({ channel, ts }));
    const parts = {
      context,
      threads,
      posts: this.#posts,
      self,
      onTurn: inLane,
      normalize,
      isLive,
      now: Date.now,
    };
    this.#looking = new CatchUp(parts);
    this.#begun.resolve();
    return this.#looking.run({ signal });
  }

  /** A socket is there again. */
  onBack(awayMs: number): void {
    if (awayMs > REPEATED_FOR_MS) this.catchUp();
  }

  /** A reply found out that its asker pressed stop. */
  onStoppedReply(dedupeKey: string): void {
    this.#track(this.gone(dedupeKey));
  }

  #track(running: Promise<unknown>): void {
    const kept = running.finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }

  /** New questions are still taken. */
  async stopCatchUp(): Promise<void> {
    this.#noMore.abort(new Error("slack intake closes"));
    await this.#catchingUp;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#begun.resolve();
    await Promise.allSettled(this.#running);
  }
}

/** Names a message in a workspace. */
function idOf({ channel, ts }: Pick<Said, "channel" | "ts">): string {
  return `${channel}:${ts}`;
}

/** Their own questions, and none that was asked after they pressed stop. */
function stoppedOf(
  asked: ReturnType<AskedInThread["of"]>,
  { user, event_ts: at }: z.infer<typeof sessionStopped>,
): readonly string[] {
  const isTheirs = (asker: string): boolean => user === undefined || asker === user;
  const isBefore = (ts: string): boolean => at === undefined || Number(ts) <= Number(at);
  return asked.flatMap((one) => (isTheirs(one.user) && isBefore(one.ts) ? [one.dedupeKey] : []));
}
