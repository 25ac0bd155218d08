import type { Arguments } from "./arguments.ts";
import { fileJson } from "./files.ts";
import type { Forward } from "./workspace.ts";

const CHANNEL = { channel_id: "C0SANDOTHER", channel_name: "elsewhere" };
const AUTHOR = "U0SANDOTHER";
const TS = "1767225600.000100";

/** A message that is passed on, as an attachment of the one that does (slack.md §3.9). */
export function forwardJson(
  { author, text, files }: Forward,
  { team, origin }: { team: string; origin: string },
): Arguments {
  const block = { type: "rich_text_section", elements: [{ type: "text", text }] };
  const blocks = [{ type: "rich_text", block_id: "fw1", elements: [block] }];
  return {
    from_url: `${origin}/archives/${CHANNEL.channel_id}/p${TS.replace(".", "")}`,
    ts: TS,
    author_id: AUTHOR,
    ...CHANNEL,
    channel_team: team,
    is_msg_unfurl: true,
    message_blocks: [{ team, channel: CHANNEL.channel_id, ts: TS, message: { blocks } }],
    color: "D0D0D0",
    is_share: true,
    fallback: `[January 1st, 2026 12:00 AM] ${author}: ${text}`,
    text,
    author_name: author,
    author_link: `${origin}/team/${AUTHOR}`,
    author_subname: author,
    mrkdwn_in: ["text"],
    footer: `Posted in #${CHANNEL.channel_name}`,
    ...(files.length > 0 && { files: files.map((file) => fileJson(file, { team, origin })) }),
  };
}
