import { BridgeError } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/gate.ts";
import { catchUpNotice, noticeFor } from "../../src/core/notices.ts";
import type { CatchUpLimits, Log, OnTurn, OpenIntakeOptions } from "../../src/core/ports.ts";
import type { IncomingTurn } from "../../src/core/turn.ts";
import { CatchUp, type FoundQuestion } from "./catch-up.ts";
import type { FollowedPlaces } from "./followed-places.ts";
import { parseMessage, type WireMessage } from "./gateway-events.ts";
import { helpFor } from "./help.ts";
import { NO_MENTIONS } from "./mentions.ts";
import { nonceOf } from "./nonce.ts";
import { type Help, type NormalizeContext, normalizeEdit, normalizeMessage } from "./normalize.ts";
import type { DiscordPacer } from "./pacer.ts";
import type { DiscordRest } from "./rest-client.ts";

export interface MessageIntakeOptions {
  readonly rest: DiscordRest;
  readonly pacer: DiscordPacer;
  readonly log: Log;
  readonly places: FollowedPlaces;
  readonly limits: CatchUpLimits;
  readonly onTurn: OnTurn;
  readonly onEdited: OpenIntakeOptions["onEdited"];
  /** Ms on a monotonic clock. */
  readonly clock: Clock;
  /** Who we are; asked for only after READY. */
  readonly context: () => NormalizeContext;
  /** Keeps a piece of work until it is done; its failure ends in the log. */
  readonly run: (failure: string, work: () => Promise<void>) => void;
  readonly signal: AbortSignal;
}

/** A channel hears at most this often that questions cannot be taken. */
const REFUSED_EVERY_MS = 60_000;
/** Channels remembered for that. */
const MAX_REMEMBERED = 1_000;

/** Messages become turns: those that arrive, and those that were missed. */
export class MessageIntake {
  readonly catchUp: CatchUp;
  readonly #options: MessageIntakeOptions;
  /** When a channel was last told that we take nothing, on our clock. */
  readonly #refusedAt = new Map<string, number>();
  /** Came over the gateway and is not stored yet: it waits for what was missed, and is none of that. */
  readonly #live = new Set<string>();

  constructor(options: MessageIntakeOptions) {
    this.#options = options;
    const { rest, pacer, log, places, limits, signal } = options;
    this.catchUp = new CatchUp({
      places,
      rest,
      pacer,
      log,
      limits,
      isQuestion: (message) =>
        !this.#live.has(message.id) && "turn" in normalizeMessage(message, options.context()),
      isOwn: ({ author }) => author.id === options.context().botId,
      take: (message, found) => this.#takeFound(message, found),
      sayLeftOut: (last, count) => this.#sayLeftOut(last, count),
      clock: options.clock,
      signal,
    });
  }

  /** A MESSAGE_CREATE came. @returns Takes it in: resolves once a turn of it is stored, or it is known to be none. */
  receive(data: unknown): () => Promise<void> {
    const { log } = this.#options;
    const message = parseMessage(data, (fields) =>
      log.warn({ fields }, "unreadable discord message dropped"),
    );
    if (message === undefined) return () => Promise.resolve();
    this.#live.add(message.id);
    return () => this.#take(message).finally(() => this.#live.delete(message.id));
  }

  async #take(message: WireMessage): Promise<void> {
    const { log, context, run } = this.#options;
    // In a place that we follow not only mentions are for us.
    await this.catchUp.loaded();
    const outcome = normalizeMessage(message, context());
    if ("turn" in outcome) return this.#takeLive(message, outcome.turn);
    const { help, dropped } = outcome;
    log.debug({ reason: dropped, messageId: message.id }, "message dropped");
    // Else every answer of ours would look like something new after a restart.
    if (dropped === "own") await this.#passOwn(message);
    if (help !== undefined && (dropped === "empty" || dropped === "unreadable")) {
      run("help could not be said", () => this.#say(help, helpFor(dropped, help.locale), "help"));
    }
  }

