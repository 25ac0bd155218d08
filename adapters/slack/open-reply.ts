import { z } from "zod";
import { GrowingReply } from "../../src/core/growing-reply.ts";
import type { FinishedReply, OpenReplyOptions, Reply, ReplyContent } from "../../src/core/ports.ts";
import type { Turn } from "../../src/core/turn.ts";
import { messageKey, parseAddress, type SlackAddress } from "./address.ts";
import { openCommandPlace } from "./command-place.ts";
import { EditWriter, type ReplyTarget } from "./edit-writer.ts";
import { NativeReply } from "./native-reply.ts";
import { type Place, parseSaved, type SavedReply, toSaved } from "./place.ts";
import { ResponseUrlReply } from "./response-url.ts";
import type { SlackContext } from "./slack-context.ts";
import { StatusLine } from "./status.ts";

/** Opens the reply to a turn, or goes on with one of an earlier attempt. @throws {PlatformError} */
export async function openSlackReply(
  context: SlackContext,
  turn: Turn,
  { saved, save, signal }: OpenReplyOptions,
): Promise<{ reply: Reply; place?: Place }> {
  const address = parseAddress(turn.address);
  const before = parseSaved(saved);
  const place =
    placeOf(address) ?? before.place ?? (await openCommandPlace(context, turn, address, { signal }));
  if (place === undefined) return { reply: openFinalOnly(context, turn, address, signal) };
  if (before.place === undefined && address.thread === undefined) {
    await save(toSaved({ style: "edit", messages: [], place }));
  }
  const status = new StatusLine(context, { team: address.team, place });
  if (before.messages.length === 0) status.show(turn.locale, { signal });
  const keep = (reply: Omit<SavedReply, "place">): Promise<void> => save(toSaved({ ...reply, place }));
  const inner = await openAt(context, { turn, address, place, before, keep, signal });
  return {
    reply: new ThreadReply(inner, { place, status, signal, shown: before.messages.length > 0 }),
    place,
  };
}

function placeOf({ channel, thread, kind }: SlackAddress): Place | undefined {
  return thread === undefined ? undefined : { channel, thread, dm: kind === "dm" };
}

function openFinalOnly(context: SlackContext, turn: Turn, address: SlackAddress, signal: AbortSignal): Reply {
  const url = context.tools.sealer.open(address.command?.responseUrl ?? "");
  return new ResponseUrlReply({ url, apiUrl: context.settings.apiUrl, locale: turn.locale, signal });
}

interface OpenAt {
  readonly turn: Turn;
  readonly address: SlackAddress;
  readonly place: Place;
  readonly before: SavedReply;
  readonly keep: (reply: Omit<SavedReply, "place">) => Promise<void>;
  readonly signal: AbortSignal;
}

async function openAt(context: SlackContext, options: OpenAt): Promise<Reply> {
  const { turn, address, place, before, keep, signal } = options;
  const target: ReplyTarget = {
    team: address.team,
    place,
    after: address.message,
    reference: turn.reference,
    locale: turn.locale,
  };
  const openEdit = (messages: readonly string[]): Reply =>
    new GrowingReply({
      writer: new EditWriter(context, target),
      saved: { messages },
      save: (state) => keep({ style: "edit", messages: parseSaved(state).messages }),
      signal,
      log: context.log,
      now: () => context.tools.clock.now(),
      sleep: context.sleep,
    });
  if (before.messages.length > 0) {
    // A stream of an earlier process cannot be continued: what was appended is unknown (slack.md §1.6).
    if (before.style === "native") await stopStreams(context, place, before.messages, signal);
    return openEdit(before.messages);
  }
  if (!isNative(context, address, place)) return openEdit([]);
  return new NativeReply(context, {
    target,
    recipient: { user: address.user, team: address.userTeam },
    save: (messages) => keep({ style: "native", messages }),
    openEdit,
    signal,
  });
}

function isNative({ settings, latches }: SlackContext, { team }: SlackAddress, place: Place): boolean {
  return (place.dm || settings.channelStyle === "native") && !latches.isOff("native stream", team);
}

async function stopStreams(
  { api, log }: SlackContext,
  { channel }: Place,
  messages: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const ts of messages) {
    try {
      await api.stream("chat.stopStream", z.object({}), { channel, ts }, { signal });
    } catch (error) {
      signal.throwIfAborted();
      // Over already, most likely. If it is not, the edit will say so and stop it then.
      log.debug({ err: error }, "old slack stream not stopped");
    }
  }
}

/** A reply whose thread's root also leads to its conversation: later replies there name only the root. */
class ThreadReply implements Reply {
  readonly #inner: Reply;
  readonly #options: { place: Place; status: StatusLine; signal: AbortSignal; shown: boolean };

  /** The status may have arrived after our first message. */
  #isLate = false;

  constructor(
    inner: Reply,
    options: { place: Place; status: StatusLine; signal: AbortSignal; shown: boolean },
  ) {
    this.#inner = inner;
    this.#options = options;
  }

  show(content: ReplyContent): void {
    this.#isLate ||= this.#options.status.isLate;
    this.#inner.show(content);
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    const { place, status, signal } = this.#options;
    const { channel, thread } = place;
    this.#isLate ||= status.isLate;
    const { messageKeys } = await this.#inner.finish(content);
    if (this.#isLate && !signal.aborted) await status.clear({ signal });
    return { messageKeys: [messageKey(channel, thread), ...messageKeys] };
  }

  async abandon(): Promise<void> {
    await this.#inner.abandon();
    const { status, signal, shown } = this.#options;
    if (!shown && !signal.aborted) await status.clear({ signal });
  }
}
