import type { AnswerEvent } from "../core/answer-state.ts";
import { CozeError } from "../core/errors.ts";
import type { Abortable, Log, Question } from "../core/ports.ts";
import { type AnswerEnd, isOver, NOT_ENDED, reduceEnd } from "./answer-end.ts";
import { type SseEvent, toAnswerEvent } from "./chat-events.ts";
import { toChatRequest } from "./chat-request.ts";
import { Deadline } from "./deadline.ts";
import { type CallFacts, streamBroken, timedOut, toCozeError } from "./errors.ts";
import type { CozeHttp, OpenResponse } from "./http.ts";
import { JsonInsteadOfStream, SseDecoder } from "./sse.ts";

const CALL = "POST /v3/chat";
/** After `done` nothing comes but the end of the body; reading it lets the connection be used again. */
const DRAIN_MS = 250;

/** What is known of a running call; filled by the stream as it learns. */
interface Known {
  facts: CallFacts;
}

/** The answer to a question, and a judgement about its end. @see AnswerSource.ask */
export async function* askChat(
  http: CozeHttp,
  question: Question,
  { signal, log }: Abortable & { log: Log },
): AsyncGenerator<AnswerEvent, void, undefined> {
  const { idleMs, graceMs } = http.timeouts;
  const known: Known = { facts: { call: CALL } };
  let end = NOT_ENDED;
  const wait = (): number => (!isOver(end) ? idleMs : end.marked ? DRAIN_MS : graceMs);
  try {
    for await (const event of streamChat(http, question, { signal, log, idleMs: wait, known })) {
      end = reduceEnd(end, event);
      yield event;
      const failure = toFailure(event, end, { http, facts: known.facts });
      if (failure !== undefined) throw failure;
    }
  } catch (error) {
    // The chat's end was seen: a reset or silence after it takes nothing away (coze-api.md §22.31).
    if (!isOver(end) || signal.aborted || !(error instanceof CozeError)) throw error;
    log.debug({ err: error }, "coze stream was left after its chat had ended");
    return;
  }
  if (!isOver(end)) throw streamBroken("the stream stopped before the chat ended", known.facts);
}

/** The error an event is, if it is one. Once the chat's end is proven, an error event is noise (§22.29). */
function toFailure(
  event: AnswerEvent,
  end: AnswerEnd,
  { http, facts }: { http: CozeHttp; facts: CallFacts },
): CozeError | undefined {
  if (event.type === "chat" && event.status === "failed") {
    const { code, text } = event.error ?? { code: 0, text: "" };
    return toCozeError({ code, text: http.redact(text) }, facts, { answered: end.answered });
  }
  if (isOver(end)) return undefined;
  if (event.type === "error") {
    const { code, text } = event.error;
    return streamBroken("an error event", facts, { code, text: http.redact(text) });
  }
  return event.type === "end" ? streamBroken("done, but the chat is not", facts) : undefined;
}

/** The events of one chat until the body ends. @see CozeClient.chatStream */
export async function* streamChat(
  http: CozeHttp,
  question: Question,
  {
    signal,
    log,
    idleMs,
    known = { facts: { call: CALL } },
  }: Abortable & { log: Log; idleMs?: () => number; known?: Known },
): AsyncGenerator<AnswerEvent, void, undefined> {
  const json = toChatRequest(question);
  const { conversationId } = question;
  const { totalMs } = http.timeouts;
  known.facts = { ...known.facts, conversationId };
  using deadline = new Deadline(signal);
  deadline.limit(totalMs, () => timedOut("no end of the answer", totalMs, known.facts));
  const query = { conversation_id: conversationId };
  const response = await http.open({ method: "POST", path: "/v3/chat", query, json, signal }, deadline);
  known.facts = { ...known.facts, httpStatus: response.status, logId: response.logId };
  if (!mayBeStream(response)) {
    const facts = { ...known.facts, retryAfterMs: response.retryAfterMs };
    const text = await http.readText(response, deadline, facts);
    throw http.toRejection(text, response.status, facts);
  }
  try {
    for await (const sse of decodeEvents(http, response, { deadline, known, ...(idleMs && { idleMs }) })) {
      const event = toAnswerEvent(sse);
      if (event.type === "unknown") log.debug({ name: event.name }, "coze sent an event we do not know");
      if (event.type === "chat") known.facts = { ...known.facts, ...noteIds(event, question, log) };
      yield event;
    }
  } catch (error) {
    throw explain(error, { http, deadline, facts: known.facts });
  }
}

async function* decodeEvents(
  http: CozeHttp,
  response: OpenResponse,
  { deadline, known, idleMs }: { deadline: Deadline; known: Known; idleMs?: () => number },
): AsyncGenerator<SseEvent, void, undefined> {
  const decoder = new SseDecoder();
  const facts = (): CallFacts => known.facts;
  for await (const bytes of http.read(response, deadline, facts, idleMs)) yield* decoder.push(bytes);
  yield* decoder.end();
}

function explain(
  error: unknown,
  { http, deadline, facts }: { http: CozeHttp; deadline: Deadline; facts: CallFacts },
): unknown {
  if (deadline.signal.aborted) return deadline.signal.reason;
  if (error instanceof JsonInsteadOfStream)
    return http.toRejection(error.body, facts.httpStatus ?? 200, facts);
  return error instanceof CozeError
    ? error
    : streamBroken("the connection broke", { ...facts, cause: error });
}

/** Ids as the chat itself tells them; the conversation may be another one than asked (coze-api.md §16.6). */
function noteIds(event: AnswerEvent & { type: "chat" }, question: Question, log: Log): Partial<CallFacts> {
  const { chatId, conversationId } = event;
  if (conversationId !== undefined && conversationId !== question.conversationId) {
    log.warn(
      { asked: question.conversationId, answered: conversationId },
      "coze answered in another conversation",
    );
  }
  return { ...(chatId !== undefined && { chatId }), ...(conversationId !== undefined && { conversationId }) };
}

/** JSON, HTML and anything but 200 is a rejection; the rest is looked into (coze-api.md §7.1, §7.2). */
function mayBeStream({ status, contentType }: OpenResponse): boolean {
  return status === 200 && !contentType.includes("json") && !contentType.includes("html");
}
