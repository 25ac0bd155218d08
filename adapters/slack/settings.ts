/** What the Slack adapter needs to know of the workspace's app. */
export interface SlackSettings {
  /** `xoxb-…`: writes, and reads files. */
  readonly botToken: string;
  /** `xapp-…`, scope `connections:write`: receive over Socket Mode. */
  readonly appToken?: string;
  /** Receive over HTTP at `/slack/events`. */
  readonly signingSecret?: string;
  /** Base of the Web API with a slash at its end, e.g. `https://slack.com/api/`. */
  readonly apiUrl: string;
  /** How answers grow in channels. In the app's DM they always stream natively where Slack allows it (slack.md §1.1). */
  readonly channelStyle: "edit" | "native";
  /** Messages of one answer; a longer one ends as a file. */
  readonly maxReplyParts: number;
}
