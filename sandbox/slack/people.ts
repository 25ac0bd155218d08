import { randomUUID } from "node:crypto";
import { type Arguments, textOf } from "./arguments.ts";
import type { Deliveries, Delivery } from "./delivery.ts";
import { fileJson } from "./files.ts";
import { forwardJson } from "./forwards.ts";
import type { ResponseUrls } from "./response-urls.ts";
import type { SlackChannel, SlackFile, SlackMessage, SlackUser, Workspace } from "./workspace.ts";

/** A file somebody uploads. */
export interface NewFile {
  readonly name: string;
  readonly mimetype: string;
  readonly bytes: Buffer;
  /** Fields of the file object that differ, e.g. `{ mode: "tombstone" }`. */
  readonly odd?: Readonly<Record<string, unknown>>;
}

export interface SayOptions {
  /** Root of the thread. */
  readonly thread?: string;
  readonly files?: readonly NewFile[];
  /** The text is sent as it is: tokens and entities written out. */
  readonly raw?: boolean;
  /** A reply that is also sent to the channel. */
  readonly broadcast?: boolean;
  /** Somebody's message that is passed on with it. */
  readonly forward?: { readonly author: string; readonly text: string; readonly files?: readonly NewFile[] };
}

/** What was said, and the events that told the app. */
export interface Said {
  readonly channel: string;
  readonly ts: string;
  readonly deliveries: readonly Delivery[];
}

/** What one person does. `@Coze` in a text mentions the app. */
export interface SlackPerson {
  readonly id: string;
  readonly name: string;
  /** Writes in a channel. */
  say(channel: string, text: string, options?: SayOptions): Said;
  /** Writes to the app. */
  dm(text: string, options?: SayOptions): Said;
  /** Changes what a message of their own says. */
  edit(channel: string, ts: string, text: string): readonly Delivery[];
  /** Deletes a message of their own. */
  unsay(channel: string, ts: string): readonly Delivery[];
  /** Presses stop in a thread where nothing streams yet. */
  stop(channel: string, thread: string): void;
  /** Sends `/coze` with a text. */
  slash(channel: string, text: string): Said;
}

export interface PeopleOptions {
  readonly workspace: Workspace;
  readonly deliveries: Deliveries;
  readonly responseUrls: ResponseUrls;
  readonly subscriptions: ReadonlySet<string>;
  readonly scopes: ReadonlySet<string>;
  readonly origin: () => string;
}

/** Scope without which Slack does not deliver an event the app is subscribed to. */
const EVENT_SCOPES: Readonly<Record<string, string>> = {
  agent_session_stopped: "assistant:write",
  app_mention: "app_mentions:read",
  "message.im": "im:history",
  "message.channels": "channels:history",
  "message.groups": "groups:history",
};

/** People, and the events Slack makes of what they do (slack.md §3.1, §3.2, §4.1). */
export class People {
  readonly #options: PeopleOptions;

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  person(name: string, options: { locale?: string; team?: string }): SlackPerson {
    const { workspace } = this.#options;
    const user = workspace.addUser(name, options);
    return {
      id: user.id,
      name: user.name,
      say: (channel, text, say) => this.#say(this.#channel(channel), user, text, say),
      dm: (text, say) => this.#say(workspace.dmWith(user.id), user, text, say),
      edit: (channel, ts, text) => this.#edit(this.#channel(channel), user, ts, text),
      unsay: (channel, ts) => this.#unsay(this.#channel(channel), user, ts),
      stop: (channel, thread) => this.#stop(this.#channel(channel), user, thread, []),
      slash: (channel, text) => this.#slash(this.#channel(channel), user, text),
    };
  }

  newFile({ name, mimetype, bytes, odd = {} }: NewFile): SlackFile {
    const { workspace } = this.#options;
    const file = { id: workspace.newId("F"), name, mimetype, bytes, odd, shared: false };
    workspace.files.set(file.id, file);
    return file;
  }

