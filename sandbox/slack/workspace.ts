import {
  type ChatView,
  isDocument,
  type SeenMessage,
  type SeenTask,
  type StandInClock,
} from "../stand-in.ts";
import type { StreamCard } from "./chunks.ts";

export interface SlackUser {
  readonly id: string;
  readonly name: string;
  readonly locale: string;
  readonly team: string;
}

export interface SlackFile {
  readonly id: string;
  readonly name: string;
  readonly mimetype: string;
  bytes: Buffer;
  /** Fields of the file object that differ from a plain hosted file. */
  readonly odd: Readonly<Record<string, unknown>>;
  /** Complete, and shared into a message. */
  shared: boolean;
  /** Of a file the app uploads itself. */
  upload?: SlackUpload;
}

/** How far an upload of the app's is (slack.md §5). */
export interface SlackUpload {
  stage: "ticket" | "uploaded" | "complete";
  title: string;
  /** Where it is shown, and as which message. */
  readonly shares: { readonly channel: string; readonly ts: string; readonly threadTs: string | undefined }[];
}

/** A native stream (slack.md §1.5). */
export interface SlackStream {
  readonly startedAt: number;
  state: "in_progress" | "completed" | "expired" | "stopped";
  readonly recipient: string | undefined;
  /** What members who are not the recipient see until it stops (slack.md §1.1). */
  readonly firstPiece: string;
  markdown: string;
  /** In the order of their first chunks. */
  readonly cards: Map<string, StreamCard>;
  /** How cards are shown, and what stands above them in a plan (slack.md §1.2, §1.3). */
  readonly display: "timeline" | "plan";
  planTitle: string;
  /** Blocks that came by chunks, apart from those that come with the stop. */
  blocks: readonly unknown[];
}

/** A message that is passed on with another. */
export interface Forward {
  readonly author: string;
  readonly text: string;
  readonly files: readonly SlackFile[];
}

export interface SlackMessage {
  readonly ts: string;
  readonly user: string;
  readonly bot: boolean;
  readonly threadTs: string | undefined;
  files: readonly SlackFile[];
  /** Messages that are passed on with it, as attachments. */
  readonly forwards: readonly Forward[];
  /** Seen by this person only. */
  readonly onlyFor: string | undefined;
  /** A reply that was also sent to the channel. */
  readonly broadcast: boolean;
  /** Reactions of the app. */
  readonly reactions: Set<string>;
  text: string;
  blocks: readonly unknown[];
  metadata: unknown;
  edits: number;
  /** By whom and when its text was changed last. */
  edited: { readonly user: string; readonly ts: string } | undefined;
  stream: SlackStream | undefined;
}

export interface SlackChannel {
  readonly id: string;
  readonly name: string;
  readonly kind: "channel" | "group" | "im";
  readonly members: Set<string>;
  archived: boolean;
  readonly messages: Map<string, SlackMessage>;
  /** Assistant status by thread. */
  readonly status: Map<string, { text: string; at: number }>;
}

/** Slack ends a stream by itself, in ms (slack.md §1.5: measured). */
const STREAM_LIFE_MS = 306_000;
/** An assistant status disappears by itself, in ms (slack.md §2.3). */
const STATUS_LIFE_MS = 120_000;

/** Everything a workspace holds, and what people see of it. */
export class Workspace {
  readonly team: string = "T0SANDBOX1";
  readonly appId: string = "A0SANDBOX1";
  readonly bot: { readonly userId: string; readonly botId: string; readonly name: string } = {
    userId: "U0COZEBOT1",
    botId: "B0COZEBOT1",
    name: "Coze",
  };
  readonly users: Map<string, SlackUser> = new Map();
  readonly channels: Map<string, SlackChannel> = new Map();
  readonly files: Map<string, SlackFile> = new Map();
  readonly clock: StandInClock;
  readonly #listeners = new Set<(place: string) => void>();
  #lastTs = 0;
  #ids = 0;

  constructor(clock: StandInClock) {
    this.clock = clock;
  }

