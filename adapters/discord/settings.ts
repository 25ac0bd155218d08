/** What the Discord adapter needs to know. */
export interface DiscordSettings {
  readonly token: string;
  /** Without a trailing slash, e.g. `https://discord.com/api`; the version is added by the client. */
  readonly apiUrl: string;
  /** Where an answer goes while another one grows in its channel. */
  readonly secondAnswer: "thread" | "channel";
  /** Messages of one answer; a longer one ends as a file. */
  readonly maxReplyParts: number;
}
