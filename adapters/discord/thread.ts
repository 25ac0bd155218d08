import { PlatformError } from "../../src/core/errors.ts";
import type { Log } from "../../src/core/ports.ts";
import type { Locale } from "../../src/core/turn.ts";
import type { DiscordPacer } from "./pacer.ts";
import type { DiscordRest } from "./rest-client.ts";

/** discord.md §2.1 */
const MAX_NAME = 100;
/** It leaves the list of channels after this long without a word, in minutes: a day. */
const ARCHIVE_AFTER_MIN = 1_440;
/** There is one already under this message (discord.md §6.3). */
const EXISTS = "160004";

const UNNAMED: Readonly<Record<Locale, string>> = { en: "Answer", zh: "回答" };

/** A message in a channel of a guild. */
interface Question {
  readonly channelId: string;
  readonly messageId: string;
  readonly text: string;
  readonly locale: Locale;
}

/**
 * Opens a thread under a question, or finds the one that is there. Its id is the message's (discord.md §6.1).
 *
 * @returns False where there can be none: no right, no such channel, too many, or Discord wants us to wait.
 */
export async function openThread(
  { channelId, messageId, text, locale }: Question,
  { rest, pacer, log, signal }: { rest: DiscordRest; pacer: DiscordPacer; log: Log; signal: AbortSignal },
): Promise<boolean> {
  try {
    await pacer.overall.acquire("first", { signal });
    await rest.main({
      method: "POST",
      route: `/channels/${channelId}/messages/${messageId}/threads`,
      body: { name: threadName(text, locale), auto_archive_duration: ARCHIVE_AFTER_MIN },
      name: "open thread",
      signal,
    });
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PlatformError && error.platformCode === EXISTS) return true;
    // Waiting for it may take minutes (discord.md §1.1): the channel is the better place then.
    log.info({ err: error, channelId }, "no thread for a second answer, it goes into the channel");
    return false;
  }
}

/** The question in one line. */
export function threadName(text: string, locale: Locale): string {
  const line = text.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
  if (line === "") return UNNAMED[locale];
  const segments = [...new Intl.Segmenter(locale, { granularity: "grapheme" }).segment(line)];
  let name = "";
  for (const { segment } of segments) {
    if (name.length + segment.length > MAX_NAME - 1) return `${name.trimEnd()}…`;
    name += segment;
  }
  return name;
}
