import type { StandInClock } from "../stand-in.ts";
import { type Gateway, LOGINS } from "./gateway.ts";
import type { Interaction, Interactions } from "./interactions.ts";
import { previewsOf } from "./previews.ts";
import { Threads } from "./threads.ts";
import { checkCount, checkMessageBody, type MessageBody } from "./validate.ts";
import {
  type ApiError,
  apiError,
  FLAGS,
  formError,
  INTENTS,
  isThread,
  MESSAGE_TYPES,
  type WireAttachment,
  type WireChannel,
  type WireMessage,
} from "./wire.ts";
import type { NewFile, World } from "./world.ts";

/** A request as the routes see it: decoded, its token checked. */
export interface ApiRequest {
  readonly method: string;
  /** Decoded, without `/api/v10`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly files: readonly NewFile[];
}

export interface ApiResult {
  readonly status: number;
  readonly body?: object | readonly object[];
}

export interface RestOptions {
  readonly world: World;
  readonly gateway: Gateway;
  readonly interactions: Interactions;
  readonly clock: StandInClock;
  readonly onChange: (place: string) => void;
  /** Window in which `enforce_nonce` finds the first message, in ms; Discord says "past few minutes". */
  readonly nonceWindowMs: number;
  /** Whether a deferred callback tells the response's id; uncertain (discord.md §13). */
  readonly tellsResponseId: boolean;
  /** Whether fetched messages tell their nonce; uncertain (discord.md §2.3 says it of creates only). */
  readonly listsNonces: boolean;
  readonly gatewayUrl: () => string;
}

type Handler = (request: ApiRequest, ids: readonly string[]) => ApiResult | ApiError;

interface Route {
  readonly method: string;
  readonly path: RegExp;
  /** What is counted apart; ids of the path are put in. `undefined`: not limited. */
  readonly counter: string | undefined;
  /** Name of the bucket: create and edit share it (discord.md §1.1). */
  readonly bucket: string;
  /** Interaction and webhook routes take no bot token and do not count globally. */
  readonly open: boolean;
  readonly handle: Handler;
}

/** Discord shows typing for 10 s (discord.md §1.5). */
const TYPING_MS = 10_000;
/** After an hour edits become dear (discord.md §1.1). */
const OLD_MESSAGE_MS = 3_600_000;
const OLD_EDITS = 3;
const OLD_EDITS_WINDOW_MS = 6_000;

/** Everything a bot may call (discord.md §7.2). */
export class RestApi {
  readonly typingUntil: Map<string, number> = new Map();
  readonly routes: readonly Route[];
  readonly threads: Threads;
  readonly #options: RestOptions;
  readonly #nonces = new Map<string, { messageId: string; at: number }>();
  #oldEdits: number[] = [];
  #commands: readonly Record<string, unknown>[] = [];

  constructor(options: RestOptions) {
    this.#options = options;
    this.threads = new Threads(options);
    this.routes = this.#table();
  }

  get commands(): readonly Record<string, unknown>[] {
    return this.#commands;
  }

