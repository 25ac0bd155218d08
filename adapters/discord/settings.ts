import { z } from "zod";

/** What the Discord adapter needs to know. */
export interface DiscordSettings {
  readonly token: string;
  /** Without a trailing slash, e.g. `https://discord.com/api`; the version is added by the client. */
  readonly apiUrl: string;
}

/** Where Discord listens (discord.md §7.1). */
const DEFAULT_DISCORD_API_URL = "https://discord.com/api";

/**
 * This platform's variables. Empty counts as unset; no token means that Discord is off. `DISCORD_TOKEN` is the name
 * discord.js itself uses; when both are set they must agree.
 */
export const DISCORD_VARIABLES: z.ZodType<DiscordSettings | undefined, unknown> = z
  .object({
    DISCORD_BOT_TOKEN: z.string().trim().optional(),
    DISCORD_TOKEN: z.string().trim().optional(),
    DISCORD_API_URL: z.string().trim().optional(),
  })
  .transform((variables, context) => {
    const token = variables.DISCORD_BOT_TOKEN || variables.DISCORD_TOKEN || undefined;
    if (variables.DISCORD_TOKEN && variables.DISCORD_TOKEN !== token) {
      context.addIssue({
        code: "custom",
        path: ["DISCORD_TOKEN"],
        message: "differs from DISCORD_BOT_TOKEN; set only one of them",
      });
    }
    const apiUrl = (variables.DISCORD_API_URL || DEFAULT_DISCORD_API_URL).replace(/\/+$/, "");
    if (!URL.canParse(apiUrl)) {
      context.addIssue({ code: "custom", path: ["DISCORD_API_URL"], message: "is not a URL" });
    }
    return token === undefined ? undefined : { token, apiUrl };
  });
