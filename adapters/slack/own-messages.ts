import { z } from "zod";
import { PlatformError } from "../../src/core/errors.ts";
import type { Place } from "./place.ts";
import type { SlackContext } from "./slack-context.ts";

/** A message of a thread, as far as we read it. */
export interface ThreadMessage {
  readonly ts: string;
  readonly user?: string;
  readonly bot_id?: string | null;
  readonly text?: string;
  readonly metadata?: {
    readonly event_type: string;
    readonly event_payload?: Readonly<Record<string, unknown>>;
  };
}

const replies: z.ZodType<{ messages: readonly ThreadMessage[] }> = z.object({
  messages: z.array(
    z.object({
      ts: z.string(),
      user: z.string().exactOptional(),
      bot_id: z.string().nullable().exactOptional(),
      text: z.string().exactOptional(),
      metadata: z
        .object({
          event_type: z.string(),
          event_payload: z.record(z.string(), z.unknown()).exactOptional(),
        })
        .exactOptional(),
    }),
  ),
});

/** Objects per request that are allowed to every app (slack.md §8.4). */
const TAIL = 15;

/**
 * The first or last messages of a thread; `undefined` when the app may not read there.
 *
 * @param after - Only messages later than this one.
 */
export async function loadThread(
  { api, latches }: Pick<SlackContext, "api" | "latches">,
  { team, channel, thread, after }: { team: string; channel: string; thread: string; after?: string },
  options: { signal: AbortSignal },
): Promise<readonly ThreadMessage[] | undefined> {
  const feature = `history:${channel.slice(0, 1)}`;
  if (latches.isOff(feature, team)) return undefined;
  try {
    const args = {
      channel,
      ts: thread,
      limit: TAIL,
      include_all_metadata: true,
      ...(after !== undefined && { oldest: after, inclusive: false }),
    };
    return (await api.call("conversations.replies", replies, args, options)).messages;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    if (error.platformCode === "missing_scope") latches.turnOff(feature, team, error);
    return undefined;
  }
}

/** Name of our message metadata: which part of which turn a message is (slack.md §1.7). */
export const PART_METADATA = "coze_bridge_part";

/** Our message that a lost answer of Slack may have left behind: by its metadata, or by being an unowned stream. */
export async function findLostMessage(
  context: SlackContext,
  where: { team: string; place: Place; after: string | undefined },
  is: (message: ThreadMessage) => boolean,
  options: { signal: AbortSignal },
): Promise<string | undefined> {
  const { team, place, after } = where;
  const self = await context.self(options);
  const thread = {
    team,
    channel: place.channel,
    thread: place.thread,
    ...(after !== undefined && { after }),
  };
  const messages = (await loadThread(context, thread, options)) ?? [];
  return messages.findLast(
    (message) => (message.bot_id === self.botId || message.user === self.userId) && is(message),
  )?.ts;
}
