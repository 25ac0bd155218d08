// What a user of Vercel's Chat SDK writes to put a Coze bot into Discord and Slack: its quick start and its page on
// streaming, with Coze's own client as the source. `npm run bench -- --compare` measures it beside the bridge.
import { createDiscordAdapter } from "@chat-adapter/discord";
import { createSlackAdapter } from "@chat-adapter/slack";
import { createMemoryState } from "@chat-adapter/state-memory";
import { ChatEventType, CozeAPI, RoleType } from "@coze/api";
import { Chat, ConsoleLogger } from "chat";
import { DefaultRestOptions } from "discord.js";

const { BENCH_DISCORD_REST, COZE_API_BASE, COZE_API_TOKEN, COZE_BOT_ID, PROGRAM_PLATFORM } = process.env;

// The bridge is measured at this level, too.
const logger = new ConsoleLogger("warn");
// The adapter makes a discord.js client of its own and has no option for where its one REST call goes.
if (BENCH_DISCORD_REST !== undefined) DefaultRestOptions.api = BENCH_DISCORD_REST;

const coze = new CozeAPI({ token: COZE_API_TOKEN, baseURL: COZE_API_BASE });
const adapters =
  PROGRAM_PLATFORM === "discord"
    ? { discord: createDiscordAdapter({ logger }) }
    : { slack: createSlackAdapter({ mode: "socket", logger }) };
const bot = new Chat({ userName: "coze", adapters, state: createMemoryState(), logger });

bot.onNewMention(async (thread, message) => {
  await thread.post(answerTo(message));
});

async function* answerTo({ author, text }) {
  const stream = coze.chat.stream({
    bot_id: COZE_BOT_ID,
    user_id: author.userId,
    additional_messages: [{ role: RoleType.User, content: text, content_type: "text" }],
  });
  for await (const part of stream) {
    if (part.event === ChatEventType.CONVERSATION_MESSAGE_DELTA) yield part.data.content;
  }
}

await bot.initialize();
if (PROGRAM_PLATFORM === "discord") {
  // A resident process without a webhook, as the adapter's README has it; the time is more than a run takes.
  await bot.getAdapter("discord").startGatewayListener({ waitUntil: () => undefined }, 3_600_000);
}
// The bench is gone when the channel closes, whatever killed it.
process.once("disconnect", () => process.exit());
