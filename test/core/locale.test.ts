import { expect, it } from "vitest";
import { localeOf } from "../../src/core/locale.ts";

it.each([
  ["Hello", undefined, "en"],
  ["Hello", "en-US", "en"],
  ["Hello", "zh-CN", "zh"],
  ["Hello", "zh-TW", "zh"],
  ["Hello", "ZH", "zh"],
  ["你好", undefined, "zh"],
  ["你好", "en-GB", "zh"],
  ["What does 智能体 mean?", undefined, "zh"],
  ["𠮷", undefined, "zh"],
  ["こんにちは、世界", undefined, "en"],
  ["日本語のテスト", "ja", "en"],
  ["한국어 漢字", "ko", "en"],
  ["", undefined, "en"],
  ["", "zh-CN", "zh"],
  ["12345 👍", undefined, "en"],
])("speaks to somebody who wrote %j with a client in %s in %s", (text, hint, locale) => {
  expect(localeOf(text, hint)).toBe(locale);
});