  /** A MESSAGE_UPDATE. Resolves once the change is stored, or it is known to be none. */
  async takeEdit(data: unknown): Promise<void> {
    const { log, context, onEdited } = this.#options;
    await this.catchUp.loaded();
    const message = parseMessage(data);
    const outcome = message === undefined ? { dropped: "malformed" } : normalizeEdit(message, context());
    if ("dropped" in outcome) {
      log.debug({ reason: outcome.dropped, messageId: message?.id }, "message update dropped");
      return;
    }
    const { turn, changedAt } = outcome;
    // The question itself may still have to be found.
    if (message !== undefined) await this.catchUp.before(message.channel_id);
    await onEdited?.(turn, changedAt);
  }

  async #takeLive(message: WireMessage, turn: IncomingTurn): Promise<void> {
    const { onTurn, run } = this.#options;
    const nothingMissed = await this.catchUp.before(message.channel_id);
    try {
      await onTurn(turn);
    } catch (error) {
      // Whoever comes next must not wait for this sentence.
      run("refusal could not be said", async () => {
        await this.#refuse(message, turn, error);
        // Told is handled; whoever could not be told is found again.
        if (nothingMissed) await this.#advance(message);
      });
      return;
    }
    if (nothingMissed) await this.#advance(message);
  }

  async #passOwn(message: WireMessage): Promise<void> {
    const { channel_id: channelId } = message;
    const followed = this.#options.places.get(channelId) !== undefined;
    if (followed && !this.catchUp.waits(channelId)) await this.#advance(message);
  }

  async #takeFound(message: WireMessage, { late, answered }: FoundQuestion): Promise<boolean> {
    const { onTurn, context, log } = this.#options;
    const outcome = normalizeMessage(message, context());
    if (!("turn" in outcome)) return true;
    try {
      await onTurn({ ...outcome.turn, ...(late && { late }), ...(answered && { perhapsStarted: true }) });
    } catch (error) {
      log.error({ err: error, turnId: outcome.turn.id }, "turn could not be stored");
      const isAway = error instanceof BridgeError && error.retryable && error.code !== "QUEUE_FULL";
      if (isAway) throw error;
      return false;
    }
    await this.#advance(message);
    return true;
  }

  async #advance({ channel_id: channelId, guild_id: guildId, id }: WireMessage): Promise<void> {
    const { places, log } = this.#options;
    try {
      await places.advance({ channelId, guildId, seen: id });
    } catch (error) {
      // Then it is found again after the next lost session, and known already.
      log.warn({ err: error, channelId }, "mark of a place could not be stored");
    }
  }

  // ------------------------------------------------------------------------------------------- our own words

  /** Not once per question: a hundred of them would make a hundred messages in the worst moment. */
  async #refuse(message: WireMessage, turn: IncomingTurn, error: unknown): Promise<void> {
    const { log, clock } = this.#options;
    log.error({ err: error, turnId: turn.id }, "turn could not be stored");
    const { channel_id: channelId, id: messageId } = message;
    const at = clock.now();
    if (at - (this.#refusedAt.get(channelId) ?? Number.NEGATIVE_INFINITY) < REFUSED_EVERY_MS) return;
    if (this.#refusedAt.size >= MAX_REMEMBERED) this.#refusedAt.clear();
    this.#refusedAt.set(channelId, at);
    const text = noticeFor(codeOf(error), turn.locale);
    await this.#say({ channelId, messageId, locale: turn.locale }, text, "unstored");
  }

  async #sayLeftOut(last: WireMessage, count: number): Promise<void> {
    const outcome = normalizeMessage(last, this.#options.context());
    const locale = "turn" in outcome ? outcome.turn.locale : "en";
    const help = { channelId: last.channel_id, messageId: last.id, locale };
    await this.#say(help, `-# ${catchUpNotice(count, locale)}`, "left-out");
  }

  /** One sentence under a message; the nonce keeps a redelivered event from saying it twice. */
  async #say({ channelId, messageId }: Help, text: string, purpose: string): Promise<void> {
    await this.#options.rest.main({
      method: "POST",
      route: `/channels/${channelId}/messages`,
      body: {
        content: text,
        nonce: nonceOf(`discord:${channelId}:${messageId}`, 0, purpose),
        enforce_nonce: true,
        allowed_mentions: NO_MENTIONS,
        message_reference: { message_id: messageId, fail_if_not_exists: false },
      },
      name: "create message",
      signal: this.#options.signal,
    });
  }
}

/** What the asker is told when storing failed. */
export function codeOf(error: unknown): BridgeError["code"] {
  return error instanceof BridgeError ? error.code : "QUEUE_UNAVAILABLE";
}
