import type { Gateway } from "./gateway.ts";
import type { ApiResult } from "./rest.ts";
import {
  type ApiError,
  apiError,
  CHANNEL_TYPES,
  FLAGS,
  formError,
  INTENTS,
  isThread,
  MESSAGE_TYPES,
  type WireChannel,
  type WireMessage,
} from "./wire.ts";
import type { World } from "./world.ts";

export interface ThreadsOptions {
  readonly world: World;
  readonly gateway: Gateway;
  readonly onChange: (place: string) => void;
}

/** discord.md §2.1 */
const MAX_NAME = 100;
const ARCHIVE_AFTER_MIN: readonly unknown[] = [60, 1_440, 4_320, 10_080];
/** Messages people write; the others are of the system. */
const WRITTEN: readonly number[] = [MESSAGE_TYPES.normal, MESSAGE_TYPES.reply, MESSAGE_TYPES.command];

interface ThreadBody {
  readonly name?: unknown;
  readonly auto_archive_duration?: unknown;
  readonly type?: unknown;
}

/** Threads that the bot opens, and what holds for those that are archived (discord.md §6.1). */
export class Threads {
  readonly #options: ThreadsOptions;

  constructor(options: ThreadsOptions) {
    this.#options = options;
  }

  /** Opens a thread under a message: its id is the message's. */
  startFrom(channel: WireChannel, message: WireMessage, body: unknown): ApiResult | ApiError {
    const { world, gateway, onChange } = this.#options;
    const { name, auto_archive_duration: archiveAfterMin } = (body ?? {}) as ThreadBody;
    const refused = this.#mayStart(channel, (body ?? {}) as ThreadBody, CHANNEL_TYPES.publicThread);
    if (refused !== undefined) return refused;
    if (!WRITTEN.includes(message.type)) {
      return apiError(400, 50021, "Cannot execute action on a system message");
    }
    if (world.channels.has(message.id)) {
      return apiError(400, 160004, "A thread has already been created for this message");
    }
    const thread = world.addThread(channel.id, String(name), world.bot.id, {
      id: message.id,
      ...(typeof archiveAfterMin === "number" && { archiveAfterMin }),
    });
    message.flags |= FLAGS.hasThread;
    message.thread = thread;
    this.#announce(thread);
    gateway.dispatchMessage("MESSAGE_UPDATE", message);
    const starter = world.addMessage({
      channelId: thread.id,
      author: world.bot,
      type: MESSAGE_TYPES.threadStarter,
      replyTo: message.id,
    });
    gateway.dispatchMessage("MESSAGE_CREATE", starter);
    onChange(thread.id);
    return { status: 201, body: thread };
  }

  /** Opens a thread without a message; private when nothing is said of its type. */
  start(channel: WireChannel, body: unknown): ApiResult | ApiError {
    const { world } = this.#options;
    const {
      name,
      auto_archive_duration: archiveAfterMin,
      type = CHANNEL_TYPES.privateThread,
    } = (body ?? {}) as ThreadBody;
    if (type !== CHANNEL_TYPES.publicThread && type !== CHANNEL_TYPES.privateThread) {
      return formError("type", "BASE_TYPE_CHOICES", "Value must be one of {11, 12}.");
    }
    const refused = this.#mayStart(channel, (body ?? {}) as ThreadBody, type);
    if (refused !== undefined) return refused;
    const thread = world.addThread(channel.id, String(name), world.bot.id, {
      type,
      ...(typeof archiveAfterMin === "number" && { archiveAfterMin }),
    });
    this.#announce(thread);
    return { status: 201, body: thread };
  }

  #mayStart(channel: WireChannel, body: ThreadBody, type: number): ApiError | undefined {
    if (channel.type !== CHANNEL_TYPES.text) {
      return apiError(400, 50024, "Cannot execute action on this channel type");
    }
    const right = type === CHANNEL_TYPES.publicThread ? "createThreads" : "createPrivateThreads";
    if (!this.#options.world.may(channel, right)) return apiError(403, 50013, "Missing Permissions");
    const { name, auto_archive_duration: archiveAfterMin = null } = body;
    if (typeof name !== "string" || name === "" || name.length > MAX_NAME) {
      return formError("name", "BASE_TYPE_BAD_LENGTH", `Must be between 1 and ${MAX_NAME} in length.`);
    }
    if (archiveAfterMin !== null && !ARCHIVE_AFTER_MIN.includes(archiveAfterMin)) {
      const values = ARCHIVE_AFTER_MIN.join(", ");
      return formError("auto_archive_duration", "BASE_TYPE_CHOICES", `Value must be one of {${values}}.`);
    }
    return undefined;
  }

  #announce(thread: WireChannel): void {
    this.#options.gateway.dispatch("THREAD_CREATE", { ...thread, newly_created: true }, INTENTS.guilds);
  }

  /** A moderator, or time, archives it; a locked one only a moderator opens again. */
  archive(thread: WireChannel, { locked }: { locked: boolean }): void {
    Object.assign(thread.thread_metadata ?? {}, { archived: true, locked });
    this.#options.gateway.dispatch("THREAD_UPDATE", thread, INTENTS.guilds);
  }

  /** Writing opens an archived thread, unless it is locked. */
  open(channel: WireChannel): ApiError | undefined {
    if (channel.thread_metadata?.locked === true) return apiError(403, 160005, "This thread is locked");
    this.#options.gateway.openThread(channel);
    return undefined;
  }

  /** A bot may open a thread that is archived and not locked (discord.md §6.1); all else is refused here, to notice it. */
  changeThread(channel: WireChannel, body: unknown): ApiResult | ApiError {
    const { archived, ...others } = (body ?? {}) as { archived?: unknown };
    const mayChange = isThread(channel) && archived === false && Object.keys(others).length === 0;
    if (!mayChange) return apiError(403, 50013, "Missing Permissions");
    return this.open(channel) ?? { status: 200, body: channel };
  }

  /** What stands in an archived thread does not change. */
  mayChange(channel: WireChannel): ApiError | undefined {
    return isThread(channel) && channel.thread_metadata?.archived === true
      ? apiError(400, 50083, "Thread is archived")
      : undefined;
  }
}
