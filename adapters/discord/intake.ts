import { BridgeError } from "../../src/core/errors.ts";
import type { Clock } from "../../src/core/gate.ts";
import { noticeFor } from "../../src/core/notices.ts";
import type { Abortable, AdapterHealth, Log, OnTurn, Sealer } from "../../src/core/ports.ts";
import { type Acknowledgement, acknowledge, isDead } from "./acknowledge.ts";
import { toJson } from "./address.ts";
import { registerCommand } from "./commands.ts";
import { NO_MENTIONS } from "./discord-writer.ts";
import { GatewayClient } from "./gateway-client.ts";
import { parseInteraction, parseMessage, type WireReady } from "./gateway-events.ts";
import { helpFor } from "./help.ts";
import { nonceOf } from "./nonce.ts";
import {
  type Command,
  type Help,
  type NormalizeContext,
  normalizeInteraction,
  normalizeMessage,
  timeOfId,
} from "./normalize.ts";
import type { DiscordRest } from "./rest-client.ts";

export interface IntakeOptions {
  readonly token: string;
  readonly apiUrl: string;
  readonly rest: DiscordRest;
  readonly log: Log;
  readonly clock: Clock;
  readonly sealer: Sealer;
  readonly onTurn: OnTurn;
}

/** An interaction's token lives this long (discord.md §1.6). */
const TOKEN_LIVES_MS = 15 * 60_000;

/** The receiving side: gateway events become turns, and commands are acknowledged before anything else. */
export class DiscordIntake implements AsyncDisposable {
  readonly #options: IntakeOptions;
  readonly #gateway: GatewayClient;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { token, apiUrl, log, clock } = options;
    this.#gateway = new GatewayClient({
      token,
      apiUrl,
      log,
      clock,
      onDispatch: (name, data) => this.#receive(name, data),
    });
  }

  get health(): AdapterHealth {
    return this.#gateway.health;
  }

  /** @throws {PlatformError} */
  async start({ signal }: Abortable): Promise<void> {
    const { user, application } = await this.#gateway.login({ signal });
    this.#options.log.info({ botId: user.id, applicationId: application.id }, "discord connected");
    this.#run("command could not be registered", () => this.#register(application.id));
  }

  /** Stops receiving, and lets what has been received reach the queue. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#gateway.close();
    this.#closing.abort(new Error("intake closed"));
    await Promise.all(this.#running);
  }

  async #register(applicationId: string): Promise<void> {
    const { rest, log } = this.#options;
    const written = await registerCommand(rest, { applicationId, signal: this.#closing.signal });
    if (written) log.info({}, "slash command registered");
  }

  /** Keeps a piece of work until it is done; its failure ends in the log. */
  #run(failure: string, work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted) this.#options.log.warn({ err: error }, failure);
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #receive(name: string, data: unknown): void {
    const ready = this.#gateway.identity;
    if (ready === undefined) return;
    if (name === "MESSAGE_CREATE") {
      this.#run("message could not be taken in", () => this.#takeMessage(data, this.#context(ready)));
    } else if (name === "INTERACTION_CREATE") {
      this.#run("command could not be taken in", () => this.#takeInteraction(data, this.#context(ready)));
    }
  }

  #context({ user, application }: WireReady): NormalizeContext {
    return {
      applicationId: application.id,
      botId: user.id,
      channelType: (channelId) => this.#gateway.channelType(channelId),
      guildLocale: (guildId) => this.#gateway.guildLocale(guildId),
    };
  }

  // ------------------------------------------------------------------------------------------- messages

  async #takeMessage(data: unknown, context: NormalizeContext): Promise<void> {
    const { log, onTurn } = this.#options;
    const message = parseMessage(data);
    const outcome =
      message === undefined ? ({ dropped: "malformed" } as const) : normalizeMessage(message, context);
    if ("turn" in outcome) {
      const { turn } = outcome;
      try {
        await onTurn(turn);
      } catch (error) {
        log.error({ err: error, turnId: turn.id }, "turn could not be stored");
        const help = {
          channelId: message?.channel_id ?? "",
          messageId: message?.id ?? "",
          locale: turn.locale,
        };
        await this.#say(help, noticeFor(codeOf(error), turn.locale), "unstored");
      }
      return;
    }
    log.debug({ reason: outcome.dropped, messageId: message?.id }, "message dropped");
    const { help, dropped } = outcome;
    if (help !== undefined && (dropped === "empty" || dropped === "unreadable")) {
      await this.#say(help, helpFor(dropped, help.locale), "help");
    }
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
      signal: this.#closing.signal,
    });
  }

  // ------------------------------------------------------------------------------------------- commands

  async #takeInteraction(data: unknown, context: NormalizeContext): Promise<void> {
    const { log, rest } = this.#options;
    const interaction = parseInteraction(data);
    const outcome =
      interaction === undefined
        ? ({ dropped: "malformed" } as const)
        : normalizeInteraction(interaction, context);
    if ("dropped" in outcome) {
      log.debug({ reason: outcome.dropped, interactionId: interaction?.id }, "interaction dropped");
      return;
    }
    const { command } = outcome;
    if (rest.knowsTime && isDead(command.interactionId, rest.discordNow())) {
      log.info({ interactionId: command.interactionId }, "interaction came too late");
      return;
    }
    // Before any other work: slow listeners are what kills interactions (discord.md §1.6).
    const acknowledged = await acknowledge(command, rest, { signal: this.#closing.signal });
    await this.#store(command, acknowledged);
  }

  async #store(command: Command, acknowledged: Acknowledgement): Promise<void> {
    const { log, sealer, onTurn, rest } = this.#options;
    const { interactionId, token, applicationId, channelId, viaChannel, turn } = command;
    if (!acknowledged.taken && !viaChannel) {
      log.warn({ interactionId }, "interaction expired before it was acknowledged");
      return;
    }
    const at = timeOfId(interactionId);
    const address = toJson({
      kind: "interaction",
      applicationId,
      channelId,
      viaChannel,
      at,
      token: acknowledged.taken ? sealer.seal(token, rest.toOwnTime(at + TOKEN_LIVES_MS)) : undefined,
      responseId: acknowledged.taken ? acknowledged.responseId : undefined,
    });
    try {
      await onTurn({ ...turn, address });
    } catch (error) {
      log.error({ err: error, turnId: turn.id }, "turn could not be stored");
      if (acknowledged.taken) await this.#apologize(command, codeOf(error));
    }
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

/** What the asker is told when storing failed. */
function codeOf(error: unknown): BridgeError["code"] {
  return error instanceof BridgeError ? error.code : "QUEUE_UNAVAILABLE";
}
