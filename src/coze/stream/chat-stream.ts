import type { AnswerEvent } from "../../core/answer-state.ts";
import { CozeError } from "../../core/errors.ts";
import type { Abortable, Log } from "../../core/ports.ts";
import { type CallFacts, chatFailed, streamBroken, streamSilent } from "../errors.ts";
import { type Flavor, failureInText } from "../flavor.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { type AnswerEnd, isOver, NOT_ENDED, reduceEnd } from "./answer-end.ts";
import { toAnswerEvent } from "./chat-events.ts";
import { type Known, StreamPatience, streamEvents } from "./event-stream.ts";
import type { SseEvent } from "./sse.ts";

/** A call that answers with the events of one chat: a new one, one that goes on, or a chatflow's. */
export interface ChatCall {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly json: object;
  /** The conversation it is asked in, if there is one already. */
  readonly conversationId?: string | undefined;
}

/** The answer of a chat, and a judgement about its end. @see ChatsApi.stream */
export async function* askChat(
  http: CozeHttp,
  call: ChatCall,
  { signal, log }: Abortable & { log: Log },
): AsyncGenerator<AnswerEvent, void, undefined> {
  const known = knownOf(call);
  let end = NOT_ENDED;
  let silent = true;
  const patience = new StreamPatience(http.timeouts);
  const idleMs = (): number => patience.left({ over: isOver(end), marked: end.marked });
  try {
    for await (const events of streamEvents(http, toCozeCall(call, signal), { known, idleMs })) {
      for (const sse of events) {
        const told = toEvent(sse, { http, call, known, log });
        const event = isOver(end) ? told : judged(told, http.flavor);
        silent = false;
        end = reduceEnd(end, event);
        yield event;
        const failure = toFailure(event, end, known.facts);
        if (failure !== undefined) throw failure;
      }
    }
  } catch (error) {
    // The chat's end was seen: a reset or silence after it takes nothing away (coze-api.md §22.31).
    if (!isOver(end) || signal.aborted || !(error instanceof CozeError)) throw error;
    log.debug({ err: error }, "coze stream was left after its chat had ended");
    return;
  }
  if (isOver(end)) return;
  throw silent
    ? streamSilent(known.facts, http.flavor.silence)
    : streamBroken("the stream stopped before the chat ended", known.facts);
}

/** Where an error is the chat's own failure, it is told as one; what the server says after it is no answer. */
function judged(event: AnswerEvent, flavor: Flavor): AnswerEvent {
  if (event.type !== "error" || flavor.errorEvent === "doubt") return event;
  const error = failureInText(flavor, event.error.text) ?? event.error;
  return { type: "chat", status: "failed", error };
}

/** The error an event is, if it is one. Once the chat's end is proven, an error event is noise (§22.29). */
function toFailure(event: AnswerEvent, end: AnswerEnd, facts: CallFacts): CozeError | undefined {
  if (event.type === "chat" && event.status === "failed") {
    return chatFailed(event.error, facts, { answered: end.answered });
  }
  if (isOver(end)) return undefined;
  if (event.type === "error") return streamBroken("an error event", facts, event.error);
  return event.type === "end" ? streamBroken("done, but the chat is not", facts) : undefined;
}

/** The events of one chat until the body ends. @see ChatsApi.events */
export async function* streamChat(
  http: CozeHttp,
  call: ChatCall,
  { signal, log, idleMs }: Abortable & { log: Log; idleMs?: (() => number) | undefined },
): AsyncGenerator<AnswerEvent, void, undefined> {
  const known = knownOf(call);
  for await (const events of streamEvents(http, toCozeCall(call, signal), { known, idleMs })) {
    for (const sse of events) yield toEvent(sse, { http, call, known, log });
  }
}

function toCozeCall({ path, query, json }: ChatCall, signal: AbortSignal): CozeCall {
  return { method: "POST", path, json, signal, ...(query !== undefined && { query }) };
}

/** An event as it is told, and noted where it says what is known of the chat. */
function toEvent(
  sse: SseEvent,
  { http, call, known, log }: { http: CozeHttp; call: ChatCall; known: Known; log: Log },
): AnswerEvent {
  const event = withoutToken(toAnswerEvent(sse), http);
  if (event.type === "unknown") log.debug({ name: event.name }, "coze sent an event we do not know");
  if (event.type === "chat") {
    known.facts = { ...known.facts, ...noteIds(event, call.conversationId, log) };
  }
  return event;
}

/** Coze's words for a failure might repeat our token. */
function withoutToken(event: AnswerEvent, http: CozeHttp): AnswerEvent {
  if ((event.type !== "chat" && event.type !== "error") || event.error === undefined) return event;
  const { code, text } = event.error;
  return { ...event, error: { code, text: http.redact(text) } };
}

function knownOf({ path, conversationId }: ChatCall): Known {
  return { facts: { call: `POST ${path}`, conversationId } };
}

/** Ids as the chat itself tells them; the conversation may be another one than asked (coze-api.md §16.6). */
function noteIds(
  event: AnswerEvent & { type: "chat" },
  asked: string | undefined,
  log: Log,
): Partial<CallFacts> {
  const { chatId, conversationId } = event;
  if (conversationId !== undefined && asked !== undefined && conversationId !== asked) {
    log.warn({ asked, answered: conversationId }, "coze answered in another conversation");
  }
  return { ...(chatId !== undefined && { chatId }), ...(conversationId !== undefined && { conversationId }) };
}
