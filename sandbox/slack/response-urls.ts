import { randomUUID } from "node:crypto";
import { parseObject, textOf } from "./arguments.ts";
import type { SlackChannel, Workspace } from "./workspace.ts";

/** Posts per response URL, and its life in ms (slack.md §4.2). */
const MAX_POSTS = 5;
const LIFE_MS = 1_800_000;

interface ResponseUrl {
  readonly channel: SlackChannel;
  readonly user: string;
  readonly until: number;
  left: number;
}

/** The addresses that commands may be answered at, without a token. */
export class ResponseUrls {
  readonly #workspace: Workspace;
  readonly #urls = new Map<string, ResponseUrl>();

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /** @returns A path. */
  create(channel: SlackChannel, user: string): string {
    const path = `/commands/${this.#workspace.team}/${randomUUID()}`;
    this.#urls.set(path, { channel, user, until: this.#workspace.clock.now() + LIFE_MS, left: MAX_POSTS });
    return path;
  }

  post(path: string, body: string): { status: number; body: string } {
    const url = this.#urls.get(path);
    if (url === undefined) return { status: 404, body: "no_service" };
    if (this.#workspace.clock.now() > url.until) return { status: 404, body: "expired_url" };
    if (url.left <= 0) return { status: 404, body: "used_url" };
    const content = parseObject(body);
    if (content === undefined) return { status: 400, body: "invalid_payload" };
    const blocks = Array.isArray(content["blocks"]) ? (content["blocks"] as readonly unknown[]) : [];
    if (textOf(content, "text").trim() === "" && blocks.length === 0) return { status: 400, body: "no_text" };
    url.left -= 1;
    this.#workspace.post(
      url.channel,
      { user: this.#workspace.bot.userId, bot: true },
      {
        text: textOf(content, "text"),
        blocks,
        onlyFor: textOf(content, "response_type") === "in_channel" ? undefined : url.user,
      },
    );
    return { status: 200, body: "ok" };
  }
}
