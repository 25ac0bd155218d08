import { answerMarkdown } from "../../src/core/answer-state.ts";
import type { PlatformError } from "../../src/core/errors.ts";
import { GrowingReply } from "../../src/core/growing-reply.ts";
import type { Json } from "../../src/core/json.ts";
import type { FinishedReply, OpenReplyOptions, Reply, ReplyContent } from "../../src/core/ports.ts";
import type { Turn } from "../../src/core/turn.ts";
import { messageKey, parseAddress, type SlackAddress } from "./address.ts";
import { AnswerFile } from "./answer-file.ts";
import { openCommandPlace, pointToDm } from "./command-place.ts";
import { EditWriter, type FormerStreams, type ReplyTarget } from "./edit-writer.ts";
import { NativeReply } from "./native-reply.ts";
import { findTurnMessages, turnMetadata } from "./own-messages.ts";
import { type Place, parseSaved, type SavedReply, toSaved } from "./place.ts";
import { ResponseUrlReply } from "./response-url.ts";
import type { SlackContext } from "./slack-context.ts";
import { StatusLine } from "./status.ts";
import { canBeTold, tellRefusal } from "./tell-refusal.ts";
import { anything } from "./web-api.ts";

/** Opens the reply to a turn, or goes on with one of an earlier attempt. @throws {PlatformError} */
export async function openSlackReply(
  context: SlackContext,
  turn: Turn,
  { saved, earlier, save, again, signal, onOver }: OpenReplyOptions,
): Promise<{ reply: Reply; place?: Place }> {
  const address = parseAddress(turn.address);
  const before = saved === undefined ? takenOver(earlier) : parseSaved(saved);
  const known = placeOf(address) ?? before.place;
  const place = known ?? (await openCommandPlace(context, turn, address, { again, signal }));
  if (place === undefined) {
    return { reply: openFinalOnly(context, turn, address, { saved, save, signal }) };
  }
  if (known === undefined) {
    await save(toSaved({ style: "edit", messages: [], cuts: [], place }));
    if (place.channel !== address.channel) {
      await pointToDm(context, { address, place, locale: turn.locale }, { signal });
    }
  }
  const target = toTarget(turn, address, place);
  const keep = (reply: Omit<SavedReply, "place">): Promise<void> => save(toSaved({ ...reply, place }));
  const found = again ? await takeOver(context, { target, before, keep, signal }) : before;
  const status = new StatusLine(context, { team: address.team, place });
  if (found.messages.length === 0) status.show(turn.locale, { signal });
  const file = new AnswerFile(context, target);
  const isShown = found.messages.length > 0;
  const continuesAnswer = earlier === undefined;
  const inner = openAt(context, {
    address,
    target,
    before: found,
    continuesAnswer,
    keep,
    file,
    signal,
    onOver,
  });
  const tell = (error: PlatformError): Promise<void> =>
    tellRefusal(context, { target, user: address.user }, error, { signal });
  const reply = new ThreadReply(inner, { place, status, file, signal, isShown, continuesAnswer, tell });
  return { reply, place };
}

/** Messages of an earlier revision: their streams are over, and another text is cut elsewhere. */
function takenOver(earlier: Json | undefined): SavedReply {
  return { ...parseSaved(earlier), style: "edit", cuts: [] };
}

