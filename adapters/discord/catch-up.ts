import { BridgeError } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/gate.ts";
import type { CatchUpLimits, Log } from "../../src/core/ports.ts";
import { sleep } from "../../src/core/sleep.ts";
import { repeated } from "../../src/core/tries.ts";
import { LONGEST_PAGE, listMessages } from "./channel-messages.ts";
import { type FollowedPlaces, isLater, type Place } from "./followed-places.ts";
import type { WireMessage } from "./gateway-events.ts";
import { idOfTime, timeOfId } from "./normalize.ts";
import type { DiscordPacer } from "./pacer.ts";
import type { DiscordRest } from "./rest-client.ts";

export interface CatchUpOptions {
  readonly places: FollowedPlaces;
  readonly rest: DiscordRest;
  readonly pacer: DiscordPacer;
  readonly log: Log;
  readonly limits: CatchUpLimits;
  /** Whether a message would have been a turn. */
  readonly isQuestion: (message: WireMessage) => boolean;
  /** Whether we said it. */
  readonly isOwn: (message: WireMessage) => boolean;
  /** Takes a question in. @returns False when it can't be. @throws {BridgeError} when it can't be stored just now. */
  readonly take: (message: WireMessage, found: FoundQuestion) => Promise<boolean>;
  /** Says under the last message of a place how many questions are left out there. */
  readonly sayLeftOut: (last: WireMessage, count: number) => Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A place where more than this was written within the window is read no further. */
const MAX_PAGES = 10;
/** Places looked through at once: a lost session shall not take all calls for itself (discord.md §1.2). */
const AT_ONCE = 4;
/** Between the tries of one page, in ms. */
const PAUSES_MS = [500, 1_000, 2_000, 4_000];
/** After so long a place is looked through again that could not be, in ms. */
const AGAIN_MS = 30_000;

/** The store that holds the places is away for a moment, e.g. while Redis is started again. */
const LOAD_AGAIN_MS = 1_000;

/** Discord's clock is known to about a second: its answers tell whole ones. */
const CLOCK_ERROR_MS = 1_000;

/** What is known of a question that was found. */
export interface FoundQuestion {
  /** It was asked while nobody listened. */
  readonly late: boolean;
  /** We answered it, or began to. */
  readonly answered: boolean;
}

interface Waiting {
  readonly place: Place;
  /** Another session began while it was looked through. */
  again: boolean;
  /** Whether it was looked through. */
  readonly done: PromiseWithResolvers<boolean>;
}

/** How a look ended: `later` is worth another one. */
type LookEnd = "looked" | "later" | "never";

/**
 * Finds what was written while no session was there: after READY, which replays nothing. DMs are looked through at
 * once, a guild's places when its GUILD_CREATE tells which of them hold something new.
 *
 * @see docs/reference/discord.md §3.6
 */
export class CatchUp {
  readonly #options: CatchUpOptions;
  readonly #running = new Set<Promise<void>>();
  /** Not looked through yet, by channel; a guild's wait here for its GUILD_CREATE. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #queue: Waiting[] = [];
  /** Could not be looked through, and will be again: their marks stay where they are. */
  readonly #unread = new Set<string>();
  #loading: Promise<void> = Promise.resolve();
  /** Which places there are is not known yet. */
  #loads = 0;
  /** When the session began, on our clock. */
  #readyAt = 0;
  readonly #underWay = new Set<Waiting>();

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  /** A new session began: everything since the last one may have been missed. */
  onReady(): void {
    this.#readyAt = this.#options.clock.now();
    this.#loads += 1;
    // One after the other: the guilds of the session before look at what was known then.
    const loading = this.#loading
      .then(() => this.#load())
      .finally(() => {
        this.#loads -= 1;
      });
    this.#loading = loading;
    this.#keep(loading);
  }

  /**
   * A guild's state came.
   *
   * @param newest - Last message of each channel and thread that is open to us.
   */
  onGuild(guildId: string, newest: ReadonlyMap<string, string | undefined>): void {
    this.#keep(
      this.#loading.then(() => {
        for (const waiting of [...this.#waiting.values()]) {
          const { place } = waiting;
          if (place.guildId !== guildId) continue;
          const last = newest.get(place.channelId);
          if (last !== undefined && isLater(last, place.seen)) this.#enqueue(waiting);
          else if (!this.#underWay.has(waiting)) this.#finish(waiting, true);
        }
      }),
    );
  }

