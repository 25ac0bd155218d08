import type { ErrorCode } from "./errors.ts";
import { toPlainFileName } from "./file-name.ts";
import type { Locale } from "./turn.ts";

/** One sentence per language; no URL, no vendor text, nothing an asker cannot act on. */
type Sentences = Readonly<Record<Locale, string>>;

const NOTICES: Readonly<Record<ErrorCode, Sentences>> = {
  CONFIG_INVALID: {
    en: "The bridge is not set up correctly. Please tell whoever runs it.",
    zh: "桥接服务的配置有误，请联系这个机器人的维护者。",
  },
  INTERNAL: {
    en: "Something went wrong on our side. Please try again.",
    zh: "我们这边出了点问题，请再试一次。",
  },
  COZE_AUTH: {
    en: "The bridge can no longer sign in to Coze. Whoever runs it has to renew its token.",
    zh: "桥接服务无法登录扣子，请联系这个机器人的维护者更新令牌。",
  },
  COZE_PERMISSION: {
    en: "The bridge's Coze token lacks a permission. Please tell whoever runs it.",
    zh: "桥接服务的扣子令牌缺少权限，请联系这个机器人的维护者。",
  },
  COZE_BOT_UNPUBLISHED: {
    en: "This bot is not published as an API service yet. Please tell whoever runs it.",
    zh: "这个智能体还没有发布为 API 服务，请联系这个机器人的维护者。",
  },
  COZE_NOT_FOUND: {
    en: "Coze does not know this bot. Please tell whoever runs the bridge.",
    zh: "扣子找不到这个智能体，请联系这个机器人的维护者。",
  },
  COZE_CONVERSATION_GONE: {
    en: "This conversation no longer exists at Coze. Please ask again to start a new one.",
    zh: "这段会话在扣子上已经不存在，请再问一次以开始新的会话。",
  },
  COZE_BAD_REQUEST: {
    en: "Coze could not accept this question. Please put it differently.",
    zh: "扣子无法接受这个问题，请换一种方式提问。",
  },
  COZE_SENSITIVE: {
    en: "The bot is set up with words that Coze does not allow. Please tell whoever runs it.",
    zh: "智能体的配置中含有扣子不允许的词语，请联系这个机器人的维护者。",
  },
  COZE_QUOTA: {
    en: "The bot's Coze quota is used up. Please tell whoever runs it.",
    zh: "智能体的扣子额度已用完，请联系这个机器人的维护者。",
  },
  COZE_USER_QUOTA: {
    en: "You have used up this bot's allowance for today. Please try again tomorrow.",
    zh: "你今天对这个智能体的使用额度已用完，请明天再试。",
  },
  COZE_BUSY: {
    en: "Coze is busy right now. Please try again in a minute.",
    zh: "扣子现在很忙，请过一分钟再试。",
  },
  COZE_OCCUPIED: {
    en: "The bot is still working on another question in this conversation. Please try again in a moment.",
    zh: "智能体还在处理这段会话里的另一个问题，请稍后再试。",
  },
  COZE_PROMPT_TOO_LONG: {
    en: "This is too long for the bot. Please shorten it.",
    zh: "内容太长，智能体处理不了，请缩短后再试。",
  },
  COZE_REFUSED: {
    en: "The bot cannot answer this question.",
    zh: "智能体无法回答这个问题。",
  },
  COZE_FAILED: {
    en: "The bot could not finish this answer. Please try again.",
    zh: "智能体没能完成这次回答，请再试一次。",
  },
  COZE_UNREACHABLE: {
    en: "Coze cannot be reached right now. Please try again in a minute.",
    zh: "现在连接不上扣子，请过一分钟再试。",
  },
  COZE_TIMEOUT: {
    en: "The bot took too long to answer. Please try again.",
    zh: "智能体回答超时，请再试一次。",
  },
  COZE_STREAM_BROKEN: {
    en: "The connection broke before the answer was complete. Please ask again.",
    zh: "回答还没写完连接就中断了，请再问一次。",
  },
  COZE_NO_ANSWER: {
    en: "The bot had nothing to say to this.",
    zh: "智能体对此没有给出回答。",
  },
  COZE_ANSWER_TOO_LONG: {
    en: "The answer was too long; only its beginning is shown.",
    zh: "回答太长，只显示了开头的部分。",
  },
  COZE_ACTION_REQUIRED: {
    en: "The bot wants to use a tool that this bridge cannot run.",
    zh: "智能体需要使用桥接服务无法执行的工具。",
  },
  COZE_CANCELED: {
    en: "This answer was stopped.",
    zh: "这次回答已停止。",
  },
  FILE_TOO_LARGE: { en: "is too large", zh: "文件太大" },
  FILE_TYPE: { en: "is of a kind the bot cannot read", zh: "是智能体读不了的格式" },
  FILE_EMPTY: { en: "is empty", zh: "是空文件" },
  // As many as bring-files.ts takes.
  FILE_TOO_MANY: { en: "is beyond the 10 files that go with one question", zh: "一次提问最多带 10 个文件" },
  FILE_GONE: { en: "is no longer there", zh: "已经不存在" },
  FILE_FORBIDDEN_HOST: {
    en: "is stored where the bridge must not fetch from",
    zh: "存放在桥接服务不能访问的地方",
  },
  FILE_TIMEOUT: { en: "took too long to fetch", zh: "下载超时" },
  PLATFORM_AUTH: {
    en: "The bridge can no longer sign in here. Please tell whoever runs it.",
    zh: "桥接服务无法登录这个平台，请联系这个机器人的维护者。",
  },
  PLATFORM_PERMISSION: {
    en: "The bridge lacks a permission here. Please tell whoever runs it.",
    zh: "桥接服务在这里缺少权限，请联系这个机器人的维护者。",
  },
  PLATFORM_GONE: { en: "The message or channel is gone.", zh: "消息或频道已经不存在。" },
  PLATFORM_RATE_LIMITED: {
    en: "Too much is being written here right now. Please try again in a minute.",
    zh: "这里的消息太频繁，请过一分钟再试。",
  },
  PLATFORM_REJECTED: {
    en: "The answer could not be shown here.",
    zh: "回答无法在这里显示。",
  },
  PLATFORM_UNREACHABLE: {
    en: "The answer could not be delivered. Please try again in a minute.",
    zh: "回答没能送达，请过一分钟再试。",
  },
  PLATFORM_UNKNOWN_OUTCOME: {
    en: "The answer may not have been delivered. Please try again in a minute.",
    zh: "回答可能没有送达，请过一分钟再试。",
  },
  QUEUE_OWNED: {
    en: "The bridge is not set up correctly. Please tell whoever runs it.",
    zh: "桥接服务的配置有误，请联系这个机器人的维护者。",
  },
  QUEUE_UNAVAILABLE: {
    en: "The bridge cannot take questions right now. Please try again in a minute.",
    zh: "桥接服务暂时无法接收问题，请过一分钟再试。",
  },
  QUEUE_FULL: {
    en: "Too many questions are waiting. Please try again in a few minutes.",
    zh: "等待的问题太多，请过几分钟再试。",
  },
  TURN_UNREADABLE: {
    en: "This question could not be read any more. Please ask again.",
    zh: "这个问题已经无法读取，请再问一次。",
  },
  TURN_KILLS_PROCESS: {
    en: "This question stopped the bridge again and again, so it was given up. Please tell whoever runs it.",
    zh: "这个问题一再导致桥接服务中断，已放弃回答，请联系这个机器人的维护者。",
  },
};

