import { type Logger, LogLevel } from "@slack/web-api";
import type { Log } from "../../src/core/ports.ts";

/** Tokens and hook addresses, as they could stand in a sentence of the SDK (slack.md §12). */
const SECRETS = /xox[a-z](?:\.xox[a-z])?-[\w-]+|xapp-[\w-]+|https:\/\/hooks\.slack\.com\/\S+|wss?:\/\/\S+/g;

/** Lets the SDK's packages log into ours. Their debug lines hold whole payloads, so none passes (slack.md §12.4). */
export function toSdkLogger(log: Log): Logger {
  const say =
    (level: "info" | "warn" | "error") =>
    (...words: readonly unknown[]): void =>
      log[level]({ sdk: words.map(String).join(" ").replace(SECRETS, "[secret]") }, "slack sdk");
  return {
    debug: () => undefined,
    info: () => undefined,
    // The SDK's errors are not ours: whether somebody must act is said by the code that met them.
    warn: say("warn"),
    error: say("warn"),
    setLevel: () => undefined,
    getLevel: () => LogLevel.INFO,
    setName: () => undefined,
  };
}