  #table(): readonly Route[] {
    const id = "(\\d{17,20})";
    const token = "([\\w.-]+)";
    const route = (
      name: string,
      handle: Handler,
      options: { counter?: string; bucket?: string; open?: boolean } = {},
    ): Route => {
      const [method = "", path = ""] = name.split(" ");
      const pattern = path.replaceAll("{id}", id).replaceAll("{token}", token);
      return {
        method,
        path: new RegExp(`^${pattern}$`),
        counter: options.counter,
        bucket: options.bucket ?? "other",
        open: options.open ?? false,
        handle,
      };
    };
    const messages = { bucket: "4b2a6cf26c5a8f1e" };
    const hook = { counter: "webhook", bucket: "9f1e27ad30b5c846", open: true };
    return [
      route("GET /gateway", () => ({ status: 200, body: { url: this.#options.gatewayUrl() } }), {
        open: true,
      }),
      route("GET /gateway/bot", () => this.#gatewayBot()),
      route("GET /users/@me", () => ok({ ...this.#options.world.bot, mfa_enabled: false, locale: "en-US" })),
      route("GET /applications/@me", () => ok(this.#application())),
      route("POST /users/@me/channels", (request) => this.#openDm(request)),
      route("GET /channels/{id}", (_, [channel]) => this.#withChannel(channel, ok)),
      route("PATCH /channels/{id}", (request, ids) => this.#changeChannel(request, ids)),
      route("POST /channels/{id}/messages", (request, ids) => this.#create(request, ids), {
        ...messages,
        counter: "create",
      }),
      route("GET /channels/{id}/messages", (request, ids) => this.#list(request, ids), { counter: "list" }),
      route("GET /channels/{id}/messages/{id}", (_, ids) => this.#get(ids), { counter: "get" }),
      route("PATCH /channels/{id}/messages/{id}", (request, ids) => this.#edit(request, ids), {
        ...messages,
        counter: "edit",
      }),
      route("DELETE /channels/{id}/messages/{id}", (_, ids) => this.#delete(ids), { counter: "delete" }),
      route("POST /channels/{id}/typing", (_, ids) => this.#type(ids), { counter: "typing" }),
      route("PUT /channels/{id}/messages/{id}/reactions/([^/]+)/@me", (_, ids) => this.#react(ids), {
        counter: "reaction",
      }),
      route("DELETE /channels/{id}/messages/{id}/reactions/([^/]+)/@me", (_, ids) => this.#unreact(ids), {
        counter: "reaction",
      }),
      route("POST /channels/{id}/messages/{id}/threads", ({ body }, [channelId, messageId]) =>
        this.#withMessage(channelId, messageId, (message, channel) =>
          this.threads.startFrom(channel, message, body),
        ),
      ),
      route("POST /channels/{id}/threads", ({ body }, [channelId]) =>
        this.#withChannel(channelId, (channel) => this.threads.start(channel, body)),
      ),
      route("GET /applications/{id}/commands", () => ok(this.#commands)),
      route("PUT /applications/{id}/commands", (request) => this.#putCommands(request)),
      route("POST /applications/{id}/commands", (request) => this.#postCommand(request)),
      route("PUT /applications/{id}/guilds/{id}/commands", (request) => this.#putCommands(request)),
      route("POST /interactions/{id}/{token}/callback", (request, ids) => this.#callback(request, ids), {
        open: true,
      }),
      route(
        "PATCH /webhooks/{id}/{token}/messages/(@original|\\d+)",
        (request, ids) => this.#editResponse(request, ids),
        hook,
      ),
      route("GET /webhooks/{id}/{token}/messages/(@original|\\d+)", (_, ids) => this.#getResponse(ids), hook),
      route(
        "DELETE /webhooks/{id}/{token}/messages/(@original|\\d+)",
        (_, ids) => this.#deleteResponse(ids),
        hook,
      ),
      route("POST /webhooks/{id}/{token}", (request, ids) => this.#followUp(request, ids), hook),
    ];
  }

  // ----------------------------------------------------------------------------------------- who am I

  #gatewayBot(): ApiResult {
    return ok({
      url: this.#options.gatewayUrl(),
      shards: 1,
      session_start_limit: { total: LOGINS, ...this.#options.gateway.loginLimit(), max_concurrency: 1 },
    });
  }

  #application(): object {
    const { world } = this.#options;
    return {
      id: world.applicationId,
      name: "Coze",
      icon: null,
      description: "",
      type: null,
      bot: world.bot,
      verify_key: "0".repeat(64),
      flags: world.applicationFlags,
      flags_new: String(world.applicationFlags),
      redirect_uris: [],
      interactions_endpoint_url: null,
      role_connections_verification_url: null,
      owner: world.users.get(world.ownerId),
      approximate_guild_count: 1,
      approximate_user_install_count: 0,
      approximate_user_authorization_count: 0,
      explicit_content_filter: 0,
      team: null,
      eligible_oauth2_scopes: [],
    };
  }

  // ----------------------------------------------------------------------------------------- channels

  #withChannel(
    id: string | undefined,
    then: (channel: WireChannel) => ApiResult | ApiError,
  ): ApiResult | ApiError {
    const { world } = this.#options;
    const channel = world.channels.get(id ?? "");
    if (channel === undefined) return apiError(404, 10003, "Unknown Channel");
    return world.may(channel, "viewChannel") ? then(channel) : apiError(403, 50001, "Missing Access");
  }

  #changeChannel({ body }: ApiRequest, [id]: readonly string[]): ApiResult | ApiError {
    return this.#withChannel(
      id,
      (channel) => this.#maySend(channel) ?? this.threads.changeThread(channel, body),
    );
  }

  #openDm({ body }: ApiRequest): ApiResult | ApiError {
    const { world } = this.#options;
    const user = world.users.get(String((body as { recipient_id?: unknown } | null)?.recipient_id));
    return user === undefined
      ? formError("recipient_id", "NUMBER_TYPE_COERCE", "Unknown user")
      : ok(world.dmWith(user));
  }

  #type([channelId]: readonly string[]): ApiResult | ApiError {
    return this.#withChannel(channelId, (channel) => {
      const refused = this.#maySend(channel);
      if (refused !== undefined) return refused;
      const { clock, onChange } = this.#options;
      this.typingUntil.set(channel.id, clock.now() + TYPING_MS);
      onChange(channel.id);
      return { status: 204 };
    });
  }

  #maySend(channel: WireChannel): ApiError | undefined {
    const right = isThread(channel) ? "sendInThreads" : "sendMessages";
    const allowed = this.#options.world.may(channel, right);
    return allowed ? undefined : apiError(403, 50013, "Missing Permissions");
  }

  // ----------------------------------------------------------------------------------------- messages

  #create(request: ApiRequest, [channelId]: readonly string[]): ApiResult | ApiError {
    return this.#withChannel(channelId, (channel) => {
      const body = request.body as MessageBody;
      const refused =
        this.#maySend(channel) ??
        this.#mayAttach(channel, request.files) ??
        checkMessageBody(body, request.files, "create") ??
        this.#checkReference(channel, body.message_reference) ??
        this.threads.open(channel);
      if (refused !== undefined) return refused;
      return this.#sameNonce(body) ?? ok(this.#post(channel, body, request.files));
    });
  }

  #mayAttach(channel: WireChannel, files: readonly NewFile[]): ApiError | undefined {
    if (files.length === 0 || this.#options.world.may(channel, "attachFiles")) return undefined;
    return apiError(403, 50013, "Missing Permissions");
  }

  #checkReference(channel: WireChannel, value: unknown): ApiError | undefined {
    if (value === undefined || value === null) return undefined;
    const reference = value as { message_id?: unknown; fail_if_not_exists?: unknown };
    const { world } = this.#options;
    if (!world.may(channel, "readHistory")) {
      return apiError(400, 160002, "Cannot reply without permission to read message history");
    }
    const target = world.messages.get(String(reference.message_id));
    if (target?.channel_id === channel.id || reference.fail_if_not_exists === false) return undefined;
    return formError("message_reference", "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message");
  }

  /** The message that has this nonce already, if it is not too long ago (discord.md §2.3). */
  #sameNonce(body: MessageBody): ApiResult | ApiError | undefined {
    if (body.enforce_nonce !== true || body.nonce === undefined || body.nonce === null) return undefined;
    const { world, clock, nonceWindowMs } = this.#options;
    const known = this.#nonces.get(nonceKey(body.nonce));
    if (known === undefined || clock.now() - known.at > nonceWindowMs) return undefined;
    const message = world.messages.get(known.messageId);
    return message === undefined ? apiError(404, 10008, "Unknown Message") : ok(message);
  }

  #post(channel: WireChannel, body: MessageBody, files: readonly NewFile[]): WireMessage {
    const { world, gateway, clock, onChange } = this.#options;
    const nonce = typeof body.nonce === "string" || typeof body.nonce === "number" ? body.nonce : undefined;
    const reference = body.message_reference as { message_id?: unknown } | null | undefined;
    const target = world.messages.get(String(reference?.message_id));
    const message = world.addMessage({
      channelId: channel.id,
      author: world.bot,
      content: typeof body.content === "string" ? body.content : "",
      files,
      ...(typeof body.flags === "number" && { flags: body.flags }),
      ...(nonce !== undefined && { nonce }),
      ...(target !== undefined && { replyTo: target.id }),
    });
    if (nonce !== undefined) {
      this.#nonces.set(nonceKey(nonce), { messageId: message.id, at: clock.now() });
    }
    this.typingUntil.delete(channel.id);
    gateway.dispatchMessage("MESSAGE_CREATE", message);
    onChange(channel.id);
    return message;
  }

