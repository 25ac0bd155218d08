import { z } from "zod";
import type { Locale } from "./core/turn.ts";
import { FLAVOR_NAMES } from "./coze/flavor.ts";
import { MAX_DURATION_MS, parseDuration } from "./duration.ts";
import { parseStreamStyles } from "./stream-style.ts";

/** The same in each language: those who set up the bridge read one of them. */
export type Words = Readonly<Record<Locale, string>>;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One variable of the environment. */
interface Variable {
  readonly aliases?: readonly string[];
  /** Also readable from the file that `<NAME>_FILE` names; never printed. */
  readonly secret?: boolean;
  readonly schema: z.ZodType<string>;
  /** Where the operator finds it, or what it may hold. */
  readonly help: Words;
  /** What it looks like, for whoever filled in something else. */
  readonly form?: Words;
}

/** Whatever its host, plain http too. */
const anyUrl = z
  .url({ protocol: /^https?$/ })
  .refine((text) => URL.canParse(text) && isPlain(new URL(text)))
  .transform((text) => text.replace(/\/+$/, ""));

/** A password would be shown with the address; a question or a mark would swallow the paths that are added. */
function isPlain({ username, password, href }: URL): boolean {
  return username === "" && password === "" && !/[?#]/.test(href);
}

/** Loopback may be plain http: that is where stand-ins and proxies of one's own live. */
const httpUrl = anyUrl.refine((text) => isSafe(new URL(text)));

export function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

function duration(maxMs: number): z.ZodType<string> {
  return z.string().refine((text) => (parseDuration(text) ?? Number.POSITIVE_INFINITY) <= maxMs);
}

/** Shorter keys can be guessed. */
const MIN_SECRET_KEY_CHARACTERS = 32;

/**
 * What can stand in a header: anything else, such as “quotes”, would fail at each call, in words about the connection.
 * Quotes around it, or a lone one, belong to the file that it stood in.
 */
const token = z.string().regex(/^(?!["'`]|.*["'`]$)[\x21-\x7e]+$/);
const TOKEN_FORM: Words = {
  en: "only ASCII letters, digits and signs, without quotes, spaces, Bearer or a comment",
  zh: "只能含 ASCII 字母、数字和符号，不要带引号、空格、Bearer 或注释",
};

/** Every variable there is, in the order of `.env.example`. */
export const VARIABLE_NAMES = [
  "COZE_API_TOKEN",
  "COZE_API_TOKEN_EXPIRES",
  "COZE_OAUTH_CLIENT_ID",
  "COZE_OAUTH_PUBLIC_KEY_ID",
  "COZE_OAUTH_PRIVATE_KEY",
  "COZE_OAUTH_ACCOUNT_ID",
  "COZE_OAUTH_SESSION_NAME",
  "COZE_BOT_ID",
  "COZE_API_BASE",
  "COZE_FLAVOR",
  "COZE_CHATS_PER_SECOND",
  "DISCORD_BOT_TOKEN",
  "DISCORD_API_URL",
  "DISCORD_SECOND_ANSWER",
  "SLACK_BOT_TOKEN",
  "SLACK_APP_TOKEN",
  "SLACK_SIGNING_SECRET",
  "SLACK_API_URL",
  "SLACK_CHANNEL_STYLE",
  "HTTPS_PROXY",
  "NO_PROXY",
  "HOST",
  "PORT",
  "DATA_DIR",
  "REDIS_URL",
  "SECRET_KEY",
  "LOG_LEVEL",
  "WORKER_CONCURRENCY",
  "SHUTDOWN_GRACE",
  "CATCHUP_WINDOW",
  "MERGE_BURST",
  "STREAM_STYLE",
  "MAX_REPLY_PARTS",
] as const;

export type VariableName = (typeof VARIABLE_NAMES)[number];

export const VARIABLES: Readonly<Record<VariableName, Variable>> = {
  COZE_API_TOKEN: {
    aliases: ["coze_api_token"],
    secret: true,
    schema: token,
    help: {
      en: "Coze: API & SDK > Authorization > Personal access token, with the permissions for chat, conversations, messages and files",
      zh: "扣子：API 设置 > 授权 > 个人访问令牌，勾选对话、会话、消息和文件的权限",
    },
    form: TOKEN_FORM,
  },
  COZE_API_TOKEN_EXPIRES: {
    schema: z.union([z.iso.date(), z.iso.datetime({ offset: true })]),
    help: {
      en: "the day that COZE_API_TOKEN ends, as Coze showed it when the token was made, e.g. 2026-12-20",
      zh: "COZE_API_TOKEN 的到期日，即创建令牌时扣子显示的日期，例如 2026-12-20",
    },
  },
  COZE_OAUTH_CLIENT_ID: {
    schema: z.string(),
    help: {
      en: "Coze: API & SDK > Authorization > OAuth apps: the id of an app of the type service (JWT)",
      zh: "扣子：API 设置 > 授权 > OAuth 应用：服务类应用（JWT）的应用 ID",
    },
  },
  COZE_OAUTH_PUBLIC_KEY_ID: {
    schema: z.string(),
    help: {
      en: "the fingerprint of the public key, shown at the OAuth app",
      zh: "公钥指纹，在该 OAuth 应用的页面上",
    },
  },
  COZE_OAUTH_PRIVATE_KEY: {
    secret: true,
    schema: z.string(),
    help: {
      en: "the text of private_key.pem, which was downloaded when the key was made; better COZE_OAUTH_PRIVATE_KEY_FILE with its path",
      zh: "创建密钥时下载的 private_key.pem 的内容；更推荐用 COZE_OAUTH_PRIVATE_KEY_FILE 填它的路径",
    },
  },
  COZE_OAUTH_ACCOUNT_ID: {
    schema: z.string().regex(/^\d+$/),
    help: {
      en: "the number of the organisation, only for an app of an enterprise plan's organisation",
      zh: "组织编号（数字），仅企业旗舰版组织的应用需要",
    },
  },
  COZE_OAUTH_SESSION_NAME: {
    schema: z.string().max(100),
    help: {
      en: "at most 100 characters; conversations and files of one name are not seen by another",
      zh: "最多 100 个字符；不同名称之间看不到彼此的会话和文件",
    },
  },
  COZE_BOT_ID: {
    schema: z.string().regex(/^\d+$/),
    help: {
      en: "the long number at the end of the bot's address on coze.cn or coze.com: …/bot/<number>",
      zh: "智能体在 coze.cn 或 coze.com 的网址末尾那串数字：…/bot/<数字>",
    },
    form: { en: "digits alone, not the whole address", zh: "只填数字，不要填整个网址" },
  },
  COZE_API_BASE: {
    aliases: ["COZE_BASE_URL", "COZE_CN_BASE_URL"],
    // Of a studio in a network of one's own, plain http is no mistake: see cozeProblems.
    schema: anyUrl,
    help: {
      en: "https://api.coze.cn or https://api.coze.com, where the token was made; the server's own with COZE_FLAVOR=studio",
      zh: "https://api.coze.cn 或 https://api.coze.com，与创建令牌的网站一致；COZE_FLAVOR=studio 时填自己服务器的地址",
    },
  },
  COZE_FLAVOR: {
    schema: z.enum(FLAVOR_NAMES),
    help: {
      en: "hosted (coze.cn and coze.com, the default) or studio (a Coze Studio of your own)",
      zh: "hosted（coze.cn 和 coze.com，默认）或 studio（自行部署的 Coze Studio）",
    },
  },
  COZE_CHATS_PER_SECOND: {
    schema: z.string().regex(/^([1-9]\d{0,2}|1000)$/),
    help: {
      en: "1 to 1000 chats begun in a second, what the plan at Coze allows; 20 by default, as the free plan",
      zh: "每秒发起的对话数，1 到 1000，按扣子套餐的限额填；默认 20，即免费版的限额",
    },
  },
  DISCORD_BOT_TOKEN: {
    aliases: ["DISCORD_TOKEN"],
    secret: true,
    schema: token,
    help: {
      en: "Discord developer portal: your application > Bot > Reset Token",
      zh: "Discord 开发者后台：你的应用 > Bot > Reset Token",
    },
    form: TOKEN_FORM,
  },
  DISCORD_API_URL: {
    schema: httpUrl,
    help: {
      en: "an https address; leave it out for Discord itself",
      zh: "https 地址；用官方 Discord 时不填",
    },
  },
  SLACK_BOT_TOKEN: {
    secret: true,
    schema: token.refine((text) => !text.startsWith("xapp-")),
    help: {
      en: "Slack: your app > OAuth & Permissions > Bot User OAuth Token, begins with xoxb",
      zh: "Slack：你的应用 > OAuth & Permissions > Bot User OAuth Token，以 xoxb 开头",
    },
    form: TOKEN_FORM,
  },
  SLACK_APP_TOKEN: {
    secret: true,
    schema: token.refine((text) => !text.startsWith("xoxb-")),
    help: {
      en: "Slack: your app > Basic Information > App-Level Tokens (connections:write), begins with xapp; for Socket Mode",
      zh: "Slack：你的应用 > Basic Information > App-Level Tokens（connections:write），以 xapp 开头；用于 Socket Mode",
    },
    form: TOKEN_FORM,
  },
  SLACK_SIGNING_SECRET: {
    secret: true,
    schema: token,
    help: {
      en: "Slack: your app > Basic Information > Signing Secret; for HTTP mode instead of SLACK_APP_TOKEN",
      zh: "Slack：你的应用 > Basic Information > Signing Secret；用 HTTP 方式时代替 SLACK_APP_TOKEN",
    },
    form: TOKEN_FORM,
  },
  SLACK_API_URL: {
    schema: httpUrl,
    help: { en: "an https address; leave it out for Slack itself", zh: "https 地址；用官方 Slack 时不填" },
  },
  DISCORD_SECOND_ANSWER: {
    schema: z.enum(["thread", "channel"]),
    help: {
      en: "thread (an answer goes into a thread while another one grows in the channel) or channel",
      zh: "thread（频道里已有回答在生成时，新的回答放进子区）或 channel",
    },
  },
  SLACK_CHANNEL_STYLE: {
    schema: z.enum(["edit", "native"]),
    help: {
      en: "edit (everybody sees the answer grow) or native (Slack's own stream, live for the asker only)",
      zh: "edit（所有人都能看到回答逐步生成）或 native（Slack 自带的流式输出，只有提问者实时看到）",
    },
  },
  HTTPS_PROXY: {
    aliases: ["https_proxy"],
    // It may hold a password.
    secret: true,
    schema: z.url({ protocol: /^https?$/ }).refine((text) => URL.parse(text)?.pathname === "/"),
    help: {
      en:
        "the address of an HTTP proxy that Coze, Discord and Slack are reached through, e.g. http://127.0.0.1:7890; " +
        "socks:// is not taken, take the program's HTTP port",
      zh: "访问扣子、Discord、Slack 所用的 HTTP 代理地址，例如 http://127.0.0.1:7890；不支持 socks://，请填代理软件的 HTTP 端口",
    },
  },
  NO_PROXY: {
    aliases: ["no_proxy"],
    schema: z.string(),
    help: {
      en: "hosts that are reached without the proxy, with commas between them, e.g. api.coze.cn",
      zh: "不走代理的主机，用英文逗号分隔，例如 api.coze.cn",
    },
  },
  HOST: {
    schema: z.string(),
    help: { en: "the address to listen on, 127.0.0.1 by default", zh: "监听地址，默认 127.0.0.1" },
  },
  PORT: {
    schema: z
      .string()
      .regex(/^\d{1,5}$/)
      .refine((text) => Number(text) <= 65_535),
    help: { en: "0 to 65535", zh: "0 到 65535" },
  },
  DATA_DIR: {
    // Only a shell knows whose home that is; here it would be a folder of that name.
    schema: z.string().regex(/^[^~～]/),
    help: {
      en: "a folder on a local disk, e.g. ./data or /srv/coze; not beginning with ~",
      zh: "本地磁盘上的文件夹，例如 ./data 或 /srv/coze；不能以 ~ 开头",
    },
  },
  REDIS_URL: {
    // It may hold a password.
    secret: true,
    schema: z.url({ protocol: /^rediss?$/ }).refine((text) => URL.parse(text)?.hostname !== ""),
    help: {
      en: "redis://user:password@host:6379, or rediss:// for TLS; leave it out to keep the queue in DATA_DIR",
      zh: "redis://用户名:密码@主机:6379，TLS 用 rediss://；不填则队列保存在 DATA_DIR",
    },
  },
  SECRET_KEY: {
    secret: true,
    schema: z.string().min(MIN_SECRET_KEY_CHARACTERS),
    help: {
      en: `at least ${MIN_SECRET_KEY_CHARACTERS} random characters, the same for all processes, e.g. from: openssl rand -base64 32`,
      zh: `至少 ${MIN_SECRET_KEY_CHARACTERS} 个随机字符，所有进程相同，可用 openssl rand -base64 32 生成`,
    },
  },
  LOG_LEVEL: {
    schema: z.enum(LOG_LEVELS),
    help: { en: LOG_LEVELS.join(", "), zh: `只能是 ${LOG_LEVELS.join("、")}` },
  },
  WORKER_CONCURRENCY: {
    schema: z.string().regex(/^[1-9]\d{0,3}$/),
    help: { en: "1 to 9999 answers at once, 200 by default", zh: "同时生成的回答数，1 到 9999，默认 200" },
  },
  SHUTDOWN_GRACE: {
    schema: duration(MAX_DURATION_MS),
    help: {
      en: "a time with its unit, e.g. 25s (default); 0 leaves running answers to the next start at once",
      zh: "带单位的时间，例如 25s（默认）；0 表示立刻停止，没答完的留到下次启动",
    },
  },
  CATCHUP_WINDOW: {
    schema: duration(MAX_DURATION_MS),
    help: {
      en: "a time with its unit up to 168h, e.g. 15m (default); 0 looks for nothing",
      zh: "带单位的时间，最长 168h，例如 15m（默认）；0 表示不补查",
    },
  },
  MERGE_BURST: {
    schema: duration(60_000),
    help: {
      en: "a time with its unit up to 1m, e.g. 1500ms (default); 0 answers each message for itself",
      zh: "带单位的时间，最长 1m，例如 1500ms（默认）；0 表示每条消息分别回答",
    },
  },
  STREAM_STYLE: {
    schema: z.string().refine((text) => parseStreamStyles(text) !== undefined),
    help: {
      en:
        "live (the answer grows while Coze writes it) or final (it appears when it is complete), then what differs, " +
        "e.g. live slack=final C024BE91L=live",
      zh: "live（边生成边显示）或 final（写完再显示），后面可写例外，例如 live slack=final C024BE91L=live",
    },
  },
  MAX_REPLY_PARTS: {
    schema: z.string().regex(/^(?:[1-9]|1\d|20)$/),
    help: {
      en: "1 to 20 messages, 5 by default; a longer answer ends as a file",
      zh: "1 到 20 条消息，默认 5；更长的回答会以文件结尾",
    },
  },
};

/** All the names that a variable goes by. */
export function spellings(name: VariableName): readonly string[] {
  const { aliases = [], secret = false } = VARIABLES[name];
  const names = [name, ...aliases];
  return secret ? [...names, ...names.map((each) => `${each}_FILE`)] : names;
}
