/** What each scope is for (slack.md §10), in the words of who reads the log. */
const SCOPES: Readonly<Record<string, string>> = {
  "app_mentions:read": "mentions in channels are not received",
  "chat:write": "no answer can be written",
  commands: "the slash command does not work",
  "files:read": "attachments cannot be read",
  "files:write": "answers longer than MAX_REPLY_PARTS go on in messages instead of ending as a file",
  "im:history": "direct messages are not received",
  "im:write": "a command in a private channel is answered only once, at its end",
  "reactions:write": "a question that waits shows it by a status line, if at all",
  "users:read": "people appear as ids, and the language of their client is unknown",
};

/** Scopes the app lacks, and what is lost; none when Slack did not say which it has. */
export function missingScopes(
  granted: readonly string[] | undefined,
): readonly { scope: string; lost: string }[] {
  if (granted === undefined) return [];
  return Object.entries(SCOPES)
    .filter(([scope]) => !granted.includes(scope))
    .map(([scope, lost]) => ({ scope, lost }));
}