  /** Resolves when it is known which places are followed, as far as that can be. */
  loaded(): Promise<void> {
    return this.#loading;
  }

  /**
   * Resolves when a live message of this place may be taken in without overtaking what was missed.
   *
   * @returns False when something missed may still be there: the place's mark must stay where it is.
   */
  async before(channelId: string): Promise<boolean> {
    await this.#loading;
    const waiting = this.#waiting.get(channelId);
    if (waiting === undefined) return !this.#unread.has(channelId);
    this.#enqueue(waiting, true);
    return waiting.done.promise;
  }

  /** Whether something missed may still be in this place. */
  waits(channelId: string): boolean {
    return this.#loads > 0 || this.#waiting.has(channelId) || this.#unread.has(channelId);
  }

  /** Resolves when nothing runs any more; the signal has to be aborted before. */
  async settled(): Promise<void> {
    for (const waiting of [...this.#waiting.values()]) this.#finish(waiting, false);
    await Promise.all(this.#running);
  }

  async #load(): Promise<void> {
    const { places } = this.#options;
    while (await this.#mustLoadAgain()) await this.#pause();
    for (const place of places.all()) {
      const known = this.#waiting.get(place.channelId);
      if (known !== undefined) {
        known.again = true;
        continue;
      }
      const waiting = this.#add(place);
      if (place.guildId === undefined) this.#enqueue(waiting);
    }
  }

  /** Loads the places. @returns Whether they may be there in a moment, and somebody still looks for something then. */
  async #mustLoadAgain(): Promise<boolean> {
    const { places, log, clock, limits, signal } = this.#options;
    if (signal.aborted) return false;
    try {
      await places.load();
      return false;
    } catch (error) {
      log.warn({ err: error }, "followed places could not be read");
      const isAway = error instanceof BridgeError && error.retryable;
      return isAway && clock.now() - this.#readyAt <= limits.windowMs;
    }
  }

  async #pause(): Promise<void> {
    const { clock, signal } = this.#options;
    await sleep(clock, LOAD_AGAIN_MS, signal).catch(() => undefined);
  }

  #add(place: Place): Waiting {
    const waiting = { place, again: false, done: Promise.withResolvers<boolean>() };
    this.#waiting.set(place.channelId, waiting);
    return waiting;
  }

  #enqueue(waiting: Waiting, first = false): void {
    if (this.#underWay.has(waiting)) return;
    const index = this.#queue.indexOf(waiting);
    if (index >= 0 && first) this.#queue.splice(index, 1);
    if (index < 0 || first) this.#queue.splice(first ? 0 : this.#queue.length, 0, waiting);
    this.#next();
  }

  #next(): void {
    while (this.#underWay.size < AT_ONCE) {
      const waiting = this.#queue.shift();
      if (waiting === undefined) return;
      this.#underWay.add(waiting);
      this.#keep(this.#lookThroughNext(waiting));
    }
  }

