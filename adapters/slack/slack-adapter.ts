import { App } from "@slack/bolt";
import { z } from "zod";
import { BridgeError, PlatformError } from "../../src/core/errors.ts";
import { noticeFor } from "../../src/core/notices.ts";
import type {
  Adapter,
  AdapterHealth,
  AdapterTools,
  FetchOptions,
  HttpHandler,
  LocalFile,
  OnTurn,
  OpenReplyOptions,
  Reply,
} from "../../src/core/ports.ts";
import type { Attachment, Locale, Turn } from "../../src/core/turn.ts";
import { parseAddress } from "./address.ts";
import { fetchSlackFile } from "./files.ts";
import { Help, helpText } from "./help.ts";
import { createHttpEvents } from "./http-events.ts";
import { Lanes } from "./lanes.ts";
import {
  normalizeCommand,
  normalizeMessage,
  RESPONSE_URL_TTL_MS,
  type SlackSelf,
  threadInQuestion,
  usersOf,
  usersOfCommand,
} from "./normalize.ts";
import { openSlackReply } from "./open-reply.ts";
import { SlackPacer } from "./pacer.ts";
import { People } from "./people.ts";
import { type AckResponse, type SlackDelivery, TwoPhaseReceiver } from "./receiver.ts";
import { missingScopes } from "./scopes.ts";
import { toSdkLogger } from "./sdk-logger.ts";
import type { SlackSettings } from "./settings.ts";
import { Latches, type SlackContext } from "./slack-context.ts";
import { SocketMode } from "./socket-mode.ts";
import { Threads } from "./threads.ts";
import { SlackWebApi, webClientOptions } from "./web-api.ts";

const authTest = z.object({
  user_id: z.string(),
  bot_id: z.string(),
  team_id: z.string(),
  app_id: z.string().exactOptional(),
  response_metadata: z.object({ scopes: z.array(z.string()).optional() }).optional(),
});

/** What a running intake needs. */
interface Intake {
  readonly onTurn: OnTurn;
  readonly self: SlackSelf;
  readonly signal: AbortSignal;
}

/** Slack over Bolt and the Web API; wires the files beside it. */
export class SlackAdapter implements Adapter {
  readonly platform = "slack";
  readonly routes: Readonly<Record<string, HttpHandler>>;
  readonly #context: SlackContext;
  readonly #people: People;
  readonly #threads: Threads;
  readonly #help: Help;
  readonly #lanes = new Lanes();
  readonly #abort = new AbortController();
  #self: Promise<SlackSelf> | undefined;
  #deliver: ((delivery: SlackDelivery) => Promise<AckResponse>) | undefined;
  #socket: SocketMode | undefined;

