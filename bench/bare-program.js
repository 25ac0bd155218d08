// The least program that listens to both platforms with the same SDKs: what `bench/start.ts` compares the bridge with.
import bolt from "@slack/bolt";
import { Client, Events, GatewayIntentBits, Partials } from "discord.js";

const { DISCORD_API_URL, DISCORD_BOT_TOKEN, SLACK_API_URL, SLACK_APP_TOKEN, SLACK_BOT_TOKEN } = process.env;

const discord = new Client({
  intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages, GatewayIntentBits.DirectMessages],
  partials: [Partials.Channel, Partials.Message],
  rest: { api: DISCORD_API_URL },
});
const slack = new bolt.App({
  token: SLACK_BOT_TOKEN,
  appToken: SLACK_APP_TOKEN,
  socketMode: true,
  clientOptions: { slackApiUrl: SLACK_API_URL },
});
discord.on(Events.MessageCreate, () => undefined);
slack.event("app_mention", async () => undefined);

const ready = new Promise((resolve) => discord.once(Events.ClientReady, resolve));
await Promise.all([discord.login(DISCORD_BOT_TOKEN), ready, slack.start()]);
process.stderr.write("ready\n");
