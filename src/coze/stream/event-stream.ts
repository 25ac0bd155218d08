import type { BodyReader } from "../body-reader.ts";
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

/** `over`: the end of what was asked for is certain. `marked`: the end mark was seen. */
interface StreamEnd {
  readonly over: boolean;
  readonly marked: boolean;
}

/**
 * How long the next event of a stream may take. Behind its end the rest has one limit in all, whatever a proxy sends to keep
 * the connection alive.
 */
export class StreamPatience {
  readonly #timeouts: CozeTimeouts;
  #since: { readonly end: StreamEnd; readonly at: number } | undefined;

  constructor(timeouts: CozeTimeouts) {
    this.#timeouts = timeouts;
  }

  /** In ms, from now on. */
  left(end: StreamEnd): number {
    const { idleMs, graceMs } = this.#timeouts;
    if (!end.over) return idleMs;
    const now = performance.now();
    const known = this.#since?.end;
    if (known?.over !== end.over || known.marked !== end.marked) this.#since = { end, at: now };
    const passedMs = now - (this.#since?.at ?? now);
    return Math.max(0, (end.marked ? DRAIN_MS : graceMs) - passedMs);
  }
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
  const begin = async (token: string): Promise<{ reader: EventReader; first: readonly SseEvent[] }> => {
    const response = await openStream(http, call, { known, token, deadline });
    const reader = new EventReader(http, response, { ...options, deadline });
    // A refusal comes in place of the first event.
    return { reader, first: await reader.next() };
  };
  const { reader, first } = await http.authorized(call, begin);
  using _ = reader;
  for (let events = first; events.length > 0; events = await reader.next()) yield events;
}

type Events = AsyncGenerator<readonly SseEvent[], void, undefined>;

/** @throws {CozeError} when it is none. */
async function openStream(
  http: CozeHttp,
  call: CozeCall,
  { known, token, deadline }: { known: Known; token: string; deadline: Deadline },
): Promise<OpenResponse> {
  const response = await http.open(call, { token, deadline });
  known.facts = { ...known.facts, httpStatus: response.status, logId: response.logId };
  if (mayBeStream(response)) return response;
  const facts = { ...known.facts, retryAfterMs: response.retryAfterMs };
  const text = await http.readText(response, deadline, facts);
  throw http.toRejection(text, response.status, facts);
}

/** Reads the events of one response; over once it has thrown. */
class EventReader implements Disposable {
  readonly #http: CozeHttp;
  readonly #options: StreamOptions & { readonly deadline: Deadline };
  readonly #bytes: BodyReader;
  readonly #decoder = new SseDecoder();
  #ended = false;

  constructor(
    http: CozeHttp,
    response: OpenResponse,
    options: StreamOptions & { readonly deadline: Deadline },
  ) {
    this.#http = http;
    this.#options = options;
    const { known, idleMs, deadline } = options;
    this.#bytes = http.reader(response, deadline, () => known.facts, idleMs);
  }

  /** Those of the next piece that holds any; none at the end. */
  async next(): Promise<readonly SseEvent[]> {
    try {
      while (!this.#ended) {
        const chunks = await this.#bytes.next();
        this.#ended = chunks.length === 0;
        const events = this.#ended ? this.#decoder.end() : chunks.flatMap((each) => this.#decoder.push(each));
        if (events.length > 0) return events;
      }
      return [];
    } catch (error) {
      this[Symbol.dispose]();
      const { known, deadline } = this.#options;
      throw explain(error, { http: this.#http, deadline, facts: known.facts });
    }
  }

  [Symbol.dispose](): void {
    this.#bytes[Symbol.dispose]();
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
