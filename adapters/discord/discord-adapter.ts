import { setImmediate as nextLoop } from "node:timers/promises";
import { BridgeError } from "../../src/core/errors.ts";
import { GrowingReply, savedIds } from "../../src/core/growing-reply.ts";
import type { Json } from "../../src/core/json.ts";
import { noticeFor, withReference } from "../../src/core/notices.ts";
import type {
  Abortable,
  Adapter,
  AdapterHealth,
  AdapterTools,
  Completion,
  FetchOptions,
  LocalFile,
  OnTurn,
  OpenIntakeOptions,
  OpenReplyOptions,
  Reply,
} from "../../src/core/ports.ts";
import { PromisedReply } from "../../src/core/promised-reply.ts";
import { sleep } from "../../src/core/sleep.ts";
import type { Attachment, Turn } from "../../src/core/turn.ts";
import { readAbove } from "./above.ts";
import { type Address, type MessageAddress, parseAddress } from "./address.ts";
import { BusyChannels } from "./busy-channels.ts";
import { ClosedPlaces } from "./closed-places.ts";
import { DiscordReply } from "./discord-reply.ts";
import { DiscordWriter, TOKEN_USABLE_MS } from "./discord-writer.ts";
import { refusedToken } from "./errors.ts";
import { fetchAttachment } from "./fetch-attachment.ts";
import { DiscordIntake } from "./intake.ts";
import { threadKey, triggerOf } from "./normalize.ts";
import { DiscordPacer } from "./pacer.ts";
import { responseOf } from "./responses.ts";
import { DiscordRest } from "./rest-client.ts";
import type { DiscordSettings } from "./settings.ts";
import { openThread } from "./thread.ts";
import { TypingSign } from "./typing-sign.ts";
import { WaitingSign } from "./waiting-sign.ts";

/** Tools of the Discord adapter; `wallNow` is there for tests that let minutes pass. */
export interface DiscordTools extends AdapterTools {
  /** Ms since the epoch, default `Date.now`. */
  readonly wallNow?: () => number;
}

/** Discord, as the core sees it: gateway in, REST out. */
export class DiscordAdapter implements Adapter {
  readonly platform = "discord";
  readonly routes: Adapter["routes"] = {};
  readonly #settings: DiscordSettings;
  readonly #tools: DiscordTools;
  readonly #rest: DiscordRest;
  readonly #pacer: DiscordPacer;
  readonly #waiting: WaitingSign;
  readonly #closedPlaces: ClosedPlaces;
  readonly #busyChannels: BusyChannels;
  readonly #typing = new Set<TypingSign>();
  #intake: DiscordIntake | undefined;