/** The sentence for an error, without a reference. For `FILE_…` codes it is a predicate: see {@link fileNotice}. */
export function noticeFor(code: ErrorCode, locale: Locale): string {
  return NOTICES[code][locale];
}

/** For codes that say nothing about the file itself. */
const NOT_BROUGHT: Sentences = { en: "could not be passed on", zh: "没能传过去" };

/** What the asker reads about a file that does not go along; `name` is untrusted. */
export function fileNotice(name: string, code: ErrorCode, locale: Locale): string {
  const reason = (code.startsWith("FILE_") ? NOTICES[code] : NOT_BROUGHT)[locale];
  const shown = toPlainFileName(name);
  return locale === "zh"
    ? `文件“${shown}”没有发给智能体：${reason}。`
    : `“${shown}” was not sent to the bot: it ${reason}.`;
}

/** Below an answer to a question that was asked while the bridge was away. */
export function lateNotice(locale: Locale): string {
  return locale === "zh"
    ? "提问时桥接服务不在线，这是迟到的回答。"
    : "The bridge was away when you asked; this is a late answer.";
}

/** Below the last message of an answer that needs more of them than it gets; true before the file is there and after. */
export function goesOnAsFile(locale: Locale): string {
  return locale === "zh"
    ? "回答太长，全文以文件形式给出。"
    : "The answer goes on; all of it comes as a file.";
}

/**
 * What a place reads that had more questions than were caught up with.
 *
 * @param count - Questions that get no answer.
 */
export function catchUpNotice(count: number, locale: Locale): string {
  if (locale === "zh") return `桥接服务离线期间还有 ${count} 个问题没有回答，请再问一次。`;
  const left = count === 1 ? "1 more question was" : `${count} more questions were`;
  return `${left} asked here while the bridge was away and will not be answered. Please ask again.`;
}

/** Adds the turn's short reference, which finds its log lines. @param sentence - One of ours: its end tells its language. */
export function withReference(sentence: string, reference: string): string {
  return sentence.endsWith("。") ? `${sentence}（反馈编号：${reference}）` : `${sentence} (${reference})`;
}
