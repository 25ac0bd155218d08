import { setTimeout as sleep } from "node:timers/promises";
import type { BridgeError } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/gate.ts";
import { noticeFor } from "../../src/core/notices.ts";
import type {
  Abortable,
  AdapterHealth,
  CatchUpLimits,
  Leases,
  Log,
  OnTurn,
  OpenIntakeOptions,
  Sealer,
  Store,
} from "../../src/core/ports.ts";
import { acknowledge, isLate } from "./acknowledge.ts";
import { toJson } from "./address.ts";
import { registerCommand } from "./commands.ts";
import { FollowedPlaces } from "./followed-places.ts";
import {
  newestMessages,
  parseAuthor,
  parseDeletion,
  parseGuild,
  parseInteraction,
  parsePlace,
  parseThread,
  type WireReady,
} from "./gateway-events.ts";
import { LeasedGateway } from "./leased-gateway.ts";
import { NO_MENTIONS } from "./mentions.ts";
import { codeOf, MessageIntake } from "./message-intake.ts";
import {
  type Command,
  dedupeKeyOf,
  type NormalizeContext,
  normalizeInteraction,
  timeOfId,
} from "./normalize.ts";
import type { DiscordPacer } from "./pacer.ts";
import { keepResponse } from "./responses.ts";
import type { DiscordRest } from "./rest-client.ts";

export interface IntakeOptions {
  readonly token: string;
  readonly apiUrl: string;
  readonly rest: DiscordRest;
  readonly log: Log;
  readonly clock: Clock;
  readonly sealer: Sealer;
  readonly pacer: DiscordPacer;
  readonly store: Store;
  readonly leases: Leases;
  readonly catchUp: CatchUpLimits;
  readonly onTurn: OnTurn;
  readonly onGone: OpenIntakeOptions["onGone"];
  readonly onEdited: OpenIntakeOptions["onEdited"];
  readonly onFatal: OpenIntakeOptions["onFatal"];
}

/** An interaction's token lives this long (discord.md §1.6). */
const TOKEN_LIVES_MS = 15 * 60_000;
/**
 * A command is stored before it is acknowledged, so that a kill in between loses nothing (docs/decisions/0004). A queue
 * that takes longer than this is waited for behind the acknowledgement: people see nothing of the command until then.
 */
const STORE_FIRST_MS = 1_000;
/** How long a command waits for the acknowledgement of the one before it; Discord's three seconds go on (discord.md §1.6). */
const ORDER_MS = 700;
/** Installation of what was asked in a DM. */
const DM = "dm";

/** Why a command's turn was not stored, if it is known and was not. */
type Refusal = BridgeError["code"] | undefined;

/** Before READY, when nothing is received. */
const NOBODY: WireReady = { user: { id: "" }, application: { id: "" } };