  #list({ query }: ApiRequest, [channelId]: readonly string[]): ApiResult | ApiError {
    return this.#withChannel(channelId, (channel) => {
      const { world } = this.#options;
      // Without the right to read history the answer is empty, not an error (discord.md §3.6).
      if (!world.may(channel, "readHistory")) return ok([]);
      const after = BigInt(query.get("after") ?? 0);
      const before = BigInt(query.get("before") ?? 2n ** 63n);
      const limit = Number(query.get("limit") ?? 50);
      if (!(limit >= 1 && limit <= 100)) {
        return formError("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.");
      }
      const between = world
        .messagesIn(channel.id)
        .filter(({ id }) => BigInt(id) > after && BigInt(id) < before && !world.states.get(id)?.ephemeral);
      const page = query.has("after") ? between.slice(0, limit) : between.slice(-limit);
      return ok(page.toReversed().map((message) => this.#readable(message, channel)));
    });
  }

  #get([channelId, messageId]: readonly string[]): ApiResult | ApiError {
    return this.#withMessage(channelId, messageId, (message, channel) => {
      if (!this.#options.world.may(channel, "readHistory")) return apiError(403, 50001, "Missing Access");
      return ok(this.#readable(message, channel));
    });
  }

  /** The content rule holds for reads as well (discord.md §3.1). */
  #readable(message: WireMessage, channel: WireChannel): WireMessage {
    const { world } = this.#options;
    const own = message.author.id === world.bot.id || message.mentions.some(({ id }) => id === world.bot.id);
    const { nonce, ...rest } = world.fresh(message);
    const fresh = { ...rest, ...(this.#options.listsNonces && nonce !== undefined && { nonce }) };
    if (own || channel.guild_id === undefined || world.messageContent) return fresh;
    return { ...fresh, content: "", attachments: [], embeds: [], components: [] };
  }

  #withMessage(
    channelId: string | undefined,
    messageId: string | undefined,
    then: (message: WireMessage, channel: WireChannel) => ApiResult | ApiError,
  ): ApiResult | ApiError {
    return this.#withChannel(channelId, (channel) => {
      const { world } = this.#options;
      const message = world.messages.get(messageId ?? "");
      // An ephemeral message is not there for the channel endpoint (discord.md §1.6).
      const hidden = message === undefined || world.states.get(message.id)?.ephemeral === true;
      if (hidden || message.channel_id !== channel.id) return apiError(404, 10008, "Unknown Message");
      return then(message, channel);
    });
  }

  #edit(request: ApiRequest, [channelId, messageId]: readonly string[]): ApiResult | ApiError {
    return this.#withMessage(channelId, messageId, (message, channel) => {
      if (message.author.id !== this.#options.world.bot.id) {
        return apiError(403, 50005, "Cannot edit a message authored by another user");
      }
      return this.threads.mayChange(channel) ?? this.#tooOld(message) ?? this.#change(message, request);
    });
  }

  #tooOld(message: WireMessage): ApiError | undefined {
    const now = this.#options.clock.now();
    if (now - Date.parse(message.timestamp) < OLD_MESSAGE_MS) return undefined;
    this.#oldEdits = this.#oldEdits.filter((at) => now - at < OLD_EDITS_WINDOW_MS);
    if (this.#oldEdits.length >= OLD_EDITS) {
      return apiError(
        400,
        30046,
        "Maximum number of edits to messages older than 1 hour reached. Try again later",
      );
    }
    this.#oldEdits.push(now);
    return undefined;
  }

  #change(message: WireMessage, { body: untyped, files }: ApiRequest): ApiResult | ApiError {
    const body = untyped as MessageBody;
    const { world, gateway, onChange } = this.#options;
    const channel = world.channels.get(message.channel_id);
    const attachments = this.#attachmentsAfter(message, body.attachments, files);
    const refused =
      (channel === undefined ? undefined : this.#mayAttach(channel, files)) ??
      checkMessageBody(body, files, "edit", message.attachments) ??
      checkCount(attachments);
    if (refused !== undefined) return refused;
    const content = typeof body.content === "string" ? body.content.trim() : message.content;
    const flags = flagsAfter(message.flags, body.flags);
    world.edit(message, {
      content,
      mentions: world.mentionedIn(content),
      flags,
      embeds: previewsOf(content, flags),
      attachments: attachments.map((each) =>
        "bytes" in each ? world.addFile(message.channel_id, each) : each,
      ),
    });
    gateway.dispatchMessage("MESSAGE_UPDATE", message);
    onChange(message.channel_id);
    return ok(message);
  }

  /** Files, earlier and new ones, stay only when `attachments` is absent or names them (discord.md §11.41). */
  #attachmentsAfter(
    message: WireMessage,
    listed: unknown,
    files: readonly NewFile[],
  ): readonly (WireAttachment | NewFile)[] {
    if (!Array.isArray(listed)) return [...message.attachments, ...files];
    const ids = new Set((listed as { id?: unknown }[]).map(({ id }) => String(id)));
    return [
      ...message.attachments.filter(({ id }) => ids.has(id)),
      ...files.filter((_, index) => ids.has(String(index))),
    ];
  }

  #delete([channelId, messageId]: readonly string[]): ApiResult | ApiError {
    return this.#withMessage(channelId, messageId, (message, channel) => {
      if (message.author.id !== this.#options.world.bot.id) {
        return apiError(403, 50013, "Missing Permissions");
      }
      const refused = this.threads.mayChange(channel);
      if (refused !== undefined) return refused;
      this.remove(message, channel);
      return { status: 204 };
    });
  }

  /** Takes a message away, by whomever. */
  remove(message: WireMessage, channel: WireChannel): void {
    const { world, gateway, onChange } = this.#options;
    world.remove(message.id);
    gateway.dispatch(
      "MESSAGE_DELETE",
      {
        id: message.id,
        channel_id: channel.id,
        ...(channel.guild_id !== undefined && { guild_id: channel.guild_id }),
      },
      channel.guild_id === undefined ? INTENTS.directMessages : INTENTS.guildMessages,
    );
    onChange(channel.id);
  }

  /** The first of its kind needs a right, all need the history (discord.md §6.2). */
  #react([channelId, messageId, emoji = ""]: readonly string[]): ApiResult | ApiError {
    return this.#withMessage(channelId, messageId, (message, channel) => {
      const { world, onChange } = this.#options;
      const allowed = world.may(channel, "readHistory") && world.may(channel, "addReactions");
      if (!allowed) return apiError(403, 50013, "Missing Permissions");
      const archived = this.threads.mayChange(channel);
      if (archived !== undefined) return archived;
      if (!/^\p{Extended_Pictographic}/u.test(emoji)) return apiError(400, 10014, "Unknown Emoji");
      world.states.get(message.id)?.reactions.add(emoji);
      onChange(channel.id);
      return { status: 204 };
    });
  }

  #unreact([channelId, messageId, emoji = ""]: readonly string[]): ApiResult | ApiError {
    return this.#withMessage(channelId, messageId, (message, channel) => {
      const { world, onChange } = this.#options;
      if (!world.may(channel, "readHistory")) return apiError(403, 50001, "Missing Access");
      world.states.get(message.id)?.reactions.delete(emoji);
      onChange(channel.id);
      return { status: 204 };
    });
  }

  // ----------------------------------------------------------------------------------------- commands

  #putCommands({ body }: ApiRequest): ApiResult | ApiError {
    if (!Array.isArray(body)) return formError("commands", "LIST_TYPE_CONVERT", "Only iterables may be used");
    const commands = body as Record<string, unknown>[];
    const refused = commands.map(checkCommand).find((each) => each !== undefined);
    if (refused !== undefined) return refused;
    this.#commands = commands.map((command) => this.#stored(command));
    return ok(this.#commands);
  }

  /** A command of the same name and type is replaced (discord.md §4.1). */
  #postCommand({ body }: ApiRequest): ApiResult | ApiError {
    const command = body as Record<string, unknown>;
    const refused = checkCommand(command);
    if (refused !== undefined) return refused;
    const same = (each: Record<string, unknown>): boolean =>
      each["name"] === command["name"] && each["type"] === (command["type"] ?? 1);
    const known = this.#commands.some(same);
    const stored = this.#stored(command);
    this.#commands = [...this.#commands.filter((each) => !same(each)), stored];
    return { status: known ? 200 : 201, body: stored };
  }

  #stored(command: Record<string, unknown>): Record<string, unknown> {
    const { world } = this.#options;
    return {
      type: 1,
      description: "",
      default_member_permissions: null,
      nsfw: false,
      contexts: null,
      integration_types: [0],
      ...command,
      id: world.ids.next(),
      application_id: world.applicationId,
      version: world.ids.next(),
    };
  }

  // ----------------------------------------------------------------------------------------- interactions

  #callback({ body, query }: ApiRequest, [id = "", token = ""]: readonly string[]): ApiResult | ApiError {
    const type = Number((body as { type?: unknown } | null)?.type);
    if (![4, 5].includes(type)) return formError("type", "BASE_TYPE_CHOICES", "Value must be one of {4, 5}.");
    const data = ((body as { data?: unknown }).data ?? {}) as MessageBody;
    if (type === 4) {
      const refused = checkMessageBody(data, [], "create");
      if (refused !== undefined) return refused;
    }
    const interaction = this.#options.interactions.acknowledge(id, token);
    if ("status" in interaction) return interaction;
    const message = this.#respond(interaction, type === 5 ? FLAGS.loading : 0, data);
    interaction.responseId = message.id;
    if (query.get("with_response") !== "true") return { status: 204 };
    const ephemeral = (message.flags & FLAGS.ephemeral) !== 0;
    return ok({
      interaction: {
        id,
        type: 2,
        ...(this.#options.tellsResponseId && { response_message_id: message.id }),
        response_message_loading: type === 5,
        response_message_ephemeral: ephemeral,
      },
      resource: { type, ...(type === 4 && { message }) },
    });
  }

  #respond(interaction: Interaction, flags: number, data: MessageBody): WireMessage {
    const { world, gateway, onChange } = this.#options;
    const ephemeral = Number(data.flags ?? 0) & FLAGS.ephemeral;
    const message = world.addMessage({
      channelId: interaction.channelId,
      author: world.bot,
      type: MESSAGE_TYPES.command,
      flags: flags | ephemeral,
      content: typeof data.content === "string" ? data.content : "",
      extras: {
        webhook_id: world.applicationId,
        application_id: world.applicationId,
        interaction_metadata: {
          id: interaction.id,
          type: 2,
          user: world.users.get(interaction.userId),
          authorizing_integration_owners: owners(interaction, world),
          name: interaction.command,
        },
      },
    });
    if (!ephemeral) gateway.dispatchMessage("MESSAGE_CREATE", message);
    onChange(interaction.channelId);
    return message;
  }

  /** What a webhook address names: the response, or a follow-up of the same token. */
  #responseOf([, token = "", which = ""]: readonly string[]): WireMessage | ApiError {
    const interaction = this.#options.interactions.ofToken(token);
    if ("status" in interaction) return interaction;
    const id = which === "@original" ? interaction.responseId : which;
    const message = this.#options.world.messages.get(id ?? "");
    return message?.webhook_id === undefined ? apiError(404, 10008, "Unknown Message") : message;
  }

  #editResponse(request: ApiRequest, ids: readonly string[]): ApiResult | ApiError {
    const message = this.#responseOf(ids);
    return "status" in message ? message : (this.#inOpenPlace(message) ?? this.#change(message, request));
  }

  #getResponse(ids: readonly string[]): ApiResult | ApiError {
    const message = this.#responseOf(ids);
    return "status" in message ? message : ok(this.#options.world.fresh(message));
  }

  #deleteResponse(ids: readonly string[]): ApiResult | ApiError {
    const message = this.#responseOf(ids);
    if ("status" in message) return message;
    const refused = this.#inOpenPlace(message);
    if (refused !== undefined) return refused;
    const channel = this.#options.world.channels.get(message.channel_id);
    if (channel !== undefined) this.remove(message, channel);
    return { status: 204 };
  }

  /** Nobody says whether an interaction may change what stands in an archived thread; here it may not, either. */
  #inOpenPlace(message: WireMessage): ApiError | undefined {
    const channel = this.#options.world.channels.get(message.channel_id);
    return channel && this.threads.mayChange(channel);
  }

  #followUp({ body: untyped, files, query }: ApiRequest, ids: readonly string[]): ApiResult | ApiError {
    const { interactions, world, gateway, onChange } = this.#options;
    const body = untyped as MessageBody;
    const interaction = interactions.ofToken(ids[1] ?? "");
    if ("status" in interaction) return interaction;
    const channel = world.channels.get(interaction.channelId);
    const refused =
      (channel === undefined ? undefined : this.#mayAttach(channel, files)) ??
      checkMessageBody(body, files, "create") ??
      interactions.followUp(interaction);
    if (refused !== undefined) return refused;
    const message = world.addMessage({
      channelId: interaction.channelId,
      author: world.bot,
      type: MESSAGE_TYPES.reply,
      content: typeof body.content === "string" ? body.content : "",
      files,
      ...(typeof body.flags === "number" && { flags: body.flags }),
      extras: { webhook_id: world.applicationId, application_id: world.applicationId },
    });
    gateway.dispatchMessage("MESSAGE_CREATE", message);
    onChange(interaction.channelId);
    return query.get("wait") === "true" ? ok(message) : { status: 204 };
  }
}

