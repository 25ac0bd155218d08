import { BridgeError } from "../core/errors.ts";

/** What an error says to the operator. What each code means, and what to do, stands in Chinese in the docs. */
export function inWords(error: unknown): string {
  if (!(error instanceof BridgeError)) return error instanceof Error ? error.message : String(error);
  const { code, message } = error;
  if (code === "CONFIG_INVALID" && SPEAKS_CHINESE.test(message)) return message;
  return `${message}\n中文说明见 docs/errors.zh-CN.md 中的 ${code}`;
}

/** A line of Chinese; a path may hold some, too. */
const SPEAKS_CHINESE = /^\p{Script=Han}/mu;
