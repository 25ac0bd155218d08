import { type Arguments, isTrue, textOf } from "./arguments.ts";
import { blocksError, hasTable } from "./blocks.ts";
import { bytesOfCards, type Chunks, readChunks, type StreamCard, updateCards } from "./chunks.ts";
import { fileJson } from "./files.ts";
import { forwardJson } from "./forwards.ts";
import { LIMITED_PAGE } from "./limits.ts";
import { SlackRefusal } from "./refusal.ts";
import type { SlackChannel, SlackMessage, SlackStream, Workspace } from "./workspace.ts";

const MAX_MARKDOWN_TEXT = 12_000;
const MAX_TEXT_ON_UPDATE = 4_000;
const MAX_TEXT_ON_POST = 40_000;
/** Cumulative size of a stream, in UTF-8 bytes (slack.md §1.5: observed between 11,600 and 12,000). */
const MAX_STREAM_BYTES = 11_600;

/** Blocks that come by chunks (slack.md §1.2). */
const MAX_CHUNK_BLOCKS = 50;

/** What can be told to the stand-in about facts the reference calls uncertain. */
export interface MessageSwitches {
  /** Whether a stream in a DM needs recipient ids as well (slack.md §1.1). */
  readonly recipientInDms: boolean;
  /** Whether every table is refused, whatever is wrong with it (slack.md §9.1). */
  readonly refuseTables: boolean;
  /** Whether the app gets one look at history a minute, of 15 objects (slack.md §8.4). */
  readonly limitedHistory: boolean;
  /** Whether a burst of appends is smaller than assumed (pacing.md §3). */
  readonly smallAppendBurst: boolean;
  /** What a workspace says to task chunks that does not know them (slack.md §1.2); by default they are shown. */
  readonly taskChunks: "shown" | "invalid_chunks" | "invalid_arguments";
  /** Whether `files.info` knows an upload that is not complete (slack.md §5 does not say). */
  readonly listsUploads: boolean;
  /** How long after `files.completeUploadExternal` the message appears, in ms (slack.md §5: it is asynchronous). */
  readonly sharingMs: number;
}