/** Who authorized the application here (discord.md §4.2): `0` the guild, `1` the user. */
export function owners(interaction: Interaction, world: World): Record<string, string> {
  if (interaction.userInstall) return { "1": interaction.userId };
  const inGuild = world.channels.get(interaction.channelId)?.guild_id !== undefined;
  return { "0": inGuild ? world.guildId : "0" };
}

function ok(body: object | readonly object[]): ApiResult {
  return { status: 200, body };
}

/** An edit that names no flags leaves them; it can change one of them (discord.md §2.5). */
function flagsAfter(flags: number, sent: unknown): number {
  const kept = flags & ~FLAGS.loading;
  if (typeof sent !== "number") return kept;
  return (kept & ~FLAGS.suppressEmbeds) | (sent & FLAGS.suppressEmbeds);
}

function nonceKey(nonce: unknown): string {
  return `${typeof nonce}:${String(nonce)}`;
}

/** Limits of a slash command (discord.md §2.1, §4.1). */
function checkCommand(command: Record<string, unknown>): ApiError | undefined {
  const { name, description, type = 1, options = [] } = command;
  if (typeof name !== "string" || !/^[-_'\p{L}\p{N}]{1,32}$/u.test(name) || name !== name.toLowerCase()) {
    return formError("name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid");
  }
  if (type === 1 && (typeof description !== "string" || description.length < 1 || description.length > 100)) {
    return formError("description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.");
  }
  if (!Array.isArray(options) || options.length > 25) {
    return formError("options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.");
  }
  const required = (options as { required?: boolean }[]).map((option) => option.required === true);
  if (required.some((each, index) => each && required[index - 1] === false)) {
    return formError("options", "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", "Required options first");
  }
  return undefined;
}