  async #lookThroughNext(waiting: Waiting): Promise<void> {
    let end: LookEnd;
    do {
      waiting.again = false;
      end = await this.#lookThrough(waiting);
    } while (waiting.again && end === "looked");
    this.#underWay.delete(waiting);
    if (end === "later") this.#keep(this.#lookLater(waiting.place));
    else this.#unread.delete(waiting.place.channelId);
    this.#finish(waiting, end === "looked");
    this.#next();
  }

  /** Nobody else looks there, so it is tried until what was missed is too old. */
  async #lookLater(place: Place): Promise<void> {
    const { clock, limits, signal } = this.#options;
    if (clock.now() - this.#readyAt > limits.windowMs) {
      this.#unread.delete(place.channelId);
      return;
    }
    this.#unread.add(place.channelId);
    await sleep(clock, AGAIN_MS, signal).catch(() => undefined);
    // A new session looks through all of them.
    if (signal.aborted || this.#waiting.has(place.channelId)) return;
    this.#enqueue(this.#add(place));
  }

  #finish(waiting: Waiting, looked: boolean): void {
    this.#waiting.delete(waiting.place.channelId);
    const index = this.#queue.indexOf(waiting);
    if (index >= 0) this.#queue.splice(index, 1);
    waiting.done.resolve(looked);
  }

  #keep(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Never rejects: a place that cannot be read shall not hold up what is said there now. */
  async #lookThrough({ place }: Waiting): Promise<LookEnd> {
    const { places, log, signal } = this.#options;
    if (signal.aborted) return "never";
    try {
      await this.#takeMissed(places.get(place.channelId) ?? place);
      return "looked";
    } catch (error) {
      if (signal.aborted) return "never";
      log.warn({ err: error, channelId: place.channelId }, "missed messages could not be read");
      if (!(error instanceof BridgeError)) return "never";
      if (error.code === "PLATFORM_GONE") await this.#forget(place.channelId);
      return error.retryable ? "later" : "never";
    }
  }

  async #forget(channelId: string): Promise<void> {
    const { places, log } = this.#options;
    await places.forget(channelId).catch((error: unknown) => {
      log.warn({ err: error, channelId }, "place could not be forgotten");
    });
  }

  async #takeMissed(place: Place): Promise<void> {
    const { isQuestion, isOwn, take, limits, places, log, sayLeftOut } = this.#options;
    const said = await this.#fetch(place);
    const replied = new Set(said.filter(isOwn).map((message) => message.message_reference?.message_id));
    // A thread that we opened for an answer has the question's id.
    const isAnswered = (id: string): boolean => replied.has(id) || places.get(id) !== undefined;
    const found = said.filter(isQuestion);
    const missed = found.filter(({ id }) => this.#wasMissed(id));
    let taken = 0;
    for (const message of missed.slice(0, limits.perPlace)) {
      if (!(await take(message, { late: true, answered: isAnswered(message.id) }))) break;
      taken += 1;
    }
    const { channelId, guildId } = place;
    if (missed.length > 0) log.info({ channelId, found: missed.length, taken }, "missed questions taken in");
    const last = missed.at(-1);
    if (last !== undefined && taken < missed.length) {
      await sayLeftOut(last, missed.length - taken);
      await places.advance({ channelId, guildId, seen: last.id });
    }
    for (const message of found.slice(missed.length)) {
      if (!(await take(message, { late: false, answered: isAnswered(message.id) }))) return;
    }
  }

  /** What was written since the session began comes over it, too, and may only not be here yet. */
  #wasMissed(id: string): boolean {
    const { rest, clock } = this.#options;
    if (!rest.knowsTime) return true;
    return timeOfId(id) <= rest.discordNow() - (clock.now() - this.#readyAt) - CLOCK_ERROR_MS;
  }

  /** Oldest first, and none from before the window. */
  async #fetch({ channelId, guildId, seen }: Place): Promise<readonly WireMessage[]> {
    const found: WireMessage[] = [];
    let after = this.#withinWindow(seen);
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const { messages, isFull } = await this.#page(channelId, after);
      found.push(...messages.map((message) => ({ ...message, guild_id: guildId })));
      after = this.#withinWindow(messages.at(-1)?.id ?? after);
      if (!isFull || messages.length === 0) break;
    }
    return found.filter(({ id }) => this.#withinWindow(id) === id);
  }

  /** The later of an id and the window's beginning, by Discord's clock; before that is known ours says nothing. */
  #withinWindow(id: string): string {
    const { rest, limits } = this.#options;
    if (!rest.knowsTime) return id;
    const oldest = idOfTime(rest.discordNow() - limits.windowMs);
    return isLater(id, oldest) ? id : oldest;
  }

  #page(channelId: string, after: string): ReturnType<typeof listMessages> {
    const { clock, signal } = this.#options;
    const query = { after, limit: LONGEST_PAGE };
    return repeated(() => listMessages(channelId, query, this.#options, { signal }), {
      pausesMs: PAUSES_MS,
      sleep: (ms) => sleep(clock, ms, signal),
      signal,
    });
  }
}
