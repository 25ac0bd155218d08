import type { Arguments } from "./arguments.ts";
import type { SlackFile, Workspace } from "./workspace.ts";

/** A file object as events and `files.info` show it (slack.md §3.5). */
export function fileJson(file: SlackFile, { team, origin }: { team: string; origin: string }): Arguments {
  const url = `${origin}/files-pri/${team}-${file.id}`;
  return {
    id: file.id,
    created: 1_767_225_600,
    timestamp: 1_767_225_600,
    name: file.name,
    title: file.upload?.title ?? file.name,
    mimetype: file.mimetype,
    filetype: file.name.split(".").at(-1) ?? "",
    pretty_type: file.mimetype,
    user: "U0SAND0000",
    user_team: team,
    username: "",
    public_url_shared: false,
    display_as_bot: false,
    is_starred: false,
    has_rich_preview: false,
    file_access: "visible",
    media_display_type: "unknown",
    mode: "hosted",
    editable: false,
    size: file.bytes.length,
    is_external: false,
    external_type: "",
    is_public: true,
    url_private: `${url}/${encodeURIComponent(file.name)}`,
    url_private_download: `${url}/download/${encodeURIComponent(file.name)}`,
    permalink: `${origin}/archives/files/${file.id}`,
    permalink_public: `${origin}/archives/public/${file.id}`,
    ...file.odd,
  };
}

/** Where a file is shown, as `files.info` tells it (slack.md §5). */
export function sharesOf({ upload }: SlackFile, { channels }: Workspace): Arguments {
  const shares: Record<string, Record<string, unknown[]>> = {};
  for (const { channel, ts, threadTs } of upload?.shares ?? []) {
    const kind = channels.get(channel)?.kind === "channel" ? "public" : "private";
    shares[kind] ??= {};
    shares[kind][channel] = [{ ts, ...(threadTs !== undefined && { thread_ts: threadTs }) }];
  }
  return shares;
}

/** What Slack serves instead of a file to who may not read it: its login page, with status 200. */
export const LOGIN_PAGE =
  "<!DOCTYPE html><html><head><title>Login | Slack</title></head><body>Sign in</body></html>";