  constructor(settings: DiscordSettings, tools: DiscordTools) {
    this.#settings = settings;
    this.#tools = tools;
    this.#pacer = new DiscordPacer(tools.gates);
    this.#rest = new DiscordRest({
      ...settings,
      now: tools.wallNow ?? Date.now,
      speed: tools.clock.speed,
      onOverallLimit: (retryAfterMs) => this.#pacer.overall.refused(retryAfterMs),
    });
    this.#closedPlaces = new ClosedPlaces(() => tools.clock.now());
    this.#busyChannels = new BusyChannels(tools);
    this.#waiting = new WaitingSign({
      rest: this.#rest,
      pacer: this.#pacer,
      sleep: (ms, signal) => sleep(tools.clock, ms, signal),
    });
  }

  async openIntake(onTurn: OnTurn, options: OpenIntakeOptions): Promise<AsyncDisposable> {
    const { signal, onGone, onEdited, onFatal } = options;
    const intake = new DiscordIntake({
      ...this.#settings,
      ...this.#tools,
      rest: this.#rest,
      pacer: this.#pacer,
      onTurn,
      onGone,
      onEdited,
      onFatal,
    });
    this.#intake = intake;
    await intake.start({ signal });
    return intake;
  }

  async checkToken({ signal }: Abortable): Promise<void> {
    try {
      await this.#rest.main({ method: "GET", route: "/users/@me", name: "ask who we are", signal });
    } catch (error) {
      throw error instanceof BridgeError && error.code === "PLATFORM_AUTH" ? refusedToken(error) : error;
    }
  }

  async openReply(turn: Turn, options: OpenReplyOptions): Promise<Reply> {
    const address = parseAddress(turn.address);
    if (address.kind === "interaction") return this.#open(turn, address, options);
    const { channelId } = address;
    const refusal = this.#closedPlaces.refusalOf(channelId);
    if (refusal !== undefined) throw refusal;
    if (this.#settings.secondAnswer === "channel" || turn.installation === "dm") {
      return this.#open(turn, address, options);
    }
    const before = placeOf(options.saved ?? options.earlier);
    if (before === "thread") return new PromisedReply(this.#openInThread(turn, address, options));
    const isFree = await this.#busyChannels.take(channelId, turn.conversation);
    // An earlier start that went into a thread would have said so.
    if (before === undefined && !isFree && !options.again) {
      // The round trip goes while Coze thinks (pacing.md §6).
      return new PromisedReply(this.#openInThread(turn, address, options));
    }
    return this.#open(turn, address, options, () => this.#busyChannels.leave(channelId, turn.conversation));
  }

  /** Decides for good before the first message: a later start looks there, and nowhere else. */
  async #openInThread(turn: Turn, address: MessageAddress, options: OpenReplyOptions): Promise<Reply> {
    const { channelId, messageId } = address;
    const saved = options.saved ?? options.earlier;
    const inThread = { ...address, channelId: messageId, inThread: true } as const;
    const save = (state: Json): Promise<void> => options.save({ ...(state as object), thread: true });
    if (savedIds(saved).length > 0) return this.#open(turn, inThread, { ...options, save });
    const { text, locale } = turn;
    const parts = { rest: this.#rest, pacer: this.#pacer, log: this.#tools.log, signal: options.signal };
    const [isThere] = await Promise.all([
      openThread({ channelId, messageId, text, locale }, parts),
      save({ messages: [] }),
    ]);
    if (isThere) return this.#open(turn, inThread, { ...options, save });
    await options.save({ messages: [] });
    return this.#open(turn, address, options);
  }

  /** @param onClosed - Called once nothing is written any more. */
  #open(
    turn: Turn,
    address: Address,
    options: OpenReplyOptions,
    onClosed: () => Promise<void> = () => Promise.resolve(),
  ): Reply {
    const { log, clock, sealer } = this.#tools;
    const saved = options.saved ?? options.earlier;
    const sealed = address.kind === "interaction" ? address.token : undefined;
    const writer = new DiscordWriter({
      turn,
      address,
      token: sealed === undefined ? undefined : sealer.open(sealed),
      response: () => responseOf(this.#tools.store, triggerOf(turn.id)),
      rest: this.#rest,
      pacer: this.#pacer,
      log,
      maxParts: this.#settings.maxReplyParts,
      saved: savedIds(saved),
      again: options.again,
    });
    // A deferred command shows "thinking…" by itself.
    const typing = address.kind === "message" ? this.#type(address.channelId, options.signal) : undefined;
    const growing = new GrowingReply({
      ...options,
      saved,
      continuesAnswer: options.earlier === undefined,
      writer,
      log,
      now: () => clock.now(),
      sleep: (ms, signal) => sleep(clock, ms, signal),
      onFirst: () => typing?.stop(),
    });
    const sayRejected = async (): Promise<void> => {
      const notice = withReference(noticeFor("PLATFORM_REJECTED", turn.locale), turn.reference);
      await writer.post(`-# ${notice}`, "rejected", { signal: options.signal });
    };
    const cancelEnd = this.#endInTime(address, options);
    const onEnd = async (): Promise<void> => {
      cancelEnd();
      if (typing !== undefined) this.#typing.delete(typing);
      await onClosed();
    };
    const onFailure = (error: unknown): void => this.#closedPlaces.learn(address.channelId, error);
    const inThread = address.kind === "message" && address.inThread === true;
    const keys = inThread ? [threadKey(address.channelId)] : [];
    return new DiscordReply({ growing, typing, keys, sayRejected, onFailure, onEnd, log });
  }

  /** Where only the interaction's token may write, the answer ends while it still can. @returns What cancels that. */
  #endInTime(address: Address, { onOver }: OpenReplyOptions): () => void {
    if (address.kind === "message" || address.viaChannel) return () => undefined;
    const { clock } = this.#tools;
    const leftMs = address.at + TOKEN_USABLE_MS - this.#rest.discordNow();
    const message =
      "the command's 15 minutes are nearly over, and the bot itself may not write in its channel";
    return clock.after(Math.max(0, leftMs), () => onOver(new BridgeError("COZE_TIMEOUT", message)));
  }

  complete(turn: Turn, options: Abortable): Promise<Completion> | undefined {
    if (turn.belowTalk !== true) return undefined;
    const parts = { rest: this.#rest, pacer: this.#pacer, log: this.#tools.log };
    return readAbove(turn, parts, options);
  }

  fetchAttachment(turn: Turn, attachment: Attachment, options: FetchOptions): Promise<LocalFile> {
    const parts = { rest: this.#rest, download: this.#tools.download };
    return fetchAttachment(attachment, parseAddress(turn.address), parts, options);
  }

  async showWaiting(turn: Turn, waiting: boolean, options: Abortable): Promise<void> {
    const address = parseAddress(turn.address);
    // A deferred command shows "thinking…" from the start.
    if (address.kind !== "message") return;
    if (waiting) await this.#waiting.add(address, options);
    else await this.#waiting.remove(address, options);
  }

  health(): AdapterHealth {
    return this.#intake?.health ?? { ok: true, detail: "no intake in this process" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#intake?.[Symbol.asyncDispose]();
    for (const typing of this.#typing) {
      typing.stop();
      await typing.settled();
    }
    this.#rest.close();
  }

  #type(channelId: string, signal: AbortSignal): TypingSign {
    const typing = new TypingSign(async (stopped) => {
      // Where a plain question is answered, its request to Coze goes out in this turn of the loop; this comes after.
      await nextLoop();
      const route: `/${string}` = `/channels/${channelId}/typing`;
      const unwanted = AbortSignal.any([signal, stopped]);
      await this.#pacer.overall.acquire("edit", { signal: unwanted });
      await this.#rest.main({ method: "POST", route, name: "type", signal: unwanted });
    }, this.#tools.clock);
    this.#typing.add(typing);
    return typing;
  }
}

/** Where an earlier start wrote, or had decided to. */
function placeOf(saved: Json | undefined): "thread" | "channel" | undefined {
  if (typeof saved !== "object" || saved === null || Array.isArray(saved)) return undefined;
  return "thread" in saved && saved["thread"] === true ? "thread" : "channel";
}
