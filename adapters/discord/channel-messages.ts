import { pacedCall } from "../../src/core/paced-call.ts";
import type { Abortable } from "../../src/core/ports.ts";
import { isLater } from "./followed-places.ts";
import { parseMessage, type WireMessage } from "./gateway-events.ts";
import type { DiscordPacer } from "./pacer.ts";
import type { DiscordRest } from "./rest-client.ts";

export interface ChannelParts {
  readonly rest: DiscordRest;
  readonly pacer: DiscordPacer;
}

/** Which messages of a channel: those next to an id, 100 at most. */
export interface ListQuery {
  readonly before?: string;
  readonly after?: string;
  readonly limit: number;
}

/** Discord lists no more at once (discord.md §3.6). */
export const LONGEST_PAGE = 100;

/**
 * Reads a page of a channel's messages.
 *
 * @returns Oldest first, without what cannot be read; `isFull`: there may be more. Listed messages do not name their guild
 * (discord.md §3.6).
 * @throws {PlatformError}
 */
export async function listMessages(
  channelId: string,
  { limit, ...next }: ListQuery,
  { rest, pacer }: ChannelParts,
  { signal }: Abortable,
): Promise<{ readonly messages: readonly WireMessage[]; readonly isFull: boolean }> {
  const query = new URLSearchParams({ ...next, limit: String(limit) });
  const route: `/${string}` = `/channels/${channelId}/messages`;
  const { data } = await pacedCall(
    { gate: pacer.list(channelId), permit: "first" },
    () => rest.main({ method: "GET", route, query, name: "list messages", signal }),
    { signal },
  );
  const listed: readonly unknown[] = Array.isArray(data) ? data : [];
  const messages = listed
    .map((each) => parseMessage(each))
    .filter((message) => message !== undefined)
    .toSorted((one, other) => (isLater(one.id, other.id) ? 1 : -1));
  return { messages, isFull: listed.length >= limit };
}
