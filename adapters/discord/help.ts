import type { Locale } from "../../src/core/turn.ts";

type Sentences = Readonly<Record<Locale, string>>;

/** What somebody reads who called us without asking anything. */
const EMPTY: Sentences = {
  en: "Ask me something: mention me with your question, or use /coze.",
  zh: "请直接提问：@我并写下问题，或者使用 /coze。",
};

/** What somebody reads whose reply reached us without its text. */
const UNREADABLE: Sentences = {
  en: "I can only read replies that mention me. Please mention me, or leave the ping of the reply on.",
  zh: "我只能看到提及我的回复。请@我，或者在回复时保持提醒开启。",
};

/** The sentence for a message to us that holds no question. */
export function helpFor(reason: "empty" | "unreadable", locale: Locale): string {
  return (reason === "empty" ? EMPTY : UNREADABLE)[locale];
}
