import { CozeError } from "../../core/errors.ts";
import type { Abortable, Log } from "../../core/ports.ts";
import { type CallFacts, streamBroken, toCozeError } from "../errors.ts";
import type { CozeHttp } from "../http.ts";
import { type Known, StreamPatience, streamEvents } from "./event-stream.ts";
import { toWorkflowEvent, type WorkflowEvent } from "./workflow-events.ts";

/** How far a stream has proven the end of its run. */
interface RunEnd {
  /** Done, or parked at an interrupt. */
  readonly over: boolean;
  readonly marked: boolean;
  /** A node has said something: the run had effects. */
  readonly began: boolean;
}

/**
 * The events of a run, and a judgement about its end: returns normally only after `Done` or an interrupt.
 *
 * @throws {CozeError} the code's error for an `Error` event, `COZE_STREAM_BROKEN` for a stream that just stops.
 */
export async function* streamWorkflow(
  http: CozeHttp,
  { path, json }: { path: string; json: object },
  { signal, log }: Abortable & { log: Log },
): AsyncGenerator<WorkflowEvent, void, undefined> {
  const known: Known = { facts: { call: `POST ${path}` } };
  let end: RunEnd = { over: false, marked: false, began: false };
  const patience = new StreamPatience(http.timeouts);
  const idleMs = (): number => patience.left(end);
  const call = { method: "POST", path, json, signal } as const;
  try {
    for await (const group of streamEvents(http, call, { known, idleMs })) {
      for (const sse of group) {
        const event = withoutToken(toWorkflowEvent(sse), http);
        if (event.type === "unknown") log.debug({ name: event.name }, "coze sent an event we do not know");
        end = reduceEnd(end, event);
        yield event;
        if (event.type === "error" && !end.over) throw toFailure(event, end, known.facts);
      }
    }
  } catch (error) {
    // The run's end was seen: a reset or silence after it takes nothing away.
    if (!end.over || signal.aborted || !(error instanceof CozeError)) throw error;
    log.debug({ err: error }, "coze stream was left after its workflow had ended");
    return;
  }
  if (!end.over) throw streamBroken("the stream stopped before the workflow ended", known.facts);
}

function reduceEnd(end: RunEnd, event: WorkflowEvent): RunEnd {
  switch (event.type) {
    case "message":
      return { ...end, began: true };
    case "interrupt":
      return { ...end, over: true };
    case "done":
      return { ...end, over: true, marked: true };
    case "error":
    case "ping":
    case "unknown":
      return end;
  }
}

/** What has run is not run again by itself: its effects are there. */
function toFailure(
  { code, text, debugUrl }: WorkflowEvent & { type: "error" },
  { began }: RunEnd,
  facts: CallFacts,
): CozeError {
  return toCozeError({ code, text }, { ...facts, debugUrl }, { answered: began });
}

/** Coze's words for a failure might repeat our token. */
function withoutToken(event: WorkflowEvent, http: CozeHttp): WorkflowEvent {
  return event.type === "error" ? { ...event, text: http.redact(event.text) } : event;
}