  /** `seconds.micro6`, never the same twice. */
  newTs(): string {
    this.#lastTs = Math.max(this.#lastTs + 1, this.clock.now() * 1000);
    const micros = String(this.#lastTs % 1_000_000).padStart(6, "0");
    return `${Math.floor(this.#lastTs / 1_000_000)}.${micros}`;
  }

  newId(prefix: string): string {
    this.#ids += 1;
    return `${prefix}0SAND${String(this.#ids).padStart(4, "0")}`;
  }

  addUser(
    name: string,
    { locale = "en-US", team = this.team }: { locale?: string; team?: string } = {},
  ): SlackUser {
    const known = [...this.users.values()].find((user) => user.name === name);
    if (known !== undefined) return known;
    const user = { id: this.newId("U"), name, locale, team };
    this.users.set(user.id, user);
    for (const channel of this.channels.values())
      if (channel.kind === "channel") channel.members.add(user.id);
    return user;
  }

  addChannel(name: string, kind: SlackChannel["kind"], members: readonly string[]): SlackChannel {
    const channel: SlackChannel = {
      id: this.newId(kind === "im" ? "D" : "C"),
      name,
      kind,
      members: new Set(members),
      archived: false,
      messages: new Map(),
      status: new Map(),
    };
    this.channels.set(channel.id, channel);
    return channel;
  }

  /** The app's DM with somebody; made on first use. */
  dmWith(user: string): SlackChannel {
    const known = [...this.channels.values()].find(
      ({ kind, members }) => kind === "im" && members.has(user) && members.has(this.bot.userId),
    );
    return known ?? this.addChannel(user, "im", [user, this.bot.userId]);
  }

  post(
    channel: SlackChannel,
    from: { user: string; bot: boolean },
    content: Partial<Omit<SlackMessage, "ts" | "user" | "bot" | "edits">>,
  ): SlackMessage {
    const message: SlackMessage = {
      threadTs: undefined,
      files: [],
      forwards: [],
      onlyFor: undefined,
      broadcast: false,
      reactions: new Set(),
      text: "",
      blocks: [],
      metadata: undefined,
      stream: undefined,
      edited: undefined,
      ...content,
      ...from,
      ts: this.newTs(),
      edits: 0,
    };
    channel.messages.set(message.ts, message);
    if (from.bot && message.threadTs !== undefined) channel.status.delete(message.threadTs);
    this.changed(channel.id);
    return message;
  }

  changed(place: string): void {
    for (const listener of this.#listeners) listener(place);
  }

  onChange(listener: (place: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The stream's state now: time may have ended it. */
  streamState(message: SlackMessage): SlackStream["state"] | undefined {
    const { stream } = message;
    if (stream?.state === "in_progress" && this.clock.now() - stream.startedAt >= STREAM_LIFE_MS) {
      stream.state = "expired";
    }
    return stream?.state;
  }

  /** @param as - Whose eyes; without it, those of who a message is meant for. */
  view(place: string, as?: string): ChatView {
    const channel = this.channels.get(place);
    if (channel === undefined) return { place, messages: [], status: "" };
    const visible = [...channel.messages.values()].filter(
      ({ onlyFor }) => onlyFor === undefined || as === undefined || onlyFor === as,
    );
    const now = this.clock.now();
    const status = [...channel.status.values()].filter(({ at }) => now - at < STATUS_LIFE_MS).at(-1);
    return {
      place,
      messages: visible.map((message) => this.#seen(channel, message, as)),
      status: status?.text ?? "",
    };
  }

  #seen(channel: SlackChannel, message: SlackMessage, as: string | undefined): SeenMessage {
    const author = message.bot ? this.bot.name : (this.users.get(message.user)?.name ?? message.user);
    return {
      id: message.ts,
      author,
      bot: message.bot,
      text: this.#visibleText(channel, message, as),
      files: message.files.map(({ name }) => name),
      documents: message.files
        .filter(({ name }) => isDocument(name))
        .map(({ bytes }) => bytes.toString("utf8")),
      edits: message.edits,
      unfinished: this.streamState(message) === "in_progress",
      at: Number(message.ts) * 1000,
      ...this.#tasks(channel, message, as),
      ...(message.threadTs !== undefined && { parent: message.threadTs }),
      ...(message.onlyFor !== undefined && { ephemeral: true }),
    };
  }

  /** A task that was left under way when the stream ended is drawn as failed (slack.md §1.3). */
  #tasks(
    channel: SlackChannel,
    message: SlackMessage,
    as: string | undefined,
  ): { readonly tasks?: readonly SeenTask[] } {
    const { stream } = message;
    const runs = this.streamState(message) === "in_progress";
    if (stream === undefined || stream.cards.size === 0 || (runs && isHidden(channel, stream, as))) return {};
    const tasks = [...stream.cards.values()].map(({ title, status }): SeenTask => {
      const isOpen = status === "in_progress" || status === "pending";
      return { title, status: isOpen && !runs ? "error" : status };
    });
    return { tasks };
  }

  #visibleText(channel: SlackChannel, message: SlackMessage, as: string | undefined): string {
    const { stream } = message;
    if (stream !== undefined) {
      if (isHidden(channel, stream, as) && this.streamState(message) === "in_progress")
        return stream.firstPiece;
      const plan = stream.display === "plan" ? stream.planTitle : "";
      const shown = [plan, stream.markdown, blocksText([...stream.blocks, ...message.blocks])];
      return this.#decoded(shown.filter((text) => text !== "").join("\n\n"));
    }
    return this.#decoded(message.blocks.length > 0 ? blocksText(message.blocks) : message.text);
  }

  /** Tokens as names, entities as characters: what the client draws. */
  #decoded(text: string): string {
    const nameOf = (id: string): string =>
      id === this.bot.userId ? this.bot.name : (this.users.get(id)?.name ?? id);
    return text
      .replace(/<@([A-Z0-9]+)(?:\|[^>]*)?>/g, (_token, id: string) => `@${nameOf(id)}`)
      .replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">")
      .replaceAll("&amp;", "&");
  }
}

/** Members who are not the recipient do not see a stream grow (slack.md §1.1). */
function isHidden(channel: SlackChannel, stream: SlackStream, as: string | undefined): boolean {
  return channel.kind !== "im" && as !== undefined && as !== stream.recipient;
}

/** What people read of blocks; with blocks `text` is only for notifications. */
function blocksText(blocks: readonly unknown[]): string {
  return blocks
    .map((block) => {
      const { text, elements } = block as { text?: unknown; elements?: readonly { text?: unknown }[] };
      if (typeof text === "string") return text;
      if (typeof text === "object" && text !== null && "text" in text) return String(text.text);
      return (elements ?? []).map((element) => String(element.text ?? "")).join(" ");
    })
    .filter((text) => text !== "")
    .join("\n\n");
}
