import { BridgeError } from "../../src/core/errors.ts";
import type { Download, FetchOptions, LocalFile } from "../../src/core/ports.ts";
import type { Attachment } from "../../src/core/turn.ts";
import type { Address } from "./address.ts";
import { parseFetchedMessage } from "./gateway-events.ts";
import { filesIn } from "./message-content.ts";
import type { DiscordRest } from "./rest-client.ts";

/** Where Discord keeps files (discord.md §5.3). */
const DISCORD_FILE_HOSTS: readonly string[] = ["cdn.discordapp.com", "media.discordapp.net"];

export interface FetchParts {
  readonly rest: DiscordRest;
  readonly download: Download;
}

/**
 * Brings a file. Its address is signed for about a day: when that has passed, the message is fetched again, which
 * signs it anew (discord.md §5.2). Files of a slash command have no message to fetch.
 *
 * @throws {BridgeError} one of the `FILE_…` codes.
 */
export async function fetchAttachment(
  attachment: Attachment,
  address: Address,
  { rest, download }: FetchParts,
  options: FetchOptions,
): Promise<LocalFile> {
  const bring = (url: string): Promise<LocalFile> => download(url, { ...options, hosts: DISCORD_FILE_HOSTS });
  if (!hasExpired(attachment.url, rest.discordNow())) {
    try {
      return await bring(attachment.url);
    } catch (error) {
      if (!(error instanceof BridgeError) || error.code !== "FILE_GONE") throw error;
    }
  }
  const fresh = await freshUrl(attachment.id, address, rest, options.signal);
  if (fresh === undefined) {
    throw new BridgeError("FILE_GONE", `Discord no longer has attachment ${attachment.id}`);
  }
  return bring(fresh);
}

/** `ex` holds the end of the signature, in hex seconds; an address without it never expires for us. */
export function hasExpired(url: string, now: number): boolean {
  const expires = URL.canParse(url) ? new URL(url).searchParams.get("ex") : null;
  const seconds = Number.parseInt(expires ?? "", 16);
  return !Number.isNaN(seconds) && seconds * 1000 <= now;
}

async function freshUrl(
  attachmentId: string,
  address: Address,
  rest: DiscordRest,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (address.kind !== "message") return undefined;
  const route: `/${string}` = `/channels/${address.channelId}/messages/${address.messageId}`;
  try {
    const { data } = await rest.main({ method: "GET", route, name: "get message", signal });
    const message = parseFetchedMessage(data);
    const files = [...filesIn(message), ...(message.referenced_message?.attachments ?? [])];
    return files.find(({ id }) => id === attachmentId)?.url;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new BridgeError("FILE_GONE", `Discord would not sign attachment ${attachmentId} anew`, {
      cause: error,
    });
  }
}
