import { randomUUID } from "node:crypto";
import { type Arguments, textOf } from "./arguments.ts";
import type { MessageSwitches } from "./messages.ts";
import { SlackRefusal } from "./refusal.ts";
import type { SlackChannel, SlackFile, SlackMessage, SlackUpload, Workspace } from "./workspace.ts";

/** slack.md §5 */
const MAX_BYTES = 1_073_741_824;

export interface UploadsOptions {
  readonly workspace: Workspace;
  readonly switches: Pick<MessageSwitches, "listsUploads" | "sharingMs">;
  /** Told of messages as they appear, are changed and go. */
  readonly echo: (
    kind: "posted" | "changed" | "deleted",
    channel: SlackChannel,
    message: SlackMessage,
  ) => void;
}

type Uploaded = SlackFile & { upload: SlackUpload };

/** Files that the app uploads: ticket, bytes, completion, each once and in this order (slack.md §5). */
export class Uploads {
  readonly #options: UploadsOptions;
  /** By the last part of their address, until their bytes have come. */
  readonly #tickets = new Map<string, { readonly file: Uploaded; readonly length: number }>();

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** `files.getUploadURLExternal` */
  begin(args: Arguments, origin: string): Arguments {
    const length = Number(args["length"]);
    // Slack takes 0 for a missing argument (slack.md §5).
    if (!Number.isInteger(length) || length <= 0) throw new SlackRefusal("missing_argument");
    if (length > MAX_BYTES) throw new SlackRefusal("file_upload_size_restricted");
    const { workspace } = this.#options;
    const name = textOf(args, "filename");
    const file: Uploaded = {
      id: workspace.newId("F"),
      name,
      mimetype: "application/octet-stream",
      bytes: Buffer.alloc(0),
      odd: {},
      shared: false,
      upload: { stage: "ticket", title: name, shares: [] },
    };
    workspace.files.set(file.id, file);
    const ticket = randomUUID();
    this.#tickets.set(ticket, { file, length });
    return { upload_url: `${origin}/upload/v1/${ticket}`, file_id: file.id };
  }

  /** The bytes; an address is good for one time. @returns Slack's plain text and its status. */
  take(ticket: string, method: string, body: Buffer): { status: number; text: string } {
    if (method !== "POST") return { status: 405, text: "method not allowed" };
    const found = this.#tickets.get(ticket);
    if (found === undefined) return { status: 404, text: "not found" };
    if (found.length !== body.length) return { status: 400, text: "length mismatch" };
    this.#tickets.delete(ticket);
    found.file.bytes = body;
    found.file.upload.stage = "uploaded";
    return { status: 200, text: `OK - ${body.length}` };
  }

  /** `files.completeUploadExternal` */
  complete(args: Arguments): Arguments {
    const { workspace, switches } = this.#options;
    const entries = Array.isArray(args["files"]) ? (args["files"] as readonly Arguments[]) : [];
    const files = entries.map((entry) => ({ file: this.#uploaded(textOf(entry, "id")), entry }));
    if (files.length === 0) throw new SlackRefusal("file_not_found");
    const channel = this.#channel(args);
    for (const { file, entry } of files) {
      file.upload.stage = "complete";
      if (textOf(entry, "title") !== "") file.upload.title = textOf(entry, "title");
    }
    const share = (): void =>
      this.#share(
        channel,
        args,
        files.map(({ file }) => file),
      );
    if (switches.sharingMs > 0) workspace.clock.after(switches.sharingMs, share);
    else share();
    return { files: files.map(({ file }) => ({ id: file.id, title: file.upload.title })) };
  }

  #uploaded(id: string): Uploaded {
    const file = this.#options.workspace.files.get(id);
    if (!isUpload(file) || file.upload.stage !== "uploaded") throw new SlackRefusal("file_not_found");
    return file;
  }

  #channel(args: Arguments): SlackChannel | undefined {
    const { workspace } = this.#options;
    const id = textOf(args, "channel_id");
    if (id === "") return undefined;
    const channel = workspace.channels.get(id);
    const member = channel?.members.has(workspace.bot.userId) === true;
    if (channel === undefined || (channel.kind !== "channel" && !member))
      throw new SlackRefusal("channel_not_found");
    if (!member) throw new SlackRefusal("not_in_channel");
    if (channel.archived) throw new SlackRefusal("posting_to_channel_denied");
    const thread = textOf(args, "thread_ts");
    const root = channel.messages.get(thread);
    if (thread !== "" && (root === undefined || root.threadTs !== undefined))
      throw new SlackRefusal("file_update_failed");
    return channel;
  }

  #share(channel: SlackChannel | undefined, args: Arguments, files: readonly Uploaded[]): void {
    for (const file of files) file.shared = true;
    if (channel === undefined) return;
    const { workspace, echo } = this.#options;
    const threadTs = textOf(args, "thread_ts") === "" ? undefined : textOf(args, "thread_ts");
    const from = { user: workspace.bot.userId, bot: true };
    const text = textOf(args, "initial_comment");
    const message = workspace.post(channel, from, { files, text, threadTs });
    for (const { upload } of files) upload.shares.push({ channel: channel.id, ts: message.ts, threadTs });
    echo("posted", channel, message);
  }

  /** `files.delete`; a message that was nothing but the file goes with it. */
  delete(args: Arguments): Arguments {
    const { workspace, echo } = this.#options;
    const file = workspace.files.get(textOf(args, "file"));
    if (file === undefined) throw new SlackRefusal("file_not_found");
    if (!isUpload(file)) throw new SlackRefusal("cant_delete_file");
    workspace.files.delete(file.id);
    for (const { channel: id, ts } of file.upload.shares) {
      const channel = workspace.channels.get(id);
      const message = channel?.messages.get(ts);
      if (channel === undefined || message === undefined) continue;
      message.files = message.files.filter((each) => each.id !== file.id);
      const isEmpty = message.files.length === 0 && message.text === "";
      if (isEmpty) channel.messages.delete(ts);
      echo(isEmpty ? "deleted" : "changed", channel, message);
      workspace.changed(id);
    }
    return {};
  }

  /** Whether `files.info` does not know it. */
  isHidden({ upload }: SlackFile): boolean {
    return upload !== undefined && upload.stage !== "complete" && !this.#options.switches.listsUploads;
  }
}

function isUpload(file: SlackFile | undefined): file is Uploaded {
  return file?.upload !== undefined;
}
