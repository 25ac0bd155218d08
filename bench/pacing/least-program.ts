// The least program that shows a Coze bot's text as it comes: what `npm run bench -- --least` measures the bridge
// beside. It keeps nothing, draws nothing, waits for nobody and cuts what is too long, so it says what reading Coze and
// making the calls costs by itself. The platform's limits are spent as they come: a token, an edit.
import { createParser } from "eventsource-parser";
import { Agent, request } from "undici";

/** What the stand-ins say, as far as it is read. */
interface Answer {
  readonly ok?: boolean;
  readonly error?: string;
  readonly message?: string;
  readonly url?: string;
  readonly ts?: string;
  readonly id?: string;
}

interface Budget {
  readonly burst: number;
  readonly perSecond: number;
  readonly everyMs: number;
}

interface SlackEvent {
  readonly type: string;
  readonly channel_type?: string;
  readonly channel: string;
  readonly user?: string;
  readonly team: string;
  readonly ts: string;
  readonly text: string;
  readonly bot_id?: string;
}

interface DiscordMessage {
  readonly author: { readonly id: string; readonly bot?: boolean };
  readonly channel_id: string;
  readonly id: string;
  readonly content: string;
}

interface Frame {
  readonly op: number;
  readonly t?: string;
  readonly s?: number;
  readonly d: DiscordMessage & { readonly heartbeat_interval: number };
}

const { COZE_API_BASE, COZE_API_TOKEN, COZE_BOT_ID, DISCORD_API_URL, DISCORD_BOT_TOKEN } = process.env;
const { PROGRAM_PLATFORM, SLACK_API_URL, SLACK_APP_TOKEN, SLACK_BOT_TOKEN } = process.env;

const BUDGETS = {
  // Less than what is allowed by what a call may take longer than another.
  discord: { burst: 4, perSecond: 0.95, everyMs: 0 },
  update: { burst: 3, perSecond: 0.8, everyMs: 0 },
  native: { burst: 100, perSecond: 100 / 60, everyMs: 200 },
};
const DISCORD_INTENTS = 37_377;
const DISCORD_MOST = 2_000;
const SLACK_MOST = 4_000;
const KEPT_MS = 60_000;

const dispatcher = new Agent({ keepAliveTimeout: KEPT_MS, keepAliveMaxTimeout: KEPT_MS });

async function call(
  url: string,
  authorization: string,
  body?: object,
  method: "GET" | "PATCH" | "POST" = "POST",
): Promise<Answer> {
  const headers = {
    authorization,
    "content-type": "application/json; charset=utf-8",
    "user-agent": "DiscordBot (https://example.com, 1)",
  };
  const payload = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await request(url, { dispatcher, method, headers, ...payload });
  const answer = (await response.body.json()) as Answer;
  if (response.statusCode >= 300 || answer.ok === false)
    console.log(`[${response.statusCode} ${answer.error ?? answer.message ?? ""}]`);
  return answer;
}