  constructor(settings: SlackSettings, tools: AdapterTools) {
    const log = tools.log.child({ platform: "slack" });
    this.#context = {
      settings,
      tools,
      log,
      api: new SlackWebApi({ apiUrl: settings.apiUrl, token: settings.botToken, log }),
      pacer: new SlackPacer(tools.clock),
      latches: new Latches(log),
      self: (options) => this.#whoAmI(options),
      onGone: () => undefined,
      sleep: (ms, signal) => sleep(tools, ms, signal),
    };
    const quick = new SlackWebApi({
      apiUrl: settings.apiUrl,
      token: settings.botToken,
      log,
      timeoutMs: 2_000,
    });
    this.#people = new People({ ...this.#context, api: quick });
    this.#threads = new Threads({ ...this.#context, api: quick });
    this.#help = new Help(this.#context);
    this.routes = this.#routes();
  }

  #routes(): Readonly<Record<string, HttpHandler>> {
    const { signingSecret } = this.#context.settings;
    if (signingSecret === undefined) return {};
    const handler = createHttpEvents({
      signingSecret,
      log: this.#context.log,
      now: () => Date.now(),
      deliver: () => this.#deliver,
    });
    return { "/slack/events": handler };
  }

  async openIntake(onTurn: OnTurn, { signal }: { signal: AbortSignal }): Promise<AsyncDisposable> {
    const { settings, log } = this.#context;
    const closed = new AbortController();
    const intakeSignal = AbortSignal.any([signal, closed.signal, this.#abort.signal]);
    const self = await this.#whoAmI({ signal });
    const receiver = this.#openBolt({ onTurn, self, signal: intakeSignal });
    const deliver = (delivery: SlackDelivery): Promise<AckResponse> => receiver.deliver(delivery);
    const socket = settings.appToken === undefined ? undefined : this.#openSocket(settings.appToken, deliver);
    try {
      await socket?.start({ signal });
    } catch (error) {
      await socket?.[Symbol.asyncDispose]();
      throw error;
    }
    this.#socket = socket;
    this.#deliver = deliver;
    log.info({ team: self.teamId, socketMode: socket !== undefined }, "slack intake open");
    return {
      [Symbol.asyncDispose]: async () => {
        if (this.#deliver === deliver) this.#deliver = undefined;
        await socket?.[Symbol.asyncDispose]();
        closed.abort(new Error("slack intake closed"));
      },
    };
  }

  #openSocket(appToken: string, deliver: (delivery: SlackDelivery) => Promise<AckResponse>): SocketMode {
    const { settings, log, sleep: wait } = this.#context;
    return new SocketMode({
      clientOptions: () => ({
        appToken,
        logger: toSdkLogger(log),
        clientOptions: webClientOptions(settings.apiUrl, log),
      }),
      deliver,
      log,
      sleep: wait,
    });
  }

  /** Bolt routes; when a payload is acknowledged is decided by the receiver. */
  #openBolt(intake: Intake): TwoPhaseReceiver {
    const { settings, log } = this.#context;
    const receiver = new TwoPhaseReceiver();
    const { userId: botUserId, botId } = intake.self;
    const app = new App({
      receiver,
      authorize: () => Promise.resolve({ botToken: settings.botToken, botUserId, botId }),
      convoStore: false,
      ignoreSelf: true,
      clientOptions: webClientOptions(settings.apiUrl, log),
      logger: toSdkLogger(log),
    });
    app.event("app_mention", ({ body, event }) => this.#onMessage(body, event, intake));
    app.event("message", ({ body, event }) => this.#onMessage(body, event, intake));
    app.command(/^\//, async ({ body, ack }) => {
      const text = await this.#onCommand(body, intake);
      await ack({ response_type: "ephemeral", text });
    });
    // Nothing of ours can be pressed yet; unanswered, Slack would show a warning sign to who did.
    app.action(/^/, ({ ack }) => ack());
    app.shortcut(/^/, ({ ack }) => ack());
    app.view(/^/, ({ ack }) => ack());
    return receiver;
  }

  /** Rejects when the turn could not be stored: the payload is not acknowledged then. */
  async #onMessage(body: unknown, event: unknown, intake: Intake): Promise<void> {
    const lane = z.object({ channel: z.string() }).safeParse(event).data?.channel ?? "";
    await this.#lanes.run(lane, () => this.#takeMessage(body, event, intake));
  }

  async #takeMessage(body: unknown, event: unknown, { onTurn, self, signal }: Intake): Promise<void> {
    const { log } = this.#context;
    const asked = threadInQuestion(event, self);
    const where = asked === undefined ? undefined : { team: self.teamId, ...asked };
    const ours = where === undefined ? false : await this.#threads.isOurs(where, { self, signal });
    const known = { self, isOurThread: () => ours };
    const quick = normalizeMessage(body, event, { ...known, names: new Map() });
    if (quick.dropped !== undefined && quick.help === undefined) {
      log.debug({ reason: quick.dropped }, "slack message dropped");
      return;
    }
    const people = await this.#people.load(usersOf(event), { team: self.teamId, signal });
    const normalized = normalizeMessage(body, event, { ...known, ...people });
    if (normalized.dropped === undefined) {
      await onTurn(normalized.turn);
      const { channel, thread } = parseAddress(normalized.turn.address);
      if (thread !== undefined) this.#threads.join(channel, thread);
    } else if (normalized.help !== undefined) await this.#help.answer(normalized.help, { signal });
  }

  /** @returns What the sender of the command reads. Never rejects: a command is not delivered again. */
  async #onCommand(body: unknown, { onTurn, self, signal }: Intake): Promise<string> {
    const { log, tools } = this.#context;
    const people = await this.#people.load(usersOfCommand(body), { team: self.teamId, signal });
    const now = Date.now();
    const seal = (secret: string): string => tools.sealer.seal(secret, now + RESPONSE_URL_TTL_MS);
    const normalized = normalizeCommand(body, { ...people, seal, now });
    if (normalized.dropped !== undefined) return helpText(normalized.help?.locale ?? "en");
    const { locale } = normalized.turn;
    try {
      await onTurn(normalized.turn);
      return WORKING[locale];
    } catch (error) {
      log.error({ err: error }, "slack command not stored");
      return noticeFor(error instanceof BridgeError ? error.code : "INTERNAL", locale);
    }
  }

  async openReply(turn: Turn, options: OpenReplyOptions): Promise<Reply> {
    const { reply, place } = await openSlackReply(this.#context, turn, options);
    if (place !== undefined) this.#threads.join(place.channel, place.thread);
    return reply;
  }

  fetchAttachment(turn: Turn, attachment: Attachment, options: FetchOptions): Promise<LocalFile> {
    const special = parseAddress(turn.address).files?.[attachment.id];
    return fetchSlackFile(this.#context, attachment, { ...options, special });
  }

  showWaiting(): Promise<void> {
    return Promise.resolve();
  }

  health(): AdapterHealth {
    if (this.#deliver === undefined) return { ok: true, detail: "Slack: not receiving in this process" };
    return this.#socket?.health() ?? { ok: true, detail: "Slack: receiving over HTTP" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error("slack adapter closed"));
    await this.#socket?.[Symbol.asyncDispose]();
  }

  /** Asked once; a failure is forgotten, so that the next turn asks again. */
  #whoAmI(options: { signal: AbortSignal }): Promise<SlackSelf> {
    this.#self ??= this.#askWhoAmI(options).catch((error: unknown) => {
      this.#self = undefined;
      throw error;
    });
    return this.#self;
  }

  async #askWhoAmI(options: { signal: AbortSignal }): Promise<SlackSelf> {
    const { api, log } = this.#context;
    try {
      const me = await api.call("auth.test", authTest, {}, options);
      for (const { scope, lost } of missingScopes(me.response_metadata?.scopes)) {
        log.warn({ scope, lost }, "slack app lacks a scope");
      }
      return {
        userId: me.user_id,
        botId: me.bot_id,
        teamId: me.team_id,
        ...(me.app_id !== undefined && { appId: me.app_id }),
      };
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== "PLATFORM_AUTH") throw error;
      throw new PlatformError(
        "PLATFORM_AUTH",
        `Slack does not take SLACK_BOT_TOKEN (${error.platformCode}): install the app to the workspace again and ` +
          "copy the Bot User OAuth Token from OAuth & Permissions",
        {
          platform: "slack",
          cause: error,
          ...(error.platformCode !== undefined && { platformCode: error.platformCode }),
        },
      );
    }
  }
}

const WORKING: Readonly<Record<Locale, string>> = { en: "Working on it…", zh: "正在处理…" };

function sleep(tools: AdapterTools, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = (): void => {
      cancel();
      reject(signal.reason);
    };
    const cancel = tools.clock.after(ms, () => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
    signal.addEventListener("abort", abort, { once: true });
  });
}
