import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { COMMAND_NAME, FILE_OPTION, QUESTION_OPTION } from "./normalize.ts";
import type { DiscordRest } from "./rest-client.ts";

/** Longest string an option takes (discord.md §2.1). */
const MAX_QUESTION = 6_000;

/**
 * `/coze question:… file:…` (discord.md §4.1). In guilds and in the bot's DM; installed for guilds only, because a
 * user install must be switched on in the portal first.
 */
export const COZE_COMMAND = {
  name: COMMAND_NAME as string,
  type: 1,
  description: "Ask the bot",
  description_localizations: { "zh-CN": "向智能体提问", "zh-TW": "向智慧體提問" },
  options: [
    {
      type: 3,
      name: QUESTION_OPTION as string,
      description: "What you want to know",
      description_localizations: { "zh-CN": "你想问什么", "zh-TW": "你想問什麼" },
      required: true,
      max_length: MAX_QUESTION as number,
    },
    {
      type: 11,
      name: FILE_OPTION as string,
      description: "A file to go with it",
      description_localizations: { "zh-CN": "附带的文件", "zh-TW": "附帶的檔案" },
      required: false,
    },
  ],
  contexts: [0, 1],
  integration_types: [0],
} as const;

const localizations = z.record(z.string(), z.string()).nullish();
const registeredSchema = z.array(
  z.object({
    name: z.string(),
    type: z.number().default(1),
    description: z.string(),
    description_localizations: localizations,
    options: z
      .array(
        z.object({
          type: z.number(),
          name: z.string(),
          description: z.string(),
          description_localizations: localizations,
          required: z.boolean().default(false),
          max_length: z.number().optional(),
        }),
      )
      .default([]),
    contexts: z.array(z.number()).nullish(),
    integration_types: z.array(z.number()).default([0]),
  }),
);

/**
 * Makes sure that the slash command is registered as defined here. Writes only when something differs: writes are
 * limited per day. One command is written, not the whole list, so that commands others registered for the same
 * application stay (discord.md §4.1).
 *
 * @returns Whether it was written.
 * @throws {PlatformError}
 */
export async function registerCommand(
  rest: DiscordRest,
  { applicationId, signal }: { applicationId: string; signal: AbortSignal },
): Promise<boolean> {
  const route: `/${string}` = `/applications/${applicationId}/commands`;
  const query = new URLSearchParams({ with_localizations: "true" });
  const { data } = await rest.main({ method: "GET", route, query, name: "list commands", signal });
  const registered = registeredSchema.safeParse(data).data ?? [];
  const known = registered.find(({ name, type }) => name === COZE_COMMAND.name && type === COZE_COMMAND.type);
  if (isDeepStrictEqual(withoutUndefined(known), withoutUndefined(COZE_COMMAND))) return false;
  await rest.main({ method: "POST", route, body: COZE_COMMAND, name: "register command", signal });
  return true;
}

/** Absent and `undefined` are the same on the wire. */
function withoutUndefined(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