  #channel(id: string): SlackChannel {
    const channel = this.#options.workspace.channels.get(id);
    if (channel === undefined) throw new Error(`no channel ${id} in the stand-in`);
    return channel;
  }

  #say(channel: SlackChannel, user: SlackUser, said: string, options: SayOptions = {}): Said {
    const { workspace } = this.#options;
    const shared = (file: NewFile): SlackFile => ({ ...this.newFile(file), shared: true });
    const files = (options.files ?? []).map(shared);
    const { forward } = options;
    const forwards = forward === undefined ? [] : [{ ...forward, files: (forward.files ?? []).map(shared) }];
    const text = options.raw === true ? said : this.#escape(said);
    const message = workspace.post(
      channel,
      { user: user.id, bot: false },
      { text, files, forwards, threadTs: options.thread, broadcast: options.broadcast === true },
    );
    const event = this.#messageEvent(channel, user, message, { text, broadcast: options.broadcast === true });
    const mention = new RegExp(`<@${workspace.bot.userId}(\\|[^>]*)?>`).test(text);
    const deliveries: Delivery[] = [];
    if (mention && channel.kind !== "im" && channel.members.has(workspace.bot.userId)) {
      const { channel_type: _type, subtype: _subtype, ...twin } = event;
      deliveries.push(...this.#event("app_mention", { ...twin, type: "app_mention" }, user));
    }
    deliveries.push(...this.#event(subscriptionOf(channel), event, user));
    return { channel: channel.id, ts: message.ts, deliveries };
  }

  /** The root of a thread names itself in such events (slack.md §3.2). */
  #edit(channel: SlackChannel, user: SlackUser, ts: string, said: string): readonly Delivery[] {
    const { workspace } = this.#options;
    const message = channel.messages.get(ts);
    if (message?.user !== user.id) throw new Error(`${user.name} has no message ${ts}`);
    const before = this.#innerMessage(channel, user, message);
    message.text = this.#escape(said);
    message.edits += 1;
    // Slack tells whole seconds; here two edits may follow each other faster.
    message.edited = { user: user.id, ts: workspace.newTs() };
    workspace.changed(channel.id);
    const at = workspace.newTs();
    const changed = {
      type: "message",
      subtype: "message_changed",
      hidden: true,
      channel: channel.id,
      channel_type: channel.kind,
      message: this.#innerMessage(channel, user, message),
      previous_message: before,
      ts: at,
      event_ts: at,
    };
    return this.#event(subscriptionOf(channel), changed, user);
  }

  /** A message as an event about it holds it. */
  #innerMessage(channel: SlackChannel, user: SlackUser, message: SlackMessage): Arguments {
    const { text, broadcast, edited, ts } = message;
    const {
      channel: _channel,
      channel_type: _type,
      event_ts: _eventTs,
      ...inner
    } = this.#messageEvent(channel, user, message, { text, broadcast });
    const isRoot = [...channel.messages.values()].some(({ threadTs }) => threadTs === ts);
    return { ...inner, ...(edited !== undefined && { edited }), ...(isRoot && { thread_ts: ts }) };
  }

  #unsay(channel: SlackChannel, user: SlackUser, ts: string): readonly Delivery[] {
    const { workspace } = this.#options;
    const message = channel.messages.get(ts);
    if (message?.user !== user.id) throw new Error(`${user.name} has no message ${ts}`);
    const where = { channel: channel.id, channel_type: channel.kind, hidden: true };
    if ([...channel.messages.values()].some(({ threadTs }) => threadTs === ts)) {
      // What has replies stays as a tombstone.
      message.text = "This message was deleted.";
      workspace.changed(channel.id);
      const tombstone = {
        ...this.#messageEvent(channel, user, message, { text: message.text, broadcast: false }),
      };
      const changed = {
        ...where,
        type: "message",
        subtype: "message_changed",
        message: { ...tombstone, subtype: "tombstone" },
        previous_message: tombstone,
        ts: workspace.newTs(),
        event_ts: workspace.newTs(),
      };
      return this.#event(subscriptionOf(channel), changed, user);
    }
    channel.messages.delete(ts);
    workspace.changed(channel.id);
    const previous = this.#messageEvent(channel, user, message, { text: message.text, broadcast: false });
    const event = {
      type: "message",
      subtype: "message_deleted",
      ...where,
      ts: workspace.newTs(),
      event_ts: workspace.newTs(),
      deleted_ts: ts,
      previous_message: previous,
    };
    return this.#event(subscriptionOf(channel), event, user);
  }

  /** The recipient pressed stop (slack.md §2.2). */
  stopped(channel: SlackChannel, message: SlackMessage): void {
    const { workspace } = this.#options;
    const user = workspace.users.get(message.stream?.recipient ?? "");
    if (user !== undefined) this.#stop(channel, user, message.threadTs, [message.ts]);
  }

  #stop(
    channel: SlackChannel,
    user: SlackUser,
    thread: string | undefined,
    streams: readonly string[],
  ): void {
    const { workspace } = this.#options;
    const event = {
      type: "agent_session_stopped",
      channel: channel.id,
      user: user.id,
      thread_ts: thread,
      streaming_message_ts: streams,
      event_ts: workspace.newTs(),
    };
    this.#event("agent_session_stopped", event, user);
  }

  /** As clients send it: entities for the three characters, a token for the mention. */
  #escape(text: string): string {
    const { bot } = this.#options.workspace;
    return text
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll(`@${bot.name}`, `<@${bot.userId}>`);
  }

  #messageEvent(
    channel: SlackChannel,
    user: SlackUser,
    message: SlackMessage,
    { text, broadcast }: { text: string; broadcast: boolean },
  ): Arguments {
    const { workspace, origin } = this.#options;
    const { team } = workspace;
    const files = message.files.map((file) => fileJson(file, { team, origin: origin() }));
    const attachments = message.forwards.map((forward) => forwardJson(forward, { team, origin: origin() }));
    const root = message.threadTs === undefined ? undefined : channel.messages.get(message.threadTs);
    return {
      type: "message",
      ...(files.length > 0 && { subtype: "file_share", files, upload: false }),
      ...(broadcast && { subtype: "thread_broadcast" }),
      ...(attachments.length > 0 && { attachments }),
      client_msg_id: randomUUID(),
      user: user.id,
      text,
      team: user.team,
      ...(user.team !== workspace.team && { user_team: user.team, source_team: user.team }),
      ts: message.ts,
      ...(message.threadTs !== undefined && { thread_ts: message.threadTs }),
      ...(root !== undefined && { parent_user_id: root.user }),
      channel: channel.id,
      event_ts: message.ts,
      channel_type: channel.kind,
    };
  }

  #event(subscription: string, event: Arguments, user: SlackUser): readonly Delivery[] {
    const { subscriptions, scopes, deliveries, workspace } = this.#options;
    const wanted = subscriptions.has(subscription) && scopes.has(EVENT_SCOPES[subscription] ?? "");
    const channel = workspace.channels.get(textOf(event, "channel"));
    if (!wanted || channel?.members.has(workspace.bot.userId) !== true) return [];
    return [deliveries.deliver("events_api", this.envelope(event, user.team !== workspace.team))];
  }

  /** The outer payload of an event (slack.md §3.1). */
  envelope(event: Arguments, external = false): Arguments {
    const { team, appId, bot, clock, newId } = this.#parts();
    return {
      token: "verification-token-not-used",
      team_id: team,
      context_team_id: team,
      context_enterprise_id: null,
      api_app_id: appId,
      event,
      type: "event_callback",
      event_id: newId("Ev"),
      event_time: Math.floor(clock.now() / 1000),
      authorizations: [
        {
          enterprise_id: null,
          team_id: team,
          user_id: bot.userId,
          is_bot: true,
          is_enterprise_install: false,
        },
      ],
      is_ext_shared_channel: external,
      event_context: `4-${randomUUID()}`,
    };
  }

  #parts(): Pick<Workspace, "team" | "appId" | "bot" | "clock"> & { newId: (prefix: string) => string } {
    const { workspace } = this.#options;
    const { team, appId, bot, clock } = workspace;
    return { team, appId, bot, clock, newId: (prefix) => workspace.newId(prefix) };
  }

  /** The app's own message, as its subscriptions tell it. */
  echo(kind: "posted" | "changed" | "deleted", channel: SlackChannel, message: Arguments): void {
    const { workspace } = this.#options;
    const ts = workspace.newTs();
    const where = { channel: channel.id, channel_type: channel.kind, event_ts: ts };
    const self = { id: workspace.bot.userId, name: "", locale: "", team: workspace.team };
    if (kind === "posted") this.#event(subscriptionOf(channel), { ...message, ...where }, self);
    else if (kind === "changed") {
      const changed = {
        type: "message",
        subtype: "message_changed",
        hidden: true,
        ts,
        message,
        previous_message: message,
      };
      this.#event(subscriptionOf(channel), { ...changed, ...where }, self);
    } else {
      const deleted = {
        type: "message",
        subtype: "message_deleted",
        hidden: true,
        ts,
        deleted_ts: message["ts"],
        previous_message: message,
      };
      this.#event(subscriptionOf(channel), { ...deleted, ...where }, self);
    }
  }

  #slash(channel: SlackChannel, user: SlackUser, text: string): Said {
    const { workspace, deliveries, responseUrls, origin, scopes } = this.#options;
    if (!scopes.has("commands")) return { channel: channel.id, ts: "", deliveries: [] };
    const delivery = deliveries.deliver("slash_commands", {
      token: "verification-token-not-used",
      team_id: workspace.team,
      team_domain: "sandbox",
      channel_id: channel.id,
      channel_name: { channel: channel.name, group: "privategroup", im: "directmessage" }[channel.kind],
      user_id: user.id,
      user_name: user.name.toLowerCase(),
      command: "/coze",
      text: this.#escape(text),
      api_app_id: workspace.appId,
      is_enterprise_install: "false",
      response_url: `${origin()}${responseUrls.create(channel, user.id)}`,
      trigger_id: `${Date.now()}.${randomUUID().slice(0, 8)}.sandbox`,
    });
    void delivery.done.then(() => this.#showAck(channel, user, delivery));
    return { channel: channel.id, ts: "", deliveries: [delivery] };
  }

  /** What the sender of a command sees of its acknowledgement (slack.md §4.1). */
  #showAck(channel: SlackChannel, user: SlackUser, { acked, response }: Delivery): void {
    const { workspace } = this.#options;
    const { bot } = workspace;
    const answer =
      typeof response === "object" && response !== null ? textOf(response as Arguments, "text") : "";
    const text = acked ? answer : "/coze failed with the error “operation_timeout”";
    if (text === "") return;
    workspace.post(channel, { user: bot.userId, bot: true }, { text, onlyFor: user.id });
  }
}

function subscriptionOf({ kind }: SlackChannel): string {
  return { channel: "message.channels", group: "message.groups", im: "message.im" }[kind];
}