async function* read(text: string, user: string): AsyncGenerator<string> {
  const question = { role: "user", content: text, content_type: "text" };
  const response = await request(`${COZE_API_BASE}/v3/chat`, {
    dispatcher,
    method: "POST",
    headers: { authorization: `Bearer ${COZE_API_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({
      bot_id: COZE_BOT_ID,
      user_id: user,
      stream: true,
      additional_messages: [question],
    }),
  });
  let events: { readonly event?: string | undefined; readonly data: string }[] = [];
  const parser = createParser({ onEvent: (event) => events.push(event) });
  const decoder = new TextDecoder();
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    for (const { event, data } of events)
      if (event === "conversation.message.delta") yield (JSON.parse(data) as { content: string }).content;
    events = [];
  }
}

/** One call at a time, each with all that has come. @param show - Gets the text, and how much of it was shown before. */
async function answer(
  text: string,
  user: string,
  { burst, perSecond, everyMs }: Budget,
  show: (said: string, shown: number) => Promise<void>,
): Promise<void> {
  let [said, shown, tokens, countedAt, sentAt] = ["", 0, burst, performance.now(), 0];
  let [isCalling, isWhole] = [false, false];
  let timer: NodeJS.Timeout | undefined;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const next = async (): Promise<void> => {
    if (isCalling || timer !== undefined) return;
    if (shown === said.length) {
      if (isWhole) resolve();
      return;
    }
    const now = performance.now();
    tokens = Math.min(burst, tokens + ((now - countedAt) / 1_000) * perSecond);
    countedAt = now;
    const waitMs = Math.max(sentAt + everyMs - now, ((1 - tokens) / perSecond) * 1_000);
    if (waitMs > 0) {
      timer = setTimeout(() => {
        timer = undefined;
        go();
      }, waitMs);
      return;
    }
    isCalling = true;
    [tokens, sentAt] = [tokens - 1, now];
    const before = shown;
    shown = said.length;
    await show(said, before);
    isCalling = false;
    go();
  };
  const go = (): void => void next().catch(reject);
  for await (const part of read(text, user)) {
    said += part;
    go();
  }
  isWhole = true;
  go();
  await promise;
}

function slack(method: string, body: object, token = SLACK_BOT_TOKEN): Promise<Answer> {
  return call(`${(SLACK_API_URL ?? "").replace(/\/$/, "")}/${method}`, `Bearer ${token}`, body);
}

async function onSlack({
  type,
  channel_type: kind,
  channel,
  user,
  team,
  ts: thread,
  text,
  bot_id: bot,
}: SlackEvent): Promise<void> {
  const isDm = kind === "im";
  if (bot !== undefined || user === undefined || type !== (isDm ? "message" : "app_mention")) return;
  const where = { channel, thread_ts: thread };
  let ts: string | undefined;
  if (isDm) {
    await answer(text, user, BUDGETS.native, async (said, from) => {
      const chunks = [{ type: "markdown_text", text: said.slice(from) }];
      if (ts !== undefined) await slack("chat.appendStream", { channel, ts, chunks });
      else
        ({ ts } = await slack("chat.startStream", {
          ...where,
          recipient_user_id: user,
          recipient_team_id: team,
          chunks,
        }));
    });
    await slack("chat.stopStream", { channel, ts });
  } else {
    await answer(text, user, BUDGETS.update, async (said) => {
      const shown = { channel, text: said.slice(0, SLACK_MOST) };
      if (ts !== undefined) await slack("chat.update", { ...shown, ts });
      else ({ ts } = await slack("chat.postMessage", { ...shown, thread_ts: thread }));
    });
  }
}

async function onDiscord({
  author,
  channel_id: channel,
  id: question,
  content: text,
}: DiscordMessage): Promise<void> {
  if (author.bot === true) return;
  const messages = `${DISCORD_API_URL}/v10/channels/${channel}/messages`;
  let id: string | undefined;
  await answer(text, author.id, BUDGETS.discord, async (said) => {
    const content = said.slice(0, DISCORD_MOST);
    if (id !== undefined) await call(`${messages}/${id}`, `Bot ${DISCORD_BOT_TOKEN}`, { content }, "PATCH");
    else
      ({ id } = await call(messages, `Bot ${DISCORD_BOT_TOKEN}`, {
        content,
        message_reference: { message_id: question },
      }));
  });
}

async function openSlack(): Promise<void> {
  const { url } = await slack("apps.connections.open", {}, SLACK_APP_TOKEN);
  const socket = new WebSocket(url ?? "");
  socket.addEventListener("message", ({ data }) => {
    const { envelope_id: id, payload } = JSON.parse(String(data)) as {
      envelope_id?: string;
      payload?: { event?: SlackEvent };
    };
    if (id !== undefined) socket.send(JSON.stringify({ envelope_id: id }));
    if (payload?.event !== undefined) void onSlack(payload.event);
  });
}

async function openDiscord(): Promise<void> {
  const { url } = await call(
    `${DISCORD_API_URL}/v10/gateway/bot`,
    `Bot ${DISCORD_BOT_TOKEN}`,
    undefined,
    "GET",
  );
  const socket = new WebSocket(`${url ?? ""}/?v=10&encoding=json`);
  const properties = { os: "linux", browser: "bench", device: "bench" };
  let last: number | null = null;
  socket.addEventListener("message", ({ data }) => {
    const { op, t: name, s: sequence, d } = JSON.parse(String(data)) as Frame;
    last = sequence ?? last;
    if (op === 10) {
      setInterval(() => socket.send(JSON.stringify({ op: 1, d: last })), d.heartbeat_interval);
      socket.send(
        JSON.stringify({ op: 2, d: { token: DISCORD_BOT_TOKEN, intents: DISCORD_INTENTS, properties } }),
      );
    }
    if (name === "MESSAGE_CREATE") void onDiscord(d);
  });
}

await (PROGRAM_PLATFORM === "discord" ? openDiscord() : openSlack());
// The bench is gone when the channel closes, whatever killed it.
process.once("disconnect", () => process.exit());
