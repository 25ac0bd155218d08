import { PlatformError } from "../../src/core/errors.ts";
import { noticeFor, withReference } from "../../src/core/notices.ts";
import { pacedCall } from "../../src/core/paced-call.ts";
import { openDm } from "./command-place.ts";
import type { ReplyTarget } from "./edit-writer.ts";
import { NOTICE_MARK } from "./own-messages.ts";
import type { SlackContext } from "./slack-context.ts";
import { anything } from "./web-api.ts";

/**
 * Whether the asker is told that Slack does not take the answer (slack.md §1.2). Not where the place is gone, unless it is only
 * archived: whoever deletes the place, or the question, expects nothing.
 */
export function canBeTold(error: unknown): error is PlatformError {
  if (!(error instanceof PlatformError)) return false;
  const { code, platformCode } = error;
  return code === "PLATFORM_REJECTED" || code === "PLATFORM_PERMISSION" || platformCode === "is_archived";
}

/**
 * Tells the asker that the answer cannot be shown: below the question, else in their DM with the app. Never rejects: where
 * neither is possible, the log says so.
 */
export async function tellRefusal(
  context: SlackContext,
  { target, user }: { target: ReplyTarget; user: string },
  refusal: PlatformError,
  options: { signal: AbortSignal },
): Promise<void> {
  const { place, locale, reference } = target;
  const notice = withReference(noticeFor(refusal.code, locale), reference);
  try {
    const below = { channel: place.channel, thread_ts: place.thread, text: notice };
    const isToldBelow = await post(context, target, below, options);
    if (isToldBelow) return;
    const channel = place.dm ? undefined : await openDm(context, user, options);
    // Built from the stored id: people see the channel's name.
    const text = locale === "zh" ? `<#${place.channel}>：${notice}` : `In <#${place.channel}>: ${notice}`;
    const isTold = channel !== undefined && (await post(context, target, { channel, text }, options));
    if (!isTold) context.log.warn({ reference }, "slack takes no notice of a refused answer, either");
  } catch (error) {
    context.log.warn({ err: error, reference }, "slack takes no notice of a refused answer, either");
  }
}

/** @returns False when Slack does not take it there. */
async function post(
  { api, pacer }: SlackContext,
  { team }: ReplyTarget,
  args: { readonly channel: string; readonly thread_ts?: string; readonly text: string },
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  const gate = pacer.post(team, args.channel);
  const post = { ...args, unfurl_links: false, unfurl_media: false, parse: "none", metadata: NOTICE_MARK };
  try {
    const call = (): Promise<unknown> => api.call("chat.postMessage", anything, post, { signal });
    await pacedCall({ gate, permit: "final" }, call, { signal });
    return true;
  } catch (error) {
    if (!(error instanceof PlatformError) || error.retryable) throw error;
    return false;
  }
}
