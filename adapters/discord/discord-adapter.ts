import { GrowingReply, savedIds } from "../../src/core/growing-reply.ts";
import { noticeFor } from "../../src/core/notices.ts";
import type {
  Abortable,
  Adapter,
  AdapterHealth,
  AdapterTools,
  FetchOptions,
  LocalFile,
  OnTurn,
  OpenIntakeOptions,
  OpenReplyOptions,
  Reply,
} from "../../src/core/ports.ts";
import type { Attachment, Turn } from "../../src/core/turn.ts";
import { parseAddress } from "./address.ts";
import { ClosedPlaces } from "./closed-places.ts";
import { DiscordReply } from "./discord-reply.ts";
import { DiscordWriter } from "./discord-writer.ts";
import { fetchAttachment } from "./fetch-attachment.ts";
import { DiscordIntake } from "./intake.ts";
import { triggerOf } from "./normalize.ts";
import { DiscordPacer } from "./pacer.ts";
import { responseOf } from "./responses.ts";
import { DiscordRest } from "./rest-client.ts";
import type { DiscordSettings } from "./settings.ts";
import { sleep } from "./sleep.ts";
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
  readonly #typing = new Set<TypingSign>();
  #intake: DiscordIntake | undefined;

  constructor(settings: DiscordSettings, tools: DiscordTools) {
    this.#settings = settings;
    this.#tools = tools;
    this.#pacer = new DiscordPacer(tools.gates);
    this.#rest = new DiscordRest({ ...settings, now: tools.wallNow ?? Date.now });
    this.#closedPlaces = new ClosedPlaces(() => tools.clock.now());
    this.#waiting = new WaitingSign(this.#rest, this.#pacer);
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

  openReply(turn: Turn, options: OpenReplyOptions): Promise<Reply> {
    const { log, clock, sealer } = this.#tools;
    const address = parseAddress(turn.address);
    const refusal = this.#closedPlaces.refusalOf(address.channelId);
    if (refusal !== undefined && address.kind === "message") return Promise.reject(refusal);
    const saved = options.saved ?? options.earlier;
    const sealed = address.kind === "interaction" ? address.token : undefined;
    const writer = new DiscordWriter({
      turn,
      address,
      token: sealed === undefined ? undefined : sealer.open(sealed),
      response: () => responseOf(this.#tools.store, triggerOf(turn.id)),
      rest: this.#rest,
      pacer: this.#pacer,
      resumed: saved !== undefined,
      savedBefore: options.again ? new Set(savedIds(saved)) : undefined,
    });
    // A deferred command shows "thinking…" by itself.
    const typing = address.kind === "message" ? this.#type(address.channelId, options.signal) : undefined;
    const growing = new GrowingReply({
      ...options,
      saved,
      writer,
      log,
      now: () => clock.now(),
      sleep: (ms, signal) => sleep(clock, ms, signal),
      onFirst: () => typing?.stop(),
    });
    const sayRejected = async (): Promise<void> => {
      const text = `-# ${noticeFor("PLATFORM_REJECTED", turn.locale)} (${turn.reference})`;
      await writer.post(text, "rejected", { signal: options.signal });
    };
    const onEnd = (): void => {
      if (typing !== undefined) this.#typing.delete(typing);
    };
    const onFailure = (error: unknown): void => this.#closedPlaces.learn(address.channelId, error);
    return Promise.resolve(new DiscordReply({ growing, typing, sayRejected, onFailure, onEnd, log }));
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
      const route: `/${string}` = `/channels/${channelId}/typing`;
      const unwanted = AbortSignal.any([signal, stopped]);
      await this.#pacer.overall.acquire("edit", { signal: unwanted });
      await this.#rest.main({ method: "POST", route, name: "type", signal: unwanted });
    }, this.#tools.clock);
    this.#typing.add(typing);
    return typing;
  }
}
