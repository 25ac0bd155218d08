import { App } from "@slack/bolt";
import { z } from "zod";
import { PlatformError } from "../../src/core/errors.ts";
import type {
  Abortable,
  Adapter,
  AdapterHealth,
  AdapterTools,
  Completion,
  FetchOptions,
  HttpHandler,
  LocalFile,
  OnTurn,
  OpenIntakeOptions,
  OpenReplyOptions,
  Reply,
} from "../../src/core/ports.ts";
import { sleep } from "../../src/core/sleep.ts";
import type { Attachment, Turn } from "../../src/core/turn.ts";
import { readAbove } from "./above.ts";
import { parseAddress } from "./address.ts";
import { fetchSlackFile } from "./files.ts";
import { createHttpEvents } from "./http-events.ts";
import { SlackIntake } from "./intake.ts";
import { isOwnChange, type SlackSelf } from "./normalize.ts";
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
import { showWaiting } from "./waiting.ts";
import { SlackWebApi, webClientOptions } from "./web-api.ts";

const authTest = z.object({
  user_id: z.string(),
  bot_id: z.string(),
  team_id: z.string(),
  app_id: z.string().exactOptional(),
  response_metadata: z.object({ scopes: z.array(z.string()).optional() }).optional(),
});

/** Slack over Bolt and the Web API; wires the files beside it. */
export class SlackAdapter implements Adapter {
  readonly platform = "slack";
  readonly routes: Readonly<Record<string, HttpHandler>>;
  readonly #context: SlackContext;
  readonly #people: People;
  readonly #threads: Threads;
  readonly #abort = new AbortController();
  #self: Promise<SlackSelf> | undefined;
  #deliver: ((delivery: SlackDelivery) => Promise<AckResponse>) | undefined;
  #socket: SocketMode | undefined;
  #intake: SlackIntake | undefined;

  constructor(settings: SlackSettings, tools: AdapterTools) {
    const { log } = tools;
    this.#context = {
      settings,
      tools,
      log,
      api: new SlackWebApi({ apiUrl: settings.apiUrl, token: settings.botToken, log }),
      pacer: new SlackPacer(tools.gates),
      latches: new Latches(log),
      self: (options) => this.#whoAmI(options),
      onGone: (dedupeKey) => this.#intake?.onStoppedReply(dedupeKey),
      sleep: (ms, signal) => sleep(tools.clock, ms, signal),
    };
    const quick = new SlackWebApi({
      apiUrl: settings.apiUrl,
      token: settings.botToken,
      log,
      timeoutMs: 2_000,
    });
    this.#people = new People({ ...this.#context, api: quick }, { signal: this.#abort.signal });
    this.#threads = new Threads({ ...this.#context, api: quick });
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

  async openIntake(onTurn: OnTurn, options: OpenIntakeOptions): Promise<AsyncDisposable> {
    const { settings, log } = this.#context;
    const { signal, onGone, onEdited, onFatal } = options;
    const self = await this.#whoAmI({ signal });
    const closed = new AbortController();
    const intake = new SlackIntake({
      context: this.#context,
      people: this.#people,
      threads: this.#threads,
      self,
      onTurn,
      onGone,
      onEdited,
      signal: AbortSignal.any([signal, closed.signal, this.#abort.signal]),
    });
    const receiver = this.#openBolt(intake, self);
    const deliver = async (delivery: SlackDelivery): Promise<AckResponse> =>
      // Bolt has a long way to find that out.
      isOwnChange(delivery.body, self) ? undefined : receiver.deliver(delivery);
    const { appToken } = settings;
    const socket =
      appToken === undefined ? undefined : this.#openSocket({ appToken, deliver, intake, onFatal });
    try {
      await socket?.start({ signal });
    } catch (error) {
      await socket?.[Symbol.asyncDispose]();
      throw error;
    }
    this.#socket = socket;
    this.#deliver = deliver;
    this.#intake = intake;
    log.info({ team: self.teamId, socketMode: socket !== undefined }, "slack intake open");
    intake.catchUp();
    return {
      [Symbol.asyncDispose]: async () => {
        if (this.#deliver === deliver) this.#deliver = undefined;
        await intake.stopCatchUp();
        await socket?.[Symbol.asyncDispose]();
        closed.abort(new Error("slack intake closed"));
        await intake[Symbol.asyncDispose]();
      },
    };
  }

  #openSocket({ appToken, deliver, intake, onFatal }: SocketOptions): SocketMode {
    const { settings, log, tools, sleep: wait } = this.#context;
    return new SocketMode({
      clientOptions: () => ({
        appToken,
        logger: toSdkLogger(log),
        clientOptions: webClientOptions(settings.apiUrl, log),
      }),
      proxy: tools.proxy,
      deliver,
      log,
      now: () => tools.clock.now(),
      onBack: (awayMs) => intake.onBack(awayMs),
      onFatal: (error) => onFatal?.(error),
      sleep: wait,
    });
  }

  /** Bolt routes; when a payload is acknowledged is decided by the receiver. */
  #openBolt(intake: SlackIntake, { userId: botUserId, botId }: SlackSelf): TwoPhaseReceiver {
    const { settings, log } = this.#context;
    const receiver = new TwoPhaseReceiver();
    const app = new App({
      receiver,
      authorize: () => Promise.resolve({ botToken: settings.botToken, botUserId, botId }),
      convoStore: false,
      ignoreSelf: true,
      clientOptions: webClientOptions(settings.apiUrl, log),
      logger: toSdkLogger(log),
    });
    app.event("app_mention", ({ body, event, context }) => intake.onMessage(body, event, context));
    app.event("message", ({ body, event, context }) => intake.onMessage(body, event, context));
    app.event("agent_session_stopped", ({ event }) => intake.onStopped(event));
    app.command(/^\//, async ({ body, ack }) => {
      const text = await intake.onCommand(body);
      await ack({ response_type: "ephemeral", text });
    });
    // Nothing of ours can be pressed yet; unanswered, Slack would show a warning sign to who did.
    app.action(/^/, ({ ack }) => ack());
    app.shortcut(/^/, ({ ack }) => ack());
    app.view(/^/, ({ ack }) => ack());
    return receiver;
  }

  complete(turn: Turn, options: Abortable): Promise<Completion> | undefined {
    const person = this.#people.meet(turn, options);
    if (turn.belowTalk !== true) return person;
    const above = readAbove(this.#context, this.#people, turn, options);
    return Promise.all([person, above]).then(([known, read]) => ({ ...known, ...read }));
  }

  async checkToken(options: Abortable): Promise<void> {
    await this.#whoAmI(options);
  }

  async openReply(turn: Turn, options: OpenReplyOptions): Promise<Reply> {
    const { reply, place } = await openSlackReply(this.#context, turn, options);
    if (place !== undefined) await this.#threads.join(place.channel, place.thread);
    return reply;
  }

  fetchAttachment(turn: Turn, attachment: Attachment, options: FetchOptions): Promise<LocalFile> {
    const special = parseAddress(turn.address).files?.[attachment.id];
    return fetchSlackFile(this.#context, attachment, { ...options, special });
  }

  async showWaiting(turn: Turn, waiting: boolean, { signal }: Abortable): Promise<void> {
    const met = waiting ? await this.#people.meet(turn, { signal }) : undefined;
    await showWaiting(this.#context, { ...turn, ...met }, { waiting, signal });
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

interface SocketOptions {
  readonly appToken: string;
  readonly deliver: (delivery: SlackDelivery) => Promise<AckResponse>;
  readonly intake: SlackIntake;
  readonly onFatal: OpenIntakeOptions["onFatal"];
}