/** The chat methods. Each throws a {@link SlackRefusal}, or returns the body beside `ok`. */
export class Messages {
  readonly #workspace: Workspace;
  readonly #switches: MessageSwitches;
  /** Address of the stand-in, for files. */
  readonly #origin: () => string;
  /** Called with what the app's own events would tell. */
  readonly #echo: (
    kind: "posted" | "changed" | "deleted",
    channel: SlackChannel,
    message: SlackMessage,
  ) => void;

  constructor(
    workspace: Workspace,
    switches: MessageSwitches,
    echo: (kind: "posted" | "changed" | "deleted", channel: SlackChannel, message: SlackMessage) => void,
    origin: () => string,
  ) {
    this.#origin = origin;
    this.#workspace = workspace;
    this.#switches = switches;
    this.#echo = echo;
  }

  postMessage(args: Arguments): Arguments {
    const channel = this.#writable(args);
    const content = this.#content(args, MAX_TEXT_ON_POST);
    const threadTs = this.#thread(channel, args);
    const from = { user: this.#workspace.bot.userId, bot: true };
    const metadata = this.#metadata(args);
    const message = this.#workspace.post(channel, from, { ...content, threadTs, metadata });
    this.#echo("posted", channel, message);
    return { channel: channel.id, ts: message.ts, message: this.toJson(message) };
  }

  update(args: Arguments): Arguments {
    const { channel, message } = this.#own(args, "cant_update_message");
    if (this.#workspace.streamState(message) === "in_progress")
      throw new SlackRefusal("streaming_state_conflict");
    const content = this.#content(args, MAX_TEXT_ON_UPDATE);
    const metadata = this.#metadata(args);
    message.text = content.text;
    message.blocks = content.blocks;
    // It replaces all that was streamed (slack.md §1.6).
    message.stream = undefined;
    if (metadata !== undefined) message.metadata = metadata;
    message.edits += 1;
    this.#echo("changed", channel, message);
    this.#workspace.changed(channel.id);
    return { channel: channel.id, ts: message.ts, text: message.text, message: this.toJson(message) };
  }

  delete(args: Arguments): Arguments {
    const { channel, message } = this.#own(args, "cant_delete_message");
    channel.messages.delete(message.ts);
    this.#echo("deleted", channel, message);
    this.#workspace.changed(channel.id);
    return { channel: channel.id, ts: message.ts };
  }

  startStream(args: Arguments): Arguments {
    const channel = this.#writable(args);
    const threadTs = this.#thread(channel, args);
    if (threadTs === undefined) throw new SlackRefusal("invalid_arguments");
    const recipient = textOf(args, "recipient_user_id");
    if (channel.kind !== "im" || this.#switches.recipientInDms) {
      if (textOf(args, "recipient_team_id") === "") throw new SlackRefusal("missing_recipient_team_id");
      if (recipient === "") throw new SlackRefusal("missing_recipient_user_id");
    }
    if (recipient !== "" && !this.#workspace.users.has(recipient)) throw new SlackRefusal("user_not_found");
    const first = this.#streamContent(args);
    const display = args["task_display_mode"] ?? "timeline";
    if (display !== "timeline" && display !== "plan") throw new SlackRefusal("invalid_arguments");
    const stream: SlackStream = {
      startedAt: this.#workspace.clock.now(),
      state: "in_progress",
      recipient: recipient === "" ? undefined : recipient,
      firstPiece: first?.text ?? "",
      markdown: "",
      cards: new Map(),
      display,
      planTitle: "",
      blocks: [],
    };
    if (first !== undefined) addToStream(stream, first);
    const from = { user: this.#workspace.bot.userId, bot: true };
    const message = this.#workspace.post(channel, from, { threadTs, stream });
    this.#echo("posted", channel, message);
    return { channel: channel.id, ts: message.ts };
  }

  appendStream(args: Arguments): Arguments {
    const { channel, message, stream } = this.#streaming(args);
    const content = this.#streamContent(args);
    if (content === undefined || isEmpty(content)) throw new SlackRefusal("no_text");
    addToStream(stream, content);
    message.edits += 1;
    this.#echo("changed", channel, message);
    this.#workspace.changed(channel.id);
    return { channel: channel.id, ts: message.ts };
  }

  stopStream(args: Arguments): Arguments {
    const { channel, message, stream } = this.#streaming(args);
    if (args["blocks"] !== undefined) {
      const error = blocksError(args["blocks"]);
      if (error !== undefined) throw new SlackRefusal(error);
      message.blocks = args["blocks"] as readonly unknown[];
    }
    // What comes with the stop is appended; it replaces nothing (slack.md §1.2).
    const content = this.#streamContent(args);
    if (content !== undefined) addToStream(stream, content);
    stream.state = "completed";
    message.metadata = this.#metadata(args) ?? message.metadata;
    this.#echo("changed", channel, message);
    this.#workspace.changed(channel.id);
    return { channel: channel.id, ts: message.ts, message: this.toJson(message) };
  }

  replies(args: Arguments): Arguments {
    const channel = this.#known(args);
    const root = textOf(args, "ts");
    if (!channel.messages.has(root)) throw new SlackRefusal("thread_not_found");
    const oldest = Number(textOf(args, "oldest") || 0);
    const messages = [...channel.messages.values()]
      .filter(({ ts, threadTs, onlyFor }) => onlyFor === undefined && (ts === root || threadTs === root))
      .filter(({ ts }) => ts === root || Number(ts) > oldest);
    return this.#page(channel, messages, args);
  }

  /** What stands in the channel itself, the newest first. */
  history(args: Arguments): Arguments {
    const channel = this.#known(args);
    // Only an app that is in the channel may read there.
    if (!channel.members.has(this.#workspace.bot.userId)) throw new SlackRefusal("not_in_channel");
    const oldest = Number(textOf(args, "oldest") || 0);
    const latest = Number(textOf(args, "latest") || Number.MAX_SAFE_INTEGER);
    const messages = [...channel.messages.values()]
      .filter(
        ({ onlyFor, threadTs, broadcast }) => onlyFor === undefined && (threadTs === undefined || broadcast),
      )
      .filter(({ ts }) => Number(ts) > oldest && Number(ts) < latest)
      .reverse();
    return { ...this.#page(channel, messages, args), channel_actions_ts: null, channel_actions_count: 0 };
  }

  #page(channel: SlackChannel, messages: readonly SlackMessage[], args: Arguments): Arguments {
    const most = this.#switches.limitedHistory ? LIMITED_PAGE : 999;
    const limit = Math.min(most, Number(args["limit"] ?? 100));
    const from = Number(Buffer.from(textOf(args, "cursor"), "base64").toString() || 0);
    const metadata = isTrue(args["include_all_metadata"]);
    const roots = new Set([...channel.messages.values()].map(({ threadTs }) => threadTs));
    const shown = messages.slice(from, from + limit).map((message) => ({
      ...this.toJson(message, { metadata }),
      // A message with replies names itself as their root.
      ...(roots.has(message.ts) && { thread_ts: message.ts }),
    }));
    const more = messages.length > from + limit;
    return {
      messages: shown,
      has_more: more,
      ...(more && {
        response_metadata: { next_cursor: Buffer.from(String(from + limit)).toString("base64") },
      }),
    };
  }

  /** `reactions.add` and `reactions.remove`. */
  react(args: Arguments, { add }: { add: boolean }): Arguments {
    const channel = this.#writable(args);
    const message = channel.messages.get(textOf(args, "timestamp"));
    if (message === undefined) throw new SlackRefusal("message_not_found");
    const name = textOf(args, "name");
    if (!/^[a-z0-9_+-]+$/.test(name)) throw new SlackRefusal("invalid_name");
    if (message.reactions.has(name) === add) throw new SlackRefusal(add ? "already_reacted" : "no_reaction");
    if (add) message.reactions.add(name);
    else message.reactions.delete(name);
    this.#workspace.changed(channel.id);
    return {};
  }

  /** A message as the API and the events show it. */
  toJson(message: SlackMessage, { metadata = true }: { metadata?: boolean } = {}): Record<string, unknown> {
    const { team, appId, bot } = this.#workspace;
    const state = this.#workspace.streamState(message);
    return {
      type: "message",
      user: message.user,
      text: message.stream?.markdown ?? message.text,
      ts: message.ts,
      team,
      ...this.#carriedBy(message),
      ...(message.broadcast && { subtype: "thread_broadcast" }),
      ...(message.bot && { bot_id: bot.botId, app_id: appId }),
      ...(message.threadTs !== undefined && { thread_ts: message.threadTs }),
      ...(message.edited !== undefined && { edited: message.edited }),
      ...(message.blocks.length > 0 && { blocks: message.blocks }),
      ...(metadata && message.metadata !== undefined && { metadata: message.metadata }),
      ...(state !== undefined && { streaming_state: state === "in_progress" ? "in_progress" : "completed" }),
    };
  }

  /** Files and forwards of a message. */
  #carriedBy({ files, forwards }: SlackMessage): Arguments {
    const where = { team: this.#workspace.team, origin: this.#origin() };
    return {
      ...(files.length > 0 && { subtype: "file_share", files: files.map((file) => fileJson(file, where)) }),
      ...(forwards.length > 0 && { attachments: forwards.map((forward) => forwardJson(forward, where)) }),
    };
  }

  /** What a stream call brings: as `markdown_text` or in chunks; a stand-in has to accept both (slack.md §1.4). */
  #streamContent({ markdown_text: text, chunks }: Arguments): Chunks | undefined {
    if (chunks === undefined) {
      if (typeof text !== "string") return undefined;
      if (text.length > MAX_MARKDOWN_TEXT) throw new SlackRefusal("msg_too_long");
      return { text, cards: [], plan: undefined, blocks: [] };
    }
    // One of the two (slack.md §1.2).
    if (text !== undefined) throw new SlackRefusal("invalid_arguments");
    const read = readChunks(chunks);
    if (read.text.length > MAX_MARKDOWN_TEXT) throw new SlackRefusal("msg_too_long");
    const { taskChunks } = this.#switches;
    if (taskChunks !== "shown" && (read.cards.length > 0 || read.plan !== undefined))
      throw new SlackRefusal(taskChunks);
    return read;
  }

  #streaming(args: Arguments): {
    channel: SlackChannel;
    message: SlackMessage;
    stream: NonNullable<SlackMessage["stream"]>;
  } {
    const { channel, message } = this.#own(args, "message_not_owned_by_app");
    const state = this.#workspace.streamState(message);
    if (state === "stopped") throw new SlackRefusal("stopped_by_user");
    if (message.stream === undefined || state !== "in_progress") {
      throw new SlackRefusal("message_not_in_streaming_state");
    }
    return { channel, message, stream: message.stream };
  }

  #own(args: Arguments, otherwise: string): { channel: SlackChannel; message: SlackMessage } {
    const channel = this.#known(args);
    const message = channel.messages.get(textOf(args, "ts"));
    if (message === undefined || message.onlyFor !== undefined) throw new SlackRefusal("message_not_found");
    if (!message.bot) throw new SlackRefusal(otherwise);
    return { channel, message };
  }

  #known(args: Arguments): SlackChannel {
    const channel = this.#workspace.channels.get(textOf(args, "channel"));
    const member = channel?.members.has(this.#workspace.bot.userId) === true;
    // What the app cannot see does not exist for it (slack.md §4.3).
    if (channel === undefined || (channel.kind !== "channel" && !member))
      throw new SlackRefusal("channel_not_found");
    return channel;
  }

  #writable(args: Arguments): SlackChannel {
    const channel = this.#known(args);
    if (!channel.members.has(this.#workspace.bot.userId)) throw new SlackRefusal("not_in_channel");
    if (channel.archived) throw new SlackRefusal("is_archived");
    return channel;
  }

  #thread(channel: SlackChannel, args: Arguments): string | undefined {
    const ts = textOf(args, "thread_ts");
    if (ts === "") return undefined;
    if (!channel.messages.has(ts)) throw new SlackRefusal("thread_not_found");
    return ts;
  }

  #content(args: Arguments, maxText: number): { text: string; blocks: readonly unknown[] } {
    const text = textOf(args, "text");
    const markdown = textOf(args, "markdown_text");
    const blocks = args["blocks"] ?? [];
    if (markdown !== "") {
      if (text !== "" || args["blocks"] !== undefined) throw new SlackRefusal("markdown_text_conflict");
      if (markdown.length > MAX_MARKDOWN_TEXT) throw new SlackRefusal("msg_too_long");
      return { text: markdown, blocks: [{ type: "markdown", text: markdown }] };
    }
    const error = blocksError(blocks);
    if (error !== undefined) throw new SlackRefusal(error);
    const list = blocks as readonly unknown[];
    if (text.trim() === "" && list.length === 0) throw new SlackRefusal("no_text");
    if (text.length > maxText) throw new SlackRefusal("msg_too_long");
    if (this.#switches.refuseTables && hasTable(list)) throw new SlackRefusal("invalid_blocks");
    return { text, blocks: list };
  }

  #metadata(args: Arguments): unknown {
    const { metadata } = args;
    if (metadata === undefined) return undefined;
    const { event_type: type, event_payload: payload } = metadata as Arguments;
    if (typeof type !== "string" || typeof payload !== "object")
      throw new SlackRefusal("invalid_metadata_format");
    return metadata;
  }
}

function isEmpty({ text, cards, plan, blocks }: Chunks): boolean {
  return text === "" && cards.length === 0 && plan === undefined && blocks.length === 0;
}

/** @throws {SlackRefusal} when it does not fit; then nothing of it is added. */
function addToStream(stream: SlackStream, { text, cards, plan, blocks }: Chunks): void {
  const after: Map<string, StreamCard> = new Map(stream.cards);
  updateCards(after, cards);
  const bytes = Buffer.byteLength(stream.markdown + text) + bytesOfCards(after);
  if (bytes > MAX_STREAM_BYTES) throw new SlackRefusal("msg_too_long");
  if (stream.blocks.length + blocks.length + after.size > MAX_CHUNK_BLOCKS)
    throw new SlackRefusal("msg_blocks_too_many");
  stream.markdown += text;
  updateCards(stream.cards, cards);
  stream.planTitle = plan ?? stream.planTitle;
  stream.blocks = [...stream.blocks, ...blocks];
}
