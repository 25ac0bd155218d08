import { z } from "zod";

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
}

/** This platform's variables. An empty one counts as unset before it comes here. */
export const slackEnvironment: z.ZodObject<{
  SLACK_BOT_TOKEN: z.ZodOptional<z.ZodString>;
  SLACK_APP_TOKEN: z.ZodOptional<z.ZodString>;
  SLACK_SIGNING_SECRET: z.ZodOptional<z.ZodString>;
  SLACK_API_URL: z.ZodDefault<z.ZodURL>;
  SLACK_CHANNEL_STYLE: z.ZodDefault<z.ZodEnum<{ edit: "edit"; native: "native" }>>;
}> = z.object({
  SLACK_BOT_TOKEN: z
    .string()
    .regex(/^xox[be]/, "starts with xoxb-")
    .optional(),
  SLACK_APP_TOKEN: z.string().startsWith("xapp-").optional(),
  SLACK_SIGNING_SECRET: z.string().min(8).optional(),
  SLACK_API_URL: z.url().default("https://slack.com/api/"),
  SLACK_CHANNEL_STYLE: z.enum(["edit", "native"]).default("edit"),
});