/** The receiving side: gateway events become turns, and commands are acknowledged. */
export class DiscordIntake implements AsyncDisposable {
  readonly #options: IntakeOptions;
  readonly #gateway: LeasedGateway;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #places: FollowedPlaces;
  readonly #messages: MessageIntake;
  /** The last piece of work of each channel: what is said in one place is taken in as it was said. */
  readonly #lanes = new Map<string, Promise<void>>();
  /** The last command of each channel, until it is acknowledged. */
  readonly #acknowledging = new Map<string, Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { token, apiUrl, log, clock, leases } = options;
    this.#gateway = new LeasedGateway({
      token,
      apiUrl,
      log,
      clock,
      leases,
      onDispatch: (name, data) => this.#receive(name, data),
      onLogin: () => void this.#run("command could not be registered", () => this.#register()),
      onFatal: (error) => options.onFatal?.(error),
    });
    this.#places = new FollowedPlaces(options.store);
    this.#messages = new MessageIntake({
      ...options,
      places: this.#places,
      limits: options.catchUp,
      context: () => this.#context(),
      run: (failure, work) => void this.#run(failure, work),
      signal: this.#closing.signal,
    });
  }

  get health(): AdapterHealth {
    return this.#gateway.health;
  }

  /** @throws {PlatformError} */
  async start({ signal }: Abortable): Promise<void> {
    await this.#gateway.start({ signal });
  }

  /** Stops receiving, and lets what has been received reach the queue. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#gateway.close();
    this.#closing.abort(new Error("intake closed"));
    await this.#messages.catchUp.settled();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #register(): Promise<void> {
    const { rest, log } = this.#options;
    const { applicationId, botId } = this.#context();
    log.info({ botId, applicationId }, "discord connected");
    const written = await registerCommand(rest, { applicationId, signal: this.#closing.signal });
    if (written) log.info({}, "slash command registered");
  }

  /** Keeps a piece of work until it is done; its failure ends in the log. */
  #run(failure: string, work: () => Promise<void>): Promise<void> {
    const running = work()
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted) this.#options.log.warn({ err: error }, failure);
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  /** As {@link #run}, after everything that came from the same channel before. */
  #runInOrder(channelId: string, failure: string, work: () => Promise<void>): void {
    const before = this.#lanes.get(channelId);
    const running = this.#run(failure, async () => {
      await before;
      await work();
    }).finally(() => {
      if (this.#lanes.get(channelId) === running) this.#lanes.delete(channelId);
    });
    this.#lanes.set(channelId, running);
  }

  #receive(name: string, data: unknown): void {
    if (this.#gateway.identity === undefined) return;
    switch (name) {
      case "READY":
        this.#messages.catchUp.onReady();
        return;
      case "GUILD_CREATE": {
        const guild = parseGuild(data);
        if (guild !== undefined) this.#messages.catchUp.onGuild(guild.id, newestMessages(guild));
        return;
      }
      case "MESSAGE_CREATE": {
        const take = this.#messages.receive(data);
        this.#runInOrder(parsePlace(data), "message could not be taken in", take);
        return;
      }
      case "MESSAGE_UPDATE": {
        // Each edit of an answer comes back to us: nearly all updates are some.
        if (parseAuthor(data) === this.#context().botId) return;
        const take = (): Promise<void> => this.#messages.takeEdit(data);
        this.#runInOrder(parsePlace(data), "edit could not be taken in", take);
        return;
      }
      case "THREAD_CREATE":
        this.#followOwn(data);
        return;
      case "MESSAGE_DELETE":
      case "MESSAGE_DELETE_BULK":
        this.#takeDeletion(data);
        return;
      case "INTERACTION_CREATE":
        void this.#run("command could not be taken in", () => this.#takeInteraction(data, this.#context()));
        return;
      default:
    }
  }

  /** A thread that we opened for an answer, from whichever process: what comes after it there is for us. */
  #followOwn(data: unknown): void {
    const thread = parseThread(data);
    if (thread === undefined || thread.ownerId !== this.#context().botId) return;
    const { id, guildId } = thread;
    this.#runInOrder(id, "thread could not be followed", () =>
      this.#places.advance({ channelId: id, guildId, seen: id }),
    );
  }

  /** Only where we are asked things: most of what is deleted elsewhere was never for us. */
  #takeDeletion(data: unknown): void {
    const { onGone } = this.#options;
    const deletion = parseDeletion(data);
    if (onGone === undefined || deletion === undefined) return;
    const { channelId, ids } = deletion;
    this.#runInOrder(channelId, "deletion could not be taken in", async () => {
      await this.#messages.catchUp.loaded();
      if (this.#places.get(channelId) === undefined) return;
      const { applicationId } = this.#context();
      for (const id of ids) await onGone(dedupeKeyOf(applicationId, channelId, id));
    });
  }

  #context(): NormalizeContext {
    const { user, application }: WireReady = this.#gateway.identity ?? NOBODY;
    return {
      applicationId: application.id,
      botId: user.id,
      channelType: (channelId) => this.#gateway.channelType(channelId),
      answersIn: (channelId) => this.#places.get(channelId) !== undefined,
      guildLocale: (guildId) => this.#gateway.guildLocale(guildId),
    };
  }

  // ------------------------------------------------------------------------------------------- commands

  async #takeInteraction(data: unknown, context: NormalizeContext): Promise<void> {
    const { log, rest } = this.#options;
    const interaction = parseInteraction(data, (fields) =>
      log.warn({ fields }, "unreadable discord interaction dropped"),
    );
    if (interaction === undefined) return;
    const outcome = normalizeInteraction(interaction, context);
    if ("dropped" in outcome) {
      log.debug({ reason: outcome.dropped, interactionId: interaction.id }, "interaction dropped");
      return;
    }
    const { command } = outcome;
    if (await isLate(command, rest, { signal: this.#closing.signal })) {
      log.info({ interactionId: command.interactionId }, "interaction came too late");
      return;
    }
    const storing = this.#store(command);
    const { refusal, taken } = await this.#acknowledgeInOrder(command, storing);
    const failure = await storing;
    if (failure === undefined) await this.#follow(command);
    else if (refusal === undefined && taken) await this.#apologize(command, failure);
  }

  /** @returns What the asker has to be told when it could not be stored. Never rejects. */
  async #store(command: Command): Promise<Refusal> {
    const { log, sealer, onTurn, rest } = this.#options;
    const { interactionId, token, applicationId, channelId, viaChannel, turn } = command;
    const at = timeOfId(interactionId);
    // As long as Discord has not told its time, the command counts as new.
    const expiresAt = rest.toOwnTime((rest.knowsTime ? at : rest.discordNow()) + TOKEN_LIVES_MS);
    const sealed = sealer.seal(token, expiresAt);
    const address = toJson({ kind: "interaction", applicationId, channelId, viaChannel, at, token: sealed });
    try {
      await onTurn({ ...turn, address });
      return undefined;
    } catch (error) {
      log.error({ err: error, turnId: turn.id }, "turn could not be stored");
      return codeOf(error);
    }
  }

  /** Behind the command before it in its channel: answers stand in the order of their acknowledgements. */
  #acknowledgeInOrder(
    command: Command,
    storing: Promise<Refusal>,
  ): Promise<{ refusal: Refusal; taken: boolean }> {
    const { channelId } = command;
    const before = this.#acknowledging.get(channelId);
    const ended = (async () => {
      const refusal = await this.#soon(storing, STORE_FIRST_MS);
      if (before !== undefined) await this.#soon(before, ORDER_MS);
      return { refusal, taken: await this.#acknowledge(command, refusal) };
    })().finally(() => {
      if (this.#acknowledging.get(channelId) === ended) this.#acknowledging.delete(channelId);
    });
    this.#acknowledging.set(channelId, ended);
    return ended;
  }

  /** What a piece of work came to, if it is quick: by the world's time, like each try of an acknowledgement. */
  async #soon<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#closing.signal]);
    const patience = sleep(ms, undefined, { signal }).catch(() => undefined);
    const soon = await Promise.race([work, patience]);
    over.abort();
    return soon ?? undefined;
  }

  /** @returns Whether Discord took it, as far as is known. Never rejects: the command is stored already. */
  async #acknowledge(command: Command, refusal: Refusal): Promise<boolean> {
    const { log, rest, clock, store, onGone } = this.#options;
    const { interactionId, viaChannel, turn } = command;
    const says = refusal === undefined ? undefined : `-# ${noticeFor(refusal, turn.locale)}`;
    try {
      const acknowledged = await acknowledge(command, rest, { clock, says, signal: this.#closing.signal });
      if (refusal === undefined) await keepResponse(store, interactionId, acknowledged);
      if (acknowledged.taken) return true;
      log.warn({ interactionId }, "interaction expired before it was acknowledged");
      // There is no other way to its asker, and nobody waits any more.
      if (!viaChannel) await onGone?.(turn.dedupeKey);
    } catch (error) {
      log.warn({ err: error, interactionId }, "command could not be acknowledged");
    }
    return false;
  }

  /** A mark that is there stays: commands are no messages, and cannot be caught up with (discord.md §3.6). */
  async #follow({ channelId, interactionId, viaChannel, turn }: Command): Promise<void> {
    await this.#messages.catchUp.loaded();
    if (!viaChannel || this.#places.get(channelId) !== undefined) return;
    const guildId = turn.installation === DM ? undefined : turn.installation;
    await this.#places.advance({ channelId, guildId, seen: interactionId });
  }

  /** The deferred reply must not think for ever. */
  async #apologize({ applicationId, token, turn }: Command, code: BridgeError["code"]): Promise<void> {
    await this.#options.rest.main({
      method: "PATCH",
      route: `/webhooks/${applicationId}/${token}/messages/@original`,
      body: { content: `-# ${noticeFor(code, turn.locale)}`, allowed_mentions: NO_MENTIONS },
      auth: false,
      name: "edit response",
      signal: this.#closing.signal,
    });
  }
}