function toTarget(turn: Turn, { team, message }: SlackAddress, place: Place): ReplyTarget {
  return {
    team,
    place,
    after: message,
    reference: turn.reference,
    dedupeKey: turn.id.replace(/#r\d+$/, ""),
    locale: turn.locale,
  };
}

/**
 * All messages of an earlier attempt: those it saved, and what it made and could not save any more. Streams are
 * stopped: what was appended is unknown, so nothing can be appended any more (slack.md §1.6).
 */
async function takeOver(
  context: SlackContext,
  { target, before, keep, signal }: Pick<OpenAt, "target" | "before" | "keep" | "signal">,
): Promise<SavedReply> {
  const { reference, place } = target;
  const found = (await findTurnMessages(context, target, { signal })) ?? [];
  const all = new Set([...before.messages, ...found.map(({ ts }) => ts)]);
  // In the order of their making, which is that of the parts.
  const messages = [...all].sort((one, other) => Number(one) - Number(other));
  const lost = messages.length - before.messages.length;
  if (lost > 0) context.log.info({ reference, channel: place.channel, lost }, "slack messages found again");
  const streams = found.filter(({ streaming }) => streaming).map(({ ts }) => ts);
  const native = before.style === "native" || streams.length > 0;
  const after = { ...before, messages, style: native ? "native" : "edit" } as const;
  if (lost > 0) await keep(after);
  if (native) await stopStreams(context, target, { all: messages, open: streams, signal });
  return after;
}

function placeOf({ channel, thread, kind }: SlackAddress): Place | undefined {
  return thread === undefined ? undefined : { channel, thread, dm: kind === "dm" };
}

function openFinalOnly(
  context: SlackContext,
  { locale }: Turn,
  address: SlackAddress,
  options: Pick<OpenReplyOptions, "saved" | "save" | "signal">,
): Reply {
  const url = context.tools.sealer.open(address.command?.responseUrl ?? "");
  return new ResponseUrlReply({ ...options, url, apiUrl: context.settings.apiUrl, locale });
}

interface OpenAt {
  readonly address: SlackAddress;
  readonly target: ReplyTarget;
  readonly before: SavedReply;
  /** What is there is of this very answer, not of an earlier revision. */
  readonly continuesAnswer: boolean;
  readonly keep: (reply: Omit<SavedReply, "place">) => Promise<void>;
  readonly file: AnswerFile;
  readonly signal: AbortSignal;
  readonly onOver: OpenReplyOptions["onOver"];
}

function openAt(context: SlackContext, options: OpenAt): Reply {
  const { address, target, before, continuesAnswer, keep, file, signal, onOver } = options;
  const openEdit = (streams: FormerStreams, how: { continuesAnswer: boolean }): Reply =>
    new GrowingReply({
      ...how,
      writer: new EditWriter(context, target, { streams, file }),
      saved: { messages: streams.messages, ...(before.kept !== undefined && { kept: before.kept }) },
      save: (state) => keep({ ...parseSaved(state), style: "edit", cuts: streams.cuts }),
      signal,
      onOver,
      log: context.log,
      now: () => context.tools.clock.now(),
      sleep: context.sleep,
    });
  if (before.messages.length > 0) return openEdit(before, { continuesAnswer });
  if (!isNative(context, address, target.place)) return openEdit(before, { continuesAnswer });
  return new NativeReply(context, {
    target,
    recipient: { user: address.user, team: address.userTeam },
    save: (streams) => keep({ style: "native", ...streams }),
    // These streams are of this start.
    openEdit: (streams) => openEdit(streams, { continuesAnswer: false }),
    file,
    signal,
    onOver,
  });
}

function isNative({ settings, latches }: SlackContext, { team }: SlackAddress, place: Place): boolean {
  return (place.dm || settings.channelStyle === "native") && !latches.isOff("native stream", team);
}

/** @param open - Those that are known to be open; without a look at history all may be. */
async function stopStreams(
  { api, log }: SlackContext,
  { place: { channel }, reference }: ReplyTarget,
  { all, open, signal }: { all: readonly string[]; open: readonly string[]; signal: AbortSignal },
): Promise<void> {
  for (const ts of open.length > 0 ? open : all) {
    try {
      const metadata = turnMetadata(reference, all.indexOf(ts));
      await api.stream("chat.stopStream", anything, { channel, ts, metadata }, { signal });
    } catch (error) {
      signal.throwIfAborted();
      // Over already, most likely. If it is not, the edit will say so and stop it then.
      log.debug({ err: error }, "old slack stream not stopped");
    }
  }
}

interface ThreadReplyOptions {
  readonly place: Place;
  readonly status: StatusLine;
  readonly file: AnswerFile;
  readonly signal: AbortSignal;
  /** An earlier start has shown something. */
  readonly isShown: boolean;
  /** It was of this very answer. */
  readonly continuesAnswer: boolean;
  /** Tells the asker why the answer can't be shown; never rejects. */
  readonly tell: (error: PlatformError) => Promise<void>;
}

/** A reply whose thread's root also leads to its conversation: later replies there name only the root. */
class ThreadReply implements Reply {
  readonly #inner: Reply;
  readonly #options: ThreadReplyOptions;

  /** The status may have arrived after our first message. */
  #isLate = false;
  /** The asker knows that the answer can't be shown. */
  #isTold = false;

  constructor(inner: Reply, options: ThreadReplyOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  show(content: ReplyContent): void {
    this.#isLate ||= this.#options.status.isLate;
    this.#inner.show(content);
  }

  async finish(content: ReplyContent): Promise<FinishedReply> {
    const { tell, status, signal } = this.#options;
    try {
      return await this.#finish(content);
    } catch (error) {
      if (canBeTold(error) && !signal.aborted && !this.#isTold) {
        this.#isTold = true;
        await tell(error);
        await status.clear({ signal });
      }
      throw error;
    }
  }

  async #finish(content: ReplyContent): Promise<FinishedReply> {
    const { place, status, file, signal, continuesAnswer } = this.#options;
    const { channel, thread } = place;
    this.#isLate ||= status.isLate;
    let { messageKeys } = await this.#inner.finish(content);
    // Without text, what an earlier start showed stays, and the file that it promises.
    const stays = continuesAnswer && answerMarkdown(content.answer) === "";
    const isSettled = stays || (await file.settle(content.answer, { signal }));
    // Refused, the file leaves its part to the messages: drawn anew, since a reply draws each content once.
    if (!isSettled) ({ messageKeys } = await this.#inner.finish({ ...content }));
    if (this.#isLate && !signal.aborted) await status.clear({ signal });
    return { messageKeys: [messageKey(channel, thread), ...messageKeys] };
  }

  async abandon(): Promise<void> {
    await this.#inner.abandon();
    const { status, signal, isShown } = this.#options;
    if (!isShown && !signal.aborted) await status.clear({ signal });
  }
}
