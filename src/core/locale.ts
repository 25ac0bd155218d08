import type { Locale } from "./turn.ts";

/**
 * The language our own sentences shall have for somebody: Chinese when they write Chinese, else what their client
 * says, else English.
 *
 * @param hint - The platform's locale of the person or place, e.g. `zh-CN`, if it tells one.
 */
export function localeOf(text: string, hint?: string): Locale {
  const writesJapaneseOrKorean = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(text);
  if (!writesJapaneseOrKorean && /\p{Script=Han}/u.test(text)) return "zh";
  return hint?.toLowerCase().startsWith("zh") ? "zh" : "en";
}
