import { Deadline } from "../deadline.ts";
import { type CallFacts, timedOut, toBrokenBody } from "../errors.ts";
import type { CozeCall, CozeHttp, CozeTimeouts } from "../http.ts";
import type { OpenResponse } from "../open-response.ts";
import { JsonInsteadOfStream, SseDecoder, type SseEvent } from "./sse.ts";

/** What is known of a running call; filled by the stream as it learns, read by whoever words an error. */
export interface Known {
  facts: CallFacts;
}

export interface StreamOptions {
  readonly known: Known;
  /** How long the next event may take; asked before each wait. */
  readonly idleMs?: (() => number) | undefined;
}

/** After the end mark nothing comes but the end of the body; reading it lets the connection be used again. */
const DRAIN_MS = 250;

/**
 * How long the next event may take, in ms.
 *
 * @param end - `over`: the end of what was asked for is certain. `marked`: the end mark was seen.
 */
export function patienceMs(
  end: { readonly over: boolean; readonly marked: boolean },
  { idleMs, graceMs }: CozeTimeouts,
): number {
  if (!end.over) return idleMs;
  return end.marked ? DRAIN_MS : graceMs;
}

/**
 * The events of one streamed call until its body ends: those of each piece of it together, since a step of a generator
 * costs about as much as an event. Never an empty list.
 *
 * @throws {CozeError} also when the answer is no event stream but a refusal (coze-api.md §7.1, §7.2).
 */
export async function* streamEvents(http: CozeHttp, call: CozeCall, options: StreamOptions): Events {
  const { known } = options;
  const { totalMs } = http.timeouts;
  using deadline = new Deadline(call.signal);
  deadline.limit(totalMs, () => timedOut("no end of the answer", totalMs, known.facts));
  const begin = async (
    token: string,
  ): Promise<{ events: Events; first: IteratorResult<readonly SseEvent[], void> }> => {
    const events = readEvents(http, call, { ...options, token, deadline });
    // A refusal comes in place of the first event.
    return { events, first: await events.next() };
  };
  const { events, first } = await http.authorized(call, begin);
  try {
    if (first.done === true) return;
    yield first.value;
    yield* events;
  } finally {
    await events.return();
  }
}

type Events = AsyncGenerator<readonly SseEvent[], void, undefined>;

async function* readEvents(
  http: CozeHttp,
  call: CozeCall,
  { known, idleMs, token, deadline }: StreamOptions & { token: string; deadline: Deadline },
): Events {
  const response = await http.open(call, { token, deadline });
  known.facts = { ...known.facts, httpStatus: response.status, logId: response.logId };
  if (!mayBeStream(response)) {
    const facts = { ...known.facts, retryAfterMs: response.retryAfterMs };
    const text = await http.readText(response, deadline, facts);
    throw http.toRejection(text, response.status, facts);
  }
  const decoder = new SseDecoder();
  const facts = (): CallFacts => known.facts;
  try {
    for await (const bytes of http.read(response, deadline, facts, idleMs)) {
      const events = decoder.push(bytes);
      if (events.length > 0) yield events;
    }
    const last = decoder.end();
    if (last.length > 0) yield last;
  } catch (error) {
    throw explain(error, { http, deadline, facts: known.facts });
  }
}

function explain(
  error: unknown,
  { http, deadline, facts }: { http: CozeHttp; deadline: Deadline; facts: CallFacts },
): unknown {
  if (deadline.signal.aborted) return deadline.signal.reason;
  if (error instanceof JsonInsteadOfStream) {
    return http.toRejection(error.body, facts.httpStatus ?? 200, facts);
  }
  return toBrokenBody(error, facts);
}

/** JSON, HTML and anything but 200 is a rejection; the rest is looked into (coze-api.md §7.1, §7.2). */
function mayBeStream({ status, contentType }: OpenResponse): boolean {
  return status === 200 && !contentType.includes("json") && !contentType.includes("html");
}
