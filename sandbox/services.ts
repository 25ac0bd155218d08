import { configuredServices } from "../src/config.ts";
import { spellings, VARIABLE_NAMES } from "../src/variables.ts";
import {
  type CozeStandIn,
  type CozeStandInOptions,
  STAND_IN_BOT,
  STAND_IN_TOKEN,
  startCoze,
} from "./coze/coze-stand-in.ts";
import { type DiscordOptions, type DiscordStandIn, startDiscord } from "./discord/start-discord.ts";
import { type SlackStandIn, type SlackStandInOptions, startSlack } from "./slack/slack-stand-in.ts";

export interface ServicesOptions {
  /** With a token of Coze in here its settings are passed on, and its proxy: then the stand-in of Coze is not used. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How fast the scripted bot writes; 1 is a usual model. */
  readonly speed?: number;
  /** How a stand-in differs from its default. */
  readonly coze?: CozeStandInOptions;
  readonly discord?: DiscordOptions;
  readonly slack?: SlackStandInOptions;
}

/** The stand-ins, and what the bridge must be told to find them. */
export interface Services extends AsyncDisposable {
  readonly coze: CozeStandIn;
  readonly discord: DiscordStandIn;
  readonly slack: SlackStandIn;
  /** The bridge's variables, but for those of the machine (`DATA_DIR`, `PORT`, …). */
  readonly bridgeEnv: Readonly<Record<string, string>>;
  /** Where files are served from. */
  readonly fileOrigins: readonly string[];
}

/** The stand-ins speak plain HTTP, which goes through no proxy. */
const COZE_VARIABLES = VARIABLE_NAMES.filter((name) =>
  /^(COZE_(FLAVOR$|(API|OAUTH|BOT)_)|(HTTPS|NO)_PROXY$)/.test(name),
).flatMap(spellings);

/** Starts the three stand-ins on free loopback ports. */
export async function startServices({ env, speed = 1, ...options }: ServicesOptions): Promise<Services> {
  await using stack = new AsyncDisposableStack();
  const coze = stack.use(await startCoze({ pace: { speed }, ...options.coze }));
  const discord = stack.use(await startDiscord(options.discord));
  const slack = stack.use(await startSlack(options.slack));
  const standInCoze = {
    COZE_FLAVOR: coze.flavor,
    COZE_API_TOKEN: STAND_IN_TOKEN,
    COZE_BOT_ID: STAND_IN_BOT,
    COZE_API_BASE: coze.url,
  };
  const given = COZE_VARIABLES.flatMap((name) =>
    env[name] === undefined ? [] : [[name, env[name]] as const],
  );
  const opened = stack.move();
  return {
    coze,
    discord,
    slack,
    fileOrigins: [`http://${discord.fileHost}`, slack.origin],
    bridgeEnv: {
      ...(configuredServices(env).coze ? Object.fromEntries(given) : standInCoze),
      DISCORD_BOT_TOKEN: discord.token,
      DISCORD_API_URL: discord.apiUrl,
      SLACK_BOT_TOKEN: slack.botToken,
      SLACK_APP_TOKEN: slack.appToken,
      SLACK_API_URL: slack.apiUrl,
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
